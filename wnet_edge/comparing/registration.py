"""Registration of two complex images of one object: shift, global phase, phase ramp and scale.

A ptychographic reconstruction is ambiguous by all four. The shift is found to whole pixels first,
by a correlation that is insensitive to the other three; then all four are fitted together by least
squares.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing.lagrange_shift import resample
from wnet_edge.errors import ResultError

Mask = NDArray[np.bool_]
Complex = NDArray[np.complex64]

_SEARCH_PX = 1024  # larger images are binned for the coarse search: bounds memory and time
_FINE_PX = 512  # edge of the central part that is searched again at full resolution
_SMOOTHING_PX = 2.0
_LEAST_SHARE = 0.2  # least overlap of a shift, relative to the largest possible one
_LEAST_OVERLAP_PX = 100
_MAX_STEPS = 30
_SETTLED = 3e-4  # converged below this step: px of shift, rad of ramp


@dataclass(frozen=True)
class Registration:
    """An image resampled on its reference's pixels, and the shift, ramp and gain removed from it.

    Attributes:
        image: (H, W) complex64 on the reference's pixels, divided by `gain`, ramp removed.
        mask: (H, W) bool, where both images are well covered.
        shift_px: (2,) float64 row, column: pixel r of the reference is pixel r + shift of the
            image.
        ramp_rad_per_px: (2,) float64 row, column: phase ramp of the image relative to the
            reference.
        gain: complex factor g of image ≈ g · reference, by least squares, before the division.
    """

    image: Complex
    mask: Mask
    shift_px: NDArray[np.float64]
    ramp_rad_per_px: NDArray[np.float64]
    gain: complex


def whole_pixel_shift(
    image: Complex, image_mask: Mask, reference: Complex, reference_mask: Mask
) -> tuple[int, int]:
    """Whole-pixel shift s (row, column): pixel r of the reference is pixel r + s of the image.

    Masked normalised cross-correlation (Padfield, IEEE Trans. Image Process. 21, 2706, 2012) of
    the smoothed gradients of log O: invariant to global phase and scale, and a ramp only adds a
    constant to them. Peaks are weighted by the square root of their overlap, as their significance
    is.

    Args:
        image: (H', W') complex.
        image_mask: (H', W') bool, valid pixels.
        reference: (H, W) complex.
        reference_mask: (H, W) bool, valid pixels.

    Raises:
        ResultError: if too few pixels of an image are valid.
    """
    if min(np.count_nonzero(image_mask), np.count_nonzero(reference_mask)) < _LEAST_OVERLAP_PX:
        raise ResultError("an image covers too little to be compared")
    binning = -(-max(*image.shape, *reference.shape) // _SEARCH_PX)
    a, mask_a = _log_gradients(*_binned(image, image_mask, binning))
    b, mask_b = _log_gradients(*_binned(reference, reference_mask, binning))
    row, column = (shift * binning for shift in _correlation_peak(a, mask_a, b, mask_b))
    if binning == 1:
        return row, column
    rows = _overlap(image.shape[0], reference.shape[0], row)
    columns = _overlap(image.shape[1], reference.shape[1], column)
    here = rows, columns
    there = (
        slice(rows.start + row, rows.stop + row),
        slice(columns.start + column, columns.stop + column),
    )
    fine = whole_pixel_shift(image[there], image_mask[there], reference[here], reference_mask[here])
    return row + fine[0], column + fine[1]


def register(
    image: Complex,
    covered: Mask,
    well: Mask,
    reference: Complex,
    reference_well: Mask,
    start_px: tuple[int, int],
    *,
    with_ramp: bool,
) -> Registration:
    """Fit subpixel shift, gain and optionally ramp: Gauss–Newton steps on Σ |image − reference|².

    Args:
        image: (H', W') complex.
        covered: (H', W') bool, covered pixels of the image.
        well: (H', W') bool, its well covered pixels.
        reference: (H, W) complex.
        reference_well: (H, W) bool, well covered pixels of the reference.
        start_px: initial shift (row, column), from `whole_pixel_shift`.
        with_ramp: fit a linear phase ramp too.

    Raises:
        ResultError: if the images overlap too little for a fit.
    """
    half = np.asarray(reference.shape) / 2
    y, x = (np.linspace(-1, 1 - 1 / h, round(2 * h), dtype=np.float32) for h in half)
    y = y[:, None]
    # Interpolation errors near the Nyquist frequency would bias the shift towards whole pixels.
    soft, soft_well = _softened(image, well)
    known, known_well = _softened(reference, reference_well)
    rows, columns = np.gradient(known, axis=0), np.gradient(known, axis=1)
    fields: list[NDArray[Any]] = [known, 1j * known, -rows, -columns]
    if with_ramp:
        fields += [1j * y * known, 1j * x * known]

    shift = np.asarray(start_px, dtype=np.float64)
    slope = np.zeros(2)  # phase ramp, rad over half the reference's edge
    for step in range(_MAX_STEPS):
        moved, valid = resample(soft, soft_well, shift, reference.shape)
        both = known_well & valid
        if with_ramp and step == 0:
            slope = _coarse_slope(np.where(both, moved * known.conj(), 0))
        upright = _without(moved, slope, y, x)[both]
        upright /= _gain(upright, known[both])
        solution = _least_squares(np.stack([field[both] for field in fields]), upright)
        shift = shift + np.clip(solution[2:4], -1, 1)
        if with_ramp:
            slope = slope + solution[4:6]
        if np.abs(solution[2:]).max() < _SETTLED:
            break
    shift = np.round(shift, 3)  # no finer than its error, so that whole shifts need no resampling
    moved, valid = resample(image, covered, shift, reference.shape)
    nearest = resample(soft, well, np.rint(shift), reference.shape)[1]
    moved, both = _without(moved, slope, y, x), reference_well & valid & nearest
    gain = _gain(moved[both], reference[both])
    return Registration(moved / gain, both, shift, slope / half, complex(gain))


def _binned(image: Complex, mask: Mask, binning: int) -> tuple[Complex, Mask]:
    """Means over b × b pixels, masked unless all are valid; leftover rows and columns are cut."""
    if binning == 1:
        return image, mask
    height, width = (n // binning for n in image.shape)
    shape = (height, binning, width, binning)
    cut = (slice(height * binning), slice(width * binning))
    mean: Complex = np.where(mask, image, 0)[cut].reshape(shape).mean(axis=(1, 3))
    whole: Mask = np.logical_and.reduce(mask[cut].reshape(shape), axis=(1, 3))
    return mean, whole


def _log_gradients(image: Complex, mask: Mask) -> tuple[NDArray[np.complex128], Mask]:
    """Smoothed forward differences of log O along rows and columns, (2, H, W), and their mask."""
    modulus = np.abs(image)
    floor = 0.1 * float(np.median(modulus[mask])) if mask.any() else 0.0
    log_modulus = np.log(np.maximum(modulus, floor or 1.0))
    inside = mask.copy()
    inside[:-1, :-1] &= mask[1:, :-1] & mask[:-1, 1:]
    inside[-1], inside[:, -1] = False, False
    gradients = np.zeros((2, *image.shape), dtype=np.complex128)
    phase_step = np.angle(image[1:] * image[:-1].conj())
    gradients[0, :-1] = np.diff(log_modulus, axis=0) + 1j * phase_step
    phase_step = np.angle(image[:, 1:] * image[:, :-1].conj())
    gradients[1, :, :-1] = np.diff(log_modulus, axis=1) + 1j * phase_step
    rows, columns = (np.fft.fftfreq(n) for n in image.shape)
    kernel = np.exp(-2 * (np.pi * _SMOOTHING_PX) ** 2 * (rows[:, None] ** 2 + columns**2))

    def smooth(values: NDArray[Any]) -> NDArray[np.complex128]:
        smoothed: NDArray[np.complex128] = np.fft.ifft2(np.fft.fft2(values) * kernel)
        return smoothed

    share = np.maximum(smooth(inside).real, 1e-3)
    return np.where(inside, smooth(np.where(inside, gradients, 0)) / share, 0), inside


def _correlation_peak(
    a: NDArray[np.complex128], mask_a: Mask, b: NDArray[np.complex128], mask_b: Mask
) -> tuple[int, int]:
    """Whole-pixel shift at the peak of the masked normalised cross-correlation of the gradients."""
    shape = tuple(_fast_length(n + m - 1) for n, m in zip(mask_a.shape, mask_b.shape, strict=True))

    def transform(values: NDArray[Any]) -> NDArray[np.complex128]:
        return np.fft.fft2(values, s=shape)

    def correlate(x: NDArray[Any], y: NDArray[Any]) -> NDArray[np.complex128]:
        return np.fft.ifft2(x * y.conj())

    f_mask_a, f_mask_b = transform(mask_a), transform(mask_b)
    overlap = np.rint(correlate(f_mask_a, f_mask_b).real)
    most = min(np.count_nonzero(mask_a), np.count_nonzero(mask_b))
    pixels = np.maximum(overlap, 1)
    power_a = correlate(transform((np.abs(a) ** 2).sum(axis=0)), f_mask_b).real
    power_b = correlate(f_mask_a, transform((np.abs(b) ** 2).sum(axis=0))).real
    common = np.zeros(shape)
    for field_a, field_b in zip(a, b, strict=True):
        f_a, f_b = transform(field_a), transform(field_b)
        sum_a, sum_b = correlate(f_a, f_mask_b), correlate(f_mask_a, f_b)
        common += (correlate(f_a, f_b) - sum_a * sum_b / pixels).real
        power_a -= np.abs(sum_a) ** 2 / pixels
        power_b -= np.abs(sum_b) ** 2 / pixels
    power = np.maximum(power_a, 0) * np.maximum(power_b, 0)
    allowed = (overlap >= _LEAST_SHARE * most) & (power > 1e-12 * power.max())
    score = np.full(shape, -np.inf)
    np.divide(common * np.sqrt(overlap.clip(0)), np.sqrt(power), out=score, where=allowed)
    row, column = np.unravel_index(int(np.argmax(score)), shape)
    return (
        int(row) - (shape[0] if row >= mask_a.shape[0] else 0),
        int(column) - (shape[1] if column >= mask_a.shape[1] else 0),
    )


def _fast_length(least: int) -> int:
    """Smallest FFT length ≥ `least` with no prime factors but 2, 3 and 5."""
    length = least
    while True:
        rest = length
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return length
        length += 1


def _overlap(image_px: int, reference_px: int, shift_px: int) -> slice:
    """The central `_FINE_PX` of the reference's pixels that overlap the image, along one axis."""
    first, last = max(0, -shift_px), min(reference_px, image_px - shift_px)
    cut = max(0, last - first - _FINE_PX) // 2
    return slice(first + cut, max(first + cut, min(last - cut, first + cut + _FINE_PX)))


def _softened(image: Complex, covered: Mask) -> tuple[Complex, Mask]:
    """Image smoothed with a 3 × 3 binomial filter, and where all nine pixels are covered."""
    soft: Complex = np.where(covered, image, 0).astype(np.complex64)
    inside: Mask = covered
    for axis in (0, 1):
        before, after = np.roll(soft, 1, axis), np.roll(soft, -1, axis)
        soft = ((soft + (before + after) / 2) / 2).astype(np.complex64)
        inside = inside & np.roll(inside, 1, axis) & np.roll(inside, -1, axis)
    inside[[0, -1]], inside[:, [0, -1]] = False, False
    return soft, inside


def _without(
    image: Complex, slope: NDArray[np.float64], y: NDArray[np.float32], x: NDArray[np.float32]
) -> Complex:
    """Image with a linear phase ramp removed."""
    ramp = np.float32(slope[0]) * y + np.float32(slope[1]) * x
    return image * np.exp(np.complex64(-1j) * ramp)


def _gain(image: Complex, reference: Complex) -> np.complex64:
    """Least-squares gain g of image ≈ g · reference, both (n,)."""
    if len(image) < _LEAST_OVERLAP_PX:
        raise ResultError("the images hardly overlap: do they show the same part of an object?")
    gain = np.vdot(reference, image) / max(float(np.vdot(reference, reference).real), 1e-30)
    if gain == 0:
        raise ResultError("the images have nothing in common that could be aligned")
    return np.complex64(gain)


def _coarse_slope(product: Complex) -> NDArray[np.float64]:
    """Ramp of image · conj(reference), rad over half an edge, from its power spectrum's peak."""
    shape = tuple(_fast_length(2 * n) for n in product.shape)
    power = np.abs(np.fft.fft2(product, s=shape))
    peak = np.unravel_index(int(np.argmax(power)), shape)
    cycles_per_px = [np.fft.fftfreq(n)[i] for n, i in zip(shape, peak, strict=True)]
    return np.pi * np.asarray(cycles_per_px) * product.shape


def _least_squares(fields: Complex, values: Complex) -> NDArray[np.float64]:
    """Real c (k,) that minimise Σ |values − Σ c_k fields_k|², of fields (k, n) and values (n,)."""
    conjugate = fields.conj()
    gram = (conjugate @ fields.T).real.astype(np.float64)
    # A field that is zero everywhere (the gradient of a flat image) gets a coefficient of zero.
    gram += np.diag(1e-6 * gram.diagonal() + 1e-12 * gram.diagonal().max())
    solution: NDArray[np.float64] = np.linalg.solve(gram, (conjugate @ values).real)
    return solution
