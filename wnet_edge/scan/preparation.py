"""Frames as they were read to counts as the graph takes them, and what was wrong with them.

Dark-subtracted cameras give fractions and slightly negative values: they are taken, negative ones
as zero. What is no number, or the mark of a detector gap, is masked in its frame. A frame with too
much of either is left out, and so is one that shows no diffraction, being as bright everywhere.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.binning import bin_frames
from wnet_edge.scan.counts import NOT_A_COUNT, BinShares, network_counts

_LARGEST_LOST_SHARE = 0.1
"""Of a frame's pixels that may be no counts, and of its counts that may be negative."""

_FLAT = 0.8
"""Of the brightest pixel: a frame whose mean is above it is saturated all over, or was not read."""

_BUFFER_BYTES = 256 << 10
"""Of frames prepared at a time: what is made of them on the way is small enough for the heap."""


@dataclass(frozen=True)
class Prepared:
    """A batch as the graph takes it.

    Attributes:
        counts: (B, 1, h, w) float32, masked pixels negative.
        totals: (B,) float64, counts of the whole unmasked frame; 0 for a frame to be left out.
        values_masked: values that were no counts, outside the scan's mask.
        values_clipped: negative values that were taken as zero, outside the scan's mask.
        frames_flat: frames that are as bright everywhere.
    """

    counts: NDArray[np.float32]
    totals: NDArray[np.float64]
    values_masked: int
    values_clipped: int
    frames_flat: int


def is_flat(values: NDArray[np.float32]) -> bool:
    """Whether unmasked pixels of a frame are all about as bright: no diffraction is."""
    largest = float(values.max(initial=0))
    return largest > 0 and float(values.mean(dtype=np.float64)) > _FLAT * largest


class Preparation:
    """Makes counts of all frames of a scan, batch by batch.

    Args:
        mask: (n, n), True where the pixel must not be used.
        binning: detector pixels along an edge of one of the graph's.
    """

    def __init__(self, mask: NDArray[np.bool_], binning: int) -> None:
        self._mask = mask
        self._binning = binning
        self._used_px = int(np.count_nonzero(~mask))
        self._shares = BinShares.of(mask, binning) if mask.any() else None
        at_once = max(1, _BUFFER_BYTES // (4 * mask.size))
        # Used again: a fresh one costs a page fault every 4 kB, more time than all the rest.
        self._clean = np.empty((at_once, *mask.shape), np.float32)

    def prepare(self, frames: NDArray[np.float32]) -> Prepared:
        """Frames (B, n, n), which stay as they are, to what the graph takes."""
        size_px = frames.shape[1] // self._binning
        counts = np.empty((len(frames), 1, size_px, size_px), np.float32)
        totals = np.empty(len(frames))
        values_masked = values_clipped = frames_flat = 0
        for start in range(0, len(frames), len(self._clean)):
            part = slice(start, start + len(self._clean))
            some = self._prepare(frames[part])
            counts[part], totals[part] = some.counts, some.totals
            values_masked += some.values_masked
            values_clipped += some.values_clipped
            frames_flat += some.frames_flat
        return Prepared(counts, totals, values_masked, values_clipped, frames_flat)

    def _prepare(self, frames: NDArray[np.float32]) -> Prepared:
        """As `prepare`, a few frames."""
        clean = self._without_masked(frames)
        brightest = clean.reshape(len(clean), -1).max(axis=1)
        # NaN fails both comparisons.
        if not (clean.min() >= 0 and brightest.max() < NOT_A_COUNT):
            return _repaired(clean, self._mask, self._binning)
        binned = bin_frames(clean, self._binning)
        totals = binned.sum(axis=(1, 2), dtype=np.float64)
        flat = (totals > _FLAT * self._used_px * brightest) & (totals > 0)
        totals[flat] = 0
        counts = binned if self._shares is None else self._shares.rescaled(binned)
        return Prepared(counts[:, None], totals, 0, 0, int(flat.sum()))

    def _without_masked(self, frames: NDArray[np.float32]) -> NDArray[np.float32]:
        """The frames, masked pixels zero; until the next call."""
        if self._shares is None:
            return frames
        clean = self._clean[: len(frames)]
        np.copyto(clean, frames)
        np.copyto(clean, 0, where=self._mask)
        return clean


def _repaired(frames: NDArray[np.float32], mask: NDArray[np.bool_], binning: int) -> Prepared:
    """Frames some of whose values are no counts or below zero; masked pixels are zero."""
    with np.errstate(invalid="ignore"):
        wrong = ~(np.abs(frames) < NOT_A_COUNT)
    clean = np.where(wrong, np.float32(0), frames)
    below = np.minimum(clean, 0).sum(axis=(1, 2), dtype=np.float64)
    values_clipped = int(np.count_nonzero(clean < 0))
    np.maximum(clean, 0, out=clean)
    totals = clean.sum(axis=(1, 2), dtype=np.float64)
    lost = wrong.sum(axis=(1, 2)) > _LARGEST_LOST_SHARE * np.count_nonzero(~mask)
    lost |= -below > _LARGEST_LOST_SHARE * totals
    pixels = (~(wrong | mask)).sum(axis=(1, 2))
    flat = (totals > _FLAT * pixels * clean.max(axis=(1, 2))) & (totals > 0) & ~lost
    totals[lost | flat] = 0
    counts = network_counts(clean, mask | wrong, binning)
    return Prepared(counts, totals, int(wrong.sum()), values_clipped, int(flat.sum()))
