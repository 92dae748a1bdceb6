"""Detector model: from expected intensity to counts, with background and dead pixels.

Expected intensity → flux → background → Poisson counts, zero in dead pixels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError

MAX_PHOTONS = 1e12
"""Upper limit for the counts in a frame, beyond any detector."""


@dataclass(frozen=True)
class Detector:
    """Parameters of the detector model.

    Attributes:
        photons: incident counts per frame (lower, upper), without the sample; drawn log-uniformly.
        background: background counts per pixel, relative to the mean count.
        dead_fraction: fraction of dead pixels, which the mask marks.
    """

    photons: tuple[float, float] = (1e6, 1e8)
    background: float = 0.0
    dead_fraction: float = 0.0

    def __post_init__(self) -> None:
        """Refuse values out of range."""
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
    """Draw the dead pixels of a detector, (H, W) bool, True where dead."""
    mask: NDArray[np.bool_] = rng.random(shape) < detector.dead_fraction
    return mask


def detect(
    expected: NDArray[np.float32],
    detector: Detector,
    mask: NDArray[np.bool_],
    *,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw counts (N, H, W) int64 from the expected intensities (N, H, W).

    `expected` is relative to the incident counts: for a probe of total intensity 1 it sums to the
    transmission of each patch. Pixels in `mask` get no counts.
    """
    low, high = np.log(detector.photons)
    photons = np.exp(rng.uniform(low, high, (len(expected), 1, 1)))
    mean = expected * photons
    mean += detector.background * mean.mean(axis=(-2, -1), keepdims=True)
    counts: NDArray[np.int64] = rng.poisson(mean)
    counts[:, mask] = 0
    return counts
