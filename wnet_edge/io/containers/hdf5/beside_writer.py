"""Reading of files that a program is writing now and then, without standing in its way.

HDF5 locks a file that it reads, and a program that opens the file for writing at that moment fails.
In this context no lock is taken. Instead, a file that a program has locked for writing counts as
being written, and what was read counts only if nothing has changed meanwhile. Used by
`wnet_edge.io.containers.hdf5.opening` for files that are followed while they grow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_LOCKS = Path("/proc/locks")
"""Locks of this machine's programs (Linux); elsewhere only changes of a file are noticed."""

_Stamp = tuple[int, int, int]


class Reading:
    """What has been read in one context."""

    def __init__(self) -> None:
        self._stamps: dict[Path, _Stamp] = {}

    def note(self, path: Path) -> None:
        """Register a file that is about to be opened, unless its writer lets others read (SWMR)."""
        self._stamps.setdefault(path, _stamp(path))

    def forget(self, path: Path) -> None:
        """Take back `note`, for a file whose writer lets others read."""
        self._stamps.pop(path, None)

    @property
    def disturbed(self) -> bool:
        """Whether a file that was read has changed since, or has been opened for writing."""
        return any(
            _stamp(path) != stamp or is_locked_by_writer(path)
            for path, stamp in self._stamps.items()
        )


_reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


@contextmanager
def beside_writer() -> Iterator[Reading]:
    """Context in which files are read without locks."""
    reading = Reading()
    before = _reading.set(reading)
    try:
        yield reading
    finally:
        _reading.reset(before)


def current_reading() -> Reading | None:
    """That of the context; None outside, where HDF5's own locks protect a reader."""
    return _reading.get()


def is_locked_by_writer(path: Path) -> bool:
    """Whether a program of this machine has the file locked for writing, as HDF5 does."""
    try:
        inode = str(path.stat().st_ino)
        lines = _LOCKS.read_text().splitlines()
    except OSError:
        return False
    # NUMBER: FLOCK ADVISORY WRITE PROCESS MAJOR:MINOR:INODE FIRST LAST
    words = (line.split() for line in lines)
    return any("WRITE" in word and word[-3].rpartition(":")[2] == inode for word in words)


def _stamp(path: Path) -> _Stamp:
    """Values that change when a file changes; zeros for a missing one."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_size, found.st_mtime_ns
