"""A small scan of a known object under a known probe, for tests of adaptation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.adapt.scan_part import ScanPart
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.forward import inverse_far_field
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.objects import Family
from wnet_edge.physics.optics import Sampling
from wnet_edge.physics.probe import defocus
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

SAMPLING = Sampling(wavelength_m=1.24e-10, window_px=64, pixel_size_m=15e-9)
DEFOCUS_M = 60e-6
PHOTONS = 1e7
PHASE_RAD = 0.7
"""Standard deviation of the object's phase: a strong object, which frames are sure of."""


def half_disc_probe() -> NDArray[np.complex64]:
    """(1, 64, 64), out of focus, of a pupil that no turn and no mirror leaves as it is."""
    rows, columns = SAMPLING.frequencies_per_m
    radius = 1 / (2 * 45e-9)
    pupil = (np.hypot(rows, columns) < radius) & (rows > -0.3 * radius)
    pupil &= columns < 0.6 * radius
    focus = inverse_far_field(pupil[None].astype(np.complex64)).astype(np.complex64)
    return defocus(
        focus,
        distance_m=DEFOCUS_M,
        wavelength_m=SAMPLING.wavelength_m,
        pixel_size_m=SAMPLING.pixel_size_m,
    )


@dataclass(frozen=True, eq=False)
class SmallScan:
    """A simulated scan.

    Attributes:
        scan: with its object.
        probe: (1, 64, 64) in √counts.
        part: all of its frames.
    """

    scan: VirtualScan
    probe: NDArray[np.complex64]
    part: ScanPart


def small_scan(frames: int = 100, step_px: int = 4) -> SmallScan:
    detector = Detector((PHOTONS, PHOTONS))
    options = ScanOptions(frames, step_px, Family.LABYRINTH, detector=detector, seed=2)
    scan = VirtualScan(half_disc_probe(), options)
    exponent = np.log(scan.object)
    contrast = PHASE_RAD / float(exponent.imag.std())
    scan.object = np.exp(contrast * exponent).astype(np.complex64)
    counts = np.concatenate([batch.frames for batch in scan.batches(64)]).astype(np.float32)
    part = ScanPart(
        counts=counts,
        full_px=64,
        corner_px=scan.positions_px.astype(np.float64),
        held_out=np.arange(frames) % 5 == 2,
        threads=1,
    )
    return SmallScan(scan, (scan.probe * np.float32(np.sqrt(PHOTONS))).astype(np.complex64), part)


def write_small_scan(path: Path, *, with_probe: bool = True, frames: int = 100) -> Path:
    """As CXI, with the geometry of `SAMPLING`."""
    small = small_scan(frames)
    distance_m = 0.5
    pixel_m = SAMPLING.wavelength_m * distance_m / (64 * SAMPLING.pixel_size_m)
    energy_ev = 1.23984198e-6 / SAMPLING.wavelength_m
    header = CxiHeader(
        geometry=Geometry(energy_ev, distance_m, pixel_m),
        positions_m=small.scan.positions_px * SAMPLING.pixel_size_m,
        frame_px=64,
        probe=small.probe if with_probe else None,
    )
    write_cxi(path, header, (LabelledFrames(b.frames) for b in small.scan.batches(64)))
    return path
