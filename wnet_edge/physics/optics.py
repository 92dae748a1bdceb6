"""Optics in front of the sample, as a beamline describes them: first guesses of a probe.

A guess is the far field of the optics: its modulus as the mean frame shows it, where the optics let
light through, and a phase from their model. What no description knows, how far the sample is from
the focus, is an argument (`wnet_edge.adapt.focus` finds it).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.physics.forward import far_field, inverse_far_field
from wnet_edge.physics.geometry import central_window_start_px

_PADDING = 4
"""Of the window, on which a pinhole's wave travels, so that it does not meet its own image."""

_SOFT_PX = 3.0
"""Detector pixels over which a pupil's edge falls off: optics are never described exactly."""


@dataclass(frozen=True)
class Lens:
    """Any focusing optics; the mean frame shows its pupil.

    Attributes:
        defocus_m: distance of the sample downstream of the focus; None if unknown.
    """

    defocus_m: float | None = None


@dataclass(frozen=True)
class FresnelZonePlate:
    """A zone plate with a central stop.

    Attributes:
        diameter_m: of the zone plate.
        outermost_zone_width_m: Δr; the numerical aperture is λ / (2 Δr).
        stop_m: diameter of the central stop; 0 for none.
        defocus_m: distance of the sample downstream of the focus; None if unknown.
    """

    diameter_m: float
    outermost_zone_width_m: float
    stop_m: float = 0.0
    defocus_m: float | None = None


@dataclass(frozen=True)
class KirkpatrickBaez:
    """A pair of mirrors, one after the other, with a rectangular pupil.

    Attributes:
        aperture_m: accepted beam, vertical and horizontal.
        focal_length_m: of the mirror that focuses vertically, and of the horizontal one.
        defocus_m: distance of the sample downstream of the focus; None if unknown.
    """

    aperture_m: tuple[float, float]
    focal_length_m: tuple[float, float]
    defocus_m: float | None = None


@dataclass(frozen=True)
class Pinhole:
    """A round aperture upstream of the sample.

    Attributes:
        diameter_m: of the hole.
        distance_m: to the sample.
    """

    diameter_m: float
    distance_m: float


Optics = Lens | FresnelZonePlate | KirkpatrickBaez | Pinhole


@dataclass(frozen=True)
class Sampling:
    """Sampling of a probe's window.

    Attributes:
        wavelength_m: photon wavelength.
        window_px: edge of the window.
        pixel_size_m: object pixel.
    """

    wavelength_m: float
    window_px: int
    pixel_size_m: float

    @property
    def frequencies_per_m(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Spatial frequencies of rows (n, 1) and columns (1, n), centred, in 1/m."""
        q = np.fft.fftshift(np.fft.fftfreq(self.window_px, self.pixel_size_m))
        return q[:, None], q[None, :]


def pupil(optics: Optics, sampling: Sampling) -> NDArray[np.float64]:
    """What the optics let through on the detector, (n, n) float64, 0 to 1, with soft edges.

    Everything for a lens and a pinhole, whose far fields have no edge of their own.

    Raises:
        SimulationError: if nothing of it lies within the window.
    """
    rows, columns = sampling.frequencies_per_m
    soft = _SOFT_PX / (sampling.window_px * sampling.pixel_size_m)
    if isinstance(optics, FresnelZonePlate):
        radius = 1 / (2 * optics.outermost_zone_width_m)
        stop = radius * optics.stop_m / optics.diameter_m
        q = np.hypot(rows, columns)
        passed = _below(q, radius, soft)
        if stop > soft:
            passed = passed * (1 - _below(q, stop, soft))
    elif isinstance(optics, KirkpatrickBaez):
        edges = [
            aperture / (2 * focal * sampling.wavelength_m)
            for aperture, focal in zip(optics.aperture_m, optics.focal_length_m, strict=True)
        ]
        passed = _below(np.abs(rows), edges[0], soft) * _below(np.abs(columns), edges[1], soft)
    else:
        passed = np.ones((sampling.window_px,) * 2)
    if passed.max() < 0.5:
        raise SimulationError(
            f"no light of these optics lies on a window of {sampling.window_px} px of "
            f"{1e9 * sampling.pixel_size_m:.4g} nm; check their numbers and units"
        )
    return passed


def guessed_probe(
    optics: Optics, sampling: Sampling, mean_frame: NDArray[np.float32], defocus_m: float
) -> NDArray[np.complex64]:
    """First guess of a probe, (1, n, n) complex64, in √counts.

    Args:
        optics: as described.
        sampling: of the window.
        mean_frame: (n, n) mean counts of a scan, zero frequency at (n // 2, n // 2), NaN where
            masked; without any counts the optics are taken to be evenly lit.
        defocus_m: distance of the sample downstream of the focus (Fresnel: Goodman, Introduction
            to Fourier Optics, 2005, eq. 4-20); of no meaning for a pinhole, which has a distance.

    Raises:
        SimulationError: if the optics are impossible or do not fit the window.
    """
    root = np.sqrt(np.maximum(np.nan_to_num(mean_frame, nan=0.0), 0), dtype=np.float64)
    if isinstance(optics, Pinhole):
        wave = far_field(_pinhole_wave(optics, sampling)[None])[0]
        modulus = np.abs(wave)
        measured = root if root.any() else modulus
        phase = wave / np.maximum(modulus, 1e-30)
    else:
        rows, columns = sampling.frequencies_per_m
        turn_rad = -math.pi * sampling.wavelength_m * defocus_m * (rows**2 + columns**2)
        passed = pupil(optics, sampling)
        phase, measured = np.exp(1j * turn_rad), root * passed if root.any() else passed
    guess: NDArray[np.complex64] = inverse_far_field((measured * phase)[None]).astype(np.complex64)
    return guess


def _pinhole_wave(optics: Pinhole, sampling: Sampling) -> NDArray[np.complex128]:
    """The wave (n, n) of a pinhole at the sample."""
    padded = Sampling(sampling.wavelength_m, _PADDING * sampling.window_px, sampling.pixel_size_m)
    span_m = sampling.window_px * sampling.pixel_size_m
    if not 4 * sampling.pixel_size_m <= optics.diameter_m <= span_m:
        raise SimulationError(
            f"a pinhole of {1e6 * optics.diameter_m:.4g} µm is not within "
            f"{4e6 * sampling.pixel_size_m:.3g} … {1e6 * span_m:.3g} µm, what this detector samples"
        )
    at_m = (np.arange(padded.window_px) - padded.window_px // 2) * sampling.pixel_size_m
    hole = np.hypot(at_m[:, None], at_m) <= optics.diameter_m / 2
    rows, columns = padded.frequencies_per_m
    turn_rad = -math.pi * sampling.wavelength_m * optics.distance_m * (rows**2 + columns**2)
    wave = inverse_far_field(far_field(hole.astype(np.complex128)[None]) * np.exp(1j * turn_rad))
    start = central_window_start_px(padded.window_px, sampling.window_px)
    inside = slice(start, start + sampling.window_px)
    return wave[0, inside, inside].astype(np.complex128)


def _below(q: NDArray[np.float64], edge: float, soft: float) -> NDArray[np.float64]:
    """1 where q is below the edge, 0 where it is far above it, half a cosine between."""
    over = np.clip((q - edge) / soft, 0, 1)
    passed: NDArray[np.float64] = 0.5 + 0.5 * np.cos(np.pi * over)
    return passed
