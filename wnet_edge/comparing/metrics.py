"""Image quality metrics of registered images: errors, PSNR, SSIM, correlations, FRC.

Used for stitched images after frames → patches → image, and for single patches. All take real
arrays (`fourier_ring_correlation` complex ones too) that are registered, with global phase and
scale removed; what is undefined, such as the correlation with a constant, is NaN.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Real = NDArray[np.floating[Any]]
Mask = NDArray[np.bool_]

SSIM_SIGMA_PX = 1.5
SSIM_RADIUS_PX = 5
"""Gaussian window of 11 × 11 pixels, σ = 1.5 (Wang et al. 2004, section III.B)."""

_SSIM_K1, _SSIM_K2 = 0.01, 0.03  # Wang et al. 2004, section III.C


def mean_absolute_error(image: Real, reference: Real) -> float:
    """Mean absolute error |image − reference| over all values, in their unit."""
    return float(np.mean(np.abs(np.subtract(image, reference, dtype=np.float64))))


def mean_squared_error(image: Real, reference: Real) -> float:
    """Mean squared error (image − reference)² over all values, in their unit squared."""
    return float(np.mean(np.subtract(image, reference, dtype=np.float64) ** 2))


def data_range(reference: Real) -> float:
    """Data range for PSNR and SSIM: span of the central 99 % of the reference's values.

    Not max − min: one wrapped pixel would stretch that to 2π and inflate every PSNR.
    """
    low, high = np.percentile(reference, (0.5, 99.5))
    return float(high - low)


def psnr_db(image: Real, reference: Real, data_range: float) -> float:
    """Peak signal-to-noise ratio, 10 log10(data_range² / MSE) dB; inf for equal images."""
    error = mean_squared_error(image, reference)
    if error == 0:
        return float("inf")
    return float(10 * np.log10(data_range**2 / error)) if data_range > 0 else float("nan")


def pearson_correlation(image: Real, reference: Real) -> float:
    """Pearson's r over all values, −1 to 1; NaN if either is constant."""
    a, b = _centred(image), _centred(reference)
    power = float(np.sqrt(np.vdot(a, a) * np.vdot(b, b)))
    return float(np.clip(np.vdot(a, b) / power, -1, 1)) if power > 0 else float("nan")


def contrast_slope(image: Real, reference: Real) -> float:
    """Slope of the regression line image = slope · reference + c; 1 is right contrast.

    NaN if the reference is constant.
    """
    a, b = _centred(image), _centred(reference)
    power = float(np.vdot(b, b))
    return float(np.vdot(a, b) / power) if power > 0 else float("nan")


def ssim(image: Real, reference: Real, data_range: float, mask: Mask | None = None) -> float:
    """Mean structural similarity (Wang et al., IEEE Trans. Image Process. 13, 600, 2004, eq. 13).

    Gaussian window of 11 × 11 pixels, σ = 1.5, population covariance. The mean runs over pixels
    whose whole window lies in the image and in `mask`. Where there are none, as under a tight
    focus, it runs over all pixels of the mask, each with the part of its window that lies in it
    (normalised convolution, Knutsson and Westin, Proc. CVPR, 515, 1993).

    Args:
        image: (H, W).
        reference: (H, W).
        data_range: L of eq. 13's constants.
        mask: (H, W) bool, pixels to compare; None for all.

    Returns:
        −1 to 1; NaN if the mask is empty or the data range is zero.
    """
    whole = np.ones(image.shape, dtype=bool) if mask is None else mask
    if not (data_range > 0 and whole.any()):
        return float("nan")
    x = np.where(whole, image, 0).astype(np.float64)
    y = np.where(whole, reference, 0).astype(np.float64)
    inside = whole_windows(whole)
    if inside.any():
        return float(_similarity(x, y, data_range, _gaussian)[inside].mean())
    share = _gaussian(np.pad(whole.astype(np.float64), SSIM_RADIUS_PX))

    def local(values: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = _gaussian(np.pad(values, SSIM_RADIUS_PX))
        mean: NDArray[np.float64] = sums / np.where(whole, share, 1)
        return mean

    return float(_similarity(x, y, data_range, local)[whole].mean())


def whole_windows(mask: Mask) -> Mask:
    """Windows of SSIM that lie whole in a mask (H, W): (H − 10, W − 10) bool, by their centres."""
    if min(mask.shape) <= 2 * SSIM_RADIUS_PX:
        return np.zeros((0, 0), dtype=bool)
    return _gaussian(mask.astype(np.float64)) > 1 - 1e-9


def _similarity(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    data_range: float,
    local_mean: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Structural similarity of each pixel from local means, of the shape that they have."""
    mean_x, mean_y = local_mean(x), local_mean(y)
    variance_x = local_mean(x * x) - mean_x**2
    variance_y = local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (_SSIM_K1 * data_range) ** 2, (_SSIM_K2 * data_range) ** 2
    similarity: NDArray[np.float64] = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    similarity /= (mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)
    return similarity


@dataclass(frozen=True)
class RingCorrelation:
    """Fourier ring correlation of two images over R rings, with its half-bit threshold.

    Attributes:
        frequency: (R,) float64 cycles per pixel, mean of each ring, zero frequency excluded.
        correlation: (R,) float64, −1 to 1.
        half_bit: (R,) float64, threshold of half a bit of information per pixel.
    """

    frequency: NDArray[np.float64]
    correlation: NDArray[np.float64]
    half_bit: NDArray[np.float64]

    def resolution_px(self) -> float:
        """Half period at which the correlation first falls below the half-bit curve, in pixels.

        1, the pixel size, if it stays above up to the Nyquist frequency; NaN if it starts below.
        """
        excess = self.correlation - self.half_bit
        below = np.flatnonzero(excess < 0)
        if not len(below):
            return 1.0
        first = int(below[0])
        if first == 0:
            return float("nan")
        share = excess[first - 1] / (excess[first - 1] - excess[first])
        before, after = self.frequency[first - 1], self.frequency[first]
        return float(0.5 / (before + share * (after - before)))


def fourier_ring_correlation(
    image: NDArray[Any], reference: NDArray[Any], mask: Mask | None = None
) -> RingCorrelation:
    """Fourier ring correlation (Saxton and Baumeister, J. Microsc. 127, 127, 1982) and threshold.

    The half-bit curve is that of van Heel and Schatz, J. Struct. Biol. 151, 250, 2005, eq. 17. Its
    number of independent pixels per ring is reduced for the window and, for real images, for the
    symmetry of the transform.

    Args:
        image: (H, W) real or complex.
        reference: (H, W) real or complex.
        mask: (H, W) bool, pixels to compare; tapered inwards from its edge.
    """
    taper = _taper(np.ones(image.shape, dtype=bool) if mask is None else mask)
    a, b = _windowed_transform(image, taper), _windowed_transform(reference, taper)
    height, width = image.shape
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    ring = np.rint(radius * min(height, width)).astype(np.int64).ravel()
    rings = min(height, width) // 2

    def ring_sum(values: Real) -> NDArray[np.float64]:
        sums = np.bincount(ring, values.ravel(), minlength=rings + 1)
        return sums[1 : rings + 1].astype(np.float64)

    cross = ring_sum((a * b.conj()).real)
    power = np.sqrt(ring_sum(np.abs(a) ** 2) * ring_sum(np.abs(b) ** 2))
    pixels = ring_sum(np.ones(image.shape))
    share = float((taper**2).sum() ** 2 / max((taper**4).sum(), 1e-12)) / taper.size
    hermitian = not (np.iscomplexobj(image) or np.iscomplexobj(reference))
    root = np.sqrt(np.maximum(pixels * share / (2 if hermitian else 1), 1))
    return RingCorrelation(
        frequency=ring_sum(radius) / pixels,
        correlation=np.divide(cross, power, out=np.zeros_like(cross), where=power > 0),
        half_bit=(0.2071 + 1.9102 / root) / (1.2071 + 0.9102 / root),
    )


def _centred(values: Real) -> NDArray[np.float64]:
    flat = np.asarray(values, dtype=np.float64).ravel()
    centred: NDArray[np.float64] = flat - flat.mean()
    # The rounding residue of a constant is not contrast.
    negligible = np.abs(centred).max() <= 1e-12 * np.abs(flat).max()
    return np.zeros_like(centred) if negligible else centred


def _gaussian(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian-weighted mean in SSIM's window, (H, W) to (H − 10, W − 10): windows that fit."""
    offset = np.arange(-SSIM_RADIUS_PX, SSIM_RADIUS_PX + 1)
    taps = np.exp(-(offset**2) / (2 * SSIM_SIGMA_PX**2))
    taps /= taps.sum()
    height, width = (n - 2 * SSIM_RADIUS_PX for n in values.shape)
    rows = sum(
        (t * values[k : k + height] for k, t in enumerate(taps[1:], 1)), taps[0] * values[:height]
    )
    mean: NDArray[np.float64] = sum(
        (t * rows[:, k : k + width] for k, t in enumerate(taps[1:], 1)), taps[0] * rows[:, :width]
    )
    return mean


def _windowed_transform(image: NDArray[Any], taper: Real) -> NDArray[np.complex128]:
    mean = (image * taper).sum() / max(float(taper.sum()), 1e-12)
    transform: NDArray[np.complex128] = np.fft.fft2(np.where(taper > 0, image - mean, 0) * taper)
    return transform


def _taper(mask: Mask) -> NDArray[np.float64]:
    """Taper from 0 on the mask's edge to 1 inside, over 1/16 of the image's edge.

    Twice the excess over 1/2 of the Gaussian-blurred mask, which is 1/2 on the mask's edge.
    """
    sigma = min(mask.shape) / 32
    pad = [(int(3 * sigma) + 1,) * 2] * 2
    padded = np.pad(mask.astype(np.float64), pad)
    rows, columns = (np.fft.fftfreq(n) for n in padded.shape)
    kernel = np.exp(-2 * (np.pi * sigma) ** 2 * (rows[:, None] ** 2 + columns**2))
    blurred = np.fft.ifft2(np.fft.fft2(padded) * kernel).real
    inner = blurred[pad[0][0] : -pad[0][1], pad[1][0] : -pad[1][1]]
    taper: NDArray[np.float64] = np.clip(2 * inner - 1, 0, 1) * mask
    return taper
