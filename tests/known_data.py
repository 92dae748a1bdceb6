"""One known scan, to be written in every layout and read back: real or made up."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tiny import gaussian_probe

from wnet_edge.io.scan_file import open_scan
from wnet_edge.physics.geometry import Geometry


@dataclass(frozen=True)
class KnownScanData:
    """What every layout has to give back.

    Attributes:
        frames: (N, n, n) uint32 counts.
        positions_m: (N, 2) float64 row, column, metres.
        geometry: energy, distance, detector pixel.
        mask: (n, n) bool, True where a pixel is bad.
        probe: (modes, n, n) complex64.
    """

    frames: NDArray[np.uint32]
    positions_m: NDArray[np.float64]
    geometry: Geometry
    mask: NDArray[np.bool_]
    probe: NDArray[np.complex64]

    @property
    def frame_px(self) -> int:
        """Edge n of a frame."""
        return self.frames.shape[1]

    @property
    def object_pixel_size_m(self) -> float:
        """Edge of an object pixel of the full window."""
        return self.geometry.object_pixel_size_m(self.frame_px)


def scan_247(data_dir: Path) -> KnownScanData:
    """The real scan of 26-ID."""
    scan = open_scan(data_dir / "cnm26id_scan247.cxi")
    return KnownScanData(
        frames=np.asarray(scan.frames[:]).astype(np.uint32),
        positions_m=scan.positions_m,
        geometry=scan.known_geometry,
        mask=scan.mask,
        probe=scan.probe,
    )


def small(rows: int = 3, columns: int = 4, frame_px: int = 32) -> KnownScanData:
    """A raster of rows × columns frames of noise, no two alike and none symmetric."""
    rng = np.random.default_rng(5)
    frames = rng.poisson(3.0, (rows * columns, frame_px, frame_px)).astype(np.uint32)
    frames[:, frame_px // 2, frame_px // 2] = 1000 + np.arange(len(frames))
    mask = np.zeros((frame_px, frame_px), np.bool_)
    mask[3, 5:8] = True
    row, column = np.divmod(np.arange(len(frames)), columns)
    return KnownScanData(
        frames=frames,
        positions_m=np.stack([row * 120e-9, column * 80e-9 - 1e-6], axis=1),
        geometry=Geometry(energy_ev=8_500.0, distance_m=1.25, detector_pixel_size_m=75e-6),
        mask=mask,
        probe=gaussian_probe(frame_px, modes=2),
    )
