"""Graphs of a package, one per precision, each measured on held-out frames.

FP32 graph → FP16, INT8 in any layout → accuracy relative to FP32 → budget. A precision that exceeds
the budget is not included in a package.
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
from wnet_edge.export.int8.fine_tune import FineTuning, fine_tuned
from wnet_edge.export.int8.layer_shares import LayerShare, layer_shares
from wnet_edge.export.int8.search import (
    FoundInt8,
    OverBudgetError,
    Problem,
    search,
    starting_point,
)
from wnet_edge.export.passes.compact import compacted
from wnet_edge.export.run_graph import exact_patches, patches_on_processor
from wnet_edge.judging.yardstick import Judge, Loss, loss, phase_rms_rad
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision, Retention, Setting, Tolerance
from wnet_edge.package.packing import Graph
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.session_settings import X64_PRECISION

FP32_TOLERANCE = Tolerance(amplitude=0.02, phase_rad=0.1, phase_rms_rad=0.02)
"""Tolerance of the golden outputs for other processors and TF32: an order of magnitude above the
largest rounding error seen, an order below the effect of a broken kernel."""

_DIGITS = 4
"""Decimal places of measured figures, so that they do not depend on the order of summation."""


@dataclass(frozen=True)
class Source:
    """FP32 graph, frames and options from which all precisions are made.

    Attributes:
        graph: FP32 ONNX bytes, with unique node names.
        shipped: the same graph compacted, as in the package.
        opset: opset of the graph.
        held_out: calibration frames.
        selection: strip on which candidates are compared.
        report: strip for the reported figures.
        budget: accuracy budget.
        ranges: value ranges on the calibration frames, by each calibrator; for INT8.
        fine_tuning: quantisation-aware training before INT8 graphs are made; None for none.
        ask_layers: whether to measure accuracy loss and time saved of every layer in INT8.
    """

    graph: bytes
    shipped: bytes
    opset: int
    held_out: HeldOut
    selection: MeasuredStrip
    report: MeasuredStrip
    budget: Budget
    ranges: Sequence[Ranges]
    fine_tuning: FineTuning | None
    ask_layers: bool


@dataclass(frozen=True)
class Made:
    """One precision's graph with its measurements.

    Attributes:
        graph: graph for the package.
        golden: exact patches of the golden frames.
        tolerance: largest permitted deviation from `golden` on other machines.
        loss: loss of accuracy relative to FP32 on the report strip; None for FP32.
        phase_rms_rad: RMS phase difference from FP32 there.
        half: result of the FP16 conversion.
        found: result of the INT8 search.
        layers: contribution of each layer in INT8, if requested.
    """

    graph: Graph
    golden: PatchArrays
    tolerance: Tolerance
    loss: Loss | None = None
    phase_rms_rad: float = 0.0
    half: HalfGraph | None = None
    found: FoundInt8 | None = None
    layers: tuple[LayerShare, ...] = ()


def make(precision: Precision, source: Source) -> Made:
    """Make and measure the graph of one precision.

    Raises:
        OverBudgetError: if no graph within the budget is found.
        PrecisionError: if ONNX Runtime's outputs deviate from the graph's definition here.
        ExportError: if they are not finite.
    """
    if precision is Precision.FP32:
        return _make_fp32(source)
    if precision is Precision.FP16:
        return _make_fp16(source)
    return _make_int8(precision, source)


def _make_fp32(source: Source) -> Made:
    golden = patches_on_processor(source.shipped, source.held_out.golden)
    report = source.report
    # Compared with itself, its retention would be perfect and say nothing.
    retention = (
        _retention(report.accuracy.measures(), processor_name())
        if report.yardstick.judge is Judge.REFERENCE
        else None
    )
    return Made(Graph(source.shipped, source.opset, None, retention), golden, FP32_TOLERANCE)


def _make_fp16(source: Source) -> Made:
    half = to_half(source.graph, source.held_out.counts)
    twin = rounded_twin(onnx.load_from_string(half.content))

    def exact(counts: NDArray[np.float32]) -> PatchArrays:
        return outputs(twin, counts)

    content = serialise(compacted(onnx.load_from_string(half.content)))
    tolerance = assert_conversion(Precision.FP16, content, exact, source.held_out.counts, None)
    patches = exact(source.report.yardstick.part.counts)
    # The CPU computes many half operators in FP32, which would underestimate the loss.
    settings: dict[str, Setting] = {"kept_in_fp32": len(half.kept)}
    graph = Graph(content, source.opset, settings)
    made = Made(graph, exact(source.held_out.golden), tolerance, half=half)
    return _judged(Precision.FP16, made, patches, source, "emulated: half after every operator")


def _make_int8(layout: Precision, source: Source) -> Made:
    # The narrower weights of U8S8 saturate nowhere, and are faster without that mode.
    narrow = layout is Precision.INT8_U8S8
    settings: dict[str, Setting] = {} if narrow else {X64_PRECISION: True}

    def run(graph: bytes, counts: NDArray[np.float32]) -> PatchArrays:
        return patches_on_processor(graph, counts, settings)

    counts = source.held_out.counts
    problem = Problem(source.graph, layout, source.selection, run, source.budget)
    ranges = source.ranges
    if source.fine_tuning is not None:
        problem, ranges = _fine_tuned(problem, ranges, source.fine_tuning)
    found = search(problem, ranges)

    def exact(frames: NDArray[np.float32]) -> PatchArrays:
        return exact_patches(found.content, frames)

    tolerance = assert_conversion(layout, found.content, exact, counts, settings)
    settings |= {
        "calibrator": found.ranges.method.value,
        "per_channel": found.scheme.per_channel,
        "layers_in_float": len(found.scheme.kept),
        "format": "qdq",
    }
    if found.scheme.whole:
        settings["whole"] = True
    if source.fine_tuning is not None:
        settings["qat_epochs"] = source.fine_tuning.epochs
    graph = Graph(found.content, source.opset, settings)
    layers = layer_shares(problem, found, counts, settings) if source.ask_layers else ()
    made = Made(graph, exact(source.held_out.golden), tolerance, found=found, layers=layers)
    patches = run(found.content, source.report.yardstick.part.counts)
    return _judged(layout, made, patches, source, processor_name())


def _fine_tuned(
    problem: Problem, ranges: Sequence[Ranges], how: FineTuning
) -> tuple[Problem, list[Ranges]]:
    """The problem with weights, and their ranges, that were trained with the layout's rounding."""
    closest, scheme = starting_point(problem, ranges)
    graph, trained = fine_tuned(problem.graph, closest, scheme, how)
    return replace(problem, graph=graph), [trained]


def _judged(
    precision: Precision, made: Made, patches: PatchArrays, source: Source, processor: str
) -> Made:
    """Add the measured loss on the report strip; raises if it exceeds the budget."""
    report = source.report
    accuracy = report.yardstick.accuracy(patches)
    lost = loss(report.accuracy, accuracy, report.yardstick.judge)
    budget = source.budget
    if not budget.holds(lost):
        raise OverBudgetError(
            f"the {precision.value} graph does not keep to the budget on the report strip: "
            f"{described(lost)}, {budget.allows}",
            precision,
            () if made.found is None else made.found.trials,
            budget.flags_for(lost),
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
