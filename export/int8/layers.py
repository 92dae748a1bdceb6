"""Layers of a graph that can be quantised to INT8.

Convolutions and matrix products with weights, from the first convolution on. Everything before it
handles raw counts and the probe, whose dynamic range is too large for 8 bits.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip")
"""Quantised together with the layer before them, for a single rounding between two layers."""

BETWEEN = ("Add", "Concat", "MaxPool", "Mul", "ReduceMean", "Resize", "Sigmoid")
"""Operators between layers that an integer path leads through."""

_LARGE = 1024
"""Number of values from which storing a constant as half is worth a Cast node."""


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
        name: name of its node.
        kind: ONNX operator type.
        weights: number of weights.
        weights_name: tensor that holds them.
        depthwise: whether it is a depthwise convolution.
    """

    name: str
    kind: str
    weights: int
    weights_name: str
    depthwise: bool


def layers_of(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """Layers that can be quantised, in the graph's order; nodes must have unique names."""
    sizes = {item.name: math.prod(item.dims) for item in model.graph.initializer}
    behind = set(nodes_behind_first_convolution(model))
    return tuple(
        Layer(
            node.name,
            node.op_type,
            sum(sizes.get(name, 0) for name in node.input),
            node.input[1],
            any(a.name == "group" and a.i > 1 for a in node.attribute),
        )
        for node in model.graph.node
        if node.name in behind
        and node.op_type in WEIGHTED
        and any(name in sizes for name in node.input[1:2])
    )


def nodes_behind_first_convolution(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions and of all nodes that depend on one, in the graph's order."""
    reached: set[str] = set()
    names = []
    for node in model.graph.node:
        if node.op_type == "Conv" or reached.intersection(node.input):
            reached.update(node.output)
            names.append(node.name)
    return tuple(names)


def nodes_behind_last_layers(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the nodes on which no layer depends, in the graph's order, without layers."""
    layers = {layer.name for layer in layers_of(model)}
    needed: set[str] = set()
    behind = []
    for node in reversed(model.graph.node):
        if node.name in layers or needed.intersection(node.output):
            needed.update(node.input)
        else:
            behind.append(node.name)
    return tuple(behind[::-1])


def sums_with_constants(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the sums that add a bias, not the outputs of two nodes, in the graph's order."""
    constants = {item.name for item in model.graph.initializer}
    return tuple(
        node.name
        for node in model.graph.node
        if node.op_type == "Add" and constants.intersection(node.input)
    )


def front_constants_in_half(model: onnx.ModelProto) -> None:
    """Store the large constants before the first convolution as half, widened by a Cast, in place.

    They hold the probe, which is known less precisely than half's three digits; ONNX Runtime folds
    the Cast. Scales of quantised weights stay, since half can't represent the small ones.
    """
    graph = model.graph
    behind = set(nodes_behind_first_convolution(model))
    used_behind = {
        name
        for node in graph.node
        if node.name in behind or node.op_type == "DequantizeLinear"
        for name in node.input
    }
    casts = []
    for tensor in graph.initializer:
        large = math.prod(tensor.dims) >= _LARGE
        if tensor.data_type != TensorProto.FLOAT or tensor.name in used_behind or not large:
            continue
        name, stored = tensor.name, f"{tensor.name}/half"
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, stored))
        casts.append(helper.make_node("Cast", [stored], [name], stored, to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """Give every node of the model a unique name, in place; returns the model."""
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model
