"""Frames as they were read to counts as the graph takes them, and what was wrong with them.

Dark-subtracted cameras give fractions and slightly negative values: they are taken, negative ones
as zero. What is no number, or the mark of a detector gap, is masked in its frame. A frame with too
much of either is left out.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.preprocess import NOT_A_COUNT, network_counts

_LARGEST_LOST_SHARE = 0.1
"""Of a frame's pixels that may be no counts, and of its counts that may be negative."""


@dataclass(frozen=True)
class Prepared:
    """A batch as the graph takes it.

    Attributes:
        counts: (B, 1, h, w) float32, masked pixels negative.
        totals: (B,) float64, counts of the whole unmasked frame; 0 for a frame to be left out.
        values_masked: values that were no counts, outside the scan's mask.
        values_clipped: negative values that were taken as zero, outside the scan's mask.
    """

    counts: NDArray[np.float32]
    totals: NDArray[np.float64]
    values_masked: int
    values_clipped: int


def prepare(frames: NDArray[np.float32], mask: NDArray[np.bool_], binning: int) -> Prepared:
    """Frames (B, n, n) float32 and mask (n, n) to what the graph takes."""
    clean = np.where(mask, np.float32(0), frames) if mask.any() else frames
    # NaN fails both comparisons.
    if clean.min() >= 0 and clean.max() < NOT_A_COUNT:
        totals = clean.sum(axis=(1, 2), dtype=np.float64)
        return Prepared(network_counts(clean, mask, binning), totals, 0, 0)
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(clean) < NOT_A_COUNT)
    clean = np.where(wrong, np.float32(0), clean)
    below = np.minimum(clean, 0).sum(axis=(1, 2), dtype=np.float64)
    values_clipped = int(np.count_nonzero(clean < 0))
    np.maximum(clean, 0, out=clean)
    totals = clean.sum(axis=(1, 2), dtype=np.float64)
    lost = wrong.sum(axis=(1, 2)) > _LARGEST_LOST_SHARE * np.count_nonzero(~mask)
    lost |= -below > _LARGEST_LOST_SHARE * totals
    totals[lost] = 0
    counts = network_counts(clean, mask | wrong, binning)
    return Prepared(counts, totals, int(wrong.sum()), values_clipped)
