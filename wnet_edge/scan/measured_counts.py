"""Frames of a scan, by their numbers, to counts as a network takes them."""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.scan.counts import NOT_A_COUNT, network_counts
from wnet_edge.scan.frame_source import SelectedFrames
from wnet_edge.scan.scan import Scan

_BLOCK_FRAMES = 64
"""Read at a time, so that unbinned frames of a large detector do not fill the memory."""


def read_counts(scan: Scan, numbers: NDArray[np.int64], binning: int) -> NDArray[np.float32]:
    """Counts of the frames `numbers`, ascending: (n, 1, n_px / b, n_px / b) float32.

    Masked bins are negative. As in inference, what is no number or the mark of a gap is masked in
    its frame, and what a dark-subtracted camera has below zero is zero.
    """
    source = SelectedFrames(scan.frames, numbers)
    size_px = scan.frame_px // binning
    counts = np.empty((len(numbers), 1, size_px, size_px), dtype=np.float32)
    for start in range(0, len(numbers), _BLOCK_FRAMES):
        frames = np.asarray(source[start : start + _BLOCK_FRAMES], dtype=np.float32)
        wrong = ~(np.abs(frames) < NOT_A_COUNT)  # NaN fails the comparison
        clean = np.where(wrong, np.float32(0), np.maximum(frames, np.float32(0)))
        counts[start : start + len(frames)] = network_counts(clean, scan.mask | wrong, binning)
    return counts
