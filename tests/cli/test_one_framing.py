"""Every command that takes a measured scan looks at it alike before it uses a frame."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from wnet_edge.cli.main import group
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN
from wnet_edge.errors import ScanError

FRAMES = "entry_1/instrument_1/detector_1/data"
COMMANDS = {
    "infer": ("infer", "SCAN"),
    "evaluate": ("evaluate", "w3", "--precision", "fp32", "--data", "SCAN"),
    "train": ("train", "--model", "w3", "--data", "SCAN", "--labels", EXAMPLE_REFERENCE),
    "export": ("export", "--model", "w3", "--calibration", "SCAN"),
}


def call(name: str, scan: Path, folder: Path):
    words = [str(scan) if word == "SCAN" else str(word) for word in COMMANDS[name]]
    if name != "evaluate":
        suffix = {"infer": "h5", "train": "safetensors", "export": "wnet"}[name]
        words += ["-o", str(folder / f"out.{suffix}")]
    return CliRunner().invoke(group, words)


def changed(path: Path, change) -> Path:
    """Scan 247 with frames (N, n, n) that `change` has made of its own."""
    path.write_bytes(EXAMPLE_SCAN.read_bytes())
    with h5py.File(path, "a") as file:
        frames = change(file[FRAMES][()])
        del file[FRAMES]
        file[FRAMES] = frames
    return path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda frames: np.log10(frames.astype(np.float32) + 1), "holds logarithms"),
        (lambda frames: np.sqrt(frames.astype(np.float32)), "holds square roots"),
    ],
)
def test_frames_that_are_no_counts_are_refused_by_all_alike(tmp_path: Path, change, reason: str):
    scan = changed(tmp_path / "scan.cxi", change)
    messages = set()
    for name in COMMANDS:
        result = call(name, scan, tmp_path)
        assert isinstance(result.exception, ScanError), (name, result.output)
        messages.add(str(result.exception))
    (message,) = messages
    assert reason in message


def test_evaluate_warns_as_infer_does(tmp_path: Path):
    def spoilt(frames):
        frames = frames.copy()
        frames[:, 5, 58] += np.random.default_rng(0).poisson(1e7, len(frames)).astype(np.uint32)
        frames[100] = 0
        return frames

    scan = changed(tmp_path / "scan.cxi", spoilt)
    told = {}
    for name in ("infer", "evaluate"):
        result = call(name, scan, tmp_path)
        assert result.exit_code == 0, result.output
        told[name] = [line for line in result.output.splitlines() if line.startswith("Warning")]
    assert told["infer"] == told["evaluate"]
    assert f"Warning: {scan}: masked: 1 detector pixel hot (5, 58)" in told["infer"]
