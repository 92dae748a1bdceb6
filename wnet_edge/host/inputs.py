"""Registry of the files that a command reads, so that it never overwrites its own input.

Every reader registers the files that it opens, and every writer (`wnet_edge.host.outputs`) the
files that it will replace; of a reader and a writer of the same file, whichever comes second is
refused. Files are identified by device and inode, so that links are seen through.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from wnet_edge.errors import WNetEdgeError
from wnet_edge.host.linked_files import TooManyObjectsError, linked_files

_Key = tuple[int, int]
"""Device and inode."""


@dataclass(frozen=True)
class _Input:
    """A file that the command reads.

    Attributes:
        path: its path.
        what: its role, for messages.
    """

    path: Path
    what: str

    @cached_property
    def keys(self) -> frozenset[_Key]:
        """Keys of the file and of every folder above it."""
        return _keys(self.path)

    @cached_property
    def linked(self) -> frozenset[_Key]:
        """Keys of the files that it links to and of the folders above them."""
        return frozenset().union(*map(_keys, linked_files(self.path)))


@dataclass
class _Command:
    """Inputs and outputs registered so far by the running command.

    Attributes:
        inputs: files read, by resolved path.
        outputs: existing files and folders that will be replaced.
    """

    inputs: dict[Path, _Input] = field(default_factory=dict)
    outputs: dict[_Key, Path] = field(default_factory=dict)


_command: _Command | None = None


@contextmanager
def one_command() -> Iterator[None]:
    """Context in which no file that is read can be overwritten; nested contexts count as one."""
    global _command  # noqa: PLW0603 - readers and writers of one process have nothing else in common
    if _command is not None:
        yield
        return
    _command = _Command()
    try:
        yield
    finally:
        _command = None


def input_file(path: Path, error: type[WNetEdgeError], cure: str) -> None:
    """Check that `path` is a regular file (a pipe or device could block), and register it as input.

    Args:
        path: of the file.
        error: exception class to raise.
        cure: what the user should do, for the message.

    Raises:
        error: if it is missing, unreadable or no regular file, or as `note_input`.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as cause:
        raise error(f"{path}: no such file; {cure}") from cause
    except (OSError, ValueError) as cause:
        reason = (getattr(cause, "strerror", None) or str(cause)).lower()
        raise error(f"{path}: can't be read ({reason}); {cure}") from cause
    if stat.S_ISDIR(mode):
        raise error(f"{path}: is a folder; {cure}")
    if not stat.S_ISREG(mode):
        raise error(f"{path}: is a device or a pipe, not a file; {cure}")
    note_input(path, error)


def note_input(path: Path, error: type[WNetEdgeError], what: str = "read by this command") -> None:
    """Register a file, and every file that it links to, as input that must not be overwritten.

    Args:
        path: of the file; a missing one is ignored, its reader reports it.
        error: exception class to raise.
        what: role of the file, for the message.

    Raises:
        error: if an output will replace it.
    """
    if _command is None or _key(path) is None:
        return
    whole = Path(os.path.realpath(path))
    known = _command.inputs.setdefault(whole, _Input(path, what))
    for key, output in _command.outputs.items():
        _check(known, key, output, error)


def check_no_input(path: Path, error: type[WNetEdgeError]) -> None:
    """Register an output, and check that replacing the file or folder `path` destroys no input.

    Raises:
        error: if an input is that file or lies in that folder.
    """
    key = _key(path)
    if _command is None or key is None:
        return
    _command.outputs[key] = path
    for known in _command.inputs.values():
        _check(known, key, path, error)


def _check(known: _Input, key: _Key, output: Path, error: type[WNetEdgeError]) -> None:
    if key in known.keys:
        holds = f"holds {known.path}, which is " if output.is_dir() else "is "
        raise error(f"{output}: {holds}{known.what}; name another output")
    try:
        if key not in known.linked:
            return
    except TooManyObjectsError as cause:
        raise error(
            f"{output}: is there already, and may belong to {known.path}, which has more objects "
            "than can be looked through; name an output that is not there yet"
        ) from cause
    raise error(
        f"{output}: holds data of {known.path}, which is read and links to it; name another output"
    )


def _keys(path: Path) -> frozenset[_Key]:
    whole = Path(os.path.realpath(path))
    keys = (_key(one) for one in (whole, *whole.parents))
    return frozenset(key for key in keys if key is not None)


def _key(path: Path) -> _Key | None:
    """Key of an existing file or folder; None if there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
