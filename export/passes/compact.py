"""Compaction of a graph: short names, no duplicate constants, DFT matrices as their formula.

Applied to the graph of every precision before it is packed. In a network of a hundred thousand
weights, names and the constants of the back-projection would take as many bytes as the weights.
"""

import itertools
import string
from collections.abc import Iterator

import onnx

from wnet_edge.export.graph import strip
from wnet_edge.export.passes.dft_nodes import dft_nodes
from wnet_edge.export.passes.resized_shapes import state_resized_shapes

_EIGHT_BITS = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
"""Constants of these types are not shared: where ONNX Runtime avoids saturation it replaces each
zero point, and fails on one that is already replaced."""


def compacted(model: onnx.ModelProto) -> onnx.ModelProto:
    """Compacted copy of a graph; outputs may differ by the rounding of the DFT matrix.

    Input and outputs keep their names. Nodes and tensors are renamed in the graph's order, so that
    every node has a unique name. The given model is not changed.

    Args:
        model: of any precision, without subgraphs.
    """
    small = onnx.ModelProto()
    small.CopyFrom(model)
    strip(small)
    _generate_dft(small)
    _drop_repeated(small)
    _rename(small)
    state_resized_shapes(small)
    return small


def _generate_dft(model: onnx.ModelProto) -> None:
    """Replace, in place, every constant that is a DFT matrix by nodes that compute it."""
    graph = model.graph
    stored: list[onnx.TensorProto] = []
    first: list[onnx.NodeProto] = []
    for tensor in graph.initializer:
        nodes, constants = dft_nodes(tensor) or ([], [tensor])
        first += nodes
        stored += constants
    nodes = [*first, *graph.node]
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(stored)
    graph.node.extend(nodes)


def _drop_repeated(model: onnx.ModelProto) -> None:
    """Remove, in place, duplicate and unused constants."""
    graph = model.graph
    used = {name for node in graph.node for name in node.input}
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    stored: list[onnx.TensorProto] = []
    for tensor in graph.initializer:
        if tensor.name not in used:
            continue
        nameless = onnx.TensorProto()
        nameless.CopyFrom(tensor)
        nameless.name = ""
        content = nameless.SerializeToString(deterministic=True)
        if tensor.data_type in _EIGHT_BITS or content not in first:
            first[content] = tensor.name
            stored.append(tensor)
        same[tensor.name] = tensor.name if tensor.data_type in _EIGHT_BITS else first[content]
    del graph.initializer[:]
    graph.initializer.extend(stored)
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]


def _rename(model: onnx.ModelProto) -> None:
    graph = model.graph
    ports = [port.name for port in (*graph.input, *graph.output)]
    free = (name for name in _short_names() if name not in ports)
    # An omitted optional input has an empty name.
    names = {name: name for name in ("", *ports)}
    names |= {tensor.name: next(free) for tensor in graph.initializer}
    for tensor in graph.initializer:
        tensor.name = names[tensor.name]
    for node, name in zip(graph.node, _short_names(), strict=False):
        node.name = name
        node.input[:] = [names[old] for old in node.input]
        names |= {old: next(free) for old in node.output if old not in names}
        node.output[:] = [names[old] for old in node.output]


def _short_names() -> Iterator[str]:
    """Names a to z, aa, ab, and so on."""
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield "".join(letters)
