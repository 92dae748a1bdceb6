"""`inspect SCAN --package`: ready, or what is missing, in the words in which `infer` refuses."""

import json
import shlex

import h5py
import numpy as np
import pytest
from tiny import GEOMETRY

PACKAGE = ("--package", "known.wnet")
NUMBERS = ("--energy-ev", "10000", "--distance-m", "0.9", "--pixel-size-m", "55e-6")
POSITIONS = ("--positions", "stage", "--positions-unit", "um")


@pytest.fixture
def bare(here, known):
    """Frames and positions of no unit in an HDF5 file of no known layout."""
    with h5py.File(here / "bare.h5", "w") as file:
        file["frames"] = known.frames
        file["stage"] = known.corners * GEOMETRY.object_pixel_size_m(known.full_px) * 1e6


def answers(call, *words):
    """The last line for people, and what `--json` says."""
    code, text, err = call("inspect", *words)
    assert (code, err) == (0, "")
    code, out, _ = call("inspect", *words, "--json")
    assert code == 0
    return text.splitlines()[-1], json.loads(out.splitlines()[-1])


@pytest.mark.usefixtures("here")
def test_a_scan_that_infer_takes_is_ready_and_the_command_runs(call):
    last, told = answers(call, "scan.cxi", *PACKAGE)
    assert last == "ready: wnet-edge infer scan.cxi --package known.wnet will run"
    assert (told["ready"], told["missing"]) == (True, None)
    assert told["seen_by_package"]["window_px"] == "32"
    assert call(*shlex.split(told["command"])[1:])[0] == 0


@pytest.mark.usefixtures("bare")
def test_what_is_missing_is_named_flag_by_flag_until_it_runs(call):
    words = ["bare.h5", *PACKAGE]
    steps = (
        ("--frames", ("--frames", "frames")),
        ("--positions", POSITIONS),
    )
    for flag, given in steps:
        last, told = answers(call, *words)
        assert last == f"not ready: {told['missing']}"
        assert (told["ready"], told["command"]) == (False, None)
        assert flag in told["missing"]
        code, _, err = call("infer", *words)
        assert (code, err) == (1, f"Error: {told['missing']}\n")
        words += given
    words += NUMBERS
    last, told = answers(call, *words)
    assert told["ready"]
    assert last == f"ready: {shlex.join(['wnet-edge', 'infer', *words])} will run"
    assert call(*shlex.split(told["command"])[1:])[0] == 0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--energy-ev", "7000", "--probe", "none"), "an object pixel is"),
        (("--distance-m", "0.1", "--energy-ev", "20000"), "near-field or wrong geometry"),
        (("--beam-centre", "0,0"), "--beam-centre"),
    ],
)
@pytest.mark.usefixtures("here")
def test_not_ready_is_what_infer_says(call, flags, says):
    last, told = answers(call, "scan.cxi", *PACKAGE, *flags)
    assert says in last
    code, _, err = call("infer", "scan.cxi", *PACKAGE, *flags)
    assert (code, err) == (1, f"Error: {told['missing']}\n")


@pytest.mark.usefixtures("here")
def test_no_word_of_readiness_without_a_package(call):
    assert "ready" not in call("inspect", "scan.cxi")[1]
    for words in (("known.wnet", "--package", "w3"), ("w3", "--package", "w3")):
        code, _, err = call("inspect", *words)
        assert code == 2
        assert "--image and --package are for scans" in err


def test_the_image_is_drawn_too(here, call, known):
    np.save(here / "frames.npy", known.frames)
    words = ("frames.npy", *PACKAGE, "--image", "seen.png", "--energy-ev", "10000")
    code, out, _ = call("inspect", *words)
    assert code == 0
    assert out.splitlines()[-1].startswith("not ready: frames.npy: ")
    assert (here / "seen.png").exists()
