"""How far one set of patches is from another: what export asks of every graph it makes."""

from dataclasses import dataclass

import numpy as np

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
        turn = np.angle(np.exp(1j * (a[1].astype(np.float64) - b[1])))
        return cls(
            amplitude=float(np.abs(a[0] - b[0]).max()),
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

    def share_of(self, limit: "Deviation") -> float:
        """The largest of the three in terms of `limit`; 1 is just allowed."""
        return max(
            self.amplitude / limit.amplitude,
            self.phase_rad / limit.phase_rad,
            self.phase_rms_rad / limit.phase_rms_rad,
        )
