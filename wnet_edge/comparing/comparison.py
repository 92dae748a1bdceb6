"""Comparison of an object image with a reference, after removing the ambiguities of ptychography.

Applied to the result of frames → preprocess → graph → patches → stitch → image: registers the
images, removes global phase, ramp and scale, then computes `wnet_edge.comparing.metrics` over the
pixels that both cover well.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing import metrics
from wnet_edge.comparing.registration import Registration, register, whole_pixel_shift
from wnet_edge.errors import OverlapError, ResultError
from wnet_edge.physics.gauge import wrap_rad
from wnet_edge.physics.geometry import same_pixel_size

LEAST_OVERLAP_PX = 1000
"""Smallest number of common pixels that is compared."""

_RAMP_GAIN = 1e-4  # least gain in phase correlation for which a ramp is removed


@dataclass(frozen=True)
class ObjectImage:
    """Complex image of an object, with its coverage and pixel size where the source has them.

    Attributes:
        name: file name, for messages.
        image: (H, W) complex64.
        coverage: (H, W) float32, summed weight. None where the source has none; every pixel with a
            finite, nonzero value is covered then.
        pixel_size_m: edge of a pixel, None if unknown.
    """

    name: str
    image: NDArray[np.complex64]
    coverage: NDArray[np.float32] | None = None
    pixel_size_m: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Similarity of an image to its reference; NaN for what is undefined.

    Attributes:
        phase_correlation: Pearson, with phases unwrapped to within π of the reference's.
        phase_psnr_db: relative to `phase_psnr_data_range_rad`.
        phase_psnr_data_range_rad: span of the central 99 % of the reference's phases.
        phase_ssim: relative to `phase_ssim_data_range_rad`.
        phase_ssim_data_range_rad: the same span.
        phase_mse: mean squared wrapped difference, rad².
        phase_mae_rad: mean absolute wrapped difference.
        phase_slope: slope of the regression of the image's phase on the reference's; 1 is right
            contrast.
        resolution_m: half period at which the Fourier ring correlation of the complex images falls
            below the half-bit curve; one pixel if it never does. NaN without a pixel size.
        resolution_px: the same in pixels.
        amplitude_correlation: Pearson.
        amplitude_mse: mean squared difference after least-squares scaling.
        amplitude_psnr_db: relative to `amplitude_psnr_data_range`.
        amplitude_psnr_data_range: span of the central 99 % of the reference's amplitudes.
        amplitude_ssim: relative to `amplitude_ssim_data_range`.
        amplitude_ssim_data_range: the same span.
        overlap_px: number of pixels compared.
        shift_px: row, column: pixel r of the reference is pixel r + shift of the image.
        ramp_removed: whether a linear phase ramp was subtracted from the image's phase, which is
            done where it raises the phase correlation.
        ramp_rad_per_px: that ramp, row, column.
        amplitude_factor: factor by which the image's amplitude was multiplied.
        nonfinite_px: number of NaN or infinite pixels of either image, left out.
    """

    phase_correlation: float
    phase_psnr_db: float
    phase_psnr_data_range_rad: float
    phase_ssim: float
    phase_ssim_data_range_rad: float
    phase_mse: float
    phase_mae_rad: float
    phase_slope: float
    resolution_m: float
    resolution_px: float
    amplitude_correlation: float
    amplitude_mse: float
    amplitude_psnr_db: float
    amplitude_psnr_data_range: float
    amplitude_ssim: float
    amplitude_ssim_data_range: float
    overlap_px: int
    shift_px: tuple[float, float]
    ramp_removed: bool
    ramp_rad_per_px: tuple[float, float]
    amplitude_factor: float
    nonfinite_px: int

    def as_json(self) -> dict[str, object]:
        """Every attribute by name, with None for NaN and infinities."""
        return {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }


def compare(image: ObjectImage, reference: ObjectImage) -> Comparison:
    """Register `image` on `reference`, remove phase, ramp and scale, and compute their similarity.

    Compared are the pixels that both cover well: with at least half the median coverage of covered
    pixels.

    Raises:
        ResultError: if pixel sizes differ by more than 1 %, or an image is empty.
        OverlapError: if the images overlap too little.
    """
    pixel_size_m = _common_pixel_size_m(image, reference)
    covered, well = _masks(image)
    known, known_well = _masks(reference)
    values = np.where(covered, image.image, 0).astype(np.complex64)
    truth = np.where(known, reference.image, 0).astype(np.complex64)
    try:
        start = whole_pixel_shift(values, well, truth, known_well)
        level, ramped = (
            _Pair.of(
                register(values, covered, well, truth, known_well, start, with_ramp=with_ramp),
                truth,
            )
            for with_ramp in (False, True)
        )
    except ResultError as error:
        raise OverlapError(f"{image.name} and {reference.name}: {error}") from error
    # NaN, the correlation with a flat reference, is no gain either.
    ramp_removed = ramped.phase_correlation > level.phase_correlation + _RAMP_GAIN
    pair = ramped if ramp_removed else level
    overlap_px = int(np.count_nonzero(pair.mask))
    if overlap_px < LEAST_OVERLAP_PX:
        raise OverlapError(
            f"{image.name} and {reference.name} have {overlap_px} well covered pixels in common, "
            f"too few to compare (at least {LEAST_OVERLAP_PX}): do they show the same object?"
        )
    nonfinite = sum(int(np.count_nonzero(~np.isfinite(i.image))) for i in (image, reference))
    return _judged(pair, pixel_size_m, ramp_removed=ramp_removed, nonfinite_px=nonfinite)


@dataclass(frozen=True)
class _Pair:
    """Both images, registered and cropped to the bounding box of the pixels to compare.

    Attributes:
        registration: shift, ramp and gain that were removed.
        image: (h, w) complex64, the image on the reference's pixels.
        reference: (h, w) complex64.
        mask: (h, w) bool, pixels to compare.
        phase: (h, w) float64 rad, of the image, unwrapped to within π of the reference's.
        reference_phase: (h, w) float64 rad, relative to the mean phasor.
    """

    registration: Registration
    image: NDArray[np.complex64]
    reference: NDArray[np.complex64]
    mask: NDArray[np.bool_]
    phase: NDArray[np.float64]
    reference_phase: NDArray[np.float64]

    @classmethod
    def of(cls, registration: Registration, reference: NDArray[np.complex64]) -> "_Pair":
        mask = registration.mask
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
        moved, truth, mask = registration.image[box], reference[box], mask[box]
        phasor = truth[mask].sum(dtype=np.complex128)
        reference_phase = np.angle(truth * np.conj(phasor))
        difference = np.angle(moved * truth.conj())
        # The gain's phase is weighted by brightness; in the comparison every pixel counts equally.
        middle = np.angle(np.exp(1j * difference[mask]).sum())
        difference = wrap_rad(difference - middle)
        difference -= difference[mask].mean()
        phase = reference_phase + difference
        return cls(registration, moved, truth, mask, phase, reference_phase)

    @property
    def phase_correlation(self) -> float:
        return metrics.pearson_correlation(self.phase[self.mask], self.reference_phase[self.mask])


def _judged(
    pair: _Pair, pixel_size_m: float | None, *, ramp_removed: bool, nonfinite_px: int
) -> Comparison:
    mask = pair.mask
    phase, true_phase = pair.phase[mask], pair.reference_phase[mask]
    phase_range = metrics.data_range(true_phase)

    modulus, true_modulus = np.abs(pair.image), np.abs(pair.reference)
    power = float(np.sum(modulus[mask] ** 2, dtype=np.float64))
    factor = float(np.sum(modulus[mask] * true_modulus[mask], dtype=np.float64)) / power
    modulus = modulus * factor
    amplitude, true_amplitude = modulus[mask], true_modulus[mask]
    amplitude_range = metrics.data_range(true_amplitude)

    rings = metrics.fourier_ring_correlation(pair.image, pair.reference, mask)
    resolution_px = rings.resolution_px()
    shift, ramp = pair.registration.shift_px, pair.registration.ramp_rad_per_px
    return Comparison(
        phase_correlation=pair.phase_correlation,
        phase_psnr_db=metrics.psnr_db(phase, true_phase, phase_range),
        phase_psnr_data_range_rad=phase_range,
        phase_ssim=metrics.ssim(pair.phase, pair.reference_phase, phase_range, mask),
        phase_ssim_data_range_rad=phase_range,
        phase_mse=metrics.mean_squared_error(phase, true_phase),
        phase_mae_rad=metrics.mean_absolute_error(phase, true_phase),
        phase_slope=metrics.contrast_slope(phase, true_phase),
        resolution_m=float("nan") if pixel_size_m is None else resolution_px * pixel_size_m,
        resolution_px=resolution_px,
        amplitude_correlation=metrics.pearson_correlation(amplitude, true_amplitude),
        amplitude_mse=metrics.mean_squared_error(amplitude, true_amplitude),
        amplitude_psnr_db=metrics.psnr_db(amplitude, true_amplitude, amplitude_range),
        amplitude_psnr_data_range=amplitude_range,
        amplitude_ssim=metrics.ssim(modulus, true_modulus, amplitude_range, mask),
        amplitude_ssim_data_range=amplitude_range,
        overlap_px=int(np.count_nonzero(mask)),
        shift_px=(float(shift[0]), float(shift[1])),
        ramp_removed=ramp_removed,
        ramp_rad_per_px=(float(ramp[0]), float(ramp[1])),
        amplitude_factor=factor / abs(pair.registration.gain),
        nonfinite_px=nonfinite_px,
    )


def _common_pixel_size_m(image: ObjectImage, reference: ObjectImage) -> float | None:
    """Pixel size of both images, None if neither has one."""
    one, other = image.pixel_size_m, reference.pixel_size_m
    if one is None or other is None:
        return other if one is None else one
    if not same_pixel_size(one, other):
        raise ResultError(
            f"{image.name} has pixels of {one * 1e9:.4g} nm and {reference.name} of "
            f"{other * 1e9:.4g} nm: resample one of them, only equal pixels can be compared"
        )
    return other


def _masks(image: ObjectImage) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Masks of the covered and of the well covered pixels; non-finite pixels are in neither."""
    if image.coverage is None:
        covered = np.isfinite(image.image) & (image.image != 0)
        return covered, covered
    covered = np.isfinite(image.image) & (image.coverage > 0)
    if not covered.any():
        raise ResultError(f"{image.name} covers nothing: its coverage is zero everywhere")
    return covered, covered & (image.coverage >= np.median(image.coverage[covered]) / 2)
