"""Positions from what neighbouring patches show: no bias, and no belief in chance."""

import numpy as np
import pytest

pytest.importorskip("scipy")

from scipy.ndimage import fourier_shift

from wnet_edge.refining.affine import affine_part
from wnet_edge.refining.registration import Registration
from wnet_edge.refining.scan_positions import neighbours, solved

PX = 32


def weight():
    """As a probe's: a bell, so that a window would pull a peak towards no displacement."""
    y, x = np.indices((PX, PX)) - (PX - 1) / 2
    return np.exp(-(y**2 + x**2) / (2 * 7.0**2)).astype(np.float32)


def random_object(size, seed=1):
    """Complex, with details of some pixels."""
    rng = np.random.default_rng(seed)
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size)] * 2))
    waves = np.fft.ifft2(
        np.fft.fft2(rng.standard_normal((2, size, size))) * np.exp(-((q / 0.09) ** 2))
    ).real
    waves /= waves.std(axis=(1, 2), keepdims=True)
    return (1 + 0.1 * waves[0]) * np.exp(0.7j * waves[1])


def patches_at(positions, object_, seed=2):
    """Patches with sub-pixel positions and phases that mean nothing."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.fft2(object_)
    cut = []
    for row, column in positions:
        moved = np.fft.ifft2(fourier_shift(spectrum, (-row, -column)))
        cut.append(moved[:PX, :PX] * np.exp(1j * rng.uniform(-np.pi, np.pi)))
    return np.array(cut, np.complex64)


def raster(count, step, seed=3):
    rng = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.arange(count) * step] * 2, indexing="ij"), -1).reshape(-1, 2)
    return grid + rng.uniform(0, 2, grid.shape)


def registered(true, nominal, object_, reach_px):
    patches = patches_at(true, object_)
    registration = Registration(weight(), lambda frame: patches[frame])
    pairs = neighbours(nominal, 0.53 * PX)
    expected_px = nominal[pairs[:, 1]] - nominal[pairs[:, 0]]
    told = registration.displacements(pairs, expected_px, reach_px, threads=2)
    return (
        pairs,
        np.array([one.shift_px for one in told]),
        np.array([one.firmness for one in told]),
    )


def test_displacements_are_those_of_the_patches_and_not_short():
    positions = raster(6, 6.0)
    pairs, shift_px, _ = registered(positions, positions, random_object(128), 20.0)
    true = positions[pairs[:, 1]] - positions[pairs[:, 0]]
    assert np.abs(shift_px - true).max() < 0.25
    slope = np.sum(shift_px * true) / np.sum(true**2)
    assert slope == pytest.approx(1, abs=2e-3)


def test_along_a_line_a_displacement_is_not_firm():
    y = np.arange(128)[:, None] * np.ones(128)
    stripes = np.exp(0.7j * np.sin(y / 3.1) * np.cos(y / 7.7))
    positions = np.array([[0.0, 0.0], [5.0, 3.0]])
    _, ((row_px, _),), (firmness,) = registered(positions, positions, stripes, 20.0)
    assert row_px == pytest.approx(5, abs=0.2)
    assert firmness[1, 1] < 0.05 * firmness[0, 0]


@pytest.mark.parametrize("error_px", [1.0, 4.0])
def test_random_errors_are_corrected(error_px):
    true = raster(7, 6.0)
    nominal = true + np.random.default_rng(5).normal(0, error_px / np.sqrt(2), true.shape)
    found = nominal
    for reach_px in (20.0, 10.0):
        pairs, shift_px, firmness = registered(true, found, random_object(160), reach_px)
        found, off_px = solved(found, pairs, shift_px, firmness)
    np.testing.assert_allclose(found.mean(axis=0), nominal.mean(axis=0), atol=1e-6)
    left = found - true
    assert np.hypot(*(left - left.mean(axis=0)).T).max() < 0.3
    assert np.median(off_px) < 0.2


def test_a_few_wrong_displacements_do_not_count():
    rng = np.random.default_rng(6)
    true = raster(7, 6.0)
    pairs = neighbours(true, 0.53 * PX)
    shift_px = true[pairs[:, 1]] - true[pairs[:, 0]]
    wrong = rng.random(len(pairs)) < 0.15
    shift_px[wrong] += rng.uniform(-15, 15, (int(wrong.sum()), 2))
    nominal = true + rng.normal(0, 3, true.shape)
    firmness = np.broadcast_to(np.eye(2), (len(pairs), 2, 2))
    found, off_px = solved(nominal, pairs, shift_px, firmness)
    left = found - true
    assert np.hypot(*(left - left.mean(axis=0)).T).max() < 0.1
    assert (off_px[wrong] > 1).mean() > 0.9


def test_the_affine_part_is_told_apart():
    nominal = raster(7, 6.0)
    turned = np.deg2rad(2.0)
    matrix = np.array([[np.cos(turned), -np.sin(turned)], [np.sin(turned), np.cos(turned)]])
    own = np.random.default_rng(7).normal(0, 0.1, nominal.shape)
    common, affine = affine_part(nominal, nominal @ (1.01 * matrix).T + own)
    assert affine.scale == pytest.approx((1.01, 1.01), abs=5e-3)
    assert affine.rotation_deg == pytest.approx(2.0, abs=0.4)
    assert affine.shear_deg == pytest.approx(0.0, abs=0.4)
    # Without it, what remains is each frame's own.
    rest = nominal @ (1.01 * matrix).T + own - nominal - common
    assert np.abs(rest - rest.mean(axis=0)).max() < 0.5


def test_dense_scans_take_some_neighbours_of_each_frame():
    positions = raster(30, 1.0)
    pairs = neighbours(positions, 0.53 * PX)
    assert len(pairs) < 12 * len(positions)
    assert (pairs[:, 0] < pairs[:, 1]).all()
    far_px = np.hypot(*(positions[pairs[:, 1]] - positions[pairs[:, 0]]).T)
    assert far_px.min() < 2
    assert far_px.max() > 0.45 * PX
