"""Accuracy of patches on a measured scan: perfect ones are perfect, worse ones are worse."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wnet_edge.calibration.split import Region, split_by_region
from wnet_edge.errors import ScanError
from wnet_edge.export.budget import Budget
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.scan_file import open_scan
from wnet_edge.judging.yardstick import (
    Judge,
    Loss,
    against_fp32,
    against_reference,
    loss,
    phase_rms_rad,
    scan_part,
)
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument

EXAMPLES = Path(__file__).parents[2] / "wnet_edge" / "examples"
WINDOW_PX = 64


@pytest.fixture(scope="module")
def scan():
    return open_scan(EXAMPLES / "cnm26id_scan247_64px.cxi")


def seen(scan, window_px=WINDOW_PX):
    probe = scan.probe
    return Instrument(probe, window_px, probe.shape[-1] // window_px, scan.object_pixel_size_m)


@pytest.fixture(scope="module")
def part(scan):
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    frames = split_by_region(positions, WINDOW_PX).frames(Region.SELECTION)
    return scan_part(scan, frames, seen(scan), "selection strip")


@pytest.fixture(scope="module")
def yardstick(scan, part):
    placed = read_placed_image(EXAMPLES / "cnm26id_scan247_reference.npz", scan)
    return against_reference(part, scan, placed)


@pytest.fixture(scope="module")
def perfect(yardstick):
    return yardstick.labels.amplitude[:, None], yardstick.labels.phase_rad[:, None]


def noisy(patches, sigma):
    noise = np.random.default_rng(0).normal(0, sigma, patches[0].shape).astype(np.float32)
    return patches[0], patches[1] + noise


def test_the_labels_themselves_are_perfect(yardstick, perfect):
    accuracy = yardstick.accuracy(perfect)
    assert accuracy.single.phase_ssim == pytest.approx(1)
    assert accuracy.stitched.phase_correlation > 0.99


def test_worse_patches_lose_more(yardstick, perfect):
    best = yardstick.accuracy(noisy(perfect, 0.05))
    losses = [
        loss(best, yardstick.accuracy(noisy(perfect, sigma)), Judge.REFERENCE)
        for sigma in (0.2, 0.4)
    ]
    assert 0 < losses[0].ssim < losses[1].ssim
    assert 0 < losses[0].psnr_db < losses[1].psnr_db


def test_a_phase_that_no_frame_knows_costs_nothing(yardstick, perfect):
    turned = perfect[0], perfect[1] + np.float32(0.7)
    assert phase_rms_rad(yardstick.part, turned, perfect) < 1e-3
    best, other = yardstick.accuracy(perfect), yardstick.accuracy(turned)
    assert other.single.phase_ssim == pytest.approx(best.single.phase_ssim, abs=1e-3)
    assert other.stitched.phase_ssim == pytest.approx(best.stitched.phase_ssim, abs=1e-3)


def test_without_a_reference_fp32_is_the_yardstick(yardstick, perfect):
    alone = against_fp32(yardstick.part, perfect)
    best = alone.accuracy(perfect)
    assert best.single.phase_ssim == pytest.approx(1)
    lost = loss(best, alone.accuracy(noisy(perfect, 0.2)), Judge.FP32)
    assert lost.ssim > 0.05
    assert lost.psnr_db is None


def test_frames_that_do_not_say_how_they_were_binned_are_judged_alike(scan, part):
    geometry = scan.known_geometry
    coarse = replace(geometry, detector_pixel_size_m=2 * geometry.detector_pixel_size_m)
    unsaid = replace(scan, probe=None, binning=1, geometry=coarse)
    other = scan_part(unsaid, part.numbers, seen(scan), "selection strip")
    np.testing.assert_array_equal(other.counts, part.counts)
    np.testing.assert_array_equal(other.instrument.weight, part.instrument.weight)
    assert other.pixel_size_m == pytest.approx(part.pixel_size_m)


def test_frames_too_coarse_for_the_network_are_refused(scan):
    with pytest.raises(ScanError, match=r"sum 2 × 2 detector pixels can't be binned to 128 px"):
        scan_part(scan, np.arange(4), seen(scan, 128), "report strip")


def test_dark_frames_are_no_part(scan):
    dark = replace(scan, frames=np.zeros((scan.frame_count, 64, 64), np.float32))
    with pytest.raises(ScanError, match="no frame of its report strip has counts"):
        scan_part(dark, np.arange(4), seen(scan), "report strip")


def focused(part):
    """The part, as if the beam were a focus of a few pixels with faint tails."""
    rows, columns = np.indices((WINDOW_PX, WINDOW_PX)) - WINDOW_PX // 2
    radius = np.hypot(rows, columns)
    probe = (np.exp(-((radius / 3) ** 2)) + 0.03)[None].astype(np.complex64)
    return replace(part, instrument=replace(part.instrument, probe=probe, binning=1))


def test_a_tight_focus_is_judged_by_the_pixels_it_lights(yardstick, perfect):
    tight = against_fp32(focused(yardstick.part), perfect)
    lit = tight.image.coverage > 0
    assert 1000 < np.count_nonzero(lit) < 0.8 * lit.size
    best = tight.accuracy(perfect)
    assert best.single.phase_ssim == pytest.approx(1)
    losses = [
        loss(best, tight.accuracy(noisy(perfect, sigma)), Judge.FP32).ssim for sigma in (0.1, 0.3)
    ]
    assert 0 < losses[0] < losses[1] < 2
    dark = perfect[0], perfect[1].copy()
    dark[1][:, :, :16] += np.random.default_rng(0).normal(0, 1, dark[1][:, :, :16].shape)
    assert tight.accuracy(dark).single.phase_ssim == pytest.approx(1, abs=1e-3)


def test_an_image_too_small_to_compare_leaves_the_patches(yardstick, perfect):
    part = yardstick.part
    single = tuple(values[:1] for values in perfect)
    one = against_fp32(focused(part.only(np.arange(len(part.numbers)) < 1)), single)
    best = one.accuracy(single)
    assert best.stitched is None
    assert np.isnan(best.measures()["stitched_phase_ssim"])
    other = one.accuracy(noisy(single, 0.3))
    lost = loss(best, other, Judge.FP32)
    assert lost.ssim == pytest.approx(1 - other.single.phase_ssim)
    assert lost.psnr_db is None


@pytest.mark.parametrize(
    ("lost", "holds", "share"),
    [
        (Loss(0.005, 0.1), True, 0.5),
        (Loss(0.005, None), True, 0.5),
        (Loss(0.02, 0.1), False, 2),
        (Loss(0.0, 0.3), False, 1.5),
        (Loss(-1.0, -1.0), True, 0),
        (Loss(float("nan"), 0.0), False, float("inf")),
        (Loss(0.0, float("nan")), False, float("inf")),
    ],
)
def test_a_budget_holds_or_not(lost, holds, share):
    assert Budget().holds(lost) is holds
    assert Budget().share(lost) == pytest.approx(share)
