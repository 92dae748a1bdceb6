"""Instruments, supplies and options so small that a training takes a second."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.scan_file import open_scan
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.models.registry import ModelName, NetworkSpec
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.physics.probe import ZonePlate, zone_plate_probe
from wnet_edge.scan.scan import Scan
from wnet_edge.training.options import TrainingOptions
from wnet_edge.training.progress import Progress
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions

WAVELENGTH_M, PIXEL_M = 1.24e-10, 10e-9
QUIET = Progress(epochs=2, batches=2, shown=False)
FULL_PX = 64


class Interrupted(Progress):
    """Somebody presses Ctrl-C when the first epoch has ended."""

    def epoch(self, *_: object) -> None:
        raise KeyboardInterrupt


def instrument(window_px: int = 32, binning: int = 2) -> Instrument:
    probe = zone_plate_probe(
        ZonePlate(source_size_m=10e-9, modes=2),
        wavelength_m=WAVELENGTH_M,
        window_px=window_px * binning,
        pixel_size_m=PIXEL_M,
    )
    return Instrument(probe, window_px, binning, PIXEL_M, WAVELENGTH_M)


def supply(workers: int = 0, **changes: object) -> SimulatedFrames:
    options = SimulationOptions(frames_per_epoch=8, canvas_px=128, frames_per_canvas=4)
    options = replace(options, **changes)
    return SimulatedFrames(instrument(), options, seed=3, workers=workers)


def options(**changes: object) -> TrainingOptions:
    small = TrainingOptions(NetworkSpec(ModelName.W3), epochs=2, batch_size=4, validation_frames=4)
    return replace(small, **changes)


@dataclass(frozen=True)
class Measurement:
    """A scan of a known object, as measured, and the reconstruction that an engine would give.

    Attributes:
        scan: 45 frames of 64 px, on a raster of 15 × 3, at fractions of a pixel.
        reference: .npz with the object, whole-pixel windows and the pixel size.
        object: (H, W) complex64, periodic.
        corner_px: (45, 2) float64, where each window begins on the object.
    """

    scan: Scan
    reference: Path
    object: NDArray[np.complex64]
    corner_px: NDArray[np.float64]


def measurement(folder: Path, photons: float = 1e6) -> Measurement:
    """Writes `folder`/scan.cxi and `folder`/reference.npz."""
    rng = np.random.default_rng(7)
    sample = _softened(draw_object(Family.THRESHOLDED, 192, rng=rng))
    row, column = np.divmod(np.arange(45), 3)
    raster = np.stack([row * 8, column * 8], axis=1)
    corner_px = raster + 3 + rng.uniform(-0.9, 0.9, raster.shape)
    probe = instrument().probe * np.float32(np.sqrt(photons))
    patches = np.stack([exact_patch(sample, corner) for corner in corner_px])
    frames = rng.poisson(expected_counts(patches, probe))
    geometry = Geometry(
        energy_ev=1.23984198e-6 / WAVELENGTH_M,
        distance_m=1.0,
        detector_pixel_size_m=WAVELENGTH_M / (FULL_PX * PIXEL_M),
    )
    # Where a stage is zero has nothing to do with where an image begins.
    positions_m = (corner_px + np.array([100.25, -40.5])) * PIXEL_M
    header = CxiHeader(geometry, positions_m, FULL_PX, probe=probe)
    write_cxi(folder / "scan.cxi", header, [LabelledFrames(frames)], force=True)
    np.savez(
        folder / "reference.npz",
        object=sample,
        window_top_left_px=np.rint(corner_px).astype(np.int32),
        object_pixel_m=PIXEL_M,
    )
    return Measurement(open_scan(folder / "scan.cxi"), folder / "reference.npz", sample, corner_px)


def exact_patch(
    sample: NDArray[np.complex64], corner_px: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """The full window at a fraction of a pixel, by the Fourier shift theorem."""
    ramps = [
        np.exp(2j * np.pi * np.fft.fftfreq(n) * s)
        for n, s in zip(sample.shape, corner_px, strict=True)
    ]
    moved = np.fft.ifft2(np.fft.fft2(sample) * np.outer(*ramps))
    return moved[:FULL_PX, :FULL_PX].astype(np.complex64)


def _softened(sample: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Without the finest detail, which no interpolation between pixels gets right."""
    q = [np.fft.fftfreq(n) for n in sample.shape]
    blur = np.exp(-2 * np.pi**2 * 1.5**2 * np.add.outer(q[0] ** 2, q[1] ** 2))
    return np.fft.ifft2(np.fft.fft2(sample) * blur).astype(np.complex64)
