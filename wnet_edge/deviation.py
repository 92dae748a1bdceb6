"""How far one set of patches is from another, and whether that is near enough.

Asked of every graph that export makes, and of every machine that runs a package.
"""

from dataclasses import dataclass

import numpy as np

from wnet_edge.manifest import Tolerance
from wnet_edge.metrics import wrapped_difference_rad
from wnet_edge.package import Patches


@dataclass(frozen=True)
class Deviation:
    """How far patches are from those they should be, over some frames.

    Attributes:
        amplitude: largest absolute difference, dimensionless.
        phase_rad: largest absolute difference, wrapped.
        phase_rms_rad: root mean square difference, wrapped.
    """

    amplitude: float
    phase_rad: float
    phase_rms_rad: float

    @classmethod
    def between(cls, a: Patches, b: Patches) -> "Deviation":
        """Of patches `a` from patches `b`, all of one shape."""
        turn = wrapped_difference_rad(a[1].astype(np.float64), b[1])
        return cls(
            amplitude=float(np.abs(a[0].astype(np.float64) - b[0]).max()),
            phase_rad=float(np.abs(turn).max()),
            phase_rms_rad=float(np.sqrt(np.mean(turn**2))),
        )

    def or_worse(self, other: "Deviation") -> "Deviation":
        """The larger of each of the three."""
        return Deviation(
            max(self.amplitude, other.amplitude),
            max(self.phase_rad, other.phase_rad),
            max(self.phase_rms_rad, other.phase_rms_rad),
        )

    def within(self, limit: Tolerance) -> bool:
        """Whether none of the three is above its limit; one that is NaN is."""
        return (
            self.amplitude <= limit.amplitude
            and self.phase_rad <= limit.phase_rad
            and self.phase_rms_rad <= limit.phase_rms_rad
        )

    def share_of(self, limit: Tolerance) -> float:
        """The largest of the three in terms of a limit above zero; 1 is just allowed."""
        return max(
            self.amplitude / limit.amplitude,
            self.phase_rad / limit.phase_rad,
            self.phase_rms_rad / limit.phase_rms_rad,
        )
