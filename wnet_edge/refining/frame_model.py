"""A frame as the object's model has it, and how the object must change to give the measured one.

Σ_modes |F(P_m · O)|², summed over the bins of the detector, should be the measured counts I. With
a = √ of the modelled ones, the misfit L = Σ (a − √I)² over the pixels that are not masked has the
gradient ∂L/∂O* = Σ_m conj(P_m) · F⁻¹[(1 − √I / a) · F(P_m · O)], whose negative is what ePIE
(Maiden & Rodenburg, Ultramicroscopy 109, 1256, 2009) adds to the object, and its extension to modes
(Thibault & Menzel, Nature 494, 68, 2013).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.probe import shifted_probe
from wnet_edge.refining.fourier import to_detector, to_object
from wnet_edge.refining.misfit import Misfit

STEPS = 8
"""Fractions of a pixel to which a probe is shifted: at most 1/16 px from where it was."""

_LEAST_ROOT = 1e-6
"""Modelled √counts below which a pixel says nothing of the object."""

Fraction = tuple[int, int]
"""Row and column by which a probe is shifted, in `STEPS` of a pixel."""


class FrameModel:
    """Frames of an object under one probe.

    Args:
        probe: (modes, n, n) complex64, in √counts.
        binning: pixels of the full window's far field along an edge of a frame's pixel.

    Attributes:
        probe: as it is now.
    """

    def __init__(self, probe: NDArray[np.complex64], binning: int) -> None:
        self.probe = probe
        self.window_px = probe.shape[-1]
        self._binning = binning
        self._shifted: dict[Fraction, _Illumination] = {}
        bins = self.window_px // binning
        # Bins are centred on zero frequency, which comes first here.
        self._bin = (np.arange(self.window_px) + binning // 2) // binning % bins

    def illuminate(self, probe: NDArray[np.complex64]) -> None:
        """Take another probe (modes, n, n)."""
        self.probe = probe
        self._shifted.clear()

    def power(self, fraction: Fraction) -> NDArray[np.float32]:
        """(n, n) float32, Σ_modes |P|² of the shifted probe."""
        return self._illumination(fraction).power

    def counts(self, window: NDArray[np.complex64], fraction: Fraction) -> NDArray[np.float32]:
        """Expected counts (h, w) float32, zero frequency first, of the object's window (n, n)."""
        return self._binned(to_detector(self._illumination(fraction).probe * window))

    def lacking(
        self, window: NDArray[np.complex64], fraction: Fraction, root: NDArray[np.float32]
    ) -> tuple[NDArray[np.complex64], Misfit]:
        """What the exit waves lack, F⁻¹[(√I / a − 1) · F(P_m · O)], and the misfit.

        Args:
            window: (n, n) complex64, the object under the frame.
            fraction: of the frame's position.
            root: (h, w) float32, measured √counts, zero frequency first; NaN where masked.

        Returns:
            (modes, n, n) complex64 and the misfit of the frame.
        """
        waves = to_detector(self._illumination(fraction).probe * window)
        modelled = np.sqrt(self._binned(waves))
        measured = ~np.isnan(root)
        factor = np.zeros_like(root)
        np.divide(root, modelled, out=factor, where=measured & (modelled > _LEAST_ROOT))
        factor -= measured  # −1 where nothing is modelled, 0 where masked
        waves *= factor if self._binning == 1 else factor[self._bin[:, None], self._bin]
        return to_object(waves), Misfit.of(modelled, root)

    def on_object(
        self, lacking: NDArray[np.complex64], fraction: Fraction
    ) -> NDArray[np.complex64]:
        """What the object lacks, −∂L/∂O* (n, n), when its exit waves lack (modes, n, n)."""
        products = lacking * self._illumination(fraction).probe.conj()
        summed: NDArray[np.complex64] = products.sum(axis=0)
        return summed

    def _illumination(self, fraction: Fraction) -> "_Illumination":
        if fraction not in self._shifted:
            probe = shifted_probe(self.probe, np.array(fraction) / STEPS)
            power = np.sum(probe.real**2 + probe.imag**2, axis=0)
            self._shifted[fraction] = _Illumination(probe, power)
        return self._shifted[fraction]

    def _binned(self, waves: NDArray[np.complex64]) -> NDArray[np.float32]:
        # Its bins are centred on the first pixel as on the middle one.
        return bin_frames(np.sum(waves.real**2 + waves.imag**2, axis=0), self._binning)


@dataclass(frozen=True, eq=False)
class _Illumination:
    """The probe (modes, n, n) at a fraction of a pixel, and its power (n, n)."""

    probe: NDArray[np.complex64]
    power: NDArray[np.float32]
