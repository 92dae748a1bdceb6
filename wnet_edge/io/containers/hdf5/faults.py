"""Why an HDF5 file can't be opened (yet), from properties of the file instead of error texts.

Used by `wnet_edge.io.containers.hdf5.reader`. Examines the file type, the file lock, and the writer
flags and length in the superblock (HDF5 file format specification, version 3, section II.A).
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wnet_edge.io.containers.hdf5.beside_writer import current_reading, is_locked_by_writer

if sys.platform != "win32":
    import fcntl

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_OFFSETS = (0, *(512 << power for power in range(8)))
"""Possible offsets of the superblock, after a user block whose length is a power of two."""

MISSING = "is not there"
HDF5_ERRORS = (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError)
"""Exceptions that h5py raises for damaged or unexpected files."""

_LOCKING = "HDF5_USE_FILE_LOCKING"
_WRITER, _SWMR_WRITER = 1, 4
_ADDRESS_BYTES = (2, 4, 8, 16, 32)
_HELD = (errno.EWOULDBLOCK, errno.EAGAIN)


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file, as the end of a sentence about it, and the remedy."""

    what: str
    cure: str


BEING_WRITTEN = Fault(
    "is marked as being written",
    "wait until its writer closes it; if the writer has died, run h5clear -s on a copy",
)


IN_A_WRITER = Fault("is being written by another program", "wait until it is closed")


class FileRefusedError(Exception):
    """A file that does not exist, or that can't or must not be opened."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.what)
        self.fault = fault


class BrokenLinkError(KeyError):
    """A broken link, a link that must not be followed, or a dataset that can't be read.

    Its one argument states what is wrong with what, and the remedy.
    """


@dataclass
class _Policy:
    follow_links: bool = True


_policy = _Policy()


@contextmanager
def links_refused() -> Iterator[None]:
    """Context in which links to other files are not followed."""
    before, _policy.follow_links = _policy.follow_links, False
    try:
        yield
    finally:
        _policy.follow_links = before


def links_fault() -> Fault | None:
    """Why links to other files are not followed; None if they are."""
    if _policy.follow_links:
        return None
    return Fault("is refused by --no-links", "leave that flag out if you trust the file")


@dataclass(frozen=True)
class Superblock:
    """State of an HDF5 file from its superblock.

    Attributes:
        end: file size in bytes when the superblock was written.
        has_writer: whether a program has it open for writing, or had when it died.
        has_swmr_writer: likewise, in single-writer/multiple-reader mode (SWMR).
    """

    end: int
    has_writer: bool = False
    has_swmr_writer: bool = False


def file_fault(path: Path) -> Fault | None:
    """Why `path` is no regular file; None if it is one."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Fault(MISSING, "check the path")
    except (OSError, ValueError) as error:
        return Fault(f"can't be read ({one_line(error)})", "check the path")
    if stat.S_ISDIR(mode):
        return Fault("is a folder", "name a scan file in it")
    if not stat.S_ISREG(mode):
        return Fault("is a device or a pipe, not a file", "save it as a file first")
    return None


def open_fault(path: Path, error: BaseException) -> Fault:
    """Why HDF5 did not open `path` and raised `error`."""
    return known_fault(path) or Fault(
        f"can't be read as HDF5 ({one_line(error)})", "copy it again, or convert it to CXI"
    )


def known_fault(path: Path) -> Fault | None:
    """Why a file can't be read as HDF5, as far as visible without reading it whole."""
    fault = file_fault(path) or _permission_fault(path) or _lock_fault(path)
    if fault is not None:
        return fault
    size = path.stat().st_size
    if not size:
        return Fault("is empty", "wait until it is written, or copy it again")
    block = superblock(path)
    if block is not None and (block.has_writer or block.has_swmr_writer):
        return BEING_WRITTEN
    return None if block is None else cut_short(path, block)


def cut_short(path: Path, block: Superblock) -> Fault | None:
    """Whether a file is shorter than its superblock says: HDF5 may wait for the rest for ever."""
    size = path.stat().st_size
    if block.end <= size:
        return None
    return Fault(f"is cut short, {size} of {block.end} bytes", "copy it again")


def superblock(path: Path) -> Superblock | None:
    """Superblock of an HDF5 file; None if there is none or its version is unknown."""
    try:
        with path.open("rb") as file:
            for offset in HDF5_OFFSETS:
                file.seek(offset)
                block = file.read(128)
                if block.startswith(HDF5_MAGIC):
                    return _parsed(block)
    except (OSError, ValueError, IndexError):
        return None
    return None


def _parsed(block: bytes) -> Superblock | None:
    version = block[8]
    if version in (0, 1):
        size_of_offsets, start = block[13], 24 if version == 0 else 28
        return Superblock(_end(block, start, size_of_offsets))
    if version in (2, 3):
        flags = block[11] if version == 3 else 0
        end = _end(block, 12, block[9])
        return Superblock(end, bool(flags & _WRITER), bool(flags & _SWMR_WRITER))
    return None


def _end(block: bytes, start: int, size: int) -> int:
    """End-of-file address: the third after `start`, following base and free space or extension."""
    address = block[start + 2 * size : start + 3 * size]
    if size not in _ADDRESS_BYTES or len(address) < size:
        raise ValueError("no superblock")
    return int.from_bytes(address, "little")


def _permission_fault(path: Path) -> Fault | None:
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError as error:
        return Fault(f"can't be read ({one_line(error)})", "check its permissions")
    return None


def _lock_fault(path: Path) -> Fault | None:
    """Fault if HDF5's file lock is taken; None on Windows, or if locking is disabled."""
    if current_reading() is not None:
        return IN_A_WRITER if is_locked_by_writer(path) else None
    if sys.platform == "win32" or os.environ.get(_LOCKING, "").upper() in ("FALSE", "0"):
        return None
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD:
            return IN_A_WRITER
        return Fault(
            f"lies on a disk without file locks ({one_line(error)})",
            f"set {_LOCKING}=FALSE, and read it only when no program writes it",
        )
    finally:
        os.close(descriptor)
    return None


def one_line(error: Any) -> str:  # noqa: ANN401 - strerror is OSError's alone
    """Text of an error in one line: the system's message, else the error's own."""
    system = getattr(error, "strerror", None)
    return " ".join((system.lower() if system else str(error)).split())[:200]
