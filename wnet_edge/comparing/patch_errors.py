"""Single-shot errors: patches against ground truth frame by frame, before stitching averages them.

The measures of Xing et al. (2024, Tables 1, 2 and 4), over illuminated pixels only. A frame does
not determine the global phase of its patch, so each patch is first aligned in phase with its label;
phase differences are then wrapped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.comparing import metrics
from wnet_edge.physics.gauge import wrap_rad
from wnet_edge.physics.labelled_frames import PatchLabels

Maps = NDArray[np.float32]

ILLUMINATED_SHARE = 0.01
"""Least intensity of an illuminated pixel, relative to the probe's largest intensity."""


@dataclass(frozen=True)
class PatchErrors:
    """Single-shot errors over the illuminated pixels of a set, after phase alignment per frame.

    Attributes:
        phase_mae_rad: mean absolute error, weighted by the illumination.
        phase_mse: mean squared error, rad².
        phase_psnr_db: PSNR of `phase_mse` relative to the data range of the set's phases.
        phase_ssim: mean SSIM over frames, relative to the same range.
        amplitude_mae: mean absolute error, weighted by the illumination.
        amplitude_mse: mean squared error.
        amplitude_psnr_db: PSNR of `amplitude_mse` relative to the data range of the amplitudes.
        amplitude_ssim: mean SSIM over frames, relative to the same range.
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
    """Illuminated pixels of a patch, (n, n) bool, from the probe's intensity (n, n)."""
    bright: NDArray[np.bool_] = intensity >= ILLUMINATED_SHARE * intensity.max()
    return bright


def illuminated_px(intensity: Maps) -> int:
    """Largest extent of the illuminated pixels of a patch along rows or columns."""
    rows, columns = np.nonzero(illuminated(intensity))
    return int(max(np.ptp(rows), np.ptp(columns))) + 1


def phase_aligned(amplitude: Maps, phase_rad: Maps, truth: PatchLabels, weight: Maps) -> Maps:
    """Phases (N, n, n) float32 rad, aligned per frame with the labels and within π of them."""
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
    """Single-shot errors of predicted patches (N, n, n) against a labelled set.

    Args:
        amplitude: (N, n, n) float32, the network's output.
        phase_rad: (N, n, n) float32, the network's output.
        truth: ground truth.
        weight: (n, n) float32, illumination weight.
        mask: (n, n) bool, pixels to compare.
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
