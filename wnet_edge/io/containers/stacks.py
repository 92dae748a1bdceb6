"""Stacks of frames whatever file they lie in: limits, and any order of axes as one stack.

Under every reader; frames stay where they are until a slice of them is asked for.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.scan.frame_source import FrameSource

MAX_FRAMES = 10_000_000
MAX_FRAME_PX = 8192
MAX_MODES = 64
MAX_WHOLE_BYTES = 512 * 2**20
"""Of an array that is read at once."""


_SLAB_BYTES = 128 << 20
"""Of frames that lie interleaved and are read together."""


class ArrangedFrames:
    """An array with its axes in any order as frames (N, H, W), read when they are asked for.

    Where frames come before their pixels, only what is asked for is read; where they lie
    interleaved, a slab of neighbouring frames is read at once and kept.

    Args:
        stored: the array.
        axes: what each of its axes counts: `N` frames, or `R` and `C` rows and columns of a raster;
            `H` rows and `W` columns of a frame; `1` nothing, it has length 1.
        slow_to_fast: the axes of the scan in the order in which they number the frames; else the
            order in which they are stored.
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
        """Number type as stored."""
        return self._stored.dtype

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
        """Without the frames that are kept: a copy in another process reads its own."""
        return self.__dict__ | {"_kept": None}


def check_numbers(path: Path, where: str, dtype: np.dtype[Any]) -> None:
    """See that what `where` holds can be counts.

    Raises:
        ScanError: if it is no real number.
    """
    if dtype.kind not in "uif":
        raise ScanError(f"{path}: {where} holds {dtype}, not counts; write integers or floats")


def check_frames(path: Path, where: str, shape: tuple[int, int, int], other_axes: str = "") -> None:
    """See that what `where` holds can be frames (N, H, W), before any of it is read.

    Args:
        path: of the scan.
        where: file and dataset.
        shape: (N, H, W).
        other_axes: another order of the array's axes, to be named in the cure.

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
