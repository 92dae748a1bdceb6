"""Stacks of frames, common to all file formats: size limits, and arrays with any axis order.

Frames are read only when they are requested.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.scan.frame_source import FrameSource, GrowingFrames

MAX_FRAMES = 10_000_000
MAX_FRAME_PX = 8192
MAX_MODES = 64
MAX_WHOLE_BYTES = 512 * 2**20
"""Largest array that is read whole."""


_SLAB_BYTES = 128 << 20
"""Size of a slab of interleaved frames that is read at once."""


class ArrangedFrames:
    """An array with axes in any order as lazily read frames (N, H, W).

    If the frame axes come before the pixel axes, only the requested frames are read; if frames are
    interleaved, a slab of neighbouring frames is read at once and cached.

    Args:
        stored: the array.
        axes: meaning of each axis: `N` frames, or `R` and `C` rows and columns of a raster;
            `H` rows and `W` columns of a frame; `1` for an axis of length 1.
        slow_to_fast: frame axes in the order in which they number the frames; by default the
            stored order.
    """

    def __init__(self, stored: FrameSource, axes: str, slow_to_fast: str = "") -> None:
        length = dict(zip(axes, stored.shape, strict=True))
        self._stored = stored
        self._axes = axes
        self._scan = [axis for axis in slow_to_fast or axes if axis in "NRC"]
        self._line = length[self._scan[-1]]
        self._shape = (math.prod(length[a] for a in self._scan), length["H"], length["W"])
        frame_bytes = self._shape[1] * self._shape[2] * stored.dtype.itemsize
        leading = axes.replace("1", "")[: len(self._scan)]
        self._slab = 0 if set(leading) == set(self._scan) else max(1, _SLAB_BYTES // frame_bytes)
        self._kept: tuple[tuple[int, int], NDArray[Any]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        return self._stored.dtype

    @property
    def may_grow(self) -> bool:
        """Whether more frames can be added."""
        return isinstance(self._stored, GrowingFrames) and self._stored.may_grow

    def written(self, since: int = 0) -> NDArray[np.bool_] | None:
        """Whether each frame (N,) has been written; None if the file can't tell."""
        if not isinstance(self._stored, GrowingFrames) or self._axes != "RCHW":
            return None
        return self._stored.written(since)

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice, of an index, or of a sequence of indices in any order."""
        along, *within = key if isinstance(key, tuple) else (key,)
        part = (*within, slice(None), slice(None))[:2]
        numbers = np.arange(self._shape[0])[along]
        if np.ndim(numbers) == 0:
            return self._run(np.array([numbers]), part)[0]
        slabs = numbers // self._line
        if self._slab:
            slabs = slabs * self._line + numbers % self._line // self._slab
        runs = np.split(numbers, np.flatnonzero(np.diff(slabs)) + 1)
        parts = [self._run(run, part) for run in runs if len(run)]
        empty = np.empty((0, *self._shape[1:]), self.dtype)[(slice(None), *part)]
        return np.concatenate(parts) if parts else empty

    def _run(self, numbers: NDArray[np.int64], part: tuple[Any, ...]) -> NDArray[Any]:
        """Frames of one slab, or of one line of the raster, in any order."""
        line, places = int(numbers[0]) // self._line, numbers % self._line
        if not self._slab:
            first = int(places.min())
            return self._block(line, slice(first, int(places.max()) + 1), part)[places - first]
        first = int(places[0]) // self._slab * self._slab
        kept = self._kept
        if kept is None or kept[0] != (line, first):
            whole = (slice(None), slice(None))
            kept = (line, first), self._block(line, slice(first, first + self._slab), whole)
            self._kept = kept
        frames: NDArray[Any] = kept[1][(places - first, *part)]
        return frames

    def _block(self, line: int, places: slice, part: tuple[Any, ...]) -> NDArray[Any]:
        """Neighbouring frames (n, h, w) of one line."""
        along = {"1": 0, self._scan[0]: line, self._scan[-1]: places, "H": part[0], "W": part[1]}
        block = np.asarray(self._stored[tuple(along[axis] for axis in self._axes)])
        left = [axis for axis in self._axes if not isinstance(along[axis], int)]
        wanted = [axis for axis in (self._scan[-1], "H", "W") if axis in left]
        frames: NDArray[Any] = block.transpose([left.index(axis) for axis in wanted])
        return frames

    def __getstate__(self) -> dict[str, Any]:
        """Pickle without the cached frames."""
        return self.__dict__ | {"_kept": None}


def check_numbers(path: Path, where: str, dtype: np.dtype[Any]) -> None:
    """Check that the dtype of an array can be that of counts.

    Raises:
        ScanError: if it is not real-valued.
    """
    if dtype.kind not in "uif":
        raise ScanError(f"{path}: {where} holds {dtype}, not counts; write integers or floats")


def check_frames(path: Path, where: str, shape: tuple[int, int, int], other_axes: str = "") -> None:
    """Check that a shape can be that of frames (N, H, W), before anything is read.

    Args:
        path: path of the scan.
        where: file and dataset, for messages.
        shape: (N, H, W).
        other_axes: another possible axis order, named in the message.

    Raises:
        ScanError: if there are none, too many, or they are too small or too large.
    """
    frame_count, height, width = shape
    if not 1 <= frame_count <= MAX_FRAMES:
        raise ScanError(f"{path}: {where} holds {frame_count} frames; write 1 to {MAX_FRAMES}")
    if not 2 <= min(height, width) <= max(height, width) <= MAX_FRAME_PX:
        cure = f"cut them to at most {MAX_FRAME_PX} px"
        if other_axes:
            cure += f", or say what its axes are, e.g. --frames-axes {other_axes}"
        raise ScanError(f"{path}: {where} has frames of {height} × {width} px; {cure}")
