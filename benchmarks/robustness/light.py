"""What lights each frame: the package's probe with other modes, out of focus, or drifting."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.robustness.conditions import Conditions
from wnet_edge.physics.forward import Wave
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.probe import defocus, shifted_probe

ENERGY_EV, DETECTOR_PIXEL_M = 10_000.0, 55e-6
_FURTHER_POWER = 0.2
"""Of a mode that the package's probe has not, relative to the mean of those that it has."""


def geometry_of(object_pixel_size_m: float, window_px: int) -> Geometry:
    """A geometry with this object pixel; a package does not know its energy."""
    wavelength_m = Geometry(ENERGY_EV, 1, 1).wavelength_m
    distance_m = object_pixel_size_m * window_px * DETECTOR_PIXEL_M / wavelength_m
    return Geometry(ENERGY_EV, distance_m, DETECTOR_PIXEL_M)


def with_modes(probe: NDArray[np.complex64], count: int | None) -> NDArray[np.complex64]:
    """The first modes of a probe, or further ones: its strongest, tilted, and made orthogonal."""
    if count is None or count <= len(probe):
        return probe[:count]
    power = np.sum(np.abs(probe) ** 2, axis=(1, 2))
    axis = np.linspace(-1, 1, probe.shape[-1])
    tilts = (axis[:, None], axis[None, :])
    modes = list(probe.astype(np.complex128))
    for number in range(count - len(probe)):
        mode = probe[power.argmax()] * tilts[number % 2] ** (1 + number // 2)
        basis, _ = np.linalg.qr(np.stack([other.ravel() for other in modes], axis=1))
        mode = mode - (basis @ (basis.conj().T @ mode.ravel())).reshape(mode.shape)
        modes.append(mode * np.sqrt(_FURTHER_POWER * power.mean()) / np.linalg.norm(mode))
    more: NDArray[np.complex64] = np.stack(modes).astype(np.complex64)
    return more


def first_light(
    probe: NDArray[np.complex64], conditions: Conditions, object_pixel_size_m: float
) -> Wave:
    """Probe (modes, n, n) of the first frame at its place, as a reconstruction would give it."""
    return next(lights(probe, conditions, np.zeros((1, 2)), object_pixel_size_m))


def lights(
    probe: NDArray[np.complex64],
    conditions: Conditions,
    shifts_px: NDArray[np.float64],
    object_pixel_size_m: float,
) -> Iterator[Wave]:
    """Probe (modes, n, n) of each frame, total intensity 1.

    Args:
        probe: the package's.
        conditions: its modes, defocus and drift.
        shifts_px: (N, 2) row, column by which each frame's is moved besides.
        object_pixel_size_m: edge of its pixels.
    """
    modes = with_modes(probe, conditions.modes)
    modes = modes / np.float32(np.linalg.norm(modes))
    for progress, off_px in zip(np.linspace(0, 1, len(shifts_px)), shifts_px, strict=True):
        moved_um = conditions.defocus_um + progress * conditions.defocus_drift_um
        shift_px = off_px + progress * conditions.shift_drift_px * np.sqrt([0.5, 0.5])
        lit = modes
        if moved_um:
            lit = propagated(lit, moved_um, object_pixel_size_m)
        yield shifted_probe(lit, shift_px) if shift_px.any() else lit


def propagated(
    wave: NDArray[np.complex64], distance_um: float, object_pixel_size_m: float
) -> NDArray[np.complex64]:
    """A wave (modes, n, n) further downstream."""
    geometry = geometry_of(object_pixel_size_m, wave.shape[-1])
    return defocus(
        wave,
        distance_m=distance_um * 1e-6,
        wavelength_m=geometry.wavelength_m,
        pixel_size_m=object_pixel_size_m,
    )
