"""Signed activations as unsigned ones: the same values to the last bit."""

import numpy as np
import onnx
import tiny_network

from wnet_edge.calibration.ranges import RangeMethod, find_ranges
from wnet_edge.export.int8.quantise import Scheme, quantised
from wnet_edge.export.int8.unsigned import unsigned_activations
from wnet_edge.export.run_graph import exact_patches
from wnet_edge.package.manifest import Precision


def graph_of(layout):
    graph, counts = tiny_network.tiny_network(), tiny_network.counts()
    return quantised(graph, find_ranges(graph, counts, RangeMethod.MINMAX), Scheme(layout))


def zero_points(graph):
    """Of the activations, and of the weights."""
    constants = tiny_network.initialisers(graph)
    nodes = [
        node
        for node in onnx.load_from_string(graph).graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
    ]
    activations = [constants[node.input[2]] for node in nodes if node.input[0] not in constants]
    return activations, [constants[n.input[2]] for n in nodes if n.input[0] in constants]


def test_unsigned_activations_give_the_same_patches_bit_by_bit():
    signed = graph_of(Precision.INT8)
    unsigned = unsigned_activations(signed)
    for a, b in zip(
        exact_patches(signed, tiny_network.counts()),
        exact_patches(unsigned, tiny_network.counts()),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    activations, weights = zero_points(unsigned)
    assert {(one.dtype, int(one)) for one in activations} == {(np.dtype(np.uint8), 128)}
    assert not any(np.any(one) for one in weights)


def test_a_graph_with_unsigned_activations_stays_as_it_is():
    graph = graph_of(Precision.INT8_U8S8)
    assert unsigned_activations(graph) == graph
