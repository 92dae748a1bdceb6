"""A small scan of a known object, with fractions of pixels and several modes, to be solved for."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from wnet_edge.io.images.object_image_file import read_located_image
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.probe import shifted_probe

needs_ptychi = pytest.mark.skipif(
    find_spec("ptychi") is None or find_spec("torchvision") is None,
    reason="pty-chi is not installed: make reference",
)

N = 32
SIDE, STEP_PX = 7, 4.0
GEOMETRY = Geometry(energy_ev=10_000.0, distance_m=0.9, detector_pixel_size_m=55e-6)
PIXEL_M = GEOMETRY.object_pixel_size_m(N)
STAGE_PX = np.array([1000.0, -500.0])
"""Where on the stage the scan was taken."""


def probe(width_px: float = 4.5, photons: float = 1e6) -> NDArray[np.complex64]:
    """Two round modes, (2, N, N) complex64 in √counts."""
    y, x = (np.indices((N, N)) - N // 2) / width_px
    spot = np.exp(-(y**2 + x**2) / 2 + 0.8j * (y**2 + 0.6 * x * y))
    both = np.stack([spot, 0.5 * spot * x])
    return (both * np.sqrt(photons / np.sum(np.abs(both) ** 2))).astype(np.complex64)


def known_object() -> NDArray[np.complex64]:
    """A smooth object with phases of half a radian, complex64."""
    size = int(SIDE * STEP_PX) + N + 4
    rng = np.random.default_rng(5)
    q = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size)] * 2))
    waves = np.fft.fft2(rng.standard_normal((2, size, size))) * np.exp(-((q / 0.1) ** 2))
    phase, loss = np.fft.ifft2(waves).real
    amplitude = 1 - 0.1 * np.abs(loss / loss.std())
    return (amplitude * np.exp(0.4j * phase / phase.std())).astype(np.complex64)


def corners() -> NDArray[np.float64]:
    """Row, column of each window in the object, off the grid by fractions of a pixel."""
    grid = np.stack(np.meshgrid(*[np.arange(SIDE) * STEP_PX] * 2, indexing="ij"), -1)
    return grid.reshape(-1, 2) + np.random.default_rng(8).uniform(1, 3, (SIDE**2, 2))


@dataclass(frozen=True)
class SmallScan:
    """What lies in its file, and what is to be found.

    Attributes:
        frames: (N, n, n) uint32 counts.
        object: (H, W) complex64.
        probe: (2, N, N) complex64.
    """

    frames: NDArray[np.uint32]
    object: NDArray[np.complex64]
    probe: NDArray[np.complex64]

    @classmethod
    def taken(cls, width_px: float = 4.5) -> "SmallScan":
        """Frames with photon noise, under a probe of this width."""
        frames = []
        for row, column in corners():
            moved = shifted_probe(probe(width_px), np.array([row % 1, column % 1]))
            patch = known_object()[int(row) : int(row) + N, int(column) : int(column) + N]
            frames.append(expected_counts(patch[None], moved)[0])
        counts = np.random.default_rng(2).poisson(frames).astype(np.uint32)
        return cls(counts, known_object(), probe(width_px))

    def write(self, path: Path, *, binned: bool = False, frames=None, **changes) -> Path:
        """The scan as CXI; `binned` stores its frames summed 2 × 2."""
        counts = self.frames if frames is None else frames
        if binned:
            counts = bin_frames(counts.astype(np.float32), 2).astype(np.uint32)
        header = {
            "geometry": GEOMETRY,
            "positions_m": (corners() + STAGE_PX) * PIXEL_M,
            "frame_px": counts.shape[-1],
            "frame_dtype": counts.dtype,
            "probe": self.probe,
            "binning": 2 if binned else 1,
            "title": "small",
        }
        write_cxi(path, CxiHeader(**(header | changes)), [LabelledFrames(counts)])
        return path

    def agreement(self, path: Path | str) -> float:
        """|correlation| of an image with the object at the place that its file says."""
        located = read_located_image(Path(path))
        image, coverage = located.image.image, located.image.coverage
        assert located.origin_px is not None
        assert coverage is not None
        first = np.rint(STAGE_PX - located.origin_px).astype(int)
        size = np.array(self.object.shape)
        there = tuple(slice(a, b) for a, b in zip(first, first + size, strict=True))
        weight = coverage[there] > 0.5 * np.median(coverage[coverage > 0])
        found, true = image[there][weight], self.object[weight]
        found, true = found - found.mean(), true - true.mean()
        return float(abs(np.vdot(found, true)) / np.linalg.norm(found) / np.linalg.norm(true))
