"""Survey of a scan's frames before inference: bad pixels, mask, kind of values, mean frame.

A few frames from all over the scan show what the file does not state: dead, hot or stuck pixels and
pixels without counts, an inverted mask, values that are not plain counts, and the mean frame in
which the beam centre is found.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.framing.odd_pixels import (
    cut_off,
    dead_lines,
    hot_lines,
    odd_pixels,
    places,
    stuck_pixels,
)
from wnet_edge.framing.plain_counts import Top, check_plain_counts, top_of
from wnet_edge.io.found import FoundScan
from wnet_edge.io.parts.complete_scan import detector_mask, required_frames
from wnet_edge.scan.counts import NOT_A_COUNT
from wnet_edge.scan.detector_window import as_counts
from wnet_edge.scan.preparation import is_flat

SAMPLED_FRAMES = 32
_SAMPLED_BYTES = 128 << 20
_LONG_RIM_PX = 32
"""Number of pixels from which the rim of a shadow is reported; fewer may be dust."""
_NOT_HOT = 0.99
"""Quantile of the counts to which they are clipped, so that hot pixels do not decide on a mask."""
_MOST = 0.5
"""A mask that hides more than this fraction both of the pixels and of the counts is inverted."""
_MUCH = 0.2
_MUCH_ROOT = 0.1
"""Fractions of the counts, and of their summed square roots, above which a mask is reported: a few
hot pixels do not hold so much."""


@dataclass(frozen=True)
class Survey:
    """Findings from a few frames of a scan.

    Attributes:
        mean: (H, W) float32, mean counts per frame, zero where masked.
        mask: (H, W) bool, True for pixels that must not be used: given by the file or user, or
            found.
        notes: findings that the file did not state, one line each.
        no_count_from: values from here on mark invalid pixels.
    """

    mean: NDArray[np.float32]
    mask: NDArray[np.bool_]
    notes: tuple[str, ...]
    no_count_from: float


def survey(found: FoundScan) -> Survey:
    """Survey up to `SAMPLED_FRAMES` frames from all over the scan.

    Raises:
        ScanError: if there are no frames, the mask has another shape or is inverted, or the values
            are not plain counts.
    """
    source = required_frames(found)
    told = detector_mask(found)
    stored = _sampled(source.value)
    subject = f"{found.path}: {source.where}"
    counts = as_counts(stored)
    is_count = (counts >= 0) & (counts < NOT_A_COUNT)
    counts[~is_count] = 0
    read = [k for k, frame in enumerate(counts) if frame.any() and not is_flat(frame[~told])]
    if read and len(read) < len(counts):
        stored, counts, is_count = stored[read], counts[read], is_count[read]
    middle = len(counts) // 2
    notes = list(
        check_plain_counts(subject, stored[middle], counts[middle], is_count[middle] & ~told)
    )

    gaps = ~is_count.any(axis=0) & ~told
    constant = stuck_pixels(counts, is_count, stored.dtype)
    stuck = constant & ~told & ~gaps
    top = top_of(counts, ~(told | gaps | stuck), stuck)
    if top.saturated_share:
        # In the brightest part of the beam a pixel may be saturated in every frame.
        stuck &= counts[0] != top.saturated_at
    stuck_at = _values(counts[0][stuck])
    is_count &= counts < top.no_count_from
    counts[~is_count] = 0
    seen = is_count.sum(axis=0)
    total = counts.sum(axis=0, dtype=np.float64)
    light = total / np.maximum(seen, 1)
    light[stuck] = 0
    notes += _judged_mask(found, told, np.where(constant, 0, light))

    mask = told | gaps | stuck
    total[mask] = 0
    dead, hot = odd_pixels(total, mask)
    dead |= dead_lines(total, mask | hot)
    hot |= hot_lines(total, mask | dead | hot)
    mask = mask | dead | hot
    for pixels, what in (
        (gaps, "without counts in any frame"),
        (stuck, f"with the same value in every frame, {stuck_at}"),
        (dead, "dead"),
        (hot, "hot"),
    ):
        if number := int(pixels.sum()):
            plural = "s" if number > 1 else ""
            notes.append(f"masked: {number} detector pixel{plural} {what} ({places(pixels)})")
    rim = cut_off(total, mask)
    if rim.sum() >= _LONG_RIM_PX:
        notes.append(
            f"{int(rim.sum())} pixels without a count in any frame lie right next to bright ones "
            f"({places(rim)}): name a mask of the beamstop or the dead part with --mask"
        )
    notes += _top_notes(top)
    mean = np.where(mask, 0, light).astype(np.float32)
    return Survey(mean, mask, tuple(notes), top.no_count_from)


def _sampled(frames: Any) -> NDArray[Any]:  # noqa: ANN401 - h5py has no types
    """Frames (k, H, W) as stored, evenly spread over the scan."""
    count, height, width = frames.shape
    size = max(1, min(count, SAMPLED_FRAMES, _SAMPLED_BYTES // (4 * height * width)))
    numbers = np.linspace(0, count - 1, size).astype(int).tolist()
    return np.stack([np.asarray(frames[number]) for number in numbers])


def _judged_mask(
    found: FoundScan, told: NDArray[np.bool_], light: NDArray[np.float64]
) -> tuple[str, ...]:
    """Warnings about the given mask, from the counts (H, W) that it hides.

    Raises:
        ScanError: if it hides most of the pixels and most of the counts, as an inverted one does.
    """
    if found.mask is None or not light.any():
        return ()
    light = np.minimum(light, np.quantile(light[light > 0], _NOT_HOT))
    root = np.sqrt(light)
    marked = float(told.mean())
    hidden = float(light[told].sum() / light.sum())
    hidden_root = float(root[told].sum() / root.sum())
    says = (
        f"{found.mask.where} marks {_percent(marked)} of the pixels as bad, with "
        f"{_percent(hidden)} of the counts"
    )
    flag = "--mask-good which value marks a good pixel (0 or 1)"
    if min(marked, hidden, hidden_root) > _MOST:
        raise ScanError(
            f"{found.path}: {says}: is it inverted? Say with {flag}, or give --mask none"
        )
    if hidden > _MUCH and hidden_root > _MUCH_ROOT:
        return (f"{says}: if it marks the good ones, say with {flag}",)
    return ()


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.9995 else "almost 100 %"


def _values(values: NDArray[np.float32]) -> str:
    """Text of up to three distinct values."""
    distinct = np.unique(values)
    text = ", ".join(f"{value:.10g}" for value in distinct[:3])
    return text if len(distinct) <= 3 else f"{text} …"


def _top_notes(top: Top) -> tuple[str, ...]:
    notes = []
    if top.no_count_from < NOT_A_COUNT:
        notes.append(
            f"values of {top.no_count_from:.10g} and above stand apart from all counts: they are "
            "taken for a detector's mark and are left out"
        )
    if top.saturated_share:
        notes.append(
            f"{100 * top.saturated_share:.2g} % of the values are {top.saturated_at:.10g}, which "
            "none exceeds: the detector is saturated there; attenuate the beam, or expose shorter"
        )
    return tuple(notes)
