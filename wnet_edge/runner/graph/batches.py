"""Running frames through a graph in batches.

A graph takes any batch size, limited by memory, or one fixed batch size, as engines do that are
built for it (TensorRT).
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.golden import PatchArrays

RunFrames = Callable[[NDArray[np.float32]], PatchArrays]
"""Counts (B, 1, H, W) to amplitude and phase of the same shape."""

RunEach = Callable[[RunFrames, Iterable[NDArray[np.float32]]], Iterator[PatchArrays]]
"""`map` of a function over batches, in order; that of a thread pool runs several at once."""


def in_batches(
    run: RunFrames, counts: NDArray[np.float32], batch_size: int, run_each: RunEach = map
) -> PatchArrays:
    """Run N ≥ 1 frames in batches; returns amplitude and phase in rad, (N, 1, H, W) float32 each.

    Args:
        run: runs a batch of up to `batch_size` frames.
        counts: (N, 1, H, W) float32.
        batch_size: frames per batch; the last may be smaller.
        run_each: runs all batches.
    """
    batches = (counts[start : start + batch_size] for start in range(0, len(counts), batch_size))
    amplitude, phase_rad = (
        np.concatenate(part) for part in zip(*run_each(run, batches), strict=True)
    )
    return amplitude, phase_rad


def in_whole_batches(
    run: RunFrames, counts: NDArray[np.float32], batch_size: int, run_each: RunEach = map
) -> PatchArrays:
    """As `in_batches`, for a `run` that takes exactly `batch_size` frames.

    The last batch is padded with empty frames, whose patches are discarded.
    """
    missing = -len(counts) % batch_size
    empty = np.zeros((missing, *counts.shape[1:]), counts.dtype)
    whole = np.concatenate([counts, empty]) if missing else counts
    amplitude, phase_rad = in_batches(run, whole, batch_size, run_each)
    return amplitude[: len(counts)], phase_rad[: len(counts)]
