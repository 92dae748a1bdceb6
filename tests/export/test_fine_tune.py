"""Quantisation-aware training: rounded where the graph rounds, and closer to FP32 afterwards."""

import numpy as np
import onnx
import pytest
import tiny_network
import torch
from tiny import gaussian_probe

from wnet_edge.calibration.ranges import RangeMethod, find_ranges
from wnet_edge.errors import ExportError
from wnet_edge.export.int8 import fine_tune
from wnet_edge.export.int8.fake_quantised import FakeQuantised
from wnet_edge.export.int8.fine_tune import FineTuning, fine_tuned
from wnet_edge.export.int8.layers import named
from wnet_edge.export.int8.quantise import LAYOUTS, Scheme, quantised, quantised_model
from wnet_edge.export.run_graph import exact_patches, session_on_processor
from wnet_edge.export.trace import export_fp32
from wnet_edge.models.registry import ModelName, NetworkSpec, build
from wnet_edge.package.manifest import Precision
from wnet_edge.physics.instrument import Instrument

SIZE = tiny_network.WINDOW_PX
HEADS = frozenset({"conv_amplitude", "conv_phase"})


@pytest.fixture(scope="module")
def graph():
    return tiny_network.tiny_network(spread=4.0)


@pytest.fixture(scope="module")
def ranges(graph):
    return find_ranges(graph, tiny_network.counts(), RangeMethod.MINMAX)


def scheme_of(layout, kept=HEADS):
    return Scheme(layout, whole=layout is not Precision.INT8, kept=kept)


def patches(graph, network, counts):
    """What the network makes of what the graph's front gives it."""
    front = onnx.load_from_string(graph)
    front.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None)
        for name in network.entries
    )
    given = session_on_processor(front.SerializeToString()).run(
        list(network.entries), {"counts": counts}
    )
    with torch.inference_mode():
        return [part.numpy() for part in network(*map(torch.from_numpy, given))]


def rms(a, b):
    return float(np.sqrt(np.mean((a[1] - b[1]) ** 2)))


@pytest.mark.parametrize("kept", [HEADS, frozenset()], ids=["heads in float", "all in integers"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.value)
def test_it_rounds_what_the_quantised_graph_rounds(graph, ranges, layout, kept):
    scheme, counts = scheme_of(layout, kept), tiny_network.counts(8, seed=3)
    model = onnx.load_from_string(graph)
    network = FakeQuantised(model, quantised_model(graph, ranges, scheme))
    exact = exact_patches(quantised(graph, ranges, scheme), counts)
    fp32 = exact_patches(graph, counts)
    # A value between two integers may fall on either, by the order of a sum.
    assert rms(patches(graph, network, counts), exact) < 0.3 * rms(fp32, exact)


@pytest.mark.parametrize("model", list(ModelName), ids=lambda model: model.value)
def test_without_rounding_it_is_the_network(model):
    made = build(NetworkSpec(model, width=0.25), seed=0, probe=gaussian_probe(64), window_px=64)
    graph = named(onnx.load_from_string(export_fp32(made, 64)))
    network = FakeQuantised(graph, graph)
    counts = np.random.default_rng(0).poisson(50, (2, 1, 64, 64)).astype(np.float32)
    content = graph.SerializeToString()
    for ours, theirs in zip(
        patches(content, network, counts), exact_patches(content, counts), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_clipped_value_moves_the_scale_and_not_the_weights(graph, ranges):
    written = quantised_model(graph, ranges, scheme_of(Precision.INT8_U8S8))
    network = FakeQuantised(onnx.load_from_string(graph), written)
    (entry,) = network.entries
    low, high = network.trained_bounds()[entry]
    values = torch.full((1, 1, SIZE, SIZE), high, requires_grad=True)
    beyond = (2 * values).detach().requires_grad_()
    for given, passes in ((values, True), (beyond, False)):
        network.zero_grad()
        network(given)[1].sum().backward()
        assert bool(given.grad.any()) is passes
    assert low <= 0 < high
    assert any(growth.grad != 0 for growth in network.growth.values())


@pytest.fixture
def how(monkeypatch):
    monkeypatch.setattr(fine_tune, "FRAMES_PER_EPOCH", 96)
    told = []
    instrument = Instrument(gaussian_probe(SIZE), SIZE, 1, 1e-8, wavelength_m=1e-10)
    return FineTuning(instrument, 4, 0, told.append), told


def test_it_comes_closer_to_fp32_and_the_same_twice(graph, ranges, how):
    scheme, counts = scheme_of(Precision.INT8_U8S8), tiny_network.counts(8, seed=3)
    options, told = how
    after = fine_tuned(graph, ranges, scheme, options)
    assert [line.split(":")[0] for line in told] == [
        f"quantisation-aware training, epoch {epoch} of 4" for epoch in (1, 2, 3, 4)
    ]
    assert fine_tuned(graph, ranges, scheme, options) == after
    fp32 = exact_patches(graph, counts)
    errors = [
        rms(exact_patches(quantised(*pair, scheme), counts), fp32)
        for pair in ((graph, ranges), after)
    ]
    assert errors[1] < errors[0]


def test_an_operator_that_it_does_not_know_is_named(graph):
    model = onnx.load_from_string(graph)
    next(node for node in model.graph.node if node.op_type == "Tanh").op_type = "Softsign"
    with pytest.raises(ExportError, match=r"does not know Softsign; leave out --qat-epochs"):
        FakeQuantised(model, model)
