"""Augmentation of stored frames by what varies between scans: flux, background, dead pixels.

For frames that were measured or simulated once; simulation on the fly draws all of these, and probe
errors, itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import TrainingError
from wnet_edge.scan.counts import MASKED


@dataclass(frozen=True)
class Augmentation:
    """Strength of the augmentation, drawn anew in every epoch.

    Attributes:
        flux: fraction of a frame's counts that is kept (lowest, highest), drawn log-uniformly.
        background: background counts per pixel, relative to the frame's mean.
        dead_fraction: fraction of pixels that are masked.

    Raises:
        TrainingError: if a value is out of range.
    """

    flux: tuple[float, float] = (0.05, 1.0)
    background: float = 1e-4
    dead_fraction: float = 1e-3

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        low, high = self.flux
        if not 0 < low <= high <= 1:
            raise TrainingError(f"flux keeps 0 < low ≤ high ≤ 1 of the counts, not {self.flux}")
        if not (0 <= self.background < 1 and 0 <= self.dead_fraction < 1):
            raise TrainingError("background and dead fraction are from 0 to below 1")


def augmented(
    counts: NDArray[np.float32], augmentation: Augmentation, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Augment counts (n, 1, H, W) float32, masked pixels negative: flux, background, dead pixels.

    Flux is reduced by binomial thinning: a randomly thinned Poisson process is a Poisson process
    again (Kingman, Poisson Processes, 1993, section 5.1), so that the noise is that of the lower
    flux. Bins scaled up for dead pixels are rounded first.
    """
    valid = counts >= 0
    whole = np.rint(np.maximum(counts, 0)).astype(np.int64)
    low, high = np.log(augmentation.flux)
    kept = np.exp(rng.uniform(low, high, (len(counts), 1, 1, 1)))
    thinned = rng.binomial(whole, kept)
    pixels = np.maximum(valid.sum(axis=(2, 3), keepdims=True), 1)
    mean = thinned.sum(axis=(2, 3), keepdims=True) / pixels
    thinned += rng.poisson(np.broadcast_to(augmentation.background * mean, counts.shape))
    valid &= rng.random(counts.shape) >= augmentation.dead_fraction
    return np.where(valid, thinned, MASKED).astype(np.float32)
