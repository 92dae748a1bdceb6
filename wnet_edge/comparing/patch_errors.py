"""Patches against labels, frame by frame: before any stitching evens their errors out.

The measures of Xing et al. (2024, Tables 1, 2 and 4). Only illuminated pixels are judged. A frame
does not tell the phase of its patch, so each patch is first turned to agree with its label; then
phases differ the short way round.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing import metrics
from wnet_edge.physics.gauge import wrap_rad
from wnet_edge.physics.labelled_frames import PatchLabels

Maps = NDArray[np.float32]

ILLUMINATED_SHARE = 0.01
"""Of the probe's greatest intensity: darker pixels are not judged."""


@dataclass(frozen=True)
class PatchErrors:
    """Single-shot errors over the illuminated pixels of a set, phase freed of its gauge.

    Attributes:
        phase_mae_rad: mean |error|, weighted by the illumination.
        phase_mse: mean squared error, rad².
        phase_psnr_db: of that, relative to the set's range of phases.
        phase_ssim: mean over frames, relative to the same range.
        amplitude_mae: mean |error|, weighted by the illumination.
        amplitude_mse: mean squared error.
        amplitude_psnr_db: of that, relative to the set's range of amplitudes.
        amplitude_ssim: mean over frames, relative to the same range.
    """

    phase_mae_rad: float
    phase_mse: float
    phase_psnr_db: float
    phase_ssim: float
    amplitude_mae: float
    amplitude_mse: float
    amplitude_psnr_db: float
    amplitude_ssim: float


def illuminated(intensity: Maps) -> NDArray[np.bool_]:
    """Pixels of a patch that are judged, (n, n) bool, of the probe's intensity (n, n) there."""
    bright: NDArray[np.bool_] = intensity >= ILLUMINATED_SHARE * intensity.max()
    return bright


def phase_aligned(amplitude: Maps, phase_rad: Maps, truth: PatchLabels, weight: Maps) -> Maps:
    """Phases (N, n, n) float32 that agree with the labels in the weighted mean, near them."""
    patch = amplitude * np.exp(1j * phase_rad)
    label = truth.amplitude * np.exp(1j * truth.phase_rad)
    agreement = (weight**2 * patch * label.conj()).sum(axis=(1, 2), keepdims=True)
    difference = phase_rad - truth.phase_rad - np.angle(agreement)
    near: Maps = (truth.phase_rad + wrap_rad(difference)).astype(np.float32)
    return near


def patch_errors(
    amplitude: Maps,
    phase_rad: Maps,
    truth: PatchLabels,
    weight: Maps,
    mask: NDArray[np.bool_],
) -> PatchErrors:
    """Errors of patches (N, n, n) over a set.

    Args:
        amplitude: as a network gives it.
        phase_rad: the same.
        truth: labels.
        weight: (n, n) illumination weight.
        mask: (n, n), True where judged.
    """
    near = phase_aligned(amplitude, phase_rad, truth, weight)
    share = weight[mask] / weight[mask].mean()
    phase = _judged(near, truth.phase_rad, mask, share)
    modulus = _judged(amplitude, truth.amplitude, mask, share)
    return PatchErrors(*phase, *modulus)


def _judged(
    maps: Maps, labels: Maps, mask: NDArray[np.bool_], share: Maps
) -> tuple[float, float, float, float]:
    """Weighted MAE, MSE, PSNR in dB and SSIM."""
    found, known = maps[:, mask], labels[:, mask]
    span = metrics.data_range(known)
    mae = float(np.mean(share * np.abs(found - known), dtype=np.float64))
    ssim = [metrics.ssim(one, other, span, mask) for one, other in zip(maps, labels, strict=True)]
    return (
        mae,
        metrics.mean_squared_error(found, known),
        metrics.psnr_db(found, known, span),
        float(np.mean(ssim)),
    )
