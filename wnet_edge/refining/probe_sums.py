"""What the probe lacks, summed over frames, as ePIE's update of the probe for all at once.

ΔP_m = Σ_j conj(O_j) Δψ_jm / Σ_j |O_j|² (Maiden & Rodenburg, Ultramicroscopy 109, 1256, 2009, eq. 7;
Thibault et al., Ultramicroscopy 109, 338, 2009, eq. 6 for all frames together).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.probe import shifted_probe
from wnet_edge.refining.frame_model import STEPS, Fraction

_LEAST_POWER = 0.02
"""Of the largest summed |O|²."""


@dataclass(frozen=True, eq=False)
class ProbeShare:
    """Of a frame.

    Attributes:
        lacking: (modes, n, n) complex64, conj(O) Δψ.
        power: (n, n) float32, |O|².
    """

    lacking: NDArray[np.complex64]
    power: NDArray[np.float32]

    @classmethod
    def of(cls, window: NDArray[np.complex64], lacking: NDArray[np.complex64]) -> "ProbeShare":
        """The object under the frame (n, n), and what its exit waves (modes, n, n) lack."""
        return cls(window.conj() * lacking, window.real**2 + window.imag**2)


class ProbeSums:
    """Of one pass.

    Args:
        modes: of the probe.
        window_px: of the probe.
    """

    def __init__(self, modes: int, window_px: int) -> None:
        self._lacking: dict[Fraction, NDArray[np.complex64]] = {}
        self._power = np.zeros((window_px, window_px), np.float32)
        self._shape = modes, window_px, window_px

    def add(self, share: ProbeShare, fraction: Fraction) -> None:
        """A frame, whose position has this fraction."""
        if fraction not in self._lacking:
            self._lacking[fraction] = np.zeros(self._shape, np.complex64)
        self._lacking[fraction] += share.lacking
        self._power += share.power

    def improved(self, probe: NDArray[np.complex64], norm: float) -> NDArray[np.complex64]:
        """The probe (modes, n, n) after all of these, scaled to the norm √Σ |P|².

        A brighter probe and a dimmer object are one and the same to the frames.
        """
        lacking = sum(
            (
                shifted_probe(one, -np.array(fraction) / STEPS)
                for fraction, one in self._lacking.items()
            ),
            np.zeros(self._shape, np.complex64),
        )
        found = probe + lacking / (self._power + _LEAST_POWER * self._power.max())
        scaled: NDArray[np.complex64] = found * np.float32(norm / np.linalg.norm(found))
        return scaled
