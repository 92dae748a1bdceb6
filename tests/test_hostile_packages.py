"""Packages that mean harm, or come from elsewhere: refused before ONNX Runtime sees a byte."""

import contextlib
import hashlib
import io
import json
import struct
import warnings
import zipfile
from time import perf_counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from signing import private_key
from tiny import content, graph_with_weights_in, onnx_bytes, simple_graph, weights_in

from wnet_edge.archive import archive_bytes, archive_members
from wnet_edge.errors import PackageError
from wnet_edge.graph_scan import DATA_LOCATION, EXTERNAL_DATA, INNER, Kind, check_graph
from wnet_edge.package import open_package, package_bytes

CORRUPTIONS = 1000


@pytest.fixture(autouse=True)
def _no_session(monkeypatch):
    def explode(*_, **__):
        raise AssertionError("ONNX Runtime was given a graph")

    monkeypatch.setattr(onnxruntime, "InferenceSession", explode)


@pytest.fixture(scope="module")
def good():
    return package_bytes(content())


def forged(good, *, graph=None, manifest=None):
    """Whole in every hash: what somebody makes who knows the format."""
    members, _ = archive_members(good)
    plain = json.loads(members["manifest.json"]) | (manifest or {})
    if graph is not None:
        members["fp32.onnx"] = graph
        entry = {"sha256": hashlib.sha256(graph).hexdigest(), "size_bytes": len(graph)}
        plain["precisions"]["fp32"]["member"] |= entry
    members["manifest.json"] = (json.dumps(plain, sort_keys=True, indent=2) + "\n").encode()
    comment = hashlib.sha256(members["manifest.json"]).hexdigest().encode()
    return archive_bytes(members, comment)


def rezipped(good, names=lambda name: [name], method=zipfile.ZIP_STORED):
    """The same members, zipped by another program."""
    members, comment = archive_members(good)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names
        archive.comment = comment
        for member, value in members.items():
            for name in names(member):
                archive.writestr(name, value)
    return file.getvalue()


def bomb():
    """10 kB that unpack to 10 MB."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", bytes(10_000_000))
    return file.getvalue()


def claiming(good, size_bytes):
    """The first member says that it is larger than the file."""
    return good[:18] + struct.pack("<II", size_bytes, size_bytes) + good[26:]


def swapped_graph(good):
    """Another graph in place, the manifest as it was."""
    members, comment = archive_members(good)
    members["fp32.onnx"] = onnx_bytes([helper.make_node("Relu", ["counts"], ["amplitude"])], 8)
    return archive_bytes(members, comment)


def doubled(name):
    return [name, name] if name == "fp32.onnx" else [name]


HOSTILE = {
    "tampered": (swapped_graph, "fp32.onnx does not match the manifest"),
    "truncated": (lambda good: good[:-100], "not an intact package"),
    "a folder up": (
        lambda good: rezipped(good, lambda name: [f"../{name}"]),
        "not an intact package",
    ),
    "an absolute path": (
        lambda good: rezipped(good, lambda name: [f"/etc/{name}"]),
        "not an intact package",
    ),
    "a bomb": (lambda _: bomb(), "not an intact package"),
    "deflated": (lambda good: rezipped(good, method=zipfile.ZIP_DEFLATED), "not an intact"),
    "a member of 4 GB": (lambda good: claiming(good, 0xFFFFFFFF), "cut short"),
    "a member twice": (lambda good: rezipped(good, doubled), "twice"),
    "no schema": (lambda good: forged(good, manifest={"schema_version": None}), "names no schema"),
    "an older schema": (
        lambda good: forged(good, manifest={"schema_version": 1}),
        "made by an older wnet-edge .*; export it again",
    ),
    "a newer schema": (
        lambda good: forged(good, manifest={"schema_version": 6, "unheard": "of"}),
        "made by a newer wnet-edge .*; update wnet-edge",
    ),
    "weights elsewhere": (
        lambda good: forged(good, graph=graph_with_weights_in("/etc/passwd")),
        "fp32.onnx keeps weights in a file outside the package",
    ),
    "no graph": (lambda good: forged(good, graph=b"\x7fELF"), "fp32.onnx is not an ONNX graph"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_packages_are_refused_in_one_line(call, good, tmp_path, name):
    make, message = HOSTILE[name]
    path = tmp_path / "bad.wnet"
    path.write_bytes(make(good))
    with pytest.raises(PackageError, match=message):
        open_package(path)
    code, out, err = call("verify", path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"Error: {path}: ")
    assert sorted(tmp_path.iterdir()) == [path]


def test_packages_beyond_any_size_are_not_read(tmp_path):
    path = tmp_path / "huge.wnet"
    with path.open("wb") as file:
        file.truncate(10 << 30)  # a hole: no disk behind it
    start = perf_counter()
    with pytest.raises(PackageError, match="more than a package may have"):
        open_package(path)
    assert perf_counter() - start < 1


def test_random_corruptions_are_refused(tmp_path):
    path = tmp_path / "bad.wnet"
    good = package_bytes(content(), private_key(1))  # the signature is covered as well
    rng = np.random.default_rng(0)
    for offset, change in zip(
        rng.integers(0, len(good), CORRUPTIONS), rng.integers(1, 256, CORRUPTIONS), strict=True
    ):
        damaged = bytearray(good)
        damaged[offset] ^= int(change)
        path.write_bytes(damaged)
        with pytest.raises(PackageError, match="not an intact package"):
            open_package(path)


def outside(place):
    """A model that names a file for its weights, at each place where a tensor may stand."""
    weights = weights_in("weights.bin")
    model = onnx.load_from_string(simple_graph(8))
    node = model.graph.node.add(op_type="Constant", output=["unused"])
    if place == "initializer":
        model.graph.initializer.append(weights)
    elif place == "sparse initializer":
        model.graph.sparse_initializer.add(values=weights)
    elif place == "attribute":
        node.attribute.append(helper.make_attribute("value", weights))
    elif place == "attribute's list":
        node.attribute.append(helper.make_attribute("values", [weights]))
    elif place == "subgraph":
        inner = helper.make_graph([], "inner", [], [], [weights])
        node.attribute.append(helper.make_attribute("body", inner))
    elif place == "function":
        constant = helper.make_node("Constant", [], ["W"], value=weights)
        model.functions.add(name="f", domain="d", node=[constant])
    elif place == "training":
        model.training_info.add().initialization.initializer.append(weights)
    elif place == "a name without the mark":
        weights.ClearField("data_location")
        model.graph.initializer.append(weights)
    else:
        weights.ClearField("external_data")
        model.graph.initializer.append(weights)
    return model.SerializeToString()


@pytest.mark.parametrize(
    "place",
    [
        "initializer",
        "sparse initializer",
        "attribute",
        "attribute's list",
        "subgraph",
        "function",
        "training",
        "a name without the mark",
        "the mark without a name",
    ],
)
def test_weights_outside_are_found_wherever_they_are_named(place):
    with pytest.raises(ValueError, match="a file outside the package"):
        check_graph("g", outside(place))


def test_weights_inside_are_taken():
    inside = onnx.load_from_string(graph_with_weights_in("x"))
    weights = inside.graph.initializer[0]
    weights.ClearField("external_data")
    weights.data_location = TensorProto.DEFAULT
    weights.raw_data = bytes(256)
    check_graph("g", inside.SerializeToString())


def test_every_way_to_a_tensor_is_known():
    # By the format's own description: a new field that leads to tensors has to be walked too.
    kinds = {kind.value: kind for kind in Kind}
    leads = {"TensorProto"}
    messages = onnx.onnx_ml_pb2.DESCRIPTOR.message_types_by_name
    while True:
        more = {
            name
            for name, message in messages.items()
            if any(f.message_type and f.message_type.name in leads for f in message.fields)
        }
        if more <= leads:
            break
        leads |= more
    assert leads == set(kinds)
    for name, kind in kinds.items():
        fields = messages[name].fields
        inner = {
            f.number: kinds[f.message_type.name]
            for f in fields
            if f.message_type and f.message_type.name in leads
        }
        assert inner == INNER[kind]
    numbers = {f.name: f.number for f in messages["TensorProto"].fields}
    assert (numbers["external_data"], numbers["data_location"]) == (EXTERNAL_DATA, DATA_LOCATION)


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
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
    with pytest.raises(ValueError, match="g is not an ONNX graph"):
        check_graph("g", damaged)


def test_damaged_graphs_are_refused_or_taken_and_nothing_else():
    graph, rng = graph_with_weights_in("x"), np.random.default_rng(0)
    for _ in range(CORRUPTIONS):
        damaged = bytearray(graph)
        for offset in rng.integers(0, len(graph), rng.integers(1, 5)):
            damaged[offset] = rng.integers(256)
        with contextlib.suppress(ValueError):
            check_graph("g", bytes(damaged))


def test_deep_and_long_graphs_end_soon(monkeypatch):
    nested = b""
    for _ in range(3000):  # graph in an attribute of a node of a graph
        for tag in (b"\x32", b"\x2a", b"\x0a"):
            nested = tag + _length(nested) + nested
    check_graph("g", b"\x3a" + _length(nested) + nested)
    monkeypatch.setattr("wnet_edge.graph_scan._MAX_FIELDS", 1000)
    with pytest.raises(ValueError, match="more than 1000 fields"):
        check_graph("g", b"\x3a\x00" * 1001)


def _length(content):
    value, parts = len(content), []
    while value >= 0x80:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
