"""Base class for frames that are stored one after another and read one by one, in order.

Common to NumPy and TIFF stacks; only the requested frames are ever in memory.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


class FrameByFrame(ABC):
    """A source of frames (N, H, W) that reads them in ascending order, one at a time."""

    def __init__(self, shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        self._shape = shape
        self._dtype: np.dtype[Any] = np.dtype(dtype).newbyteorder("=")

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype, in native byte order."""
        return self._dtype

    @abstractmethod
    def each(self, numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Frames (H, W) of ascending numbers.

        Raises:
            ScanError: if the file is gone, damaged, or has changed.
        """

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice, of an index, or of a sequence of indices.

        Raises:
            ScanError: as `each`.
        """
        along, *within = (key or (slice(None),)) if isinstance(key, tuple) else (key,)
        part = tuple(within)
        if isinstance(along, slice):
            numbers = np.asarray(range(self._shape[0])[along], dtype=np.int64)
        else:
            numbers = np.arange(self._shape[0])[along]
        if numbers.ndim == 0:
            (frame,) = self.each([int(numbers)])
            return frame.astype(self._dtype)[part]
        wanted, places = np.unique(numbers, return_inverse=True)
        cut = np.empty((0, *self._shape[1:]), self._dtype)[(slice(None), *part)].shape[1:]
        frames = np.empty((len(wanted), *cut), self._dtype)
        for slot, frame in enumerate(self.each(wanted.tolist())):
            frames[slot] = frame[part]
        return frames if np.array_equal(wanted, numbers) else frames[places]
