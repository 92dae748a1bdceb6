"""Effect of half precision on a graph, measured by running it: ranges and rounding errors.

Used by FP16 export to choose the operators that stay in FP32. On the CPU, ONNX Runtime computes
many operators of a half graph in FP32 and removes casts between them; the rounding of a GPU is
emulated by casts around every operator, without optimisation.
"""

import math
from collections.abc import Set

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from wnet_edge.export.graph import INPUT, serialise
from wnet_edge.export.half.half_graph import cast, float_tensors, half_graph
from wnet_edge.export.run_graph import patches_as_written, session_as_written
from wnet_edge.package.golden import Deviation, Patches
from wnet_edge.package.manifest import Tolerance
from wnet_edge.scan.counts import MASKED

_FRAMES_AT_ONCE = 8


def extreme_frames(window_px: int) -> NDArray[np.float32]:
    """Extreme frames of a detector, (N, 1, window_px, window_px) float32 counts.

    All pixels saturated, one hot pixel, one photon, empty, all pixels but one masked.
    """
    centre, corner = (window_px // 2, window_px // 2), (0, 0)
    frames = np.zeros((8, 1, window_px, window_px), np.float32)
    frames[0] = 1e6
    for index, (pixel, count) in enumerate(
        [(centre, 1e9), (corner, 1e9), (centre, 1.0), (corner, 1.0)], start=1
    ):
        frames[(index, 0, *pixel)] = count
    frames[6] = MASKED
    frames[(6, 0, *centre)] = 1e9
    frames[7] = MASKED
    return frames


def largest_values(model: onnx.ModelProto, counts: NDArray[np.float32]) -> dict[str, float]:
    """Largest |x| of every FP32 tensor except constants, over frames (N, 1, H, W), by name."""
    constants = {tensor.name for tensor in model.graph.initializer}
    names = [name for name in float_tensors(model) if name not in constants]
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    del probed.graph.output[:]
    for name in names:
        # Reduced inside the graph, since all tensors of a large network would fill the memory.
        probed.graph.node.extend(
            [
                helper.make_node("Abs", [name], [f"{name}/abs"]),
                helper.make_node("ReduceMax", [f"{name}/abs"], [f"{name}/largest"], keepdims=0),
            ]
        )
        probed.graph.output.append(
            helper.make_tensor_value_info(f"{name}/largest", TensorProto.FLOAT, [])
        )
    session = session_as_written(serialise(probed))
    found = [
        session.run(None, {INPUT: counts[start : start + _FRAMES_AT_ONCE]})
        for start in range(0, len(counts), _FRAMES_AT_ONCE)
    ]
    return dict(zip(names, np.max(found, axis=0).tolist(), strict=True))


def rounded_twin(half: onnx.ModelProto) -> onnx.ModelProto:
    """Emulation of a half graph: every operator computed in FP32, its outputs rounded to half.

    To be run without optimisation, which may remove the rounding.
    """
    kinds = float_tensors(half)
    halves = {name for name, kind in kinds.items() if kind == TensorProto.FLOAT16}
    widened: set[str] = set()
    nodes: list[onnx.NodeProto] = []
    for node in half.graph.node:
        exact = onnx.NodeProto()
        exact.CopyFrom(node)
        nodes.append(exact)
        if node.op_type == "Cast" or not halves.intersection(node.output):
            continue
        for index, name in enumerate(node.input):
            if name in halves:
                exact.input[index] = f"{name}/single"
                if name not in widened:
                    nodes.insert(-1, cast(name, f"{name}/single", TensorProto.FLOAT))
                    widened.add(name)
        for index, name in enumerate(node.output):
            exact.output[index] = f"{name}/exact"
            nodes.append(cast(f"{name}/exact", name, TensorProto.FLOAT16))
    twin = onnx.ModelProto()
    twin.CopyFrom(half)
    del twin.graph.node[:]
    twin.graph.node.extend(nodes)
    return twin


def outputs(model: onnx.ModelProto, counts: NDArray[np.float32]) -> Patches:
    """Patches of frames (N, 1, H, W), computed by ONNX Runtime without optimisation."""
    return patches_as_written(serialise(model), counts)


def worst_rounding(
    model: onnx.ModelProto, kept: Set[str], counts: NDArray[np.float32], limit: Tolerance
) -> list[str]:
    """Operators that could be in half, by first output, largest effect on the patches first.

    One run for each operator in half alone: seconds for a small network, minutes for a large one.

    Args:
        model: FP32 model.
        kept: first outputs of the operators that stay in FP32.
        counts: (N, 1, H, W) float32, a few frames to run.
        limit: scales by which deviations of amplitude and phase are compared.
    """
    exact = outputs(model, counts)
    results = [node.output[0] for node in model.graph.node]
    shares: dict[str, float] = {}
    for result in results:
        if result not in kept:
            alone = half_graph(model, set(results) - {result})
            rounded = outputs(rounded_twin(alone), counts)
            finite = all(np.isfinite(part).all() for part in rounded)
            shares[result] = (
                Deviation.between(rounded, exact).share_of(limit) if finite else math.inf
            )
    return sorted(shares, key=shares.__getitem__, reverse=True)
