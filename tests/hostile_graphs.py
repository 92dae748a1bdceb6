"""Packages whose hashes are all right and whose graphs or numbers mean harm.

Made by somebody who knows the format.
"""

import hashlib
import json
from functools import cache
from itertools import pairwise

import numpy as np
import onnx
from hostile_case import Hostile
from onnx import TensorProto, helper, numpy_helper
from tiny import content, graph_with_weights_in, onnx_bytes, simple_graph

from wnet_edge.package.archive import archive_bytes, archive_members, npy_bytes
from wnet_edge.package.packing import package_bytes

FILE = "bad.wnet"
WINDOW_PX = 8
AMPLITUDE = helper.make_node("Relu", ["counts"], ["amplitude"])


@cache
def good():
    """A package as export makes them."""
    return package_bytes(content())


def forged(graph=None, manifest=None, changes=(), **members_in_place):
    """The good package with other parts, whole in every hash."""
    members, _ = archive_members(good())
    plain = json.loads(members["manifest.json"]) | (manifest or {})
    for path, value in changes:
        inner = plain
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
    if graph is not None:
        members["fp32.onnx"] = graph
        plain["precisions"]["fp32"]["member"] |= _entry(graph)
    for name, (file, key) in {
        "probe": ("probe.npy", "probe"),
        "golden": ("golden.npz", None),
    }.items():
        if name in members_in_place:
            members[file] = members_in_place[name]
            entry = plain[key] if key else plain["golden"]["member"]
            entry |= _entry(members[file])
    members["manifest.json"] = (json.dumps(plain, sort_keys=True, indent=2) + "\n").encode()
    comment = hashlib.sha256(members["manifest.json"]).hexdigest().encode()
    return archive_bytes(members, comment)


def _entry(member):
    return {"sha256": hashlib.sha256(member).hexdigest(), "size_bytes": len(member)}


def constant(name, values, kind=np.float32):
    return numpy_helper.from_array(np.array(values, kind), name)


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


def graph(nodes, *constants, **named):
    """Counts through `nodes` to the phase; the amplitude is sound."""
    return onnx_bytes([AMPLITUDE, *nodes], WINDOW_PX, constants, **named)


def model(nodes=(), *constants):
    """The same, to be changed further."""
    return onnx.load_from_string(graph(nodes, *constants))


def phase_of(kind, *constants, inputs=None, **attributes):
    """One operator between counts and phase."""
    names = ["counts", *(one.name for one in constants)] if inputs is None else inputs
    return graph([node(kind, names, ["phase"], **attributes)], *constants)


def _body(nodes, inputs, outputs):
    def ports(names, kind, shape):
        return [helper.make_tensor_value_info(name, kind, shape) for name in names]

    booleans = {"go_in": TensorProto.BOOL, "go": TensorProto.BOOL, "i": TensorProto.INT64}
    return helper.make_graph(
        nodes,
        "body",
        [
            ports([n], booleans.get(n, TensorProto.FLOAT), [] if n in booleans else None)[0]
            for n in inputs
        ],
        [
            ports([n], booleans.get(n, TensorProto.FLOAT), [] if n in booleans else None)[0]
            for n in outputs
        ],
    )


def endless_loop():
    inner = [node("Identity", ["go_in"], ["go"]), node("Relu", ["x"], ["y"])]
    body = _body(inner, ["i", "go_in", "x"], ["go", "y"])
    return graph(
        [node("Loop", ["times", "yes", "counts"], ["phase"], body=body)],
        constant("times", 2**62, np.int64),
        constant("yes", True, np.bool_),
    )


def branch():
    inner = _body([node("Relu", ["counts"], ["y"])], [], ["y"])
    return graph(
        [node("If", ["yes"], ["phase"], then_branch=inner, else_branch=inner)],
        constant("yes", True, np.bool_),
    )


def scan():
    body = _body([node("Relu", ["x"], ["y"])], ["x"], ["y"])
    return phase_of("Scan", num_scan_inputs=1, body=body)


def sequence_map():
    body = _body([node("Relu", ["x"], ["y"])], ["x"], ["y"])
    nodes = [
        node("SplitToSequence", ["counts"], ["many"]),
        node("SequenceMap", ["many"], ["mapped"], body=body),
        node("ConcatFromSequence", ["mapped"], ["phase"], axis=0),
    ]
    return graph(nodes)


def doubling_functions():
    """f40 calls f39 twice, and so on: 2^40 nodes."""
    whole = model([node("f40", ["counts"], ["phase"], domain="d")])
    whole.opset_import.append(helper.make_opsetid("d", 1))
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("d", 1)]
    for depth in range(41):
        name = f"f{depth - 1}" if depth else "Relu"
        calls = [
            node(name, ["x"], ["h"], domain="d" if depth else ""),
            node(name, ["h"], ["y"], domain="d" if depth else ""),
        ]
        whole.functions.append(helper.make_function("d", f"f{depth}", ["x"], ["y"], calls, opsets))
    return whole.SerializeToString()


def folded_constant():
    nodes = [
        node("ConstantOfShape", ["shape"], ["large"]),
        node("ReduceSum", ["large"], ["sum"], keepdims=0),
        node("Add", ["counts", "sum"], ["phase"]),
    ]
    return graph(nodes, constant("shape", [10**9], np.int64))


def counted_constant():
    """The same of operators that are ours."""
    nodes = [
        node("Range", ["zero", "end", "one"], ["many"]),
        node("Cast", ["many"], ["large"], to=TensorProto.FLOAT),
        node("ReduceSum", ["large", "axis"], ["sum"], keepdims=0),
        node("Add", ["counts", "sum"], ["phase"]),
    ]
    limits = {"zero": 0, "end": 10**9, "one": 1}
    return graph(
        nodes,
        *(constant(name, value, np.int64) for name, value in limits.items()),
        constant("axis", [0], np.int64),
    )


def many_nodes(count=100_000):
    names = ["counts", *(f"t{index}" for index in range(count - 1)), "phase"]
    return graph([node("Relu", [a], [b]) for a, b in pairwise(names)])


def doubled_concatenations(times=40):
    names = ["counts", *(f"t{index}" for index in range(times))]
    nodes = [node("Concat", [a, a], [b], axis=1) for a, b in pairwise(names)]
    return graph(
        [*nodes, node("ReduceSum", [names[-1], "axis"], ["phase"])], constant("axis", [1], np.int64)
    )


def many_large_constants(times=300):
    """Each of 4 MB, every one computed while the graph is loaded."""
    nodes = [node("MatMul", ["column", "row"], ["c0"])]
    nodes += [node("Neg", [f"c{index}"], [f"c{index + 1}"]) for index in range(times)]
    nodes += [
        node("ReduceSum", [f"c{times}", "axes"], ["sum"], keepdims=0),
        node("Add", ["counts", "sum"], ["phase"]),
    ]
    edge = np.ones(1024)
    return graph(
        nodes,
        constant("column", edge[:, None]),
        constant("row", edge[None]),
        constant("axes", [0, 1], np.int64),
    )


def slow():
    """Small maps and few nodes, and an hour of convolutions."""
    weights = numpy_helper.from_array(np.zeros((128, 128, 9, 9), np.float16), "w")
    first = numpy_helper.from_array(np.zeros((128, 1, 1, 1), np.float16), "first")
    nodes = [
        node("Cast", ["counts"], ["half"], to=TensorProto.FLOAT16),
        node("Resize", ["half", "", "eight"], ["wide"], mode="linear"),
        node("Resize", ["wide", "", "eight"], ["x0"], mode="linear"),
        node("MaxPool", ["x0"], ["x1"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", ["x1", "first"], ["y0"], kernel_shape=[1, 1]),
    ]
    nodes += [
        node("Conv", [f"y{index}", "w"], [f"y{index + 1}"], kernel_shape=[9, 9], pads=[4] * 4)
        for index in range(30)
    ]
    nodes += [
        node("ReduceSum", ["y30", "all"], ["sum"]),
        node("Cast", ["sum"], ["number"], to=TensorProto.FLOAT),
        node("Add", ["counts", "number"], ["phase"]),
    ]
    scales = constant("eight", [1, 1, 8, 8])
    return graph(nodes, weights, first, scales, constant("all", [1, 2, 3], np.int64))


def cyclic():
    return graph(
        [
            node("Add", ["counts", "b"], ["a"]),
            node("Relu", ["a"], ["b"]),
            node("Relu", ["a"], ["phase"]),
        ]
    )


def named_twice():
    return graph(
        [
            node("Relu", ["counts"], ["x"]),
            node("Tanh", ["counts"], ["x"]),
            node("Relu", ["x"], ["phase"]),
        ]
    )


def shadowed_input():
    return graph([node("Relu", ["counts"], ["phase"])], constant("counts", np.zeros((1, 1, 8, 8))))


def second_input():
    whole = model([node("Add", ["counts", "w"], ["phase"])], constant("w", 1.0))
    whole.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, []))
    return whole.SerializeToString()


def deep():
    """Three thousand graphs in each other's attributes."""
    nested = b""
    for _ in range(3000):
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            nested = tag + length(nested) + nested
    return b"\x3a" + length(nested) + nested


def length(content):
    """A protocol buffer's length of bytes."""
    value, parts = len(content), []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def tiny_fields(count=20_000_000):
    """40 MB of empty nodes."""
    return b"\x3a" + length(b"\x0a\x00" * count) + b"\x0a\x00" * count


def listed_numbers(count=30_000_000):
    """Numbers of one byte each, in one list."""
    packed = b"\x2a" + length(bytes(count)) + bytes(count)
    tensor = b"\x08\x01\x10\x03\x42\x01w" + packed
    inner = b"\x2a" + length(tensor) + tensor
    return b"\x3a" + length(inner) + inner


def two_graphs():
    """One reader takes the last of them, another merges both."""
    plain = graph([node("Relu", ["counts"], ["phase"])])
    return plain + b"\x3a" + length(b"") + b""


def lying_shape():
    whole = model([node("Relu", ["counts"], ["x"]), node("Relu", ["x"], ["phase"])])
    whole.graph.value_info.append(
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1, 2**40, 8])
    )
    return whole.SerializeToString()


def text_tensor():
    whole = model([node("Relu", ["counts"], ["phase"])])
    whole.graph.initializer.append(helper.make_tensor("w", TensorProto.STRING, [1], [b"x"]))
    return whole.SerializeToString()


def sparse_tensor():
    whole = model([node("Relu", ["counts"], ["phase"])])
    values, places = constant("w", [1.0]), constant("p", [0], np.int64)
    whole.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [10**9]))
    return whole.SerializeToString()


def sequence_port():
    whole = model([node("Relu", ["counts"], ["phase"])])
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    sequence = helper.make_sequence_type_proto(tensor)
    whole.graph.value_info.append(helper.make_value_info("phase", sequence))
    return whole.SerializeToString()


def optional_port():
    whole = model([node("Relu", ["counts"], ["phase"])])
    tensor = helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
    whole.graph.value_info.append(
        helper.make_value_info("phase", helper.make_optional_type_proto(tensor))
    )
    return whole.SerializeToString()


def shape_without_values():
    whole = model([node("Add", ["counts", "w"], ["phase"])], constant("w", [1.0]))
    whole.graph.initializer[0].dims[:] = [2**40, 2**40]
    return whole.SerializeToString()


def kernel(edge=3, channels=1):
    return constant("w", np.ones((1, channels, edge, edge)))


def quantised(step, zero=0):
    nodes = [
        node("QuantizeLinear", ["counts", "step", "zero"], ["q"]),
        node("DequantizeLinear", ["q", "step", "zero"], ["phase"]),
    ]
    return graph(nodes, constant("step", step), constant("zero", zero, np.int8))


def integers(kind, divisor):
    nodes = [
        node("Range", ["zero", "eight", "one"], ["k"]),
        node(kind, ["k", "divisor"], ["r"]),
        node("Cast", ["r"], ["number"], to=TensorProto.FLOAT),
        node("Add", ["counts", "number"], ["phase"]),
    ]
    values = {"zero": 0, "eight": 8, "one": 1, "divisor": divisor}
    return graph(nodes, *(constant(name, value, np.int64) for name, value in values.items()))


GRAPHS = {
    "endless Loop": (endless_loop, "holds a graph inside the graph"),
    "If": (branch, "holds a graph inside the graph"),
    "Scan": (scan, "holds a graph inside the graph"),
    "SequenceMap": (sequence_map, "holds a graph inside the graph"),
    "functions that expand 2^40 times": (doubling_functions, "holds functions"),
    "a folded ConstantOfShape of 1e9": (
        folded_constant,
        "holds ConstantOfShape, node 1, which no export here writes",
    ),
    "a Range of 1e9": (
        counted_constant,
        "Range, node 1, which gives too large a tensor, (1000000000)",
    ),
    "100,000 nodes": (many_nodes, "has more than 24576 parts in a GraphProto"),
    "300 constants of 4 MB, folded": (many_large_constants, "bytes of constants, more than"),
    "Concat doubled 40 times": (
        doubled_concatenations,
        "values per frame at the same time, more than 33554432",
    ),
    "an hour of convolutions": (slow, "multiply-adds per frame, more than 137438953472"),
    "Tile": (lambda: phase_of("Tile", constant("by", [1, 1, 2**20, 2**20], np.int64)), "Tile"),
    "Expand": (lambda: phase_of("Expand", constant("to", [1, 2**40, 8, 8], np.int64)), "Expand"),
    "Pad": (lambda: phase_of("Pad", constant("by", [0, 0, 2**30, 0] * 2, np.int64)), "Pad"),
    "Einsum": (
        lambda: phase_of("Einsum", equation="abcd,efgh->abcdefgh", inputs=["counts", "counts"]),
        "Einsum",
    ),
    "ConvTranspose": (
        lambda: phase_of("ConvTranspose", kernel(), strides=[2**20, 2**20]),
        "ConvTranspose",
    ),
    "DFT of 1e9": (lambda: phase_of("DFT", constant("n", 10**9, np.int64)), "DFT"),
    "STFT": (
        lambda: phase_of("STFT", constant("n", 10**9, np.int64), inputs=["counts", "n"]),
        "STFT",
    ),
    "an operator of another domain": (
        lambda: phase_of("Inverse", domain="com.microsoft"),
        "Inverse, node 1, which no export here writes",
    ),
    "MatMul of all pixels": (
        lambda: graph(
            [
                node("Reshape", ["counts", "column"], ["a"]),
                node("Reshape", ["counts", "row"], ["b"]),
                node("MatMul", ["a", "b"], ["all"]),
                node("ReduceSum", ["all", "axes"], ["sum"], keepdims=0),
                node("Add", ["counts", "sum"], ["phase"]),
            ],
            constant("column", [-1, 1], np.int64),
            constant("row", [1, -1], np.int64),
            constant("axes", [0, 1], np.int64),
        ),
        "MatMul, node 3, which gives too large a tensor, (64 × batch, 64 × batch)",
    ),
    "Resize by 1e9": (
        lambda: phase_of(
            "Resize", constant("by", [1, 1, 1e9, 1e9]), inputs=["counts", "", "by"], mode="linear"
        ),
        "Resize, node 1, which enlarges by less than 1 or more than 8",
    ),
    "Resize by 8, ten times": (
        lambda: graph(
            [
                node("Resize", [f"x{i}" if i else "counts", "", "by"], [f"x{i + 1}"], mode="linear")
                for i in range(10)
            ]
            + [node("Relu", ["x10"], ["phase"])],
            constant("by", [1, 1, 8, 8]),
        ),
        "Resize, node 4, which gives too large a tensor",
    ),
    "Reshape beyond 64 bits": (
        lambda: phase_of("Reshape", constant("to", [2**62, 2**62, 2**62], np.int64)),
        "Reshape, node 1, which makes",
    ),
    "Reshape to a negative length": (
        lambda: phase_of("Reshape", constant("to", [-5, 8, 8], np.int64)),
        "Reshape, node 1, which makes",
    ),
    "Reshape to nothing": (
        lambda: phase_of("Reshape", constant("to", [0, 0, 8, 8], np.int64), allowzero=1),
        "Reshape, node 1, which makes",
    ),
    "Conv of stride 2^40": (
        lambda: phase_of("Conv", kernel(), kernel_shape=[3, 3], strides=[2**40, 1]),
        "strides beyond 1 … 8",
    ),
    "Conv dilated by 2^30": (
        lambda: phase_of("Conv", kernel(), kernel_shape=[3, 3], dilations=[2**30, 2**30]),
        "has an attribute that no export here writes, 'dilations'",
    ),
    "Conv of negative pads": (
        lambda: phase_of("Conv", kernel(), kernel_shape=[3, 3], pads=[-1, 0, 0, 0]),
        "pads beyond 0 … 2",
    ),
    "Conv of 0 groups": (
        lambda: phase_of("Conv", kernel(), kernel_shape=[3, 3], group=0),
        "has channels that do not fit its weights",
    ),
    "Conv of another kernel than its weights": (
        lambda: phase_of("Conv", kernel(), kernel_shape=[31, 31]),
        "has another kernel_shape than its weights",
    ),
    "Conv larger than its map": (
        lambda: phase_of("Conv", kernel(31), kernel_shape=[31, 31]),
        "gives a tensor of the shape (1 × batch, 1, -22, -22)",
    ),
    "MaxPool of 2^40 pixels": (
        lambda: phase_of("MaxPool", kernel_shape=[2**20, 2**20]),
        "kernel_shape beyond 1 … 31",
    ),
    "Gather beyond its operand": (
        lambda: phase_of("Gather", constant("at", [10**12], np.int64), axis=3),
        "takes what is beyond its operand",
    ),
    "Transpose of no order": (
        lambda: phase_of("Transpose", perm=[0, 0, 0, 0]),
        "has a perm that is not an order of its axes",
    ),
    "Slice backwards": (
        lambda: phase_of(
            "Slice",
            *(constant(n, [v], np.int64) for n, v in (("s", 0), ("e", 8), ("a", 3), ("b", -1))),
        ),
        "cuts out nothing that there is",
    ),
    "Mod 0": (lambda: integers("Mod", 0), "Mod, node 2, which divides by what may be 0"),
    "Div by 0": (lambda: integers("Div", 0), "Div, node 2, which divides integers"),
    "a step of 0": (lambda: quantised(0.0), "has a step that is not positive"),
    "a step of −1": (lambda: quantised(-1.0), "has a step that is not positive"),
    "NaN weights": (
        lambda: phase_of("Add", constant("w", np.nan)),
        "holds weights that are not finite numbers, in 'w'",
    ),
    "an unknown attribute": (
        lambda: phase_of("Tanh", wild=2**62),
        "has an attribute that no export here writes, 'wild'",
    ),
    "a cycle": (cyclic, "takes 'b', which nothing before it gives"),
    "one name for two tensors": (named_twice, "names two tensors 'x'"),
    "a constant in place of counts": (shadowed_input, "names two tensors 'counts'"),
    "a second input": (second_input, "has other inputs than counts"),
    "another shape than stated": (lying_shape, "states another shape or type of 'x' than it has"),
    "a shape beyond its values": (
        shape_without_values,
        "holds a constant of other values than its",
    ),
    "a batch of 2^40": (
        lambda: graph([node("Relu", ["counts"], ["phase"])], batch=2**40),
        "has counts of the shape (1099511627776, 1, 8, 8)",
    ),
    "a negative batch": (
        lambda: graph([node("Relu", ["counts"], ["phase"])], batch=-1),
        "has counts of the shape (-1, 1, 8, 8)",
    ),
    "graphs 3000 deep": (deep, "holds a graph inside the graph"),
    "a number without end": (lambda: b"\x3a" + b"\xff" * 10**6, "is not an ONNX graph"),
    "20 million empty nodes": (tiny_fields, "has more than 24576 parts in a GraphProto"),
    "30 million numbers in a list": (listed_numbers, "has more than 8192 of int32_data"),
    "two graphs": (two_graphs, "states graph of ModelProto twice"),
    "a name of 10 MB": (
        lambda: graph(
            [node("Relu", ["counts"], ["x" * 10**7]), node("Relu", ["x" * 10**7], ["phase"])]
        ),
        "has a name that is over 200 characters or not plain ASCII",
    ),
    "an escape sequence as operator": (
        lambda: phase_of("\x1b[2J"),
        "has a name that is over 200 characters or not plain ASCII",
    ),
    "text": (text_tensor, "holds tensors of text"),
    "sparse": (sparse_tensor, "holds sparse tensors"),
    "a sequence": (sequence_port, "holds sequences"),
    "an optional": (optional_port, "holds optional tensors"),
    "weights elsewhere": (
        lambda: graph_with_weights_in("/etc/passwd"),
        "keeps weights in a file outside the package",
    ),
    "no graph": (lambda: b"\x7fELF", "is not an ONNX graph"),
    "an empty file": (lambda: b"", "is not an ONNX graph"),
}
"""Name to a maker of `fp32.onnx`, and what is said of it."""

LEVEL = {"frames": 9, "r_factor": 0.1, "r_floor": 0.05, "r_blank": 0.3, "contrast": 1.0}

NUMBERS = {
    "object pixel of 5e-324": (("object_pixel_size_m",), 5e-324, "object_pixel_size_m is 5e-324"),
    "object pixel of a kilometre": (("object_pixel_size_m",), 1e3, "object_pixel_size_m is 1000.0"),
    "R of 1e308": (
        ("self_check",),
        LEVEL | {"r_factor": 1e308},
        "self_check.r_factor is 1e+308, not within",
    ),
    "a level of no frames": (
        ("self_check",),
        LEVEL | {"frames": 0},
        "self_check.frames is 0",
    ),
    "a fixed batch of 4096": (("batch_size",), 4096, "batch_size is 4096, not within 1 … 1024"),
    "a batch of 0": (("batch_size",), 0, "batch_size is 0"),
    "an integer as a float": (("window_px",), 8.0, "window_px is not of type int"),
    "an integer of a thousand digits": (("parameter_count",), 10**1000, "parameter_count is 1000"),
    "a million golden frames": (("golden", "frames"), 10**6, "golden.frames is 1000000"),
    "a negative seed": (("training", "seed"), -1, "training.seed is -1"),
    "counts of 1e300": (
        ("training", "counts"),
        {"low": 1e300, "high": 1e300},
        "training.counts.low is 1e+300",
    ),
    "a tolerance of a turn": (
        ("golden", "tolerance", "fp32", "phase_rad"),
        7.0,
        "golden.tolerance.fp32.phase_rad is 7.0",
    ),
    "a setting of 1e300": (("training", "settings", "lr"), 1e300, "training.settings.lr is 1e"),
    "a text of 100,000 letters": (("model",), "x" * 100_000, "a text is empty, over 1000"),
    "a thousand versions": (
        ("versions",),
        {f"v{index}": "1" for index in range(1000)},
        "versions has more than 256 entries",
    ),
    "a list in place of an object": (("training",), [], "manifest.training is not an object"),
    "the year 99999": (("created",), "99999-01-01T00:00:00Z", "created is not a UTC time"),
}
"""Name to a path in the manifest, the value there, and what is said of it."""


def window(edge):
    """A manifest that names another window, with a graph of that window."""
    changes = [(("window_px",), edge), (("frame_px",), 2 * edge)]
    return forged(simple_graph(edge), changes=changes)


def probe(modes=1, value=1.0):
    """Another probe in place."""
    values = np.full((modes, 16, 16), value, np.complex64)
    return forged(probe=npy_bytes(values))


PARTS = {
    "a window of 1 px": (lambda: window(1), "window_px is 1, not within 8 … 1024"),
    "a window of 2 px": (lambda: window(2), "window_px is 2, not within 8 … 1024"),
    "a window of 4096 px": (lambda: window(4096), "window_px is 4096, not within 8 … 1024"),
    "a NaN probe": (lambda: probe(value=np.nan), "probe.npy is dark, or holds values that"),
    "an infinite probe": (lambda: probe(value=np.inf), "probe.npy is dark, or holds values that"),
    "a probe of 1e30": (lambda: probe(value=1e30), "probe.npy is dark, or holds values that"),
    "a dark probe": (lambda: probe(value=0), "probe.npy is dark, or holds values that"),
    "33 modes": (lambda: probe(33), "probe.npy has 33 modes, more than 32"),
    "a probe of another window": (
        lambda: forged(probe=npy_bytes(np.ones((1, 9, 9), np.complex64))),
        "not an array",
    ),
}
"""Name to a maker of the package, and what is said of it."""


def packages():
    """Every package by name: a maker of its bytes, and what is said of it."""
    found = {
        name: (lambda make=make: forged(make()), said) for name, (make, said) in GRAPHS.items()
    }
    found |= {
        name: (lambda path=path, value=value: forged(changes=[(path, value)]), said)
        for name, (path, value, said) in NUMBERS.items()
    }
    return found | PARTS


def _writer(make):
    return lambda folder: (folder / FILE).write_bytes(make())


CASES = [
    Hostile(f"package: {name}", _writer(make), ("verify", FILE))
    for name, (make, _) in packages().items()
]
