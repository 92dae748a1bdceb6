"""Stacks of frames whatever file they lie in: limits, and rasters as one stack.

Under every reader; frames stay where they are until a slice of them is asked for.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from wnet_edge.errors import ScanError
from wnet_edge.scan import FrameSource

MAX_FRAMES = 10_000_000
MAX_FRAME_PX = 8192
MAX_MODES = 64
MAX_WHOLE_BYTES = 512 * 2**20
"""Of an array that is read at once."""


class RasterFrames:
    """A four-dimensional source (rows, columns, H, W) as frames (rows × columns, H, W).

    Rows of the raster are read whole, one after another.
    """

    def __init__(self, source: FrameSource) -> None:
        self._source = source
        rows, columns, *frame = source.shape
        self._columns = columns
        self._shape = (rows * columns, *frame)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type as stored."""
        return self._source.dtype

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice, of an index, or of a sequence of indices in any order."""
        along, *within = key if isinstance(key, tuple) else (key,)
        numbers = np.arange(self._shape[0])[along]
        if np.ndim(numbers) == 0:
            return self._source[(*divmod(int(numbers), self._columns), *within)]
        if not len(numbers):
            return np.empty((0, *self._shape[1:]), self.dtype)[(slice(None), *within)]
        rows = numbers // self._columns
        parts = []
        for run in np.split(numbers, np.flatnonzero(np.diff(rows)) + 1):
            columns = run % self._columns
            first, last = int(columns.min()), int(columns.max()) + 1
            line = self._source[(int(run[0]) // self._columns, slice(first, last), *within)]
            parts.append(line[columns - first])
        return np.concatenate(parts)


def check_stack(path: Path, where: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """See that what `where` holds can be a stack of frames, before any of it is read.

    Raises:
        ScanError: if it is not (N, H, W) or (rows, columns, H, W) of real numbers within limits.
    """
    fault, cure = "", ""
    if dtype.kind not in "uif":
        fault, cure = f"holds {dtype}, not counts", "write integers or floats"
    elif len(shape) not in (3, 4):
        fault, cure = f"is {shape}, not (N, H, W)", "write a stack of frames"
    elif not 1 <= math.prod(shape[:-2]) <= MAX_FRAMES:
        fault, cure = f"holds {math.prod(shape[:-2])} frames", f"write 1 to {MAX_FRAMES}"
    elif not 2 <= min(shape[-2:]) <= max(shape[-2:]) <= MAX_FRAME_PX:
        fault = f"has frames of {shape[-2]} × {shape[-1]} px"
        cure = f"cut them to at most {MAX_FRAME_PX} px"
    if fault:
        raise ScanError(f"{path}: {where} {fault}; {cure}")


def raster_of(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Rows, columns of an array (rows, columns, H, W); None for a plain stack."""
    return (shape[0], shape[1]) if len(shape) == 4 else None
