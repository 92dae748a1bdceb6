"""Temporary file that holds the stitcher's placed patches, so that memory does not grow with them.

Written in scan order, and read in chunks in every sweep of the solver. Plain reads and writes, not
a memory map, which costs a page fault every 4 kB.
"""

import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError

_BYTES = np.dtype(np.complex64).itemsize


class PatchFile:
    """Anonymous temporary file of patches, (patch_px, patch_px) complex64 each.

    Without a name, it disappears when it is closed or the process ends, however that happens.

    Args:
        patch_px: edge of a patch.
        count: number of patches whose disk space is allocated at once, so that a full disk is
            noticed before the scan, not after it; the file grows for more.

    Raises:
        ResultError: if there is not enough disk space.
    """

    def __init__(self, patch_px: int, count: int) -> None:
        self._patch_px = patch_px
        self._patch_bytes = patch_px * patch_px * _BYTES
        self._count = 0
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        self._reserve(max(count, 1))

    def _reserve(self, count: int) -> None:
        """Allocate disk space for `count` patches."""
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
        """Whether the file has been closed, and the patches with it."""
        return self._file.closed

    def close(self) -> None:
        """Close the file, which frees its disk space."""
        self._file.close()

    def write(self, first: int, patches: NDArray[np.complex64]) -> None:
        """Write patches (B, patch_px, patch_px) from number `first` on.

        Raises:
            ResultError: if there is not enough disk space.
        """
        if first + len(patches) > self._count:
            self._reserve(max(first + len(patches), 2 * self._count))
        self._file.seek(first * self._patch_bytes)
        self._file.write(np.ascontiguousarray(patches).data)

    def read(self, first: int, last: int) -> NDArray[np.complex64]:
        """Patches `first` to `last` (excluded), (B, patch_px, patch_px) complex64, a copy."""
        patches = np.empty((last - first, self._patch_px, self._patch_px), np.complex64)
        self._file.seek(first * self._patch_bytes)
        self._file.readinto(patches.data)
        return patches
