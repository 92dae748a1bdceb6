"""All who take measured frames keep and drop the same ones: infer, evaluate, export, training."""

from dataclasses import replace

import numpy as np
import pytest

from wnet_edge.calibration.split import Region, split_by_region
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, find_package
from wnet_edge.errors import ScanError
from wnet_edge.export.held_out import held_out
from wnet_edge.export.options import Material
from wnet_edge.framing.framing import Framing
from wnet_edge.io.found import Found
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.scan_file import find_scan, open_scan
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.judging.yardstick import scan_part
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer
from wnet_edge.runner.measuring.evaluation import evaluate
from wnet_edge.scan.preparation import prepare_frames
from wnet_edge.training.stored import StoredFrames

OPTIONS = RunnerOptions(Precision.FP32, Provider.CPU, batch_size=64)
UP = Orientation.IDENTITY

BAD = np.linspace(7, 473, 25).astype(int)
"""Some of every kind in every strip of the scan."""


def spoil(frame, kind):
    """A frame (n, n) as a detector or a file has it that went wrong."""
    if kind == "a quarter is no number":
        frame[: len(frame) // 2, : len(frame) // 2] = np.nan
    elif kind == "mostly negative":
        frame -= frame.max() / 2
    elif kind == "saturated":
        frame[:] = 60_000
    elif kind == "empty":
        frame[:] = 0


KINDS = ("a quarter is no number", "mostly negative", "saturated", "empty", "without a position")


@pytest.fixture(scope="module")
def package():
    return open_package(find_package("w3"))


@pytest.fixture(scope="module")
def scan(package):
    """Scan 247 as the package sees it: a hot pixel, 25 frames spoilt, few values of some others."""
    found = find_scan(EXAMPLE_SCAN)
    frames = np.asarray(found.frames.value[:], dtype=np.float32)
    positions = found.positions.value.values.copy()
    for number, kind in zip(BAD, KINDS * 5, strict=True):
        spoil(frames[number], kind)
        if kind == "without a position":
            positions[number] = np.nan
    frames[BAD + 1, 20, 20], frames[BAD + 2, 3, 3] = np.nan, -1
    frames[:, 5, 58] += np.random.default_rng(0).poisson(1e7, len(frames))
    found = replace(
        found,
        frames=Found(frames, "/frames"),
        positions=replace(found.positions, value=replace(found.positions.value, values=positions)),
    )
    return Framing(found, package).framed(UP, UP).scan


@pytest.fixture(scope="module")
def placed(scan):
    return read_placed_image(EXAMPLE_REFERENCE, scan)


@pytest.fixture(scope="module")
def image(scan, package):
    return infer(scan, open_best_graph(package, OPTIONS))


@pytest.fixture(scope="module")
def kept(image):
    """Numbers of the frames that are in the image that `infer` makes."""
    return np.flatnonzero(image.stitched.used)


def test_infer_drops_what_is_spoilt_and_nothing_else(scan, kept, image):
    assert scan.notes == ("masked: 1 detector pixel hot (5, 58)",)
    assert scan.notes[0] in image.warnings
    assert set(range(scan.frame_count)) - set(kept.tolist()) == set(BAD.tolist())


def test_evaluate_judges_the_frames_that_infer_keeps(scan, package, kept, image):
    part = scan_part(scan, np.arange(scan.frame_count), package.instrument, "frames")
    np.testing.assert_array_equal(part.numbers, kept)
    evaluated = evaluate(package, scan, None, OPTIONS)
    assert evaluated.frames == len(kept)
    assert evaluated.warnings == image.warnings


def test_export_calibrates_chooses_and_reports_on_the_frames_that_infer_keeps(
    scan, package, placed, kept
):
    split = split_by_region(
        positions_px(scan.positions_m, scan.object_pixel_size_m), package.instrument.window_px
    )
    for material in (Material(scan), Material(scan, placed)):
        strips = held_out(material, package.instrument)
        assert strips.warnings == tuple(f"{scan.path}: {note}" for note in scan.notes)
        for region, strip in (
            (Region.SELECTION, strips.selection),
            (Region.REPORT, strips.report),
        ):
            expected = np.intersect1d(split.frames(region), kept)
            np.testing.assert_array_equal(strip.part.numbers, expected)
            if strip.labelled is not None:
                assert np.isin(strip.labelled.part.numbers, kept).all()
        usable = np.intersect1d(split.frames(Region.CALIBRATION), kept)
        known = {frame.tobytes() for frame in prepare_frames(scan, usable, 1).counts}
        for frames in (strips.counts, strips.golden):
            assert {frame.tobytes() for frame in frames} <= known


def test_training_takes_the_frames_that_infer_keeps(scan, placed, kept, image):
    supply = StoredFrames(scan, CutLabels(placed, scan, 64), seed=0)
    good = open_scan(EXAMPLE_SCAN)
    unspoilt = StoredFrames(good, CutLabels(placed, good, 64), seed=0)
    for taken, expected in (
        (supply.training, unspoilt.training),
        (supply.held_out, unspoilt.held_out),
    ):
        np.testing.assert_array_equal(taken, np.intersect1d(expected, kept))
        assert len(taken) < len(expected)
    assert supply.warnings == image.warnings


@pytest.mark.parametrize("kind", ["mostly negative", "saturated", "empty"])
def test_training_refuses_as_infer_does_where_more_than_one_in_ten_is_bad(
    scan, package, placed, kind
):
    frames = np.asarray(scan.frames[:], dtype=np.float32)
    for number in range(0, scan.frame_count, 8):
        spoil(frames[number], kind)
    spoilt = replace(scan, frames=frames)
    messages = []
    for take in (
        lambda: infer(spoilt, open_best_graph(package, OPTIONS)),
        lambda: StoredFrames(spoilt, CutLabels(placed, spoilt, 64), seed=0),
    ):
        with pytest.raises(ScanError, match="frames have no counts, bad ones or no position") as no:
            take()
        messages.append(str(no.value))
    assert messages[0] == messages[1]
