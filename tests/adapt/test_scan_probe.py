"""Probes as other programs give them are put right by frames of the scan."""

import numpy as np
import pytest
from small_instrument import DEFOCUS_M, SAMPLING, half_disc_probe, small_scan

from wnet_edge.adapt.focus import defocus_steps, find_probe_by_focus, with_side_modes
from wnet_edge.adapt.scan_part import tried
from wnet_edge.adapt.scan_probe import centred, on_grid, put_right
from wnet_edge.errors import ScanError
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.optics import Lens, Pinhole
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.probe import probe_far_field


def quietly(_line):
    """Nobody watches."""


@pytest.fixture(scope="module")
def small():
    return small_scan()


def test_a_right_probe_is_left_as_it_is(small):
    right = put_right(small.probe, small.part, quietly)
    assert right.notes == ()
    assert np.array_equal(right.modes, small.probe)


@pytest.mark.parametrize("turn", [Orientation.FLIP_ROWS, Orientation.TRANSPOSE])
def test_a_turned_probe_is_turned_back(small, turn):
    right = put_right(orient(small.probe, turn), small.part, quietly)
    assert turn.inverse.value in right.notes[0]
    assert np.allclose(right.modes, small.probe)


def test_a_probe_in_arbitrary_units_is_set_to_counts(small):
    right = put_right(small.probe * np.float32(1e-4), small.part, quietly)
    assert any("another unit" in note for note in right.notes)
    power = float(np.sum(np.abs(right.modes) ** 2))
    assert power == pytest.approx(np.percentile(small.part.counts.sum(axis=(1, 2)), 95), rel=0.02)


def test_a_probe_off_by_half_a_detector_pixel_is_moved(small):
    index = (np.arange(64) - 32) / 64
    tilted = small.probe * np.exp(2j * np.pi * 0.5 * index).astype(np.complex64)
    right = put_right(tilted, small.part, quietly)
    assert any("detector pixels" in note for note in right.notes)

    def centre(modes):
        far = probe_far_field(modes, 64).sum(axis=0, dtype=np.float64)
        return float(far @ np.arange(64) / far.sum())

    assert abs(centre(right.modes) - centre(small.probe)) < 0.1
    assert abs(centre(tilted) - centre(small.probe)) > 0.4


def test_the_probe_is_found_without_any_guess_of_the_focus(small):
    found = find_probe_by_focus(
        small.part, Lens(), SAMPLING, "scan.h5", modes=2, passes=20, tell=quietly
    )
    assert 0 < found.defocus_m < 2 * DEFOCUS_M
    known = tried(small.part, small.probe, 6).r_held_out
    assert tried(small.part, found.modes, 6).r_held_out < 1.1 * known


def test_optics_that_explain_nothing_are_refused_with_the_cure(small):
    with pytest.raises(ScanError, match=r"no focus of these optics explains .* --probe"):
        find_probe_by_focus(
            small.part,
            Pinhole(0.8e-6, 1e-4),
            SAMPLING,
            "scan.h5",
            modes=1,
            passes=2,
            tell=quietly,
        )


def test_a_told_defocus_is_searched_around():
    mean = probe_far_field(half_disc_probe(), 64)
    wide, near = (defocus_steps(Lens(told), SAMPLING, mean) for told in (None, 80e-6))
    assert wide[0] < -50e-6
    assert wide[-1] == -wide[0]
    assert near[0] < 80e-6 < near[-1]
    assert len(near) < len(wide)


def test_side_modes_are_orthogonal_and_dim():
    modes = with_side_modes(half_disc_probe(), 4)
    flat = modes.reshape(4, -1)
    power = np.sum(np.abs(flat) ** 2, axis=1)
    overlap = np.abs(flat @ flat.conj().T) / np.sqrt(np.outer(power, power))
    assert np.allclose(overlap, np.eye(4), atol=1e-4)
    assert power[1:] == pytest.approx(0.05 * power[0], rel=1e-3)


def test_a_probe_is_centred_across_the_window_s_edge():
    probe = np.roll(half_disc_probe(), (29, -20), axis=(-2, -1))
    moved, _ = centred(probe)
    power = probe_intensity(moved)
    at = np.arange(64) @ np.stack([power.sum(axis=1), power.sum(axis=0)], axis=1) / power.sum()
    assert at == pytest.approx([32, 32], abs=1)


def test_a_probe_of_another_window_keeps_its_field_and_power():
    probe = half_disc_probe()
    span_m = 64 * SAMPLING.pixel_size_m
    finer = on_grid(probe, SAMPLING.pixel_size_m, span_m, 128)
    assert finer.shape == (1, 128, 128)
    assert np.sum(np.abs(finer) ** 2) == pytest.approx(np.sum(np.abs(probe) ** 2), rel=1e-4)
    assert np.allclose(on_grid(finer, span_m / 128, span_m, 64), probe, atol=1e-6)
