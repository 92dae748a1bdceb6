"""Far-field geometry: from energy and distance to object pixel size, windows and positions.

First step after reading a scan. A frame of n × n detector pixels corresponds to a window of n × n
object pixels; a network of w < n pixels is trained on the central w × w of it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PLANCK_EV_M = 1.23984198e-6
"""Planck constant times the speed of light, in eV m (CODATA 2018)."""

_PIXEL_TOLERANCE = 0.01
"""Largest relative difference of pixel sizes that count as equal."""


@dataclass(frozen=True)
class Geometry:
    """Far-field geometry of a scan.

    Attributes:
        energy_ev: photon energy.
        distance_m: sample-to-detector distance.
        detector_pixel_size_m: edge of one unbinned, square detector pixel.
    """

    energy_ev: float
    distance_m: float
    detector_pixel_size_m: float

    @property
    def wavelength_m(self) -> float:
        """Photon wavelength, h c / E."""
        return PLANCK_EV_M / self.energy_ev

    def object_pixel_size_m(self, window_px: int) -> float:
        """Edge of one object pixel for a far-field window of `window_px` detector pixels.

        wavelength × distance / (n × detector pixel): the sampling of a discrete Fourier transform
        (Goodman, Introduction to Fourier Optics, 2005, eq. 4-25).
        """
        return self.wavelength_m * self.distance_m / (window_px * self.detector_pixel_size_m)


def same_pixel_size(one_m: float, other_m: float) -> bool:
    """Whether two pixel sizes are equal within 1 %."""
    return math.isclose(one_m, other_m, rel_tol=_PIXEL_TOLERANCE)


def positions_px(
    positions_m: NDArray[np.float64], object_pixel_size_m: float
) -> NDArray[np.float64]:
    """Convert positions (N, 2) row, column from metres to object pixels, float64.

    A position is that of the top-left pixel of the frame's full window on the object.
    """
    return np.asarray(positions_m, dtype=np.float64) / object_pixel_size_m


def central_window_start_px(full_px: int, window_px: int) -> int:
    """Index of the first of the central `window_px` pixels of `full_px`.

    The centre pixel n // 2 of the full window becomes the centre pixel w // 2 of the crop, so that
    zero frequency and the probe's centre stay centred.
    """
    return full_px // 2 - window_px // 2
