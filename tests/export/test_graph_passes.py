"""Passes that make graphs faster: the values stay, and ONNX Runtime makes of them what is hoped."""

import numpy as np
import onnx
import onnxruntime
import pytest
from network_graphs import network_graph
from onnx import helper
from tiny import onnx_bytes

from wnet_edge.export.graph import fix_batch, serialise
from wnet_edge.export.half.half import to_half
from wnet_edge.export.passes.compact import compacted
from wnet_edge.export.passes.pixel_shuffle import shuffle_in_runs

W3_CHANNELS_AFTER_UPSAMPLING = [56, 32, 16, 56, 32, 16]


def shuffle_graph(channels, block, mode="CRD"):
    """16 × 16 counts → blocks of channels → shuffled by DepthToSpace."""
    nodes = [
        helper.make_node("SpaceToDepth", ["counts"], ["deep"], blocksize=channels),
        helper.make_node("DepthToSpace", ["deep"], ["amplitude"], blocksize=block, mode=mode),
        helper.make_node("Tanh", ["amplitude"], ["phase"]),
    ]
    return onnx.load_from_string(onnx_bytes(nodes, 16))


def operators(model):
    return [node.op_type for node in model.graph.node]


def run(model, counts, settings=None):
    session = onnxruntime.InferenceSession(
        serialise(model), settings, providers=["CPUExecutionProvider"]
    )
    return session.run(["amplitude", "phase"], {"counts": counts})


def stated(model):
    return [
        [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in model.graph.value_info
    ]


@pytest.mark.parametrize("mode", ["CRD", "DCR"])
@pytest.mark.parametrize("block", [2, 4])
def test_a_shuffle_to_one_channel_moves_every_value_to_the_same_place(block, mode):
    model = shuffle_graph(block, block, mode)
    counts = np.arange(3 * 256, dtype=np.float32).reshape(3, 1, 16, 16)
    expected = run(model, counts)
    shuffle_in_runs(model)
    onnx.checker.check_model(model, full_check=True)
    assert "DepthToSpace" not in operators(model)
    for found, wanted in zip(run(model, counts), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_a_shuffle_to_more_channels_stays():
    model = shuffle_graph(4, 2)
    before = serialise(model)
    shuffle_in_runs(model)
    assert serialise(model) == before


def test_upsampled_maps_have_the_graph_s_batch():
    whole = onnx.load_from_string(network_graph("w3").content)
    for model in (whole, compacted(whole)):
        shapes = stated(model)
        assert [shape[1] for shape in shapes] == W3_CHANNELS_AFTER_UPSAMPLING
        assert {shape[0] for shape in shapes} == {"batch"}
        fix_batch(model, 4)
        assert {shape[0] for shape in stated(model)} == {4}


def test_half_graphs_state_no_shapes():
    whole = network_graph("w3")
    half = onnx.load_from_string(to_half(whole.content, whole.counts).content)
    assert stated(compacted(half)) == []


def test_sums_become_part_of_convolutions_when_w3_is_loaded(tmp_path):
    whole = network_graph("w3")
    small = compacted(onnx.load_from_string(whole.content))
    settings = onnxruntime.SessionOptions()
    settings.optimized_model_filepath = str(tmp_path / "loaded.onnx")
    settings.log_severity_level = 3  # it warns that such a file suits this processor alone
    sums = operators(small).count("Add")
    run(small, whole.counts, settings)
    loaded = operators(onnx.load(tmp_path / "loaded.onnx"))
    # Two are the back-projection's.
    assert sums > 10
    assert loaded.count("Add") == 2
    assert loaded.count("Relu") == 1
