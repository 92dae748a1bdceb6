"""`infer` warns of a scan outside of what a package's images are known to stand, with the cure."""

from dataclasses import replace

import numpy as np
import pytest

import wnet_edge
from wnet_edge.embedded import EXAMPLE_SCAN, opened_package
from wnet_edge.framing.framing import Framing
from wnet_edge.framing.mean_frame import background_level
from wnet_edge.framing.training_domain import (
    LEAST_OVERLAP,
    LEAST_SIMILARITY,
    MOST_BACKGROUND,
    MOST_HIDDEN,
    MOST_MASKED,
    Observed,
    outside_training_domain,
    probe_overlap,
)
from wnet_edge.io.found import Found, Positions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.physics.orientation import Orientation
from wnet_edge.physics.probe import probe_diameter_px

UP = Orientation.IDENTITY
GOOD = Observed(
    median_counts=5e7, similarity=1.0, overlap=0.8, masked=0.0, hidden=0.0, background=0.01
)


@pytest.fixture(scope="module")
def package():
    return opened_package("w3")


@pytest.fixture(scope="module")
def example():
    return find_scan(EXAMPLE_SCAN)


def stretched(found, factor):
    """The scan with larger steps."""
    positions_m = found.positions.value.values * factor
    return replace(found, positions=Found(Positions(positions_m), "stretched"))


def masked(found, share):
    """The scan with some rows of its detector masked."""
    mask = np.zeros(found.frames.value.shape[1:], np.bool_)
    mask[: round(share * len(mask))] = True
    return replace(found, mask=Found(mask, "rows"))


def test_a_good_scan_is_within(package, example):
    assert outside_training_domain(package, GOOD) == ()
    assert outside_training_domain(package, replace(GOOD, similarity=None)) == ()
    framed = Framing(example, package).framed(UP, UP)
    overlap = probe_overlap(framed.scan, package)
    assert overlap == pytest.approx(0.83, abs=0.01)
    assert framed.hidden == 0
    assert outside_training_domain(package, replace(GOOD, overlap=overlap)) == ()


@pytest.mark.parametrize(
    ("observed", "says", "cure"),
    [
        (replace(GOOD, median_counts=9e4), "fewer than the 1e+05", "expose longer"),
        (replace(GOOD, similarity=0.3), "30 % like the package's", "wnet-edge adapt SCAN"),
        (replace(GOOD, overlap=-0.5), "1.50 probe diameters apart", "smaller steps"),
        (replace(GOOD, hidden=0.6), "hide 60 % of the beam", "smaller beamstop"),
        (replace(GOOD, background=0.1), "darkest pixels have 10 % of", "subtract it"),
        (replace(GOOD, masked=0.2), "20 % of the pixels are masked", "--mask"),
    ],
)
def test_each_thing_outside_is_one_line_with_a_cure(package, observed, says, cure):
    (line,) = outside_training_domain(package, observed)
    assert says in line
    assert cure in line
    assert "\n" not in line


def test_limits_are_within_themselves(package):
    border = Observed(
        1e5, LEAST_SIMILARITY, LEAST_OVERLAP, MOST_MASKED, MOST_HIDDEN, MOST_BACKGROUND
    )
    assert outside_training_domain(package, border) == ()


def test_overlap_falls_with_the_step(package, example):
    near, far = (
        probe_overlap(Framing(stretched(example, factor), package).framed(UP, UP).scan, package)
        for factor in (1, 8)
    )
    assert 1 - far == pytest.approx(8 * (1 - near))


def test_frames_without_a_position_do_not_count_for_the_overlap(package, example):
    scan = Framing(example, package).framed(UP, UP).scan
    left_out = np.arange(scan.frame_count) % 2 == 1
    positions_m = np.where(left_out[:, None], scan.positions_m[0], scan.positions_m)
    some = replace(scan, positions_m=positions_m, left_out=left_out)
    assert probe_overlap(some, package) < probe_overlap(scan, package)


def test_what_a_mask_hides_is_that_of_the_beam(package, example):
    rows = Framing(masked(example, 0.25), package).framed(UP, UP).hidden
    turned = Framing(masked(example, 0.25), package).framed(Orientation.TRANSPOSE, UP).hidden
    assert 0.05 < rows < 0.5
    assert 0.05 < turned < 0.5
    assert Framing(masked(example, 0.01), package).framed(UP, UP).hidden < 0.05


def test_a_flat_background_is_seen_in_the_darkest_pixels(package, example):
    frames = example.frames.value[:40].astype(np.float64)
    dark = Framing(example, package).framed(UP, UP).background
    lifted = frames + 0.3 * frames.mean()
    positions = Found(Positions(example.positions.value.values[:40]), "the first")
    some = replace(example, frames=Found(lifted, "lifted"), positions=positions)
    light = Framing(some, package).framed(UP, UP).background
    assert dark < 0.02
    assert light == pytest.approx(0.3 / 1.3, abs=0.02)


def test_a_frame_that_is_masked_all_over_or_dark_has_no_background():
    mean, mask = np.ones((8, 8), np.float32), np.ones((8, 8), np.bool_)
    assert background_level(mean, mean, mask) == 0
    assert background_level(0 * mean, mean, ~mask) == 0
    assert background_level(mean, mean, ~mask) == 0


def test_the_diameter_of_a_probe():
    off_px = np.arange(128) - 64
    radius = np.hypot(off_px[:, None], off_px[None, :])
    disc = (radius < 20).astype(np.complex64)
    assert probe_diameter_px(disc[None]) == pytest.approx(40 * np.sqrt(0.9), rel=0.02)
    assert probe_diameter_px(np.stack([disc, 1j * disc])) == probe_diameter_px(disc[None])
    ring = (disc * (radius > 10)).astype(np.complex64)
    assert probe_diameter_px(ring[None]) < probe_diameter_px(disc[None])


@pytest.mark.slow
def test_infer_says_it_of_a_scan():
    far = wnet_edge.read_scan("example:scan247").positions_m * 6
    scan = wnet_edge.read_scan("example:scan247", positions=far, frames_range=(0, 481))
    image = wnet_edge.open("w3", provider="cpu").infer(scan)
    assert any("probe diameters apart" in line for line in image.warnings)
    good = wnet_edge.open("w3", provider="cpu").infer("example:scan247")
    assert good.warnings == ()
