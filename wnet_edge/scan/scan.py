"""A ptychographic scan, as every reader returns it and every later step takes it.

Frames are read lazily, since a scan can be larger than memory.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.physics.geometry import Geometry
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.scan.frame_source import FrameSource, SelectedFrames


@dataclass(frozen=True)
class Scan:
    """One far-field scan with square, centred frames.

    Attributes:
        path: source file, for messages and provenance.
        frames: (N, n, n) counts, zero frequency at (n // 2, n // 2), read lazily; NaN where a
            pixel has no valid count.
        positions_m: (N, 2) float64 row, column of each frame's full window on the object, metres.
        geometry: energy, distance, unbinned detector pixel; None if the file lacks them.
        mask: (n, n) bool, True for pixels that must not be used.
        probe: (modes, full, full) complex64 in square-root counts, full = n × binning; None if
            the file has none.
        binning: detector pixels along an edge that are already summed into one pixel of `frames`.
        probe_pixel_size_m: edge of a pixel of `probe` as stated by the file, or None.
        assumed_object_pixel_size_m: used where `geometry` is None, from a package for example.
        left_out: (N,) bool, True for frames without a valid position (an arbitrary finite one is
            stored for them).
        frame_numbers: (N,) int64, number of each frame in the measurement, counted from 0.
        notes: what the reader changed or assumed, one line each.
        stored_frames: frames as stored, before cropping and orientation; None if those are
            `frames`.
    """

    path: Path
    frames: FrameSource
    positions_m: NDArray[np.float64]
    geometry: Geometry | None
    mask: NDArray[np.bool_]
    probe: NDArray[np.complex64] | None = None
    binning: int = 1
    probe_pixel_size_m: float | None = None
    assumed_object_pixel_size_m: float | None = None
    left_out: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    frame_numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    notes: tuple[str, ...] = ()
    stored_frames: FrameSource | None = None

    def __post_init__(self) -> None:
        """Defaults: no frame is left out, and frames are numbered in their order."""
        if not len(self.left_out):
            object.__setattr__(self, "left_out", np.zeros(len(self.positions_m), np.bool_))
        if not len(self.frame_numbers):
            object.__setattr__(self, "frame_numbers", np.arange(len(self.positions_m)))

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return int(self.frames.shape[0])

    @property
    def frame_px(self) -> int:
        """Edge n of the square frames."""
        return int(self.frames.shape[1])

    @property
    def full_window_px(self) -> int:
        """Edge of a frame's window on the object in pixels: that of the unbinned frame."""
        return self.frame_px * self.binning

    @property
    def known_geometry(self) -> Geometry:
        """The geometry, for steps that need it.

        Raises:
            ScanError: if the file lacks it.
        """
        if self.geometry is None:
            raise ScanError(
                f"{self.path}: has no energy, distance and detector pixel; give --energy-ev, "
                "--distance-m and --pixel-size-m"
            )
        return self.geometry

    @property
    def object_pixel_size_m(self) -> float:
        """Edge of an object pixel of the full window; binning does not change it.

        Raises:
            ScanError: if it is neither known nor assumed.
        """
        if self.geometry is None and self.assumed_object_pixel_size_m is not None:
            return self.assumed_object_pixel_size_m
        return self.known_geometry.object_pixel_size_m(self.full_window_px)

    def binning_to(self, window_px: int) -> int:
        """Factor by which the frames must be binned to `window_px` pixels.

        Raises:
            ScanError: if their edge is not a multiple of that.
        """
        if self.frame_px % window_px:
            raise ScanError(
                f"{self.path}: frames of {self.frame_px} px that sum {self.binning} × "
                f"{self.binning} detector pixels can't be binned to {window_px} px, the network's "
                "window; give frames as they were measured, or a network for them"
            )
        return self.frame_px // window_px

    @property
    def setup(self) -> FrameSetup:
        """Detector and probe common to all frames.

        Raises:
            ScanError: if the object pixel is neither known nor assumed.
        """
        return FrameSetup(
            self.path, self.mask, self.full_window_px, self.object_pixel_size_m, self.probe
        )

    @property
    def sha256(self) -> str:
        """SHA-256 of the positions and the first stored frame, which identifies the scan."""
        frames = self.frames if self.stored_frames is None else self.stored_frames
        digest = hashlib.sha256(self.positions_m.tobytes())
        digest.update(np.asarray(frames[:1]).tobytes())
        return digest.hexdigest()

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        """Frames in scan order, in batches of (≤ size, n, n) float32 counts."""
        for start in range(0, self.frame_count, size):
            yield np.asarray(self.frames[start : start + size], dtype=np.float32)


def some_frames(scan: Scan, numbers: NDArray[np.int64]) -> Scan:
    """The scan restricted to frames `numbers` (K,), ascending."""
    return replace(
        scan,
        frames=SelectedFrames(scan.frames, numbers),
        positions_m=scan.positions_m[numbers],
        left_out=scan.left_out[numbers],
        frame_numbers=scan.frame_numbers[numbers],
    )
