"""The package file: canonical, verified whole, and refused for any byte that differs."""

import dataclasses
import hashlib
import io
import json
import zipfile

import numpy as np
import pytest
from tiny import content, simple_graph

from wnet_edge.canonical_json import canonical_json, from_canonical_json
from wnet_edge.embedded import find_package
from wnet_edge.errors import PackageError
from wnet_edge.package.archive import archive_bytes, archive_members, array_from_npy, npy_bytes
from wnet_edge.package.golden import GoldenFrames
from wnet_edge.package.manifest import (
    SCHEMA_VERSION,
    Manifest,
    Precision,
    Retention,
    Tolerance,
    creation_time,
)
from wnet_edge.package.opening import open_package
from wnet_edge.package.packing import Graph, package_bytes, write_package
from wnet_edge.physics.orientation import Orientation, orient


@pytest.fixture
def target(tmp_path):
    return tmp_path / "tiny.wnet"


def refuses(path, data, match):
    path.write_bytes(data)
    with pytest.raises(PackageError, match=match) as caught:
        open_package(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "; " in message


def resealed(manifest_json, members):
    """An archive whose hash of the manifest is right, whatever the manifest says."""
    seal = hashlib.sha256(manifest_json).hexdigest().encode()
    return archive_bytes({"manifest.json": manifest_json} | members, seal)


def taken_apart(data):
    members, _ = archive_members(data)
    return json.loads(members.pop("manifest.json")), members


def spelled(manifest):
    return (json.dumps(manifest, sort_keys=True, indent=2) + "\n").encode()


def test_round_trip(target):
    source = content()
    written = write_package(target, source)
    package = open_package(target)
    assert package.manifest == written.manifest
    assert package.sha256 == hashlib.sha256(target.read_bytes()).hexdigest()
    assert package.name == "tiny"
    assert package.graphs == {Precision.FP32: source.graphs[Precision.FP32].content}
    np.testing.assert_array_equal(package.probe, source.probe)
    np.testing.assert_array_equal(package.golden.counts, source.golden.counts)
    for got, put in zip(
        package.golden.outputs[Precision.FP32], source.golden.outputs[Precision.FP32], strict=True
    ):
        np.testing.assert_array_equal(got, put)
    assert package.manifest.frame_px == 16
    assert not package.probe.flags.writeable


def test_same_content_same_bytes():
    assert package_bytes(content()) == package_bytes(content())


def test_any_zip_reader_opens_it():
    with zipfile.ZipFile(io.BytesIO(package_bytes(content()))) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["manifest.json", "fp32.onnx", "probe.npy", "golden.npz"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        probe = np.load(io.BytesIO(archive.read("probe.npy")), allow_pickle=False)
        assert probe.shape == (1, 16, 16)
        golden = np.load(io.BytesIO(archive.read("golden.npz")), allow_pickle=False)
        assert set(golden) == {"counts", "fp32_amplitude", "fp32_phase"}


def test_three_precisions_in_fixed_order(target):
    graph = Graph(simple_graph(8), 17, {"scheme": "x"}, Retention({"phase": 0.99}, "some CPU"))
    source = content()
    kinds = (Precision.INT8, Precision.FP16, Precision.FP32)
    package = write_package(
        target,
        dataclasses.replace(
            source,
            graphs=dict.fromkeys(kinds, graph),
            golden=GoldenFrames(
                source.golden.counts,
                dict.fromkeys(kinds, source.golden.outputs[Precision.FP32]),
            ),
            tolerance=dict.fromkeys(kinds, Tolerance(0.1, 0.1, 0.1)),
        ),
    )
    assert list(package.graphs) == [kind for kind in Precision if kind in kinds]
    assert package.manifest.precisions[Precision.INT8].retention == Retention(
        {"phase": 0.99}, "some CPU"
    )


def test_every_changed_byte_is_refused(target):
    data = package_bytes(content())
    rng = np.random.default_rng(0)
    for offset, change in enumerate(rng.integers(1, 256, len(data))):
        damaged = bytearray(data)
        damaged[offset] ^= int(change)
        target.write_bytes(damaged)
        with pytest.raises(PackageError, match="not an intact package"):
            open_package(target)


def test_every_cut_is_refused(target):
    data = package_bytes(content())
    lengths = {*range(0, len(data), 97), *range(len(data) - 200, len(data))}
    for length in lengths:
        refuses(target, data[:length], "not an intact package")


@pytest.mark.parametrize("extra", [b"\0", b"PK\x03\x04", b"x" * 70_000])
def test_added_bytes_are_refused(target, extra):
    data = package_bytes(content())
    refuses(target, data + extra, "not an intact package")
    refuses(target, extra + data, "not an intact package")


def test_foreign_zips_are_refused(target):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", b"0" * 10_000_000)
    refuses(target, target.read_bytes(), "not an intact package")
    refuses(target, b"", "not an intact package")
    refuses(target, archive_bytes({str(n): b"" for n in range(65)}), "too many members")
    once = archive_bytes({"a": b"1"})[: 30 + 2]
    refuses(target, once + archive_bytes({"a": b"1"}), "twice")
    data = package_bytes(content())
    _, members = taken_apart(data)
    refuses(target, resealed(b"{}\n", {"../probe.npy": b""}), "names no schema_version")
    refuses(
        target,
        resealed(b'{"schema_version": %d}' % SCHEMA_VERSION, {"../probe.npy": b""}),
        "manifest lacks",
    )
    refuses(target, resealed(b"[" * 100_000, members), "too deeply")
    refuses(target, resealed(b"1" * 2_000_000, members), "too large")


def test_members_that_do_not_belong_are_refused(target):
    manifest, members = taken_apart(package_bytes(content()))
    sealed = spelled(manifest)
    refuses(target, resealed(sealed, members | {"../../etc/cron": b"x"}), "instead of")
    refuses(target, resealed(sealed, dict(reversed(members.items()))), "instead of")
    members["fp32.onnx"] += b"\0"
    refuses(target, resealed(sealed, members), r"fp32\.onnx does not match")


@pytest.mark.parametrize(
    ("path", "value", "match"),
    [
        (("schema_version",), 1, "older wnet-edge .schema_version is 1"),
        (("schema_version",), 99, "newer wnet-edge .schema_version is 99.*update wnet-edge"),
        (("schema_version",), True, "names no schema_version"),
        (("schema_version",), "4", "names no schema_version"),
        (("surprise",), 1, "unknown key 'surprise'"),
        (("model",), None, "manifest.model is not of type str"),
        (("model",), "\x1b[2J", "control characters"),
        (("window_px",), True, "window_px is not of type int"),
        (("window_px",), 8.0, "window_px is not of type int"),
        (("window_px",), 16, "frame_px is not window_px"),
        (("binning",), 0, "binning is 0, not within 1 … 512"),
        (("object_pixel_size_m",), -1.0, "object_pixel_size_m is -1.0, not within 1e-12 … 0.001"),
        (("orientation",), "sideways", "orientation is not one of identity"),
        (("precisions",), {}, "tolerance and precisions differ"),
        (("precisions", "fp64"), {}, "precisions is not one of fp32"),
        (("precisions", "fp32", "member", "file"), "../x", "another name"),
        (("precisions", "fp32", "opset"), 0, "opset"),
        (("probe", "sha256"), "0" * 63 + "G", "64 hexadecimal"),
        (("probe", "size_bytes"), 3, r"probe\.npy does not match"),
        (("golden", "frames"), 3, "not an array"),
        (("golden", "frames"), 10**9, "golden.frames is 1000000000, not within 1 … 64"),
        (("golden", "tolerance"), {}, "tolerance and precisions differ"),
        (("golden", "tolerance", "fp32", "amplitude"), -1.0, "amplitude is -1.0, not within"),
        (("training", "settings", "lr"), [1], "has no place there"),
        (("training",), [], "manifest.training is not an object"),
        (("created",), "yesterday", "not a UTC time"),
    ],
)
def test_wrong_manifests_are_refused(target, path, value, match):
    manifest, members = taken_apart(package_bytes(content()))
    inner = manifest
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    refuses(target, resealed(spelled(manifest), members), match)


def test_other_spellings_are_refused(target):
    manifest, members = taken_apart(package_bytes(content()))
    compact = json.dumps(manifest, sort_keys=True).encode()
    refuses(target, resealed(compact, members), "canonical")
    doubled = spelled(manifest).replace(b'"binning": 2', b'"binning": 1,\n  "binning": 2')
    refuses(target, resealed(doubled, members), "canonical")
    nan = spelled(manifest).replace(b'"lr": 0.001', b'"lr": NaN')
    refuses(target, resealed(nan, members), "not JSON compliant")
    refuses(target, resealed(b"\xff\xfe", members), "not an intact package")


def test_missing_folder_and_large_files(tmp_path, monkeypatch):
    with pytest.raises(PackageError, match=r"no such file; name a \.wnet file"):
        open_package(tmp_path / "none.wnet")
    with pytest.raises(PackageError, match="is a folder"):
        open_package(tmp_path)
    monkeypatch.setattr("wnet_edge.package.opening.MAX_PACKAGE_BYTES", 10)
    (tmp_path / "big.wnet").write_bytes(b"x" * 11)
    with pytest.raises(PackageError, match="more than a package may have"):
        open_package(tmp_path / "big.wnet")


def test_writing_is_whole_or_not_at_all(target, monkeypatch):
    write_package(target, content())
    before = target.read_bytes()
    with pytest.raises(PackageError, match="exists already; replace it with --force"):
        write_package(target, content(model="other"))

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_package(target, content(model="other"), force=True)
    assert target.read_bytes() == before
    assert list(target.parent.iterdir()) == [target]
    assert write_package(target, content(model="other"), force=True).manifest.model == "other"


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"probe": np.ones((1, 9, 9), np.complex64)}, "not an array"),
        ({"tolerance": {}}, "tolerance"),
        ({"object_pixel_size_m": float("nan")}, "not JSON compliant"),
        ({"parameter_count": np.int64(3)}, "not JSON serializable"),
        ({"created": "now"}, "UTC"),
    ],
)
def test_content_that_does_not_fit_is_refused(target, changes, match):
    with pytest.raises(PackageError, match=match):
        write_package(target, content(**changes))
    assert not target.exists()


def test_names_and_files(monkeypatch, tmp_path):
    for name in ("a.wnet", "./a", "dir/a"):
        assert str(find_package(name)) in {name, "a"}
    (tmp_path / "packages").mkdir()
    (tmp_path / "packages" / "w9.wnet").touch()
    monkeypatch.setattr("wnet_edge.embedded._HERE", tmp_path)
    assert find_package("w9") == tmp_path / "packages" / "w9.wnet"
    with pytest.raises(PackageError, match=r"nope: no embedded package .*available: w9"):
        find_package("nope")


def test_creation_time(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    assert creation_time(5e8) == "1970-01-01T00:00:00Z"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert creation_time(86400.7) == "1970-01-02T00:00:00Z"


def test_manifest_survives_json():
    manifest, _ = taken_apart(package_bytes(content()))
    data = spelled(manifest)
    assert canonical_json(from_canonical_json(Manifest, data)) == data


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.float16, np.int64])
def test_npy_is_what_numpy_writes(dtype):
    array = np.arange(24).reshape(2, 3, 4).astype(dtype)
    file = io.BytesIO()
    np.save(file, array)
    assert npy_bytes(array) == file.getvalue()
    np.testing.assert_array_equal(array_from_npy(file.getvalue(), dtype, (None, 3, 4)), array)
    for shape in [(2, 4, 3), (None, 4, 3), (2, 3, 5), (1, 3, 4)]:
        with pytest.raises(ValueError, match="not an array"):
            array_from_npy(file.getvalue(), dtype, shape)


@pytest.mark.parametrize("orientation", Orientation)
@pytest.mark.parametrize("edge", [6, 7])
def test_orientation_keeps_zero_frequency(orientation, edge):
    frame = np.zeros((2, edge, edge))
    frame[:, edge // 2, edge // 2] = 1
    frame[:, edge // 2 + 1, edge // 2 + 2] = 2
    turned = orient(frame, orientation)
    assert turned[0, edge // 2, edge // 2] == 1
    row, column = 1, 2
    row = -row if orientation.flips_rows else row
    column = -column if orientation.flips_columns else column
    if orientation.transposes:
        row, column = column, row
    assert turned[1, edge // 2 + row, edge // 2 + column] == 2


def test_orientations_are_eight():
    frame = np.arange(49).reshape(7, 7)
    assert len({orient(frame, way).tobytes() for way in Orientation}) == 8
