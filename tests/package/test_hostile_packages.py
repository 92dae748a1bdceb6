"""Packages that mean harm, or come from elsewhere: refused before ONNX Runtime sees a byte."""

import io
import struct
import warnings
import zipfile
from time import perf_counter

import numpy as np
import onnxruntime
import pytest
from hostile_graphs import forged, good, packages
from onnx import helper
from signing import private_key
from tiny import content, onnx_bytes

from wnet_edge.errors import PackageError
from wnet_edge.package.archive import archive_bytes, archive_members
from wnet_edge.package.manifest import SCHEMA_VERSION
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import package_bytes

CORRUPTIONS = 1000


@pytest.fixture(autouse=True)
def _no_session(monkeypatch):
    def explode(*_, **__):
        raise AssertionError("ONNX Runtime was given a graph")

    monkeypatch.setattr(onnxruntime, "InferenceSession", explode)


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
    "no schema": (lambda _: forged(manifest={"schema_version": None}), "names no schema"),
    "an older schema": (
        lambda _: forged(manifest={"schema_version": 1}),
        "made by an older wnet-edge .*; export it again",
    ),
    "a newer schema": (
        lambda _: forged(manifest={"schema_version": SCHEMA_VERSION + 1, "unheard": "of"}),
        "made by a newer wnet-edge .*; update wnet-edge",
    ),
}


@pytest.mark.parametrize("name", packages())
def test_packages_that_are_whole_and_mean_harm_are_refused(call, tmp_path, name):
    make, message = packages()[name]
    path = tmp_path / "bad.wnet"
    path.write_bytes(make())
    began = perf_counter()
    with pytest.raises(PackageError) as caught:
        open_package(path)
    assert perf_counter() - began < 10
    assert message in str(caught.value)
    code, out, err = call("verify", path)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"Error: {path}: ")
    assert err.strip().isprintable()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_packages_are_refused_in_one_line(call, tmp_path, name):
    make, message = HOSTILE[name]
    path = tmp_path / "bad.wnet"
    path.write_bytes(make(good()))
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
