"""Placed patches on their way through the stitcher, in a temporary file instead of memory.

Written in scan order, and read some at a time in every round of the solver: memory does not grow
with the scan. Through the file, not through a mapping, which costs a page fault every 4 kB.
"""

import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError

_BYTES = np.dtype(np.complex64).itemsize


class PatchFile:
    """Patches (patch_px, patch_px) complex64 in a file without a name.

    Without a name, the file is gone when it is closed or the process ends, however it ends.

    Args:
        patch_px: edge of a patch.
        count: patches to take room on the disk for at once, so that a full disk shows before the
            scan and not after it; more find theirs as they come.

    Raises:
        ResultError: if there is no room.
    """

    def __init__(self, patch_px: int, count: int) -> None:
        self._patch_px = patch_px
        self._patch_bytes = patch_px * patch_px * _BYTES
        self._count = 0
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._reserve(max(count, 1))

    def _reserve(self, count: int) -> None:
        """Take the room of `count` patches."""
        size = count * self._patch_bytes
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._file.fileno(), 0, size)
            else:
                self._file.truncate(size)
        except OSError as error:
            self.close()
            raise ResultError(
                f"no room for {size / 1e6:.0f} MB of patches in {tempfile.gettempdir()} "
                f"({error.strerror}): free some, or set TMPDIR to another folder"
            ) from error
        self._count = count

    @property
    def closed(self) -> bool:
        """Whether the patches are gone."""
        return self._file.closed

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    def write(self, first: int, patches: NDArray[np.complex64]) -> None:
        """Put patches (B, patch_px, patch_px) at `first` and after.

        Raises:
            ResultError: if there is no room for more.
        """
        if first + len(patches) > self._count:
            self._reserve(max(first + len(patches), 2 * self._count))
        self._file.seek(first * self._patch_bytes)
        self._file.write(np.ascontiguousarray(patches).data)

    def read(self, first: int, last: int) -> NDArray[np.complex64]:
        """Patches `first` to `last` (B, patch_px, patch_px), a copy."""
        patches = np.empty((last - first, self._patch_px, self._patch_px), np.complex64)
        self._file.seek(first * self._patch_bytes)
        self._file.readinto(patches.data)
        return patches
