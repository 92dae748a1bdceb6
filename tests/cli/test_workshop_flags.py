"""Training, export and evaluation of scans as they come: flags say what a file does not."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from tiny_training import measurement

from wnet_edge.cli.main import group
from wnet_edge.errors import WNetEdgeError
from wnet_edge.io.scan_file import open_scan
from wnet_edge.package.opening import open_package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.scan.scan import Scan
from wnet_edge.training.checkpoint import read_checkpoint

pytestmark = pytest.mark.slow

W3 = ("--model", "w3", "--epochs", "1", "--device", "cpu", "--no-augment")
PARTS = ("--frames", "frames", "--positions", "stage", "--positions-unit", "um")


def call(*words):
    result = CliRunner().invoke(group, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def write_bare(folder: Path, scan: Scan) -> None:
    """The scan as bare arrays of a larger detector, with a profile of what they do not say."""
    frames = np.asarray(scan.frames[:])
    n = scan.frame_px
    wide = np.zeros((len(frames), n + 26, n + 37), frames.dtype)
    wide[:, 10 : 10 + n, 25 : 25 + n] = frames
    with h5py.File(folder / "bare.h5", "w") as file:
        file["frames"] = wide
        file["turned"] = wide.transpose(0, 2, 1)
        file["stage"] = scan.positions_m * 1e6
    np.save(folder / "probe.npy", scan.probe)
    geometry = scan.known_geometry
    lines = (
        f"energy_ev = {geometry.energy_ev!r}",
        f"distance_m = {geometry.distance_m!r}",
        f"pixel_size_m = {geometry.detector_pixel_size_m!r}",
        'probe = "probe.npy"',
        f"beam_centre = [{10 + n // 2}, {25 + n // 2}]",
    )
    (folder / "beamline.toml").write_text("\n".join(lines))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A scan with its reconstruction, as CXI and as bare arrays, and a training on it."""
    folder = tmp_path_factory.mktemp("training")
    write_bare(folder, measurement(folder).scan)
    call("train", *W3, *told(folder, "scan.cxi"), "-o", folder / "plain.safetensors")
    return folder


def told(folder: Path, name: str, *flags):
    """A scan with labels, and for bare arrays what the file does not say."""
    words = ("--data", folder / name, "--labels", folder / "reference.npz")
    return (*words, *flags) if name == "scan.cxi" else (*words, *bare(folder), *flags)


def bare(folder: Path):
    return (*PARTS, "--profile", folder / "beamline.toml")


def assert_same_weights(one: Path, other: Path):
    first, second = (read_checkpoint(path).tensors for path in (one, other))
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name]), name


def test_arrays_with_flags_train_the_same_weights(folder):
    call("train", *W3, *told(folder, "bare.h5"), "-o", folder / "bare.safetensors")
    assert_same_weights(folder / "plain.safetensors", folder / "bare.safetensors")


def test_frames_that_are_turned_back_train_the_same_weights(folder):
    turned = ("--frames", "turned", "--beam-centre", "57,42", "--orientation", "transpose")
    call("train", *W3, *told(folder, "bare.h5", *turned), "-o", folder / "turned.safetensors")
    assert_same_weights(folder / "plain.safetensors", folder / "turned.safetensors")
    data = read_checkpoint(folder / "turned.safetensors").record.settings["data"]
    assert data["orientation"] == "transpose"


def test_frames_the_wrong_way_up_are_refused(folder):
    turned = ("--frames", "turned", "--beam-centre", "57,42")
    words = (*told(folder, "bare.h5", *turned), "-o", folder / "wrong.safetensors")
    result = CliRunner().invoke(group, ["train", *W3, *map(str, words)])
    assert isinstance(result.exception, WNetEdgeError)
    assert not (folder / "wrong.safetensors").exists()


@pytest.fixture(scope="module")
def larger(tmp_path_factory) -> Path:
    """A scan large enough for three strips, as CXI and as bare arrays, and the zoo's W3 for it."""
    folder = tmp_path_factory.mktemp("export")
    words = ("--probe", "example:scan247", "--frames", 400, "--family", "thresholded")
    call("simulate", "-o", folder / "scan.cxi", *words)
    with h5py.File(folder / "scan.cxi", "a") as file:
        del file["entry_1/labels"]
    write_bare(folder, open_scan(folder / "scan.cxi"))
    words = ("--calibration", folder / "scan.cxi", "--precision", "fp32")
    call("export", "--model", "w3", *words, "-o", folder / "plain.wnet")
    return folder


def test_arrays_with_flags_calibrate_the_same_package(larger):
    words = ("--calibration", larger / "bare.h5", *bare(larger), "--precision", "fp32")
    call("export", "--model", "w3", *words, "-o", larger / "bare.wnet")
    assert (larger / "bare.wnet").read_bytes() == (larger / "plain.wnet").read_bytes()


def test_a_package_keeps_the_way_up_it_was_calibrated_with(larger):
    turned = (*bare(larger), "--frames", "turned", "--beam-centre", "89,74")
    words = ("--calibration", larger / "bare.h5", *turned, "--orientation", "transpose")
    output, package = larger / "turned.wnet", larger / "plain.wnet"
    call("export", "--model", "w3", *words, "--precision", "fp32", "-o", output)
    made, plain = open_package(output), open_package(package)
    assert made.manifest.orientation is Orientation.TRANSPOSE
    assert made.graphs == plain.graphs
    seen = ("--data", larger / "bare.h5", *turned, "--json")
    one = json.loads(call("evaluate", output, *seen, "--provider", "cpu").stdout)
    other = json.loads(
        call("evaluate", package, *seen, "--provider", "cpu", "--orientation", "transpose").stdout
    )
    assert one["precisions"] == other["precisions"]


def test_a_precision_that_nobody_named_is_left_out_with_the_reason(larger):
    output, report = larger / "less.wnet", larger / "less.json"
    words = ("--calibration", larger / "scan.cxi", "--max-ssim-drop", 0, "--calibrator", "minmax")
    result = call("export", "--model", "w3", *words, "-o", output, "--report", report)
    assert "fp32" in (kept := [kind.value for kind in open_package(output).graphs])
    assert "int8" not in kept
    assert "Warning: int8 is left out of the package: no int8 graph takes less" in result.stderr
    left_out = json.loads(report.read_text())["left_out"]
    assert left_out["int8"]["reason"] in result.stderr
    assert len(left_out["int8"]["trials"]) > 1
    assert call("verify", output, "--provider", "cpu")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ("export", "--model", "w3", "--energy-ev", "9000"),
            "--energy-ev is an option for scans",
        ),
        (("export", "--model", "w3", "--profile", "p.toml"), "it goes with --calibration"),
        (("export", "--model", "w3", "--orientation", "auto"), "'auto' is not one of"),
        (("train", *W3, "-o", "c", "--data", "a", "--orientation", "auto"), "'auto' is not one of"),
        (("train", *W3[:2], "-o", "c", "--data", "a", "--orientation", "transpose"), "--labels"),
        (("train", *W3[:2], "-o", "c", "--probe", "a", "--positions", "b"), "it goes with --data"),
        (("simulate", "-o", "s.cxi", "--energy-ev", "9000"), "go with --probe"),
    ],
)
def test_flags_that_would_do_nothing_are_refused(tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.toml").write_text("energy_ev = 9000")
    result = CliRunner().invoke(group, list(words))
    assert result.exit_code == 2, result.output
    assert says in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["p.toml"]
