"""INT8 graphs: weights really in 8 bits, layers kept where asked, right on this processor."""

import numpy as np
import onnx
import pytest
import tiny_network
from onnx import TensorProto

from wnet_edge.calibration.ranges import RangeMethod, find_ranges
from wnet_edge.export.int8.layers import layers_of, named, nodes_behind_last_layers
from wnet_edge.export.int8.quantise import LAYOUTS, Scheme, quantised
from wnet_edge.export.run_graph import exact_patches, patches_on_processor
from wnet_edge.export.trace import export_fp32
from wnet_edge.models.registry import ModelName, NetworkSpec, build
from wnet_edge.package.manifest import Precision
from wnet_edge.runner.graph.session_settings import X64_PRECISION

SAFE = {X64_PRECISION: True}


@pytest.fixture(scope="module")
def graph():
    return tiny_network.tiny_network()


@pytest.fixture(scope="module")
def counts():
    return tiny_network.counts()


@pytest.fixture(scope="module")
def ranges(graph, counts):
    return find_ranges(graph, counts, RangeMethod.MINMAX)


def made(graph, ranges, layout=Precision.INT8, **scheme):
    return quantised(graph, ranges, Scheme(layout, **scheme))


def test_layers_are_those_behind_the_first_convolution(graph):
    names = [layer.name for layer in layers_of(onnx.load_from_string(graph))]
    assert names == ["conv_a", "conv_b", "conv_amplitude", "conv_phase"]
    assert layers_of(onnx.load_from_string(graph))[1].weights == 8 * 8 * 9 + 8


def test_an_integer_path_ends_at_the_last_layers(graph):
    assert nodes_behind_last_layers(onnx.load_from_string(graph)) == ("sigmoid", "tanh")


@pytest.mark.parametrize("layout", LAYOUTS[1:], ids=lambda layout: layout.value)
def test_a_whole_graph_runs_in_integers_from_the_first_layer_to_the_last(graph, ranges, layout):
    whole = made(graph, ranges, layout, whole=True)
    assert tiny_network.optimised(whole).count("QLinearConv") == 4
    assert tiny_network.optimised(whole).count("Relu") == 1  # that of the front end


def test_narrow_weights_saturate_on_no_processor(graph, ranges, counts):
    """Sixteen bits hold two products of a 7-bit weight, which older x64 kernels add in them."""
    narrow = made(graph, ranges, Precision.INT8_U8S8)
    constants = tiny_network.initialisers(narrow).values()
    weights = [values.astype(int) for values in constants if values.ndim == 4]
    assert max(np.abs(values).max() for values in weights) == 64
    exact, here = exact_patches(narrow, counts), patches_on_processor(narrow, counts)
    assert np.abs(exact[1] - here[1]).max() < 0.02


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.value)
def test_patches_stay_near_those_of_fp32(graph, ranges, counts, layout):
    whole = patches_on_processor(graph, counts)
    small = patches_on_processor(made(graph, ranges, layout), counts, SAFE)
    for a, b in zip(whole, small, strict=True):
        assert 0 < np.abs(a - b).mean() < 0.005


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.value)
def test_the_processor_computes_what_the_graph_says(graph, ranges, counts, layout):
    small = made(graph, ranges, layout)
    exact, here = exact_patches(small, counts), patches_on_processor(small, counts, SAFE)
    assert np.abs(exact[1] - here[1]).max() < 0.02


def test_weights_are_stored_in_eight_bits_and_nowhere_else(graph, ranges):
    model = onnx.load_from_string(made(graph, ranges))
    sizes = {
        kind: sum(np.prod(i.dims) for i in model.graph.initializer if i.data_type == kind)
        for kind in (TensorProto.INT8, TensorProto.FLOAT)
    }
    weights = 8 * 9 + 8 * 8 * 9 + 8 + 8
    assert sizes[TensorProto.INT8] >= weights
    assert sizes[TensorProto.FLOAT] < 100  # scales


def test_symmetric_int8_has_no_zero_points_but_zero(graph, ranges):
    small = made(graph, ranges)
    model, constants = onnx.load_from_string(small), tiny_network.initialisers(small)
    kinds = ("QuantizeLinear", "DequantizeLinear")
    names = [node.input[2] for node in model.graph.node if node.op_type in kinds]
    assert names
    assert not any(np.any(constants[name]) for name in names)


def test_a_layer_that_is_kept_has_its_float_weights(graph, ranges):
    kept = made(graph, ranges, kept=frozenset({"conv_b"}))
    weights = tiny_network.initialisers(graph)["b"]
    stored = tiny_network.initialisers(kept).values()
    assert sum(np.array_equal(value, weights) for value in stored) == 1
    assert len(kept) > len(made(graph, ranges))


def test_the_front_end_stays_in_float(graph, ranges):
    model = onnx.load_from_string(made(graph, ranges))
    by_output = {node.output[0]: node for node in model.graph.node}
    root = next(node for node in model.graph.node if node.op_type == "Sqrt")
    assert by_output[root.input[0]].op_type == "Relu"
    assert by_output[root.input[0]].input[0] == "counts"


def test_a_scale_a_channel_keeps_channels_of_unlike_weights(counts):
    uneven = tiny_network.tiny_network(spread=200.0)
    ranges = find_ranges(uneven, counts, RangeMethod.MINMAX)
    whole = patches_on_processor(uneven, counts)
    errors = [
        np.abs(
            patches_on_processor(made(uneven, ranges, per_channel=each), counts, SAFE)[1] - whole[1]
        ).mean()
        for each in (True, False)
    ]
    assert errors[0] < errors[1]


def test_same_ranges_same_bytes(graph, ranges):
    assert made(graph, ranges) == made(graph, ranges)


def test_signed_residual_sums_are_of_two_quantised_values():
    """By which TensorRT runs the sum in the convolution before it."""
    network = build(NetworkSpec(ModelName.W3, width=0.25), seed=0, probe=None, window_px=64)
    graph = named(onnx.load_from_string(export_fp32(network, 64))).SerializeToString()
    counts = np.random.default_rng(0).poisson(50, (2, 1, 64, 64)).astype(np.float32)
    ranges = find_ranges(graph, counts, RangeMethod.MINMAX)
    model = onnx.load_from_string(made(graph, ranges))
    source = {name: node.op_type for node in model.graph.node for name in node.output}
    sums = [node for node in model.graph.node if node.op_type == "Add"]
    assert len(sums) == 6
    assert {source[name] for node in sums for name in node.input} == {"DequantizeLinear"}
