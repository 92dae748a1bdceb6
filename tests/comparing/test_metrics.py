"""Metrics and comparison: what may not matter does not, and what matters shows."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from wnet_edge.comparing import metrics
from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.comparing.registration import whole_pixel_shift
from wnet_edge.errors import ResultError
from wnet_edge.physics.gauge import wrapped_difference_rad

PIXEL_M = 1.5e-8


def speckle(shape, seed, smoothing):
    """A smooth random field, mean 0 and standard deviation 1, periodic."""
    field = ndimage.gaussian_filter(
        np.random.default_rng(seed).normal(size=shape), smoothing, mode="wrap"
    )
    return (field - field.mean()) / field.std()


def moved(field, shift):
    """A periodic field moved by any fraction of a pixel, by Fourier's shift theorem."""
    return np.real(np.fft.ifft2(ndimage.fourier_shift(np.fft.fft2(field), shift)))


SHAPE = (230, 260)
PHASE = 0.4 * speckle(SHAPE, 1, 3)
AMPLITUDE = 1 + 0.1 * speckle(SHAPE, 2, 3)


def view(phase=PHASE, amplitude=AMPLITUDE, cut=np.s_[:, :], coverage=None, pixel_size_m=PIXEL_M):
    """An image of the object, or of part of it."""
    image = (amplitude * np.exp(1j * phase)).astype(np.complex64)[cut]
    return ObjectImage("view", image, coverage, pixel_size_m)


REFERENCE = view()


def assert_equal_images(comparison):
    assert comparison.phase_correlation > 0.9999
    assert comparison.phase_slope == pytest.approx(1, abs=1e-3)
    assert comparison.phase_mae_rad < 0.002
    assert comparison.phase_ssim > 0.999
    assert comparison.amplitude_correlation > 0.999
    assert comparison.amplitude_ssim > 0.999
    assert comparison.resolution_px == 1
    assert comparison.resolution_m == PIXEL_M


def test_phase_differences_go_the_short_way_round():
    difference = wrapped_difference_rad(np.array([3.1, -3.1, 0.5]), np.array([-3.1, 3.1, 0.2]))
    np.testing.assert_allclose(difference, [6.2 - 2 * np.pi, 2 * np.pi - 6.2, 0.3], atol=1e-12)


def test_psnr_and_ssim_agree_with_scikit_image():
    rng = np.random.default_rng(3)
    image = PHASE + 0.1 * rng.normal(size=SHAPE)
    span = metrics.data_range(PHASE)
    assert metrics.psnr_db(image, PHASE, span) == pytest.approx(
        peak_signal_noise_ratio(PHASE, image, data_range=span), rel=1e-9
    )
    expected, field = structural_similarity(
        PHASE,
        image,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=span,
        full=True,
    )
    assert metrics.ssim(image, PHASE, span) == pytest.approx(expected, abs=1e-6)
    # A mask leaves the pixels whose whole 11 × 11 window it holds.
    rows, columns = np.indices(SHAPE)
    mask = np.hypot(rows - 100, columns - 120) < 70
    inside = ndimage.binary_erosion(mask, np.ones((11, 11)))
    masked = np.where(mask, image, np.nan)
    assert metrics.ssim(masked, PHASE, span, mask) == pytest.approx(field[inside].mean(), abs=1e-6)


@pytest.mark.parametrize("shape", [(9, 9), (64, 64)])
def test_ssim_of_few_pixels_is_that_of_their_parts_of_the_windows(shape):
    """A focus of a few pixels, or an image smaller than a window: no 11 × 11 window fits."""
    rows, columns = np.indices(shape) - shape[0] // 2
    mask = np.hypot(rows, columns) < 4.5
    truth = PHASE[: shape[0], : shape[1]]
    noise = np.random.default_rng(3).normal(size=shape)
    span = metrics.data_range(truth[mask])
    found = [metrics.ssim(truth + s * noise, truth, span, mask) for s in (0.0, 0.05, 0.2)]
    assert found[0] == pytest.approx(1)
    assert 1 > found[1] > found[2] > 0
    elsewhere = np.where(mask, truth + 0.2 * noise, 1e3)
    assert metrics.ssim(elsewhere, truth, span, mask) == pytest.approx(found[2], abs=1e-12)
    by_hand = []
    for row, column in np.argwhere(mask):
        there = np.abs(np.indices(shape) - np.array([row, column])[:, None, None])
        weight = np.exp(-(there**2).sum(axis=0) / (2 * 1.5**2)) * mask * (there.max(axis=0) < 6)
        x, y = truth + 0.2 * noise, truth
        (xx, xy), (_, yy) = np.cov(x.ravel(), y.ravel(), aweights=weight.ravel(), ddof=0)
        mean_x, mean_y = (np.average(v, weights=weight) for v in (x, y))
        c1, c2 = (0.01 * span) ** 2, (0.03 * span) ** 2
        alike = (2 * mean_x * mean_y + c1) * (2 * xy + c2)
        by_hand.append(alike / ((mean_x**2 + mean_y**2 + c1) * (xx + yy + c2)))
    assert found[2] == pytest.approx(np.mean(by_hand), rel=1e-9)


def test_what_cannot_be_told_is_nan():
    flat = np.full(100, 0.1)
    assert np.isnan(metrics.pearson_correlation(PHASE.ravel()[:100], flat))
    assert np.isnan(metrics.contrast_slope(PHASE.ravel()[:100], flat))
    assert np.isnan(metrics.ssim(PHASE, PHASE, 1.0, np.zeros(SHAPE, bool)))
    assert metrics.psnr_db(flat, flat, 1.0) == np.inf


def test_half_bit_curve_meets_its_golden_values():
    rings = metrics.fourier_ring_correlation(PHASE + 0j, PHASE + 0j)
    np.testing.assert_allclose(rings.correlation, 1, atol=1e-12)
    assert rings.frequency[-1] == pytest.approx(0.5, abs=0.005)
    # Many pixels: SNR 1/√2 − 1/2 to a half map, 0.2071 / 1.2071 (van Heel and Schatz 2005).
    assert 0.1716 < rings.half_bit[-1] < 0.28
    assert rings.half_bit[0] > 0.4


def test_resolution_is_where_the_images_cease_to_agree():
    rng = np.random.default_rng(4)
    radius = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256))
    shared, one, other = np.fft.fft2(rng.normal(size=(3, 256, 256)))
    cut = 0.125
    pair = [np.fft.ifft2(np.where(radius < cut, shared, own)).real for own in (one, other)]
    rings = metrics.fourier_ring_correlation(*pair)
    assert rings.resolution_px() == pytest.approx(0.5 / cut, rel=0.1)


@pytest.mark.parametrize("shift", [(0.0, 0.0), (0.37, -0.81), (0.5, 0.5), (-0.12, 0.95)])
def test_image_against_itself_shifted(shift):
    cut = np.s_[60:220, 10:200]
    image = view(moved(PHASE, shift), moved(AMPLITUDE, shift), cut)
    comparison = compare(image, REFERENCE)
    assert_equal_images(comparison)
    expected = np.asarray(shift) - (60, 10)
    np.testing.assert_allclose(comparison.shift_px, expected, atol=0.02)
    assert not comparison.ramp_removed


def test_image_against_itself_turned_scaled_and_ramped():
    rows, columns = np.indices(SHAPE)
    ramp = (0.11, -0.04)
    image = view(PHASE + 2.5 + ramp[0] * rows + ramp[1] * columns, 3 * AMPLITUDE)
    comparison = compare(image, REFERENCE)
    assert_equal_images(comparison)
    assert comparison.ramp_removed
    np.testing.assert_allclose(comparison.ramp_rad_per_px, ramp, atol=1e-4)
    assert comparison.amplitude_factor == pytest.approx(1 / 3, rel=1e-3)
    assert not compare(view(PHASE + 2.5, 3 * AMPLITUDE), REFERENCE).ramp_removed


def test_phases_beyond_pi_are_no_errors():
    thick = view(4 * PHASE)
    turned = view(4 * PHASE + 3)
    comparison = compare(turned, thick)
    assert comparison.phase_mae_rad < 1e-3
    assert comparison.phase_correlation > 0.999


def test_halved_contrast_shows_in_the_slope_only():
    comparison = compare(view(0.5 * PHASE), REFERENCE)
    assert comparison.phase_correlation > 0.999
    assert comparison.phase_slope == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(comparison.shift_px, 0, atol=0.02)


def test_noise_and_blur_lower_every_number():
    rng = np.random.default_rng(5)
    noisy = compare(view(PHASE + 0.2 * rng.normal(size=SHAPE)), REFERENCE)
    noisier = compare(view(PHASE + 0.6 * rng.normal(size=SHAPE)), REFERENCE)
    for name in ("phase_correlation", "phase_psnr_db", "phase_ssim"):
        assert (
            getattr(noisier, name)
            < getattr(noisy, name)
            < getattr(compare(REFERENCE, REFERENCE), name)
        )
    assert noisier.phase_mae_rad > noisy.phase_mae_rad > 0.1
    assert noisier.resolution_px > noisy.resolution_px > 1
    np.testing.assert_allclose(noisy.shift_px, 0, atol=0.02)


def test_only_well_covered_pixels_count():
    coverage = np.ones(SHAPE, np.float32)
    coverage[:, 200:] = 0.4
    coverage[:10] = 0
    spoiled = PHASE.copy()
    spoiled[:, 200:] += 1
    comparison = compare(view(spoiled, coverage=coverage), REFERENCE)
    assert comparison.overlap_px == 220 * 200
    assert_equal_images(comparison)


def test_values_that_are_not_finite_are_left_out_and_counted():
    image = view().image.copy()
    image[40:50, 60:80] = np.nan
    comparison = compare(ObjectImage("holes", image, None, PIXEL_M), REFERENCE)
    assert comparison.nonfinite_px == 200
    assert comparison.overlap_px == image.size - 200
    assert comparison.phase_correlation > 0.9999


def test_large_images_are_found_though_searched_in_bins():
    phase = 0.4 * speckle((1100, 900), 6, 4)
    image = view(phase[100:], np.ones((1000, 900)), np.s_[:, 37:])
    comparison = compare(image, view(phase, np.ones((1100, 900))))
    np.testing.assert_allclose(comparison.shift_px, (-100, -37), atol=0.02)
    assert comparison.phase_correlation > 0.9999


def test_shift_is_found_under_noise_and_other_contrast():
    rng = np.random.default_rng(7)
    blurred = ndimage.gaussian_filter(PHASE, 2) * 0.6 + 0.3 * rng.normal(size=SHAPE)
    image = view(blurred, np.ones(SHAPE), np.s_[70:, :150]).image
    everywhere = np.ones(image.shape, bool)
    shift = whole_pixel_shift(image, everywhere, REFERENCE.image, np.ones(SHAPE, bool))
    assert np.abs(np.subtract(shift, (-70, 0))).max() <= 1


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (view(pixel_size_m=1.6e-8), "pixels of 16 nm and view of 15 nm"),
        (view(coverage=np.zeros(SHAPE, np.float32)), "covers nothing"),
        (view(cut=np.s_[:20, :20]), "too few to compare"),
        (view(cut=np.s_[:5, :5]), "covers too little"),
        (view(amplitude=np.full(SHAPE, np.nan)), "covers too little"),
    ],
)
def test_what_cannot_be_compared_is_refused(image, message):
    with pytest.raises(ResultError, match=message) as error:
        compare(image, REFERENCE)
    assert "\n" not in str(error.value)


def test_flat_images_give_nan_not_numbers():
    flat = view(np.zeros(SHAPE), np.ones(SHAPE))
    comparison = compare(flat, flat)
    assert np.isnan(comparison.phase_correlation)
    assert comparison.as_json()["phase_correlation"] is None
