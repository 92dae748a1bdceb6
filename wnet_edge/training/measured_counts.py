"""Frames as a file holds them to counts as a network trains on them."""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import TrainingError
from wnet_edge.preprocess import NOT_A_COUNT, network_counts
from wnet_edge.scan import Scan, SelectedFrames

_BLOCK_FRAMES = 64
"""Read at a time, so that unbinned frames of a large detector do not fill the memory."""

_LARGEST_FRACTION = 0.1
"""Of a frame's counts that rounding to whole ones may change: more are no counts."""


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


def check_whole_counts(scan: Scan, numbers: NDArray[np.int64]) -> None:
    """See that frames hold photons, which can be thinned, and not intensities of some unit.

    Raises:
        TrainingError: if the first of `numbers` does not.
    """
    counts = np.maximum(read_counts(scan, numbers[:1], 1), 0)
    if np.abs(counts.sum() - np.rint(counts).sum()) > _LARGEST_FRACTION * counts.sum():
        raise TrainingError(
            f"{scan.path}: frames are no whole counts, so they can't be thinned to less flux; "
            "give --no-augment, or frames in photons"
        )
