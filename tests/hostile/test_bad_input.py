"""Bad input through the real command line: one line that names file and cure, nothing left behind.

`docs/bad_input.md` shows each line.
"""

import json
import os
import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from bad_case import (
    DETECTOR,
    FRAMES,
    INFER,
    SCAN,
    TRANSLATION,
    WITH_PACKAGE,
    changed,
    in_process,
    put,
)
from bad_input import CASES, error_line, row, rows_of_page
from bad_scans import some_frames, some_positions

LONGEST_LINE = 600
LARGEST_MEMORY = 64 << 20
"""Bytes that NumPy may take while a scan is refused that claims more."""

BOUNDED = (
    "2^60 counts",
    "frames of 10⁵ × 10⁵ px",
    "positions over a kilometre",
    "positions 0.9 m apart",
    "NPY that claims 2^60 counts",
    "--raster of 10¹⁰ frames",
    "profile too large",
)
BY_NAME = {case.name: case for case in CASES}
PAGE = {line.split(" | ")[0].removeprefix("| "): line for line in rows_of_page()}


def contents(folder):
    """Everything in a folder: name to bytes; None for what is no readable file."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input(case, here, capfd):
    case.spoil(here)
    before = contents(here.parent)
    outcome = case.run(here, case.arguments)
    assert "Traceback" not in outcome.err
    assert outcome.code == 1, outcome
    *others, line = outcome.err.splitlines()
    assert line.startswith("Error: ")
    assert all(other.startswith("Warning: ") for other in others), others
    assert [word for word in case.words if word not in line] == [], line
    assert len(line) <= LONGEST_LINE
    assert PAGE[case.name] == row(case, here, line), "run `make docs`"
    assert contents(here.parent) == before
    assert capfd.readouterr() == ("", "")  # nor did HDF5 or ONNX Runtime say anything


def test_the_page_has_every_case_once():
    names = [case.name for case in CASES]
    assert len(names) >= 45
    assert len(rows_of_page()) == len(PAGE)
    # The last is of a file that the repository does not hold.
    assert list(PAGE)[: len(names)] == names
    assert len(PAGE) - len(names) <= 1


@pytest.mark.parametrize("name", BOUNDED)
def test_refused_before_memory_is_taken(name, here):
    case = BY_NAME[name]
    case.spoil(here)
    tracemalloc.start()
    try:
        outcome = case.run(here, case.arguments)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert outcome.code == 1
    assert peak < LARGEST_MEMORY


def accepted(here, *flags):
    """The JSON line of a scan that is bad in parts only."""
    outcome = in_process(here, (*INFER, "--json", *flags))
    assert outcome.code == 0, outcome.err
    assert all(line.startswith("Warning: ") for line in outcome.err.splitlines())
    assert (here / "scan.wnet.h5").exists()
    return json.loads(outcome.out.splitlines()[-1])


@pytest.mark.parametrize(
    "spoil",
    [
        some_frames(0.08, np.nan),
        some_frames(0.08, np.inf),
        some_frames(0.08, -3),
        some_frames(0.08, 0),
        some_positions(3, np.nan),
    ],
    ids=["NaN", "infinite", "below zero", "dark", "no position"],
)
def test_a_few_bad_frames_are_left_out_and_counted(spoil, here):
    spoil(here)
    values = accepted(here)
    assert (values["frames_received"], values["frames_lost"]) == (36, 3)
    assert values["frames_processed"] == 33
    assert any("3 frames have no counts" in warning for warning in values["warnings"])


def test_fractions_and_small_negative_counts_are_normal(here):
    rng = np.random.default_rng(7)

    def dark_subtracted(frames):
        noise = rng.normal(0, 0.2, frames.shape).astype(np.float32)
        noise[:, :2, :2] = 0  # these pixels tell the oracle which frame it is
        return frames + noise

    changed(FRAMES, dark_subtracted)(here)
    values = accepted(here)
    assert (values["frames_lost"], values["values_masked"]) == (0, 0)
    assert values["values_clipped"] > 1000
    clipped = f"{values['values_clipped']} values below zero are taken as zero"
    assert clipped in values["warnings"]


def test_a_few_bad_values_are_left_out_and_counted(here):
    def gaps(frames):
        frames[:, 20, 3:7] = 2**32 - 1
        frames[5, 9, 9] = 2**32 - 1
        return frames

    changed(FRAMES, gaps)(here)
    values = accepted(here)
    assert (values["frames_lost"], values["values_masked"]) == (0, 1)
    assert any("4 detector pixels without counts" in line for line in values["warnings"])


@pytest.mark.parametrize("name", ["distance", "x_pixel_size"])
def test_a_number_of_zero_was_never_set(name, here):
    put(f"{DETECTOR}/{name}", 0.0)(here)
    assert any("has no geometry" in warning for warning in accepted(here)["warnings"])


@pytest.mark.parametrize("image_format", ["nexus", "cxi", "ptychodus", "tiff"])
def test_a_name_that_is_no_utf8_is_no_bad_scan(image_format, here):
    name = os.fsdecode(b"scan\xff.cxi")
    (here / SCAN).rename(here / name)
    flags = ("-o", "out.h5", "--image", "out.png", "--format", image_format)
    outcome = in_process(here, ("infer", name, *WITH_PACKAGE, *flags))
    assert outcome.code == 0, outcome.err


def test_a_scan_without_a_probe_is_no_bad_scan(here):
    values = accepted(here, "--probe", "none")
    assert values["amplitude_scale"] == "scan-median"


def test_two_scans_of_which_one_is_bad(here):
    shutil.copy(here / SCAN, here / "bad.cxi")
    with h5py.File(here / "bad.cxi", "r+") as file:
        file[TRANSLATION][...] = 0
    outcome = in_process(here, ("infer", "bad.cxi", SCAN, *WITH_PACKAGE, "-o", "out"))
    lines = [json.loads(line) for line in outcome.out.splitlines()]
    assert outcome.code == 1
    assert [line["scan"] for line in lines] == ["bad.cxi", SCAN]
    assert "positions are the same" in lines[0]["error"]
    assert lines[1]["frames_processed"] == 36
    assert error_line(outcome.err).startswith("Error: 1 of 2 scans failed: bad.cxi;")
    written = sorted(path.name for path in (here / "out").iterdir())
    assert written == ["scan.wnet.h5", "scan.wnet.png"]
