"""Deviation between two sets of patches, and whether it is within a tolerance.

Checked for every graph that export writes and, on golden frames, where a package runs.
"""

from dataclasses import dataclass

import numpy as np

from wnet_edge.manifest import Tolerance
from wnet_edge.metrics import wrapped_difference_rad
from wnet_edge.package import Patches


@dataclass(frozen=True)
class Deviation:
    """Deviation of patches from the expected ones, over some frames.

    Attributes:
        amplitude: largest absolute difference, dimensionless.
        phase_rad: largest absolute wrapped difference.
        phase_rms_rad: root mean square of the wrapped difference.
    """

    amplitude: float
    phase_rad: float
    phase_rms_rad: float

    @classmethod
    def between(cls, a: Patches, b: Patches) -> "Deviation":
        """Deviation of patches `a` from patches `b`, all of one shape."""
        turn = wrapped_difference_rad(a[1].astype(np.float64), b[1])
        return cls(
            amplitude=float(np.abs(a[0].astype(np.float64) - b[0]).max()),
            phase_rad=float(np.abs(turn).max()),
            phase_rms_rad=float(np.sqrt(np.mean(turn**2))),
        )

    def or_worse(self, other: "Deviation") -> "Deviation":
        """The larger value of each of the three measures."""
        return Deviation(
            max(self.amplitude, other.amplitude),
            max(self.phase_rad, other.phase_rad),
            max(self.phase_rms_rad, other.phase_rms_rad),
        )

    def within(self, limit: Tolerance) -> bool:
        """Whether none of the three exceeds its limit; NaN counts as exceeding."""
        return (
            self.amplitude <= limit.amplitude
            and self.phase_rad <= limit.phase_rad
            and self.phase_rms_rad <= limit.phase_rms_rad
        )

    def share_of(self, limit: Tolerance) -> float:
        """Largest ratio of a measure to its limit (all limits > 0); at most 1 if within."""
        return max(
            self.amplitude / limit.amplitude,
            self.phase_rad / limit.phase_rad,
            self.phase_rms_rad / limit.phase_rms_rad,
        )
