"""Temporary file of equal arrays, so that memory does not grow with their number.

Plain reads and writes, not a memory map, which costs a page fault every 4 kB.
"""

import math
import os
import tempfile
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError

Kind = TypeVar("Kind", bound=np.generic)


class ArrayFile(Generic[Kind]):
    """Anonymous temporary file of arrays of one shape and type, by number.

    Without a name, it disappears when it is closed or the process ends, however that happens.

    Args:
        shape: of an array.
        dtype: of its values.
        count: number of arrays whose disk space is allocated at once, so that a full disk is
            noticed before the scan, not after it; the file grows for more.
        what: they are, for messages.

    Raises:
        ResultError: if there is not enough disk space.
    """

    def __init__(self, shape: tuple[int, ...], dtype: type[Kind], count: int, what: str) -> None:
        self._shape, self._dtype, self._what = shape, np.dtype(dtype), what
        self._bytes = math.prod(shape) * self._dtype.itemsize
        self._count = 0
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._reserve(max(count, 1))

    def _reserve(self, count: int) -> None:
        """Allocate disk space for `count` arrays."""
        size = count * self._bytes
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, size)
            else:
                self._file.truncate(size)
        except OSError as error:
            self.close()
            raise ResultError(
                f"no room for {size / 1e6:.0f} MB of {self._what} in {tempfile.gettempdir()} "
                f"({error.strerror}): free some, or set TMPDIR to another folder"
            ) from error
        self._count = count

    @property
    def closed(self) -> bool:
        """Whether the file has been closed, and the arrays with it."""
        return self._file.closed

    def close(self) -> None:
        """Close the file, which frees its disk space."""
        self._file.close()

    def write(self, first: int, arrays: NDArray[Kind]) -> None:
        """Write arrays (B, …) from number `first` on.

        Raises:
            ResultError: if there is not enough disk space.
        """
        if first + len(arrays) > self._count:
            self._reserve(max(first + len(arrays), 2 * self._count))
        self._file.seek(first * self._bytes)
        self._file.write(np.ascontiguousarray(arrays, self._dtype).data)

    def read(self, first: int, last: int) -> NDArray[Kind]:
        """Arrays `first` to `last` (excluded), (B, …), a copy."""
        arrays: NDArray[Kind] = np.empty((last - first, *self._shape), self._dtype)
        self._file.seek(first * self._bytes)
        self._file.readinto(arrays.data)
        return arrays
