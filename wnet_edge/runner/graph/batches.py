"""Frames through a graph some at a time, and the patches of all of them together again.

A graph may take any number of frames, and memory bounds how many are worth running at once; or it
takes one number and no other, which engines built for one batch size (TensorRT) want.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.golden import Patches

RunFrames = Callable[[NDArray[np.float32]], Patches]
"""Counts (B, 1, H, W) to amplitude and phase of the same shape."""


def in_batches(run: RunFrames, counts: NDArray[np.float32], batch_size: int) -> Patches:
    """Amplitude and phase in rad, (N, 1, H, W) float32, of N ≥ 1 frames of the same shape.

    Args:
        run: takes `batch_size` frames, and fewer at the end.
        counts: (N, 1, H, W) float32.
        batch_size: frames at a time.
    """
    parts = [run(counts[start : start + batch_size]) for start in range(0, len(counts), batch_size)]
    amplitude, phase_rad = (np.concatenate(part) for part in zip(*parts, strict=True))
    return amplitude, phase_rad


def in_whole_batches(run: RunFrames, counts: NDArray[np.float32], batch_size: int) -> Patches:
    """As `in_batches`, for a `run` that takes exactly `batch_size` frames.

    The last batch is filled up with empty frames, whose patches are thrown away.
    """
    missing = -len(counts) % batch_size
    empty = np.zeros((missing, *counts.shape[1:]), counts.dtype)
    whole = np.concatenate([counts, empty]) if missing else counts
    amplitude, phase_rad = in_batches(run, whole, batch_size)
    return amplitude[: len(counts)], phase_rad[: len(counts)]
