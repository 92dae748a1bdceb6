"""The detector: from expected intensity to counts, with what real detectors add and lose.

Expected intensity → flux → background → Poisson counts, none in dead pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError

MAX_PHOTONS = 1e12
"""Counts in a frame, more than any detector takes."""


@dataclass(frozen=True)
class Detector:
    """What stands between the wave and the counts.

    Attributes:
        photons: counts a frame would hold without the sample (lower, upper); drawn log-uniformly.
        background: counts a detector pixel gets from elsewhere, as a share of the mean count.
        dead_fraction: share of pixels that are dead, told by the mask.
    """

    photons: tuple[float, float] = (1e6, 1e8)
    background: float = 0.0
    dead_fraction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no detector."""
        low, high = self.photons
        if not 0 < low <= high <= MAX_PHOTONS:
            raise SimulationError(
                f"photons must be 0 < low ≤ high ≤ {MAX_PHOTONS:g}, not {low:g} to {high:g}"
            )
        if not (0 <= self.background < 1 and 0 <= self.dead_fraction < 1):
            raise SimulationError("background and dead fraction must be from 0 to below 1")


def draw_mask(
    shape: tuple[int, int], detector: Detector, *, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Dead pixels of one detector, (H, W) bool, True where dead."""
    mask: NDArray[np.bool_] = rng.random(shape) < detector.dead_fraction
    return mask


def detect(
    expected: NDArray[np.float32],
    detector: Detector,
    mask: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Expected shares (N, H, W) of the incident counts to counts (N, H, W) int64.

    `expected` sums to the transmission of each patch: the probe has total intensity 1. Pixels of
    `mask` count nothing.
    """
    low, high = np.log(detector.photons)
    photons = np.exp(rng.uniform(low, high, (len(expected), 1, 1)))
    mean = expected * photons
    mean += detector.background * mean.mean(axis=(-2, -1), keepdims=True)
    counts: NDArray[np.int64] = rng.poisson(mean)
    counts[:, mask] = 0
    return counts
