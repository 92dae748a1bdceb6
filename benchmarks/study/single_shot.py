"""Patches against labels, frame by frame: the numbers of the paper's Tables 1, 2 and 4.

Only illuminated pixels are judged. A frame does not tell the phase of its patch, so each patch is
first turned to agree with its label; then phases differ the short way round.
"""

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.results import PatchErrors, SetFacts
from benchmarks.study.sets import LabelledSet
from wnet_edge import metrics

Maps = NDArray[np.float32]


def turned(amplitude: Maps, phase_rad: Maps, truth: LabelledSet, weight: Maps) -> Maps:
    """Phases (N, n, n) float32 that agree with the labels in the weighted mean, near them."""
    patch = amplitude * np.exp(1j * phase_rad)
    label = truth.amplitude * np.exp(1j * truth.phase_rad)
    agreement = (weight**2 * patch * label.conj()).sum(axis=(1, 2), keepdims=True)
    difference = phase_rad - truth.phase_rad - np.angle(agreement)
    near: Maps = (truth.phase_rad + metrics.wrap_rad(difference)).astype(np.float32)
    return near


def patch_errors(
    amplitude: Maps,
    phase_rad: Maps,
    truth: LabelledSet,
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
    near = turned(amplitude, phase_rad, truth, weight)
    share = weight[mask] / weight[mask].mean()
    phase = _judged(near, truth.phase_rad, mask, share)
    modulus = _judged(amplitude, truth.amplitude, mask, share)
    return PatchErrors(*phase, *modulus)


def set_facts(truth: LabelledSet, weight: Maps, mask: NDArray[np.bool_]) -> SetFacts:
    """Ranges of a set, and the errors of patches that show nothing."""
    ones = np.ones_like(truth.amplitude)
    return SetFacts(
        frames=len(truth.counts),
        illuminated_px=int(mask.sum()),
        phase_range_rad=metrics.data_range(truth.phase_rad[:, mask]),
        amplitude_range=metrics.data_range(truth.amplitude[:, mask]),
        flat=patch_errors(ones, np.zeros_like(ones), truth, weight, mask),
    )


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
