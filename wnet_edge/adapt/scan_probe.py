"""A given probe, put right for the scan: scale, orientation, half pixels, modes, wear.

Probes from other programs come in arbitrary units, mirrored, shifted by half a pixel, with one mode
only, or from another day. Each fault shows in frames of the scan that no pass has used.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.adapt.focus import with_side_modes
from wnet_edge.adapt.scan_part import ScanPart, tried
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.probe import fitted_probe, probe_far_field, resampled_probe

_ORIENTATION_PASSES = 3
_HELD_PASSES = 6
_IMPROVING_PASSES = 15
"""Passes: to try an orientation, to test a probe that is held, to improve one."""

_MODES = 3
"""Of a probe that came with one."""

_CLEARLY = 0.93
"""Ratio of R-factors of held-out frames below which another orientation is taken."""

_BETTER = 0.95
"""Likewise, below which an improved probe is taken instead of the given one."""

_LEAST_TILT_PX = 0.25
"""Of the beam on the detector, detector pixels, that is worth a correction."""

_TRANSMISSION = (0.05, 1.1)
"""Of a sample, by the probe's power: outside, the power is in another unit than counts."""

_BRIGHT = 95
"""Percentile of the frames' counts that is taken for those without a sample."""


@dataclass(frozen=True, eq=False)
class PutRight:
    """A probe as the scan's frames want it.

    Attributes:
        modes: (modes, F, F) complex64, in √counts.
        notes: what had to be done, one line each.
    """

    modes: NDArray[np.complex64]
    notes: tuple[str, ...] = ()


def on_grid(
    modes: NDArray[np.complex64], pixel_size_m: float, span_m: float, full_px: int
) -> NDArray[np.complex64]:
    """A probe (modes, n, n) of any window on the object pixels of the full window, (modes, F, F).

    Args:
        modes: the probe.
        pixel_size_m: of it.
        span_m: field of view of the full window.
        full_px: F.
    """
    return resampled_probe(fitted_probe(modes, round(span_m / pixel_size_m)), full_px)


def centred(modes: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], tuple[int, int]]:
    """A probe (modes, n, n) with its intensity's centroid in the middle, and the shift it took.

    Whole pixels, periodic, so that a probe across the window's edge is made whole.
    """
    power = probe_intensity(modes).astype(np.float64)
    size_px = power.shape[0]
    turns = np.exp(2j * np.pi * np.arange(size_px) / size_px)
    shift = []
    for axis in (1, 0):
        # The mean direction on a circle is the centroid of what is periodic.
        angle = np.angle(np.sum(power.sum(axis=axis) * turns))
        at = (angle / (2 * np.pi) * size_px) % size_px
        shift.append(round(size_px // 2 - at))
    rows, columns = shift
    return np.roll(modes, (rows, columns), axis=(-2, -1)), (rows, columns)


def put_right(
    modes: NDArray[np.complex64], part: ScanPart, tell: Callable[[str], None]
) -> PutRight:
    """Test a probe on a part of its scan, and mend what is wrong with it.

    Args:
        modes: (modes, F, F), on the full window's pixels.
        part: frames of the scan.
        tell: called with a line at the start of each step.
    """
    notes: list[str] = []
    tell("testing the probe on frames of the scan")
    modes, note = _upright(modes, part)
    notes += note
    modes, note = _untilted(modes, part)
    notes += note
    modes, note = _scaled(modes, part)
    notes += note
    modes, note = _improved(modes, part)
    notes += note
    return PutRight(modes, tuple(notes))


def _upright(
    modes: NDArray[np.complex64], part: ScanPart
) -> tuple[NDArray[np.complex64], list[str]]:
    """In the orientation that explains the frames best, if it is clearly another."""
    senses = {
        turn: tried(part, orient(modes, turn), _ORIENTATION_PASSES).r_held_out
        for turn in Orientation
    }
    best = min(senses, key=lambda turn: senses[turn])
    given = senses[Orientation.IDENTITY]
    if senses[best] > _CLEARLY * given:
        return modes, []
    return orient(modes, best), [
        f"the probe is turned ({best.value}): it then explains frames held out with R-factor "
        f"{senses[best]:.3f} instead of {given:.3f}"
    ]


def _untilted(
    modes: NDArray[np.complex64], part: ScanPart
) -> tuple[NDArray[np.complex64], list[str]]:
    """With its far field where the mean frame is, to a fraction of a detector pixel."""
    mean = part.mean_frame
    valid = np.isfinite(mean)
    root = np.sqrt(np.where(valid, mean, 0), dtype=np.float64)
    far = np.sqrt(probe_far_field(modes, mean.shape[0]).astype(np.float64)) * valid
    shift = _subpixel_shift(root, far) * (part.full_px // mean.shape[0])
    if np.abs(shift).max() < _LEAST_TILT_PX:
        return modes, []
    index = (np.arange(part.full_px) - part.full_px // 2) / part.full_px
    rows, columns = np.exp(2j * math.pi * shift[:, None] * index)
    tilted: NDArray[np.complex64] = (modes * np.outer(rows, columns)).astype(np.complex64)
    return tilted, [
        f"the probe's far field is moved by {shift[0]:.2f}, {shift[1]:.2f} detector pixels onto "
        "the mean frame"
    ]


def _subpixel_shift(
    image: NDArray[np.float64], template: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(2,) by which the template must move to lie on the image, within ±1 px, to a twentieth."""
    cross = np.fft.fft2(image) * np.fft.fft2(template).conj()
    steps = np.arange(-1, 1.01, 0.05)
    q = np.fft.fftfreq(len(image))
    turn = np.exp(2j * np.pi * steps[:, None] * q)
    agreement = (turn @ cross @ turn.T).real
    row, column = np.unravel_index(int(agreement.argmax()), agreement.shape)
    return np.array([steps[row], steps[column]])


def _scaled(
    modes: NDArray[np.complex64], part: ScanPart
) -> tuple[NDArray[np.complex64], list[str]]:
    """In √counts: its power that of the brightest frames, unless it is plausible as it is."""
    totals = np.maximum(part.counts, 0).sum(axis=(1, 2), dtype=np.float64)
    valid = np.isfinite(part.mean_frame)
    far = probe_far_field(modes, part.counts.shape[-1])
    seen = float(far[valid].sum(dtype=np.float64))
    low, high = _TRANSMISSION
    if low <= float(np.median(totals)) / seen <= high:
        return modes, []
    factor = math.sqrt(float(np.percentile(totals, _BRIGHT)) / seen)
    scaled: NDArray[np.complex64] = (modes * np.float32(factor)).astype(np.complex64)
    return scaled, [
        "the probe's power is in another unit than the frames' counts: it is set to that of the "
        "brightest frames, and transmission is relative to them"
    ]


def _improved(
    modes: NDArray[np.complex64], part: ScanPart
) -> tuple[NDArray[np.complex64], list[str]]:
    """Improved by passes, with side modes if it has one, if frames held out gain by it."""
    given = tried(part, modes, _HELD_PASSES).r_held_out
    start = modes if len(modes) > 1 else with_side_modes(modes, _MODES)
    better = tried(part, start, _IMPROVING_PASSES, improve_probe=True).probe
    improved = tried(part, better, _HELD_PASSES).r_held_out
    if improved > _BETTER * given:
        return modes, []
    power = math.sqrt(float(np.sum(np.abs(modes) ** 2) / np.sum(np.abs(better) ** 2)))
    scaled: NDArray[np.complex64] = (better * np.float32(power)).astype(np.complex64)
    added = f" with {len(better) - len(modes)} modes more" if len(better) > len(modes) else ""
    return scaled, [
        f"the probe is improved on {int((~part.held_out).sum())} frames of the scan{added}: "
        f"R-factor of frames held out {given:.3f} to {improved:.3f}"
    ]
