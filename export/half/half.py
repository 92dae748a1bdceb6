"""Conversion to FP16: every operator in half precision except those that need FP32.

Follows the FP32 graph in export. Raw counts and sums over many pixels exceed half's range or its
eleven significant bits; which operators stay in FP32 is determined from the graph's structure, the
operator types, the ranges of the tensors, and an emulation that rounds as a GPU may.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import INPUT, opset, serialise
from wnet_edge.export.half.half_graph import MAX_VALUE, float_tensors, half_graph, takes_half
from wnet_edge.export.half.half_rounding import (
    extreme_frames,
    largest_values,
    outputs,
    rounded_twin,
    worst_rounding,
)
from wnet_edge.package.golden import Deviation, Patches
from wnet_edge.package.manifest import Tolerance

LIMIT = Tolerance(amplitude=0.02, phase_rad=0.1, phase_rms_rad=0.01)
"""Largest permitted deviation of the emulation from FP32 over the calibration frames."""

_REDUCTIONS = ("LayerNormalization", "Pow", "ReduceL2", "ReduceMean", "ReduceSum", "Sqrt")
"""Operators with sums over many values, the squares in such sums, and their roots."""


class Reason(str, Enum):
    """Why an operator stays in FP32."""

    NO_HALF = "it takes or gives other numbers than floats"
    RAW_COUNTS = "it stands between raw counts and the normalised frame"
    REDUCTION = "it is part of a sum over many values"
    RANGE = "its values are too large for half"
    ROUNDING = "rounding it moves the outputs too far"


@dataclass(frozen=True)
class KeptOperator:
    """An operator that stays in FP32.

    Attributes:
        result: name of its first output, which identifies it.
        kind: ONNX operator type.
        reason: why it stays.
    """

    result: str
    kind: str
    reason: Reason


@dataclass(frozen=True)
class HalfGraph:
    """An FP16 graph, its operators in FP32, and its deviation.

    Attributes:
        content: ONNX bytes; `counts`, `amplitude` and `phase` are FP32.
        kept: operators in FP32, in the graph's order.
        deviation: deviation of the emulation from FP32 over the calibration frames.
    """

    content: bytes
    kept: tuple[KeptOperator, ...]
    deviation: Deviation


def to_half(graph: bytes, counts: NDArray[np.float32]) -> HalfGraph:
    """Convert an FP32 graph to FP16, deterministically.

    Args:
        graph: FP32 ONNX bytes from `export_fp32`.
        counts: (N, 1, H, W) float32, calibration frames.

    Raises:
        ExportError: if the FP32 graph's outputs are not finite for some frame, or no choice of
            operators keeps the deviation within `LIMIT`.
    """
    model = onnx.load_from_string(graph)
    extremes = extreme_frames(counts.shape[-1])
    frames = np.concatenate([counts, extremes])
    exact = outputs(model, frames)
    if not all(np.isfinite(part).all() for part in exact):
        raise ExportError("the graph gives no numbers for dark or saturated frames; train again")
    first = _first_choice(model, largest_values(model, frames))
    for kept in _choices(model, first, np.concatenate([counts[:2], extremes])):
        half = half_graph(model, kept.keys())
        rounded = outputs(rounded_twin(half), frames)
        if all(np.isfinite(part).all() for part in rounded):
            found = Deviation.between(_first(rounded, len(counts)), _first(exact, len(counts)))
            if found.within(LIMIT):
                onnx.checker.check_model(half, full_check=True)
                return HalfGraph(serialise(half), _operators(model, kept), found)
    raise ExportError("half spoils the patches whichever operators stay in FP32; leave FP16 out")


def _first(patches: Patches, count: int) -> Patches:
    return patches[0][:count], patches[1][:count]


def _choices(
    model: onnx.ModelProto, kept: Mapping[str, Reason], counts: NDArray[np.float32]
) -> Iterator[dict[str, Reason]]:
    """Successive sets of operators to keep: `kept`, then more, in order of their rounding error.

    The number added doubles each time, so that a network unsuited for half takes few rounds; ends
    before all would stay.
    """
    chosen = dict(kept)
    if len(chosen) < len(model.graph.node):
        yield chosen
        worst = worst_rounding(model, kept.keys(), counts, LIMIT)
        added = 1
        while len(worst) > added:
            chosen |= dict.fromkeys(worst[:added], Reason.ROUNDING)
            worst = worst[added:]
            added *= 2
            yield chosen


def _first_choice(model: onnx.ModelProto, largest: Mapping[str, float]) -> dict[str, Reason]:
    """Operators that can't or should not be in half, by first output, with the reason."""
    floats = float_tensors(model).keys()
    front_end = _front_end(model)
    largest = {
        tensor.name: float(np.abs(numpy_helper.to_array(tensor)).max(initial=0))
        for tensor in model.graph.initializer
        if tensor.data_type == TensorProto.FLOAT
    } | dict(largest)
    kept: dict[str, Reason] = {}
    for node in model.graph.node:
        result = node.output[0]
        values = [largest[name] for name in (*node.input, *node.output) if name in largest]
        if result in front_end:
            kept[result] = Reason.RAW_COUNTS
        elif not takes_half(node, floats, opset(model)):
            kept[result] = Reason.NO_HALF
        elif node.op_type in _REDUCTIONS or _is_square(node):
            kept[result] = Reason.REDUCTION
        # Written so that NaN stays.
        elif not all(value < MAX_VALUE for value in values):
            kept[result] = Reason.RANGE
    return kept


def _front_end(model: onnx.ModelProto) -> set[str]:
    """Outputs of the normalisation: everything up to the first square roots of the counts.

    The result of a comparison with the counts (masked or not) does not belong to it.
    """
    nodes = model.graph.node
    floats = float_tensors(model).keys()
    counts = {INPUT}
    roots: set[str] = set()
    for node in nodes:
        if counts.isdisjoint(node.input):
            continue
        reached = roots if node.op_type == "Sqrt" else counts
        reached.update(floats & set(node.output))
    leading = set(roots)
    for node in reversed(nodes):
        if not leading.isdisjoint(node.output):
            leading.update(filter(None, node.input))
    return leading


def _is_square(node: onnx.NodeProto) -> bool:
    return node.op_type == "Mul" and node.input[0] == node.input[1]


def _operators(model: onnx.ModelProto, kept: Mapping[str, Reason]) -> tuple[KeptOperator, ...]:
    return tuple(
        KeptOperator(node.output[0], node.op_type, kept[node.output[0]])
        for node in model.graph.node
        if node.output[0] in kept
    )
