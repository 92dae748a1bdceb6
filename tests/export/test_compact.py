"""Small graphs: the same patches from fewer bytes, and names that are short and unique."""

import numpy as np
import onnx
import onnxruntime
import pytest
from network_graphs import NAMES, network_graph
from onnx import TensorProto, helper, numpy_helper
from tiny import gaussian_probe, onnx_bytes

from wnet_edge.export.graph import serialise
from wnet_edge.export.half.half import to_half
from wnet_edge.export.passes.compact import compacted
from wnet_edge.models.back_projection import BackProjection


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    return network_graph(request.param)


@pytest.fixture(scope="module")
def model(network):
    return onnx.load_from_string(network.content)


@pytest.fixture(scope="module")
def small(model):
    return compacted(model)


def run(model, counts, settings=None):
    session = onnxruntime.InferenceSession(
        serialise(model), settings, providers=["CPUExecutionProvider"]
    )
    return session.run(["amplitude", "phase"], {"counts": counts})


def same_patches(model, small, counts):
    for got, expected in zip(run(small, counts), run(model, counts), strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


def graph_of(nodes, constants):
    arrays = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    return onnx.load_from_string(onnx_bytes(nodes, 8, arrays))


def test_the_patches_stay(network, model, small):
    onnx.checker.check_model(small, full_check=True)
    same_patches(model, small, network.counts)


def test_it_is_smaller_and_the_same_every_time(network, model, small):
    weights = sum(len(t.raw_data) for t in small.graph.initializer)
    assert weights < small.ByteSize() < model.ByteSize()
    assert serialise(compacted(onnx.load_from_string(network.content))) == serialise(small)
    assert serialise(compacted(small)) == serialise(small)
    assert serialise(model) == network.content


def test_names_are_short_and_unique(model, small):
    nodes = [node.name for node in small.graph.node]
    results = [name for node in small.graph.node for name in node.output]
    tensors = [*results, *(tensor.name for tensor in small.graph.initializer)]
    ports = {"counts", "amplitude", "phase"}
    for names in (nodes, tensors):
        assert len(set(names)) == len(names)
        assert all(0 < len(name) <= 2 for name in set(names) - ports)
    for ours, theirs in (
        (small.graph.input, model.graph.input),
        (small.graph.output, model.graph.output),
    ):
        assert [(port.name, port.type) for port in ours] == [(p.name, p.type) for p in theirs]


def test_half_graphs_are_compacted_as_well(network):
    half = onnx.load_from_string(to_half(network.content, network.counts).content)
    same_patches(half, compacted(half), network.counts)


def test_the_zoo_s_w3_is_small_in_half():
    whole = network_graph("w3")
    half = onnx.load_from_string(to_half(whole.content, whole.counts).content)
    assert len(whole.content) > 630_000
    assert compacted(half).ByteSize() < 290_000


def test_nameless_nodes_and_repeated_constants():
    nodes = [
        helper.make_node("Clip", ["counts", "", "one"], ["a"]),
        helper.make_node("Mul", ["a", "two"], ["b"]),
        helper.make_node("Mul", ["b", "second"], ["amplitude"]),
        helper.make_node("Tanh", ["b"], ["phase"]),
    ]
    constants = {
        name: np.float32(value) for name, value in {"one": 1, "two": 2, "second": 2}.items()
    }
    model = graph_of(nodes, constants | {"unused": np.zeros(9, np.float32)})
    small = compacted(model)
    assert [numpy_helper.to_array(t).item() for t in small.graph.initializer] == [1, 2]
    assert {node.name for node in model.graph.node} == {""}
    assert len({node.name for node in small.graph.node}) == 4
    counts = np.arange(64, dtype=np.float32).reshape(1, 1, 8, 8) / 32
    same_patches(model, small, counts)


@pytest.mark.parametrize("window_px", [16, 48, 64])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_the_dft_matrix_is_computed_not_stored(window_px, dtype):
    matrix = BackProjection(gaussian_probe(window_px), window_px).transform.numpy().astype(dtype)
    nodes = [helper.make_node("Identity", ["matrix"], ["amplitude"])]
    model = onnx.load_from_string(
        onnx_bytes(nodes, 8, [numpy_helper.from_array(matrix, "matrix")], outputs=["amplitude"])
    )
    kind = helper.np_dtype_to_tensor_dtype(matrix.dtype)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("amplitude", kind, matrix.shape))
    small = compacted(model)
    assert small.ByteSize() < 1500
    session = onnxruntime.InferenceSession(serialise(small), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"counts": np.zeros((1, 1, 8, 8), np.float32)})
    assert found.dtype == matrix.dtype
    np.testing.assert_allclose(found, matrix, rtol=0, atol=1e-9)


def test_the_dft_matrix_is_folded_when_the_graph_is_loaded(tmp_path):
    whole = network_graph("w3")
    small = compacted(onnx.load_from_string(whole.content))
    assert "Sin" in {node.op_type for node in small.graph.node}
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    run(small, whole.counts, settings)
    loaded = onnx.load(tmp_path / "loaded.onnx").graph
    assert {"Sin", "Range", "Mod"}.isdisjoint(node.op_type for node in loaded.node)


def test_other_square_constants_stay():
    matrix = np.random.default_rng(1).normal(size=(8, 8)).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["counts", "matrix"], ["amplitude"]),
        helper.make_node("Tanh", ["amplitude"], ["phase"]),
    ]
    [stored] = compacted(graph_of(nodes, {"matrix": matrix})).graph.initializer
    assert stored.data_type == TensorProto.FLOAT
    np.testing.assert_array_equal(numpy_helper.to_array(stored), matrix)
