"""The physics: unitary optics, an adjoint that is one, objects that transmit, honest noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wnet_edge.errors import SimulationError
from wnet_edge.physics.detector import Detector, detect, draw_mask
from wnet_edge.physics.forward import (
    expected_counts,
    far_field,
    inverse_far_field,
    propagate,
    propagate_adjoint,
)
from wnet_edge.physics.gauge import amplitude_scale, fix_gauge, illumination_weight, probe_intensity
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.physics.probe import ZonePlate, defocus, space_bandwidth, zone_plate_probe
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

OPTICS = {"wavelength_m": 1.24e-10, "window_px": 64, "pixel_size_m": 10e-9}


def complex_noise(rng, *shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@given(seed=st.integers(0, 2**32 - 1), modes=st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_the_adjoint_is_the_adjoint(seed, modes):
    rng = np.random.default_rng(seed)
    probe, patches = complex_noise(rng, modes, 16, 16), complex_noise(rng, 2, 16, 16)
    fields = complex_noise(rng, 2, modes, 16, 16)
    there = np.vdot(fields, propagate(patches, probe))
    back = np.vdot(propagate_adjoint(fields, probe), patches)
    assert there == pytest.approx(back, rel=1e-12)


def test_propagation_is_unitary_and_invertible():
    wave = complex_noise(np.random.default_rng(0), 3, 17, 16)
    assert np.sum(np.abs(far_field(wave)) ** 2) == pytest.approx(np.sum(np.abs(wave) ** 2))
    np.testing.assert_allclose(inverse_far_field(far_field(wave)), wave, atol=1e-12)


def test_a_flat_wave_lands_on_the_centre_pixel():
    frame = np.abs(far_field(np.ones((16, 16)))) ** 2
    assert np.unravel_index(frame.argmax(), frame.shape) == (8, 8)


def test_a_phase_ramp_moves_the_frame_towards_higher_index():
    columns = np.arange(16)
    frame = np.abs(far_field(np.exp(2j * np.pi * 3 * columns / 16) * np.ones((16, 1)))) ** 2
    assert np.unravel_index(frame.argmax(), frame.shape) == (8, 11)


def test_a_global_phase_leaves_the_frame_and_the_gauge_fixed_label_unchanged():
    rng = np.random.default_rng(1)
    probe, patch = complex_noise(rng, 2, 32, 32), complex_noise(rng, 1, 32, 32)
    turned = patch * np.exp(1.234j)
    intensity = probe_intensity(probe)
    np.testing.assert_allclose(
        expected_counts(turned, probe), expected_counts(patch, probe), rtol=1e-5
    )
    np.testing.assert_allclose(fix_gauge(turned, intensity), fix_gauge(patch, intensity), atol=1e-5)


def test_the_amplitude_scale_is_the_transmission():
    rng = np.random.default_rng(2)
    probe, patch = complex_noise(rng, 2, 32, 32), complex_noise(rng, 1, 32, 32)
    intensity = probe_intensity(probe)
    transmission = expected_counts(patch, probe).sum() / intensity.sum()
    assert amplitude_scale(patch, intensity)[0] ** 2 == pytest.approx(transmission, rel=1e-5)


def test_illumination_weight_has_mean_one_and_a_dark_probe_is_refused():
    assert illumination_weight(np.full((4, 4), 3.0, np.float32)).mean() == pytest.approx(1)
    with pytest.raises(ValueError, match="dark"):
        illumination_weight(np.zeros((4, 4), np.float32))


def test_zone_plate_focuses_and_its_frame_is_the_annulus():
    probe = zone_plate_probe(ZonePlate(defocus_m=0.0), **OPTICS)
    peak = np.abs(probe[0]).argmax()
    assert np.unravel_index(peak, (64, 64)) == (32, 32)
    frame = expected_counts(np.ones((1, 64, 64)), probe)[0]
    assert frame.sum() == pytest.approx(1, rel=1e-5)
    assert frame[32, 32] < 1e-8 < frame[32, 32 + 8]


def test_defocus_spreads_the_probe_and_keeps_its_power():
    focused = zone_plate_probe(ZonePlate(defocus_m=0.0), **OPTICS)
    moved = defocus(focused, distance_m=50e-6, wavelength_m=1.24e-10, pixel_size_m=10e-9)
    assert np.sum(np.abs(moved) ** 2) == pytest.approx(1, rel=1e-5)
    assert np.abs(moved).max() < 0.7 * np.abs(focused).max()
    direct = zone_plate_probe(ZonePlate(defocus_m=50e-6), **OPTICS)
    np.testing.assert_allclose(moved, direct, atol=1e-6)


def test_coherence_modes_are_orthogonal_and_fall_in_power():
    modes = zone_plate_probe(ZonePlate(source_size_m=20e-9, modes=3), **OPTICS).reshape(3, -1)
    gram = modes.conj() @ modes.T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-6)
    powers = np.diag(gram).real
    assert powers[0] > powers[1] > 0
    # The second and third are the two tilts, alike but for rounding.
    assert powers[2] == pytest.approx(powers[1], rel=1e-5)
    assert powers.sum() == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize(
    "optics",
    [
        ZonePlate(outermost_zone_width_m=5e-9),
        ZonePlate(central_stop_fraction=1.0),
        ZonePlate(modes=0),
        ZonePlate(modes=3),
        ZonePlate(source_size_m=20e-9, modes=26),
    ],
)
def test_impossible_optics_are_refused(optics):
    with pytest.raises(SimulationError):
        zone_plate_probe(optics, **OPTICS)


@pytest.mark.parametrize("family", list(Family))
def test_objects_transmit_at_most_everything_and_repeat_with_their_seed(family):
    drawn = [draw_object(family, 96, rng=np.random.default_rng(s)) for s in (5, 5, 6)]
    assert drawn[0].shape == (96, 96)
    assert drawn[0].dtype == np.complex64
    assert np.abs(drawn[0]).max() <= 1 + 1e-6
    assert np.angle(drawn[0]).std() > 0.01
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_counts_are_poisson_around_the_expectation():
    rng = np.random.default_rng(3)
    expected = np.full((2000, 4, 4), 1 / 16, np.float32)
    counts = detect(expected, Detector((1600, 1600)), np.zeros((4, 4), bool), rng=rng)
    assert counts.mean() == pytest.approx(100, rel=0.01)
    assert counts.var() == pytest.approx(100, rel=0.05)


def test_dead_pixels_count_nothing_and_background_adds():
    rng = np.random.default_rng(4)
    detector = Detector((1e4, 1e4), background=0.5, dead_fraction=0.2)
    mask = draw_mask((64, 64), detector, rng=rng)
    assert mask.mean() == pytest.approx(0.2, abs=0.03)
    expected = np.full((1, 64, 64), 1 / 4096, np.float32)
    counts = detect(expected, detector, mask, rng=rng)[0]
    assert not counts[mask].any()
    assert counts[~mask].mean() == pytest.approx(1.5 * 1e4 / 4096, rel=0.03)


@pytest.mark.parametrize("photons", [(0, 1), (2, 1), (1, 1e13)])
def test_impossible_flux_is_refused(photons):
    with pytest.raises(SimulationError, match="photons"):
        Detector(photons)


def test_a_virtual_scan_labels_each_frame_with_its_patch():
    probe = zone_plate_probe(ZonePlate(), **OPTICS)
    scan = VirtualScan(probe, ScanOptions(frames=30, window_px=32, detector=Detector((1e9, 1e9))))
    batches = list(scan.batches(7))
    assert [len(b.frames) for b in batches] == [7, 7, 7, 7, 2]
    counts = np.concatenate([b.frames for b in batches])
    r, c = scan.positions_px[17]
    patch = scan.object[None, r : r + 64, c : c + 64]
    expected = expected_counts(patch, scan.probe)[0] * 1e9
    assert np.abs(counts[17] - expected).sum() / expected.sum() < 0.01
    label = np.concatenate([b.labels.phase_rad for b in batches])[17]
    difference = np.exp(1j * (label - np.angle(patch[0, 16:48, 16:48])))
    np.testing.assert_allclose(difference, difference.mean(), atol=1e-4)
    again = np.concatenate([b.frames for b in scan.batches(7)])
    np.testing.assert_array_equal(counts, again)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"frames": 0}, "at least 1 frame"), ({"frames": 10**7}, "fewer or closer frames")],
)
def test_impossible_scans_are_refused(options, message):
    probe = zone_plate_probe(ZonePlate(), **OPTICS)
    with pytest.raises(SimulationError, match=message):
        VirtualScan(probe, ScanOptions(**options))


def test_structure_raises_the_space_bandwidth_product_of_a_probe():
    window = {"wavelength_m": 1.24e-10, "window_px": 128, "pixel_size_m": 15e-9}
    focus, near, far = (
        space_bandwidth(zone_plate_probe(ZonePlate(defocus_m=at_m), **window))
        for at_m in (0.0, 20e-6, 150e-6)
    )
    assert focus < 4 < near < 15 < 100 < far
    turned = zone_plate_probe(ZonePlate(defocus_m=150e-6), **window) * np.complex64(3j)
    assert space_bandwidth(turned) == pytest.approx(far, rel=1e-4)
