"""Three instruments that differ from scan 247's in optics, energy, object pixel and window.

| name | optics | energy | object pixel | frames |
|---|---|---|---|---|
| zone-plate | 50 nm outermost zone, 25 % stop, 220 µm beyond focus | 8 keV | 19 nm | 128 px |
| kb-mirrors | apertures of 60 and 40 nm, 220 µm beyond focus | 12.4 keV | 14 nm | 192 px |
| pinhole | 2 µm wide, 3 mm upstream; Airy rings on the detector | 6.2 keV | 58 nm | 128 px |
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.forward import inverse_far_field
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.probe import ZonePlate, defocus, zone_plate_probe

_FINE = 8
"""Points along a pixel's edge that sample the rim of a pinhole."""


class InstrumentName(str, Enum):
    """What lights the sample."""

    ZONE_PLATE = "zone-plate"
    MIRRORS = "kb-mirrors"
    PINHOLE = "pinhole"


@dataclass(frozen=True)
class Beamline:
    """Geometry of an instrument, and its light.

    Attributes:
        geometry: energy, distance, detector pixel.
        frame_px: edge of a frame and of the probe's window.
        light: (modes, n, n) complex64 of a geometry and a window.
        words: what a user knows of the optics, as `wnet-edge adapt --optics` takes it.
    """

    geometry: Geometry
    frame_px: int
    light: Callable[[Geometry, int], NDArray[np.complex64]]
    words: str

    @property
    def object_pixel_size_m(self) -> float:
        """Edge of an object pixel."""
        return self.geometry.object_pixel_size_m(self.frame_px)

    @property
    def probe(self) -> NDArray[np.complex64]:
        """(modes, frame_px, frame_px), total intensity 1."""
        modes = self.light(self.geometry, self.frame_px)
        unit: NDArray[np.complex64] = (modes / math.sqrt(np.sum(np.abs(modes) ** 2))).astype(
            np.complex64
        )
        return unit


def _zone_plate(geometry: Geometry, size_px: int) -> NDArray[np.complex64]:
    """A partially coherent zone plate out of focus: a ring with fringes."""
    optics = ZonePlate(
        50e-9, central_stop_fraction=0.25, defocus_m=220e-6, source_size_m=12e-9, modes=3
    )
    return zone_plate_probe(
        optics,
        wavelength_m=geometry.wavelength_m,
        window_px=size_px,
        pixel_size_m=geometry.object_pixel_size_m(size_px),
    )


def _mirrors(geometry: Geometry, size_px: int) -> NDArray[np.complex64]:
    """Two crossed mirrors out of focus: their far field is a rectangle."""
    pixel_m = geometry.object_pixel_size_m(size_px)
    q = np.abs(np.fft.fftshift(np.fft.fftfreq(size_px, pixel_m)))
    pupil = (q[:, None] <= 1 / (2 * 60e-9)) & (q[None, :] <= 1 / (2 * 40e-9))
    focus = inverse_far_field(pupil[None].astype(np.complex64)).astype(np.complex64)
    return defocus(
        focus, distance_m=220e-6, wavelength_m=geometry.wavelength_m, pixel_size_m=pixel_m
    )


def _pinhole(geometry: Geometry, size_px: int) -> NDArray[np.complex64]:
    """A round hole upstream of the sample: a smooth probe (Fresnel number 1.7)."""
    pixel_m = geometry.object_pixel_size_m(size_px)
    fine_m = (np.arange(size_px * _FINE) + 0.5) / _FINE * pixel_m
    squared = (fine_m - (size_px // 2 + 0.5) * pixel_m) ** 2
    inside = squared[:, None] + squared[None, :] <= (1e-6) ** 2
    hole = inside.reshape(size_px, _FINE, size_px, _FINE).mean(axis=(1, 3))
    return defocus(
        hole[None].astype(np.complex64),
        distance_m=3e-3,
        wavelength_m=geometry.wavelength_m,
        pixel_size_m=pixel_m,
    )


BEAMLINES: dict[InstrumentName, Beamline] = {
    InstrumentName.ZONE_PLATE: Beamline(
        Geometry(8_000.0, 1.2, 75e-6),
        128,
        _zone_plate,
        "zone-plate:diameter=150um,outermost-zone=50nm,stop=37.5um",
    ),
    InstrumentName.MIRRORS: Beamline(Geometry(12_400.0, 2.0, 75e-6), 192, _mirrors, "lens"),
    InstrumentName.PINHOLE: Beamline(
        Geometry(6_200.0, 2.8, 75e-6), 128, _pinhole, "pinhole:diameter=2um,distance=3mm"
    ),
}
