"""What export writes is what a package may hold: no operator less, none more, on real networks."""

import dataclasses
from collections import defaultdict
from functools import cache

import numpy as np
import onnx
import pytest
from hostile_graphs import GRAPHS, deep, graph, node
from tiny import gaussian_probe, simple_graph

from wnet_edge.calibration.ranges import RangeMethod, ranges_of
from wnet_edge.export.graph import OLDEST_OPSET, OPSET, fix_batch, serialise
from wnet_edge.export.half.half_graph import half_graph
from wnet_edge.export.int8.layers import named
from wnet_edge.export.int8.quantise import LAYOUTS, Scheme, quantised
from wnet_edge.export.passes.compact import compacted
from wnet_edge.export.trace import export_fp32
from wnet_edge.models.back_projection import BackProjection
from wnet_edge.models.ptychonn import PtychoNN, PtychoNNConfig
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.models.w1 import W1, W1Config
from wnet_edge.models.w3 import FRAME_ONLY, W3, W3Config
from wnet_edge.package.graph.check import OPSETS, check_graph, cost_of
from wnet_edge.package.graph.onnx_reader import KINDS, read_graph
from wnet_edge.package.graph.operators import OPERATORS

pytestmark = pytest.mark.slow

WINDOW_PX = 32
NARROW = {"widths": (8, 8, 8, 8), "depths": (1, 1, 1, 1)}
CORRUPTIONS = 1000


def network(name, seen):
    """A network of every kind of layer, narrow and shallow; `seen` adds the back-projection."""
    channels = 3 if seen else 1
    if name == "ptychonn":
        inner = PtychoNN(PtychoNNConfig(channels, (4, 8, 8), (8, 8, 4)))
    elif name == "w3":
        config = W3Config() if seen else FRAME_ONLY
        inner = W3(dataclasses.replace(config, **NARROW, decoder_widths=(8, 8, 8)))
    else:
        widths = {**NARROW, "decoder_widths": (8, 8, 8, 8)}
        inner = W1(W1Config(input_channels=channels, skips=seen, **widths))
    probe = gaussian_probe(2 * WINDOW_PX, modes=3)
    return CountsNetwork(inner, BackProjection(probe, WINDOW_PX) if seen else None).eval()


NETWORKS = (
    ("ptychonn", False, OPSET),
    ("ptychonn", True, OPSET),
    ("w1", False, OLDEST_OPSET),
    ("w1", True, OPSET),
    ("w3", False, OPSET),
    ("w3", True, OLDEST_OPSET),
    ("w3", True, OPSETS[-1]),
)
"""What there are of layers and inputs, and between them the ends of the opsets."""


@cache  # the exporter takes seconds
def exported(name, seen, opset):
    """Every graph that export makes of a network, by what it is."""
    traced = named(onnx.load_from_string(export_fp32(network(name, seen), WINDOW_PX, opset)))
    fp32 = serialise(traced)
    counts = np.random.default_rng(0).poisson(50, (2, 1, WINDOW_PX, WINDOW_PX)).astype(np.float32)
    [ranges] = ranges_of(fp32, counts, (RangeMethod.MINMAX,))
    graphs = {
        "fp32": serialise(compacted(traced)),
        "fp16": serialise(compacted(half_graph(traced, set()))),
        **{layout.value: quantised(fp32, ranges, Scheme(layout)) for layout in LAYOUTS},
        "one step a layer": quantised(fp32, ranges, Scheme(LAYOUTS[0], per_channel=False)),
    }
    fixed = onnx.load_from_string(graphs["fp32"])
    fix_batch(fixed, 4)
    return graphs | {"batch of 4": serialise(fixed)}


@pytest.mark.parametrize(("name", "seen", "opset"), NETWORKS)
def test_what_export_writes_may_be_in_a_package(name, seen, opset):
    for kind, content in exported(name, seen, opset).items():
        check_graph(kind, content, WINDOW_PX, 4 if kind == "batch of 4" else None)


def test_nothing_else_may_be_in_a_package():
    written = defaultdict(set)
    for one in NETWORKS:
        for content in exported(*one).values():
            for found in read_graph(content).nodes:
                written[found.operator].update(found.attributes)
    assert sorted(written) == sorted(OPERATORS)
    for name, operator in OPERATORS.items():
        assert operator.attributes == written[name], name


def test_steps_of_wide_layers_stay_in_fp32():
    # 1152 of them were stored in half, which has no number for steps of biases.
    wide = W1Config(widths=(8, 8, 8, 288), depths=(0, 0, 0, 1), decoder_widths=(8, 8, 8, 8))
    fp32 = serialise(named(onnx.load_from_string(export_fp32(CountsNetwork(W1(wide)), WINDOW_PX))))
    counts = np.ones((1, 1, WINDOW_PX, WINDOW_PX), np.float32)
    [ranges] = ranges_of(fp32, counts, (RangeMethod.MINMAX,))
    content = quantised(fp32, ranges, Scheme(LAYOUTS[0]))
    check_graph("int8", content, WINDOW_PX, None)
    found = read_graph(content)
    steps = [found.constants[n.inputs[1]] for n in found.nodes if n.operator == "DequantizeLinear"]
    assert max(step.size for step in steps) == 1152
    assert {step.dtype for step in steps} == {np.dtype(np.float32)}


def test_what_a_graph_takes_is_counted():
    cost = cost_of(read_graph(simple_graph(8)), None)
    # Counts and both outputs, of 64 values each; ReLU and tanh of each.
    assert cost.values_per_frame == 3 * 64
    assert cost.constant_bytes == 0
    assert cost.operations_per_frame == 64 * (32 + 32 + 256)


def test_shapes_are_those_that_onnx_infers():
    for one in NETWORKS:
        model = onnx.load_from_string(exported(*one)["fp32"])
        del model.graph.value_info[:]
        inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        assert len(inferred.graph.value_info) > 50
        # Where ONNX loses sight of the batch it gives it a name of its own.
        for port in inferred.graph.value_info:
            batch = port.type.tensor_type.shape.dim[:1]
            if batch and not batch[0].dim_value:
                batch[0].dim_param = "batch"
        # Shapes that a file states are held against ours, so they are the same.
        check_graph(str(one), inferred.SerializeToString(), WINDOW_PX, None)


def test_fields_have_the_numbers_that_onnx_gives_them():
    messages = dict(onnx.onnx_ml_pb2.DESCRIPTOR.message_types_by_name)
    inner = [messages["TypeProto"], messages["TensorShapeProto"]]
    messages |= {nested.name: nested for outer in inner for nested in outer.nested_types}
    for kind in KINDS:
        fields = {field.number: field for field in messages[kind.name].fields}
        assert {number: fields[number].name for number in kind.known} == kind.known
        assert {fields[number].name for number in kind.passed_by} <= {
            *("producer_name", "producer_version", "domain", "model_version", "doc_string"),
            *("metadata_props", "name"),
        }
        repeated = {fields[n].name for n in kind.known if fields[n].is_repeated}
        assert repeated == kind.repeated


@pytest.mark.parametrize(
    "damaged",
    [
        b"ORTM",
        b"\x3a",
        b"\x3a\x7f",
        b"\x3b\x3c",
        b"\xff" * 20,
        b"\x3a\x02\x0a\x05",
        b"\x0d\x00",
    ],
)
def test_what_is_no_protocol_buffer_is_no_graph(damaged):
    with pytest.raises(ValueError, match=r"g (is not an ONNX graph|has a part .* no export here)"):
        check_graph("g", damaged, 8, None)


def test_damaged_graphs_are_refused_or_taken_and_nothing_else():
    rng = np.random.default_rng(0)
    taken, refusals = 0, []
    for content in (GRAPHS["Mod 0"][0](), graph([node("Relu", ["counts"], ["phase"])])):
        for _ in range(CORRUPTIONS):
            damaged = bytearray(content)
            for offset in rng.integers(0, len(content), rng.integers(1, 5)):
                damaged[offset] = rng.integers(256)
            try:
                check_graph("g", bytes(damaged), 8, None)
                taken += 1
            except ValueError as error:
                refusals.append(str(error))
    assert taken
    assert refusals
    assert all(line.startswith("g ") for line in refusals)


def test_of_a_compiled_graph_its_structure_is_looked_at():
    check_graph(
        "g",
        graph([node("Gelu", ["counts"], ["phase"], domain="com.microsoft")]),
        8,
        None,
        compiled=True,
    )
    with pytest.raises(ValueError, match="holds a graph inside the graph"):
        check_graph("g", deep(), 8, None, compiled=True)
    with pytest.raises(ValueError, match="has counts of the shape"):
        check_graph("g", simple_graph(16), 8, None, compiled=True)
