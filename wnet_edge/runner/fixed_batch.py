"""Frames through a graph that takes so many at once and no other number.

Engines that are built for one batch size (TensorRT) want such graphs. The last batch is filled up
with empty frames, whose patches are thrown away.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package import Patches


def run_in_batches(
    run: Callable[[NDArray[np.float32]], Patches], counts: NDArray[np.float32], batch_size: int
) -> Patches:
    """Amplitude and phase in rad, (N, 1, H, W) float32, of N ≥ 1 frames of the same shape.

    Args:
        run: takes exactly `batch_size` frames.
        counts: (N, 1, H, W) float32.
        batch_size: of the graph.
    """
    missing = -len(counts) % batch_size
    empty = np.zeros((missing, *counts.shape[1:]), counts.dtype)
    whole = np.concatenate([counts, empty]) if missing else counts
    parts = [run(whole[start : start + batch_size]) for start in range(0, len(whole), batch_size)]
    amplitude, phase_rad = (
        np.concatenate(part)[: len(counts)] for part in zip(*parts, strict=True)
    )
    return amplitude, phase_rad
