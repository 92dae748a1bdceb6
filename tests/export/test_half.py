"""FP16 graphs: near the network, no number lost to half's range, nothing left in FP32 unasked."""

import collections

import numpy as np
import onnx
import onnxruntime
import pytest
from network_graphs import NAMES, network_graph
from onnx import TensorProto, helper, numpy_helper
from tiny import onnx_bytes

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import serialise
from wnet_edge.export.half.half import LIMIT, KeptOperator, Reason, to_half
from wnet_edge.export.half.half_graph import half_graph
from wnet_edge.export.half.half_rounding import extreme_frames, outputs, rounded_twin
from wnet_edge.export.passes.compact import compacted
from wnet_edge.package.golden import Deviation

NORMALISATION = {
    "GreaterOrEqual": 1,
    "Cast": 1,
    "Relu": 1,
    "ReduceSum": 2,
    "Clip": 2,
    "Div": 2,
    "Sqrt": 1,
}


@pytest.fixture(scope="module", params=NAMES)
def network(request):
    return network_graph(request.param)


@pytest.fixture(scope="module")
def half(network):
    return to_half(network.content, network.counts)


def kinds(kept, reason):
    return collections.Counter(left.kind for left in kept if left.reason is reason)


def run(content, counts):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(["amplitude", "phase"], {"counts": counts})


def arithmetic(*steps, window_px=8):
    """A graph that does `steps`, (operator, number), one after the other, to the counts."""
    nodes, constants, last = [], [], "counts"
    for index, (kind, number) in enumerate(steps):
        constants.append(numpy_helper.from_array(np.float32(number), f"c{index}"))
        nodes.append(helper.make_node(kind, [last, f"c{index}"], [f"t{index}"]))
        last = f"t{index}"
    nodes.append(helper.make_node("Sigmoid", [last], ["amplitude"]))
    nodes.append(helper.make_node("Tanh", [last], ["phase"]))
    return onnx_bytes(nodes, window_px, constants)


def few_counts(window_px=8):
    return np.random.default_rng(1).uniform(0, 1, (2, 1, window_px, window_px)).astype(np.float32)


def test_half_is_near_the_network_at_every_batch_size(network, half):
    assert half.deviation.within(LIMIT)
    assert half.deviation.phase_rms_rad > 0
    for size in (1, 7, 32):
        counts = np.resize(network.counts, (size, *network.counts.shape[1:]))
        found = run(half.content, counts)
        assert [part.dtype for part in found] == [np.float32, np.float32]
        assert Deviation.between(found, run(network.content, counts)).share_of(LIMIT) <= 1


def test_half_is_valid_and_the_same_every_time(network, half):
    onnx.checker.check_model(half.content, full_check=True)
    assert to_half(network.content, network.counts).content == half.content


def test_weights_are_stored_in_half(half):
    graph = onnx.load_from_string(half.content).graph
    used = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used
    readers = {name: node.op_type for node in graph.node for name in node.input}
    single = [t for t in graph.initializer if t.data_type == TensorProto.FLOAT and len(t.dims)]
    assert {readers[t.name] for t in single} <= {"LayerNormalization", "Resize"}


def test_the_normalisation_stays_whole_whatever_its_names(network, half):
    assert kinds(half.kept, Reason.RAW_COUNTS) == NORMALISATION
    renamed = to_half(serialise(compacted(onnx.load_from_string(network.content))), network.counts)
    assert kinds(renamed.kept, Reason.RAW_COUNTS) == NORMALISATION


def test_reductions_and_no_more_stay(network, half):
    nodes = onnx.load_from_string(network.content).graph.node
    kept = {left.result for left in half.kept}
    for node in nodes:
        if node.op_type in ("ReduceMean", "ReduceSum", "LayerNormalization", "Pow"):
            assert node.output[0] in kept
        if node.op_type in ("Conv", "MatMul", "Resize", "MaxPool", "Tanh", "Transpose"):
            assert node.output[0] not in kept


def test_extreme_frames_give_numbers(network, half):
    frames = extreme_frames(network.counts.shape[-1])
    for found in (
        run(half.content, frames),
        outputs(rounded_twin(onnx.load_from_string(half.content)), frames),
    ):
        assert all(np.isfinite(part).all() for part in found)


def test_the_emulation_rounds_and_overflows_like_half():
    nodes = [
        helper.make_node("Abs", ["counts"], ["amplitude"]),
        helper.make_node("Neg", ["counts"], ["phase"]),
    ]
    model = half_graph(onnx.load_from_string(onnx_bytes(nodes, 8)), set())
    counts = np.full((1, 1, 8, 8), 2049, np.float32)
    counts[0, 0, 0, :2] = 1e5, 1e-9
    amplitude, phase = outputs(rounded_twin(model), counts)
    assert amplitude[0, 0, 0, :3].tolist() == [np.inf, 0, 2048]
    assert phase[0, 0, 0, :3].tolist() == [-np.inf, 0, -2048]


def test_large_values_stay():
    graph = arithmetic(("Div", 1e9), ("Mul", 1e5), ("Mul", 1e-5), ("Add", 0.5))
    kept = {left.result: left.reason for left in to_half(graph, few_counts()).kept}
    # 1e9 counts come in; a hundred thousand stands as a constant and as a result.
    assert kept == dict.fromkeys(["t0", "t1", "t2"], Reason.RANGE)


def test_what_rounding_spoils_is_given_back():
    scaled = ("Div", 1e9), ("Add", 1500.0), ("Sub", 1500.0), ("Mul", 0.1)
    graph = arithmetic(*scaled)
    counts = few_counts() * np.float32(1e9)
    found = to_half(graph, counts)
    assert KeptOperator("t1", "Add", Reason.ROUNDING) in found.kept
    assert len(found.kept) < len(onnx.load_from_string(graph).graph.node)
    assert found.deviation.share_of(LIMIT) <= 1


def test_graphs_that_half_does_not_suit_are_refused():
    with pytest.raises(ExportError, match="half spoils the patches"):
        to_half(arithmetic(("Add", 1e6), ("Sub", 1e6), ("Mul", 1e5)), few_counts())
    with pytest.raises(ExportError, match="no numbers for dark or saturated frames"):
        to_half(arithmetic(("Pow", -0.5), ("Sub", np.inf)), few_counts())
