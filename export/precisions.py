"""The graphs of a package, one a precision, each measured on frames that it has not seen.

FP32 graph → FP16, INT8 in any layout → accuracy against FP32's → budget. What costs more than the
budget allows does not get into a package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from numpy.typing import NDArray

from wnet_edge.calibration.ranges import Ranges
from wnet_edge.export.budget import Budget, described
from wnet_edge.export.conversion_check import assert_conversion
from wnet_edge.export.graph import serialise
from wnet_edge.export.half.half import HalfGraph, to_half
from wnet_edge.export.half.half_rounding import outputs, rounded_twin
from wnet_edge.export.held_out import HeldOut, MeasuredStrip
from wnet_edge.export.int8.layer_shares import LayerShare, layer_shares
from wnet_edge.export.int8.search import FoundInt8, OverBudgetError, Problem, search
from wnet_edge.export.passes.compact import compacted
from wnet_edge.export.run_graph import exact_patches, patches_on_processor
from wnet_edge.judging.yardstick import Judge, Loss, loss, phase_rms_rad
from wnet_edge.package.golden import Patches
from wnet_edge.package.manifest import Precision, Retention, Setting, Tolerance
from wnet_edge.package.packing import Graph
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.session_settings import X64_PRECISION

FP32_TOLERANCE = Tolerance(amplitude=0.02, phase_rad=0.1, phase_rms_rad=0.02)
"""How far another processor or TF32 may stray: an order above the largest rounding seen, an order
below what a broken kernel does."""

_DIGITS = 4
"""Of what is measured: the order of a sum is not in the package."""


@dataclass(frozen=True)
class Source:
    """What all precisions are made from.

    Attributes:
        graph: FP32, every node with a name of its own.
        shipped: the same, compacted: the package's.
        opset: of it.
        held_out: frames for calibration.
        selection: the strip that chooses.
        report: the strip that reports.
        budget: to keep to.
        ranges: of the graph's values on the calibration frames, by each calibrator; for INT8.
        ask_layers: whether every layer of an INT8 graph is asked what it costs and saves.
    """

    graph: bytes
    shipped: bytes
    opset: int
    held_out: HeldOut
    selection: MeasuredStrip
    report: MeasuredStrip
    budget: Budget
    ranges: Sequence[Ranges]
    ask_layers: bool


@dataclass(frozen=True)
class Made:
    """One precision's graph, and how it came to be.

    Attributes:
        graph: for the package.
        golden: its exact patches of the golden frames.
        tolerance: how near another machine has to come.
        loss: of FP32's accuracy, on the report strip; None for FP32.
        phase_rms_rad: difference from FP32 there.
        half: how an FP16 graph was made.
        found: how an INT8 graph was found.
        layers: what each of its layers costs and saves, if that was asked.
    """

    graph: Graph
    golden: Patches
    tolerance: Tolerance
    loss: Loss | None = None
    phase_rms_rad: float = 0.0
    half: HalfGraph | None = None
    found: FoundInt8 | None = None
    layers: tuple[LayerShare, ...] = ()


def make(precision: Precision, source: Source) -> Made:
    """The graph of one precision.

    Raises:
        OverBudgetError: if it can't be made to keep to the budget.
        ExportError: if this processor gets it wrong.
    """
    if precision is Precision.FP32:
        return _make_fp32(source)
    if precision is Precision.FP16:
        return _make_fp16(source)
    return _make_int8(precision, source)


def _make_fp32(source: Source) -> Made:
    golden = patches_on_processor(source.shipped, source.held_out.golden)
    report = source.report
    # Held against itself it would keep everything, whatever it is worth.
    retention = (
        _retention(report.accuracy.measures(), processor_name())
        if report.yardstick.judge is Judge.REFERENCE
        else None
    )
    return Made(Graph(source.shipped, source.opset, None, retention), golden, FP32_TOLERANCE)


def _make_fp16(source: Source) -> Made:
    half = to_half(source.graph, source.held_out.counts)
    twin = rounded_twin(onnx.load_from_string(half.content))

    def exact(counts: NDArray[np.float32]) -> Patches:
        return outputs(twin, counts)

    content = serialise(compacted(onnx.load_from_string(half.content)))
    tolerance = assert_conversion(Precision.FP16, content, exact, source.held_out.counts, None)
    patches = exact(source.report.yardstick.part.counts)
    # The processor computes many half operators in FP32, and would be told to be better than it is.
    settings: dict[str, Setting] = {"kept_in_fp32": len(half.kept)}
    graph = Graph(content, source.opset, settings)
    made = Made(graph, exact(source.held_out.golden), tolerance, half=half)
    return _judged(Precision.FP16, made, patches, source, "emulated: half after every operator")


def _make_int8(layout: Precision, source: Source) -> Made:
    settings: dict[str, Setting] = {X64_PRECISION: True}

    def run(graph: bytes, counts: NDArray[np.float32]) -> Patches:
        return patches_on_processor(graph, counts, settings)

    counts = source.held_out.counts
    problem = Problem(source.graph, layout, source.selection, run, source.budget)
    found = search(problem, source.ranges)

    def exact(frames: NDArray[np.float32]) -> Patches:
        return exact_patches(found.content, frames)

    tolerance = assert_conversion(layout, found.content, exact, counts, settings)
    settings |= {
        "calibrator": found.ranges.method.value,
        "per_channel": found.scheme.per_channel,
        "layers_in_float": len(found.scheme.kept),
        "format": "qdq",
    }
    graph = Graph(found.content, source.opset, settings)
    layers = layer_shares(problem, found, counts, settings) if source.ask_layers else ()
    made = Made(graph, exact(source.held_out.golden), tolerance, found=found, layers=layers)
    patches = run(found.content, source.report.yardstick.part.counts)
    return _judged(layout, made, patches, source, processor_name())


def _judged(
    precision: Precision, made: Made, patches: Patches, source: Source, processor: str
) -> Made:
    """With what it has lost on the report strip, if that is within the budget."""
    report = source.report
    accuracy = report.yardstick.accuracy(patches)
    lost = loss(report.accuracy, accuracy, report.yardstick.judge)
    if not source.budget.holds(lost):
        raise OverBudgetError(
            f"the {precision.value} graph does not keep to the budget on the report strip: "
            f"{described(lost)}",
            precision,
            () if made.found is None else made.found.trials,
        )
    rms = phase_rms_rad(report.yardstick.part, patches, report.fp32)
    measures = accuracy.measures() | {"phase_rms_rad_from_fp32": rms, "ssim_drop": lost.ssim}
    if report.yardstick.judge is Judge.REFERENCE and lost.psnr_db is not None:
        measures["psnr_drop_db"] = lost.psnr_db
    graph = replace(made.graph, retention=_retention(measures, processor))
    return replace(made, graph=graph, loss=lost, phase_rms_rad=rms)


def _retention(measures: Mapping[str, float], processor: str) -> Retention:
    finite = {name: round(v, _DIGITS) for name, v in measures.items() if np.isfinite(v)}
    return Retention(finite, processor)
