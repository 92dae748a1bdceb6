"""A ptychographic scan as every reader gives it and every later step takes it.

Frames stay in the file until they are asked for: a scan is larger than memory.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wnet_edge.geometry import Geometry


class FrameSource(Protocol):
    """Frames (N, H, W) that are read on indexing, as an h5py dataset or a numpy array does."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        ...

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's and numpy's own signature
        """Frames of a slice, (n, H, W) counts."""
        ...


@dataclass(frozen=True)
class Scan:
    """One far-field scan.

    Attributes:
        path: the file it came from, for messages and provenance.
        frames: (N, H, W) counts, zero frequency at (H // 2, W // 2), read lazily.
        positions_m: (N, 2) float64 row, column of each frame's window on the object, metres.
        geometry: energy, distance, detector pixel.
        mask: (H, W) bool, True where the detector pixel must not be used.
        probe: (modes, H, W) complex64 in square-root counts, or None where the file has none.
    """

    path: Path
    frames: FrameSource
    positions_m: NDArray[np.float64]
    geometry: Geometry
    mask: NDArray[np.bool_]
    probe: NDArray[np.complex64] | None = None

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return int(self.frames.shape[0])

    @property
    def frame_px(self) -> int:
        """Edge of the square frame in detector pixels."""
        return int(self.frames.shape[1])

    @property
    def object_pixel_size_m(self) -> float:
        """Edge of an object pixel seen through the full frame."""
        return self.geometry.object_pixel_size_m(self.frame_px)

    def batches(self, size: int) -> Iterator[NDArray[np.float32]]:
        """Frames in scan order, (≤ size, H, W) float32 counts a batch."""
        for start in range(0, self.frame_count, size):
            yield np.asarray(self.frames[start : start + size], dtype=np.float32)
