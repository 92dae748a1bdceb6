"""What the study measures with: errors of patches, labels, PtychoNN's stitching, ePIE."""

import numpy as np
import pytest

from benchmarks.study.centre_stitch import CENTRE_PX, stitch_centres
from benchmarks.study.epie import EpieOptions, Frames, reconstruct
from benchmarks.study.scan247 import open_scan247
from benchmarks.study.sets import EvaluationSet, illuminated, set_facts
from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.comparing.patch_errors import patch_errors
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.physics.probe import ZonePlate, zone_plate_probe
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

PIXEL_M, PHOTONS = 10e-9, 1e8


@pytest.fixture(scope="module")
def scan():
    return open_scan247()


def test_a_patch_that_differs_by_a_phase_alone_has_no_error(scan):
    truth = scan.labels(scan.report[:3])
    amplitude, phase_rad = truth
    weight, mask = scan.instrument.weight, illuminated(scan.instrument)
    other = np.angle(np.exp(1j * (phase_rad + 2.5))).astype(np.float32)
    same = patch_errors(amplitude, other, truth, weight, mask)
    assert same.phase_mae_rad < 1e-5
    assert same.phase_ssim == pytest.approx(1, abs=1e-4)
    assert same.amplitude_mae == 0
    few = EvaluationSet("few", scan.counts[scan.report[:3]], truth)
    flat = set_facts(few, weight, mask).flat
    assert flat.phase_mae_rad > 0.2
    assert flat.phase_ssim < 0.2


def test_dark_pixels_are_not_judged(scan):
    truth = scan.labels(scan.report[:2])
    amplitude, phase_rad = truth
    mask = illuminated(scan.instrument)
    wrong = np.where(mask, amplitude, 9).astype(np.float32)
    assert patch_errors(wrong, phase_rad, truth, scan.instrument.weight, mask).amplitude_mae == 0


def test_labels_of_the_real_scan_explain_its_frames(scan):
    """Cut from the right place, the reference's patches give the measured frames."""
    frames = scan.report[::40]
    full_px = scan.instrument.probe.shape[-1]

    def misfit(corners):
        patches = np.stack(
            [scan.reference.image[r : r + full_px, c : c + full_px] for r, c in corners]
        )
        modelled = np.sqrt(bin_frames(expected_counts(patches, scan.instrument.probe), 2))
        measured = np.sqrt(scan.counts[frames, 0])
        return np.abs(modelled - measured).sum() / measured.sum()

    assert misfit(scan.corners_px[frames]) < 0.12
    assert misfit(scan.corners_px[frames] + 8) > 0.2


def test_ptychonns_stitching_gives_back_the_object_of_perfect_patches():
    rng = np.random.default_rng(0)
    thing = draw_object(Family.SMOOTH, 128, rng=rng)
    corners = rng.integers(0, 64, (300, 2))
    cut = np.stack([thing[r : r + 64, c : c + 64] for r, c in corners])
    image = stitch_centres(np.abs(cut), np.angle(cut), corners.astype(float), PIXEL_M)
    first = corners.min(axis=0) + 32 - CENTRE_PX // 2
    expected = thing[first[0] :, first[1] :][: image.image.shape[0], : image.image.shape[1]]
    assert image.coverage is not None
    covered = image.coverage > 0
    assert covered.mean() > 0.95
    np.testing.assert_allclose(image.image[covered], expected[covered], atol=1e-4)


def defocused_probe():
    return zone_plate_probe(
        ZonePlate(defocus_m=80e-6, source_size_m=10e-9, modes=2),
        wavelength_m=1.24e-10,
        window_px=64,
        pixel_size_m=PIXEL_M,
    )


def test_epie_recovers_an_object_from_binned_frames():
    options = ScanOptions(
        frames=100,
        step_px=5,
        family=Family.THRESHOLDED,
        window_px=32,
        detector=Detector((PHOTONS, PHOTONS)),
    )
    virtual = VirtualScan(defocused_probe(), options)
    counts = np.concatenate([b.frames for b in virtual.batches(64)]).astype(np.float32)
    frames = Frames(
        bin_frames(counts, 2),
        virtual.positions_px.astype(np.float64),
        (virtual.probe * np.float32(np.sqrt(PHOTONS))).astype(np.complex64),
    )
    told = []
    made = reconstruct(frames, EpieOptions(30), lambda *told_: told.append(told_))
    assert [iteration for iteration, _ in told] == list(range(1, 31))
    assert made.r_factor == told[-1][1] < 0.25 * told[0][1]
    image = ObjectImage("epie", made.image, made.coverage, PIXEL_M)
    found = compare(image, ObjectImage("truth", virtual.object, None, PIXEL_M))
    assert found.phase_correlation > 0.9
    assert found.phase_slope > 0.8


def test_epie_places_frames_between_pixels():
    """Frames taken half a pixel aside are explained better where they were than on whole pixels."""
    rng = np.random.default_rng(1)
    probe = defocused_probe() * np.float32(np.sqrt(PHOTONS))
    thing = draw_object(Family.EDGES, 128, rng=rng)
    corners = np.stack(np.meshgrid(range(0, 40, 5), range(0, 40, 5)), axis=-1).reshape(-1, 2)
    asides = rng.choice([0.0, 0.45], corners.shape)
    turns = -2j * np.pi * np.fft.fftfreq(64)
    shifted = [
        np.fft.ifft2(np.fft.fft2(probe) * np.exp(turns[:, None] * r + turns * c)) for r, c in asides
    ]
    counts = [
        expected_counts(thing[r : r + 64, c : c + 64][None], moved)[0]
        for (r, c), moved in zip(corners, shifted, strict=True)
    ]
    frames = Frames(bin_frames(np.stack(counts), 2), corners + asides, probe)
    between, rounded = (
        reconstruct(frames, EpieOptions(25, sub_pixel=sub), lambda *_: None).r_factor
        for sub in (True, False)
    )
    assert between < 0.9 * rounded
