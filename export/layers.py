"""The layers of a graph that can be quantised: what INT8 may change, and what it may not.

Convolutions and matrix products with weights, from the first convolution on. What comes before it
sees raw counts and the probe, whose values span too much for 256 steps.
"""

import math
from dataclasses import dataclass

import onnx

WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
ACTIVATIONS = ("Relu", "Clip")
"""Quantised with the layer before them, so that only one rounding stands between two layers."""


@dataclass(frozen=True)
class Layer:
    """One layer with weights.

    Attributes:
        name: of its node.
        kind: ONNX operator.
        weights: how many.
    """

    name: str
    kind: str
    weights: int


def layers_of(model: onnx.ModelProto) -> tuple[Layer, ...]:
    """The layers that can be quantised, in the graph's order; every node has a name of its own."""
    sizes = {item.name: math.prod(item.dims) for item in model.graph.initializer}
    behind = set(nodes_behind_first_convolution(model))
    return tuple(
        Layer(node.name, node.op_type, sum(sizes.get(name, 0) for name in node.input))
        for node in model.graph.node
        if node.name in behind
        and node.op_type in WEIGHTED
        and any(name in sizes for name in node.input[1:2])
    )


def nodes_behind_first_convolution(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions and of all that depends on one, in the graph's order."""
    reached: set[str] = set()
    names = []
    for node in model.graph.node:
        if node.op_type == "Conv" or reached.intersection(node.input):
            reached.update(node.output)
            names.append(node.name)
    return tuple(names)


def named(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with a name of its own for every node, in place."""
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{index}"
    return model
