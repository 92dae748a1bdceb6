"""From a simulated scan to an image with what a user types: simulate, train, export, infer."""

import json
import shlex
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result

from wnet_edge.cli.main import group
from wnet_edge.cli.train import command
from wnet_edge.cli.train_options import SECTIONS
from wnet_edge.errors import WNetEdgeError
from wnet_edge.io.readers.cxi import read_labels
from wnet_edge.io.scan_file import open_scan
from wnet_edge.judging.label_source import SimulatedLabels
from wnet_edge.package.opening import open_package
from wnet_edge.training.checkpoint import load_network, read_checkpoint
from wnet_edge.training.stored import StoredFrames

pytestmark = pytest.mark.slow
FRAMES = 400
"""Three strips, a window apart."""

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
REFERENCE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"


def call(*words: object) -> Result:
    return CliRunner().invoke(group, [str(word) for word in words], catch_exceptions=True)


def fails(*words: object) -> str:
    result = call(*words)
    assert isinstance(result.exception, WNetEdgeError), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message


def on_simulated(scan: Path) -> tuple[object, ...]:
    return ("--calibration", scan, "--calibration-source", "simulated")


def hurried(*words: object) -> tuple[object, ...]:
    """Export of a network that was trained for a moment only."""
    return ("export", "--allow-untrained", *words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A labelled scan, a checkpoint trained on it for a moment, another scan, and the package."""
    folder = tmp_path_factory.mktemp("workshop")
    scan, other = folder / "s.cxi", folder / "t.cxi"
    checkpoint, package = folder / "c.safetensors", folder / "p.wnet"
    dots = ("--frames", FRAMES, "--family", "dots", "--dead-fraction", 0.002)
    steps = (
        ("simulate", "-o", scan, *dots),
        ("simulate", "-o", other, *dots, "--seed", 1),
        ("train", "--model", "w3", "--data", scan, "-o", checkpoint, "--epochs", 1),
        (*hurried("--checkpoint", checkpoint, *on_simulated(other)), "-o", package),
    )
    for words in steps:
        result = call(*words)
        assert result.exit_code == 0, result.output
    return folder


def test_simulate_writes_a_scan_that_reads_with_its_labels(folder: Path):
    scan, labels = open_scan(folder / "s.cxi"), read_labels(folder / "s.cxi")
    assert scan.frame_count == FRAMES
    assert scan.object_pixel_size_m == pytest.approx(15.85e-9, rel=1e-3)
    assert scan.mask.any()
    assert not np.asarray(scan.frames[3])[scan.mask].any()
    assert labels is not None
    assert (labels.window_px, labels.binning) == (64, 2)
    assert np.abs(np.asarray(labels.phase[5])).max() <= np.pi + 1e-3


def test_the_same_seed_gives_the_same_scan(tmp_path: Path):
    for name in ("a.cxi", "b.cxi"):
        call("simulate", "-o", tmp_path / name, "--frames", 4, "--seed", 9)
    a, b = (open_scan(tmp_path / name) for name in ("a.cxi", "b.cxi"))
    np.testing.assert_array_equal(np.asarray(a.frames[:]), np.asarray(b.frames[:]))


def test_simulated_labels_come_with_their_frames(folder: Path):
    scan, labels = open_scan(folder / "s.cxi"), read_labels(folder / "s.cxi")
    assert labels is not None
    supply = StoredFrames(scan, SimulatedLabels(labels), seed=0)
    first = next(supply.validation(8, 8))
    assert first.counts.shape == (8, 1, 64, 64)
    np.testing.assert_array_equal(
        first.phase_rad[0, 0], np.asarray(labels.phase[int(supply.held_out[0])], dtype=np.float32)
    )
    rows = scan.positions_m[:, 0] / scan.object_pixel_size_m
    assert rows[supply.held_out].min() - rows[supply.training].max() > 128


def test_the_paper_s_way_trains_on_measured_frames(tmp_path: Path):
    checkpoint = tmp_path / "c.safetensors"
    words = ("--data", EXAMPLE, "--labels", REFERENCE, "--recipe", "paper", "--epochs", 1)
    result = call("train", "--model", "w3", *words, "-o", checkpoint)
    assert result.exit_code == 0, result.output
    assert "1 of 481 frames are not wholly covered by" in result.stderr
    data = read_checkpoint(checkpoint).record.settings["data"]
    assert data["labels"]["file"] == REFERENCE.name
    assert "augmentation" not in data
    assert (tmp_path / "c.csv").read_text("utf-8").startswith("epoch,frames,training_loss,")
    again = call("train", "--model", "w3", *words, "-o", checkpoint, "--resume")
    assert "nothing to do" in again.stderr
    assert "exists already" in fails("train", "--model", "w3", *words, "-o", checkpoint)
    checkpoint.unlink()
    assert "c.csv: exists already" in fails("train", "--model", "w3", *words, "-o", checkpoint)


def test_the_fast_recipe_varies_frames_of_a_file(folder: Path):
    data = read_checkpoint(folder / "c.safetensors").record.settings["data"]
    assert data["augmentation"]["flux"] == [0.05, 1.0]


def test_every_option_of_train_is_in_its_help():
    told = call("train", "-h").output
    for option in command.params:
        assert option.opts[0] in told, option.name
    for title in SECTIONS:
        assert f"\n{title}:\n" in told


def test_an_interrupted_training_says_how_to_go_on(tmp_path: Path, monkeypatch):
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    checkpoint = tmp_path / "c.safetensors"
    words = ["train", "--model", "w3", "--data", EXAMPLE, "--labels", REFERENCE, "-o", checkpoint]
    words = [*map(str, words), "--epochs", "2", "--init", "a b", "--force"]
    monkeypatch.setattr(sys, "argv", ["wnet-edge", *words])
    call(*words[:-3], "--epochs", 1)
    kept = checkpoint.read_bytes()
    monkeypatch.setattr(StoredFrames, "epoch", interrupted)
    message = fails(*words[:-3], "--force")
    assert "before the first epoch ended" in message
    assert message.endswith(shlex.join(["wnet-edge", *words]))
    assert checkpoint.read_bytes() == kept


def test_the_package_says_what_it_was_made_from(folder: Path):
    manifest = open_package(folder / "p.wnet").manifest
    record = read_checkpoint(folder / "c.safetensors").record
    assert (manifest.model, manifest.window_px, manifest.binning) == ("w3", 64, 2)
    assert manifest.parameter_count == pytest.approx(103_008, rel=0.005)
    assert manifest.training.epochs == record.epoch == 1
    assert manifest.calibration is not None
    assert len(next(iter(manifest.precisions.values())).member.sha256) == 64


def test_exporting_twice_gives_the_same_bytes(folder: Path, tmp_path: Path):
    again, report = tmp_path / "p.wnet", tmp_path / "report.json"
    words = ("--checkpoint", folder / "c.safetensors", *on_simulated(folder / "t.cxi"))
    assert call(*hurried(*words), "-o", again, "--report", report).exit_code == 0
    assert again.read_bytes() == (folder / "p.wnet").read_bytes()
    # The graphs themselves: weights, what the probe says, and little else.
    fp32, fp16, int8, whole = open_package(again).graphs.values()
    network, _ = load_network(folder / "c.safetensors")
    assert network.back_projection is not None
    needed = [*network.parameters(), *network.back_projection.buffers()]
    assert len(fp32) < 1.1 * sum(tensor.nbytes for tensor in needed)
    assert len(fp16) < 0.55 * len(fp32)
    assert max(len(int8), len(whole)) < 0.45 * len(fp32)
    told = json.loads(report.read_text("utf-8"))["precisions"]["int8"]
    layers = told["layers"]
    assert sum(layer["saved_bytes"] for layer in layers) > 0.2 * len(fp32)
    costs = [layer["phase_rms_rad"] for layer in layers]
    assert costs == sorted(costs, reverse=True)
    in_float = sorted(one["layer"]["name"] for one in layers if one["in_float"])
    assert in_float == told["layers_in_float"] != []


def test_a_network_that_is_hardly_trained_is_refused_unless_asked_for(folder, tmp_path):
    package = tmp_path / "p.wnet"
    words = ("--checkpoint", folder / "c.safetensors", *on_simulated(folder / "t.cxi"))
    message = fails("export", *words, "-o", package)
    assert message.startswith(f"{folder / 't.cxi'}: the network explains ")
    assert message.endswith("train it longer, or package it all the same with --allow-untrained")
    assert not package.exists()
    result = call(*hurried(*words), "--precision", "fp32", "-o", package)
    assert result.exit_code == 0
    assert "infer will call hardly any image of this package trusted" in result.output
    assert "phase SSIM – single-shot, – stitched" in result.output


def test_a_budget_that_nothing_keeps_to_is_refused_with_what_was_tried(folder, tmp_path):
    package, report = tmp_path / "p.wnet", tmp_path / "report.json"
    words = ("--checkpoint", folder / "c.safetensors", *on_simulated(folder / "t.cxi"))
    message = fails(
        *hurried(*words), "--precision", "int8", "--calibrator", "minmax", "--max-ssim-drop", 0,
        "-o", package, "--report", report,
    )  # fmt: skip
    assert "no int8 graph takes less" in message
    assert not package.exists()
    told = json.loads(report.read_text("utf-8"))
    assert told["refused"] == message
    assert len(told["precisions"]["int8"]["trials"]) > 1


def test_the_package_verifies_and_infers(folder: Path, tmp_path: Path):
    assert call("verify", folder / "p.wnet").exit_code == 0
    output = tmp_path / "o.h5"
    result = call(
        "infer", folder / "s.cxi", "--package", folder / "p.wnet", "-o", output, "--json",
        "--image", tmp_path / "o.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert json.loads(result.output.splitlines()[-1])["frames_processed"] == FRAMES
    with h5py.File(output) as file:
        assert file["entry/reconstruction/phase"].shape[0] > 200


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("train", "--model", "w3"), "Missing option '-o'"),
        (("train", "--model", "w3", "-o", "c"), "give either --data or --probe"),
        (
            ("train", "--model", "w3", "-o", "c", "--probe", "a", "--frames", 3),
            "goes with --data; for frames",
        ),
        (
            ("train", "--model", "w3", "-o", "c", "--probe", "a", "--mask", 3),
            "--mask is an option for scans",
        ),
        (("train", "--model", "w3", "-o", "c", "--data", "a", "--fixed"), "without --data"),
        (("train", "--model", "w3", "-o", "c", "--data", "a", "--window", 64), "or --labels"),
        (("train", "--model", "w3", "-o", "c", "--probe", "a", "--labels", "b"), "with --data"),
        (("train", "--model", "w3", "-o", "c", "--probe", "a", "--no-augment"), "with --data"),
        (
            ("train", "--model", "w3", "-o", "c", "--data", "a", "--resume", "--init", "b"),
            "a new training",
        ),
        (("train", "--model", "w9", "-o", "c", "--data", "a"), "Invalid value for '--model'"),
        (("export",), "either --model"),
    ],
)
def test_wrong_usage_exits_2(words, message):
    result = call(*words)
    assert result.exit_code == 2
    assert message in result.output


def test_bad_input_is_one_line_that_names_the_file(folder: Path, tmp_path: Path):
    scan, missing, out = folder / "s.cxi", tmp_path / "missing", tmp_path / "out"
    train = ("train", "--model", "w3", "-o", out)
    assert str(missing) in fails(*train, "--probe", missing)
    assert str(missing) in fails(*train, "--data", missing)
    assert str(missing) in fails("export", "--checkpoint", missing, "-o", tmp_path / "p.wnet")
    mine = ("--checkpoint", folder / "c.safetensors")
    export = ("export", *mine, "-o", tmp_path / "p.wnet")
    other = folder / "t.cxi"
    assert f"{other}: holds simulated frames" in fails(*export, "--calibration", other)
    assert "was trained on this scan; name another" in fails(*export, *on_simulated(scan))
    assert "exists already" in fails("simulate", "-o", scan)
    assert "no folder" in fails("simulate", "-o", tmp_path / "no" / "s.cxi")
    unlabelled = tmp_path / "unlabelled.cxi"
    unlabelled.write_bytes(scan.read_bytes())
    with h5py.File(unlabelled, "a") as file:
        del file["entry_1/labels"]
    assert "has no labels" in fails(*train, "--data", unlabelled)
    assert not out.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["unlabelled.cxi"]


def test_a_scan_too_small_to_hold_out_is_refused(tmp_path: Path):
    scan = tmp_path / "s.cxi"
    assert call("simulate", "-o", scan, "--frames", 9).exit_code == 0
    message = fails("train", "--model", "w3", "--data", scan, "-o", tmp_path / "c")
    assert "too few to hold a tenth out" in message


def test_evaluate_says_what_each_precision_keeps(folder: Path):
    words = ("evaluate", folder / "p.wnet", "--data", folder / "s.cxi", "--provider", "cpu")
    result = call(*words, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["judge"], told["frames"]) == ("fp32", FRAMES)
    kept = told["precisions"]
    assert list(kept) == ["fp32", "fp16", "int8", "int8-u8s8"]
    assert kept["fp32"]["ssim_drop"] is None
    assert kept["fp16"]["ssim_drop"] <= kept["int8"]["ssim_drop"] < 0.01
    assert kept["fp16"]["phase_rms_rad_from_fp32"] < kept["int8"]["phase_rms_rad_from_fp32"] < 0.1
    assert "int8 on cpu" in call(*words, "--precision", "int8").output
