"""DFT matrices in a graph as the few nodes that compute them.

At 64 pixels the matrix of `wnet_edge.models.back_projection` takes 64 KB and its formula less than
one. ONNX Runtime computes it once, on loading the graph.
"""

import math
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_TOLERANCE: dict[int, float] = {TensorProto.FLOAT: 1e-6, TensorProto.FLOAT16: 1e-3}
"""Largest relative difference from the stored matrix: the resolution of its type."""


def dft_nodes(
    stored: onnx.TensorProto,
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]] | None:
    """Nodes and constants that compute the tensor `stored`, or None if it is no DFT matrix.

    A DFT matrix is [[C, S], [−S, C]], 2 n × 2 n in FP32 or half, with C + iS =
    exp(2πi·j·k / n) / √n, j and k counted from −n / 2, n a multiple of 4. Angles are integers in
    units of 2π / n until they are reduced; sines are computed in FP64, and cosines as sines shifted
    by π / 2, since ONNX Runtime 1.20 has no cosine in FP64.

    Args:
        stored: the constant; the last node's output has its name and element type.
    """
    if stored.data_type not in _TOLERANCE or len(stored.dims) != 2:
        return None
    edge = stored.dims[0] // 2
    if edge == 0 or edge % 4 or list(stored.dims) != [2 * edge, 2 * edge]:
        return None
    values = numpy_helper.to_array(stored).astype(np.float64)
    expected = _dft_matrix(edge)
    allowed = _TOLERANCE[stored.data_type] * np.abs(expected).max()
    if np.abs(values - expected).max() > allowed:
        return None
    return _nodes(stored, edge)


def _dft_matrix(edge: int) -> NDArray[np.float64]:
    index = np.arange(edge) - edge // 2
    angle = 2 * math.pi * (np.outer(index, index) % edge) / edge
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.block([[cosine, sine], [-sine, cosine]]) / math.sqrt(edge)


def _nodes(
    stored: onnx.TensorProto, edge: int
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    constants: dict[str, NDArray[np.generic]] = {
        "first": np.array(-(edge // 2), np.int64),
        "end": np.array(edge // 2, np.int64),
        "step": np.array(1, np.int64),
        "column": np.array([1], np.int64),
        "quarter": np.array(edge // 4, np.int64),
        "edge": np.array(edge, np.int64),
        "turn": np.array(2 * math.pi / edge, np.float64),
        "scale": np.array(1 / math.sqrt(edge), np.float64),
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Range", ["first", "end", "step"], "k", {}),
        ("Unsqueeze", ["k", "column"], "j", {}),
        ("Mul", ["j", "k"], "sine", {}),
        ("Add", ["sine", "quarter"], "cosine", {}),
        ("Neg", ["sine"], "minus", {}),
        ("Concat", ["cosine", "sine"], "upper", {"axis": 1}),
        ("Concat", ["minus", "cosine"], "lower", {"axis": 1}),
        ("Concat", ["upper", "lower"], "whole", {"axis": 0}),
        ("Mod", ["whole", "edge"], "reduced", {}),
        ("Cast", ["reduced"], "number", {"to": TensorProto.DOUBLE}),
        ("Mul", ["number", "turn"], "angle", {}),
        ("Sin", ["angle"], "matrix", {}),
        ("Mul", ["matrix", "scale"], "scaled", {}),
        ("Cast", ["scaled"], "", {"to": stored.data_type}),
    ]

    def named(part: str) -> str:
        return f"{stored.name}/{part}" if part else stored.name

    nodes = [
        helper.make_node(kind, [named(part) for part in inputs], [named(result)], **attributes)
        for kind, inputs, result, attributes in steps
    ]
    return nodes, [numpy_helper.from_array(value, named(name)) for name, value in constants.items()]
