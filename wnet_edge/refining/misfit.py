"""How far modelled frames are from measured ones, and how far photon statistics put them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.poisson import expected_root_deviation


@dataclass(frozen=True)
class Misfit:
    """How far modelled frames are from measured ones, over the pixels that are not masked.

    Attributes:
        deviation: Σ |a − √I|.
        total: Σ √I.
        noise: Σ of the deviation that photon statistics alone lead to.
    """

    deviation: float = 0.0
    total: float = 0.0
    noise: float = 0.0

    def __add__(self, other: "Misfit") -> "Misfit":
        return Misfit(
            self.deviation + other.deviation, self.total + other.total, self.noise + other.noise
        )

    @classmethod
    def of(cls, modelled: NDArray[np.float32], root: NDArray[np.float32]) -> "Misfit":
        """Of modelled and measured √counts (h, w), the latter NaN where masked."""
        measured = ~np.isnan(root)
        modelled, root = modelled[measured], root[measured]
        return cls(
            float(np.abs(modelled - root).sum(dtype=np.float64)),
            float(root.sum(dtype=np.float64)),
            float(expected_root_deviation(np.square(modelled, dtype=np.float64)).sum()),
        )

    @property
    def r_factor(self) -> float:
        """Σ |a − √I| / Σ √I."""
        return self.deviation / self.total if self.total else 0.0

    @property
    def r_noise(self) -> float:
        """The R-factor that a perfect object would have."""
        return self.noise / self.total if self.total else 0.0

    @property
    def r_free(self) -> float:
        """The R-factor with counting noise subtracted in quadrature, as in the self-check."""
        return math.sqrt(max(self.r_factor**2 - self.r_noise**2, 0.0))
