"""Frames as they were read to counts as the graph takes them, and which of them are usable.

Shared by everything that uses measured frames: `infer` batch by batch, `evaluate`, `export` and
training by frame number. Dark-subtracted cameras give fractions and slightly negative
values: they are taken, negative ones as zero. What is no number, or the mark of a detector gap, is
masked in its frame. A frame with too much of either is left out, and so is one that shows no
diffraction, being as bright everywhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.physics.binning import bin_frames
from wnet_edge.scan.counts import NOT_A_COUNT, BinShares, network_counts
from wnet_edge.scan.frame_source import SelectedFrames
from wnet_edge.scan.scan import Scan

_LARGEST_LOST_SHARE = 0.1
"""Of a frame's pixels that may be no counts, and of its counts that may be negative."""

_FLAT = 0.8
"""Of the brightest pixel: a frame whose mean is above it is saturated all over, or was not read."""

_BUFFER_BYTES = 256 << 10
"""Of frames prepared at a time: what is made of them on the way is small enough for the heap."""

_BLOCK_FRAMES = 64
"""Number of frames read at a time, which bounds the memory for unbinned frames."""


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

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(B,), False for frames to be left out."""
        return self.totals > 0


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
        self._mask, self._masked = mask, np.flatnonzero(mask)
        self._binning = binning
        self._used_px = int(np.count_nonzero(~mask))
        self._shares = BinShares.of(mask, binning) if mask.any() else None
        at_once = max(1, _BUFFER_BYTES // (4 * mask.size))
        # Used again: a fresh one costs a page fault every 4 kB, more time than all the rest.
        self._clean = np.empty((at_once, *mask.shape), np.float32)

    def prepare(
        self, frames: NDArray[np.float32], left_out: NDArray[np.bool_] | None = None
    ) -> Prepared:
        """Frames (B, n, n), which stay as they are, to what the graph takes.

        Those that are `left_out` (B,) for another reason, a position say, are not usable either.
        """
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
        if left_out is not None:
            totals[left_out] = 0
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
        clean.reshape(len(clean), -1)[:, self._masked] = 0
        return clean


def prepare_frames(scan: Scan, numbers: NDArray[np.int64], binning: int) -> Prepared:
    """Prepare frames `numbers` (K,), ascending, of a scan; those that it leaves out are not usable.

    Counts are (K, 1, n / b, n / b) for frames of n px and `binning` b, in the order of `numbers`.
    """
    size_px = scan.frame_px // binning
    counts = np.empty((len(numbers), 1, size_px, size_px), dtype=np.float32)
    totals = np.empty(len(numbers))
    masked = clipped = flat = 0
    for part, some in _blocks(scan, numbers, binning):
        counts[part], totals[part] = some.counts, some.totals
        masked, clipped = masked + some.values_masked, clipped + some.values_clipped
        flat += some.frames_flat
    return Prepared(counts, totals, masked, clipped, flat)


@dataclass(frozen=True)
class UsableFrames:
    """Which frames of a scan can be used, and what is wrong with the others.

    Attributes:
        usable: (N,), True for frames with counts and a position.
        warnings: one line each.
    """

    usable: NDArray[np.bool_]
    warnings: tuple[str, ...]


def usable_frames(scan: Scan, largest_lost_share: float) -> UsableFrames:
    """Read all frames of a scan, in blocks, and find those that can be used.

    Raises:
        ScanError: if more than `largest_lost_share` of them can't.
    """
    usable = np.empty(scan.frame_count, dtype=np.bool_)
    masked = clipped = flat = 0
    for part, some in _blocks(scan, np.arange(scan.frame_count), 1):
        usable[part] = some.usable
        masked, clipped = masked + some.values_masked, clipped + some.values_clipped
        flat += some.frames_flat
    check_lost(scan, ~usable, flat, largest_lost_share)
    return UsableFrames(usable, fault_lines(int((~usable).sum()), flat, masked, clipped))


def check_lost(scan: Scan, lost: NDArray[np.bool_], frames_flat: int, largest_share: float) -> None:
    """Check that no more than a few frames are without counts or position.

    Args:
        scan: scan of the frames.
        lost: (N,), True for frames that can't be used.
        frames_flat: number of lost frames that are as bright everywhere.
        largest_share: largest fraction of frames that may be lost.

    Raises:
        ScanError: if more are lost, with what they have in common.
    """
    count = int(np.count_nonzero(lost))
    if count <= largest_share * scan.frame_count:
        return
    seen = ""
    used = np.flatnonzero(~lost)
    if frames_flat:
        seen = f"; {frames_flat} of them are as bright everywhere, saturated or never read out"
    elif len(used) and used[-1] + 1 + count == scan.frame_count:
        seen = (
            f"; all of them from frame {used[-1] + 1} on: if the scan ended there, give "
            f"--frames-range 0:{used[-1] + 1}"
        )
    noted = "".join(f"; {note}" for note in scan.notes)
    raise ScanError(
        f"{scan.path}: {count} of {scan.frame_count} frames have no counts, bad ones or no "
        "position (shutter closed, everything masked, or not counts at all?); give frames of "
        f"which at most one in ten is bad{seen}{noted}"
    )


def fault_lines(
    frames_lost: int, frames_flat: int, values_masked: int, values_clipped: int
) -> tuple[str, ...]:
    """Warnings about the frames of a scan, one line each."""
    lines = []
    if frames_lost:
        lines.append(
            f"{frames_lost} frames have no counts, no position or no finite patch and are left out"
        )
    if frames_flat:
        lines.append(f"{frames_flat} of them are as bright everywhere (saturated, not read out?)")
    if values_masked:
        lines.append(f"{values_masked} values are no counts (NaN, gaps) and are left out")
    if values_clipped:
        lines.append(f"{values_clipped} values below zero are taken as zero")
    return tuple(lines)


def _blocks(
    scan: Scan, numbers: NDArray[np.int64], binning: int
) -> Iterator[tuple[slice, Prepared]]:
    """Blocks of `numbers`, as slices, with their prepared frames."""
    preparation = Preparation(scan.mask, binning)
    source = SelectedFrames(scan.frames, numbers)
    for start in range(0, len(numbers), _BLOCK_FRAMES):
        part = slice(start, start + _BLOCK_FRAMES)
        frames = np.asarray(source[part], dtype=np.float32)
        yield part, preparation.prepare(frames, scan.left_out[numbers[part]])


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
