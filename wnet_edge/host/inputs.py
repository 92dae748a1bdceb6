"""What a command reads, so that nothing of it is ever written over.

Every reader says here which file it opens, and every writer (`wnet_edge.host.outputs`) which one it
is going to replace; neither knows of the other, and whichever comes second is refused. Files are
told apart by device and inode, so that no link hides one.
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
    """A file that is read.

    Attributes:
        path: of it.
        what: it is, in words.
    """

    path: Path
    what: str

    @cached_property
    def keys(self) -> frozenset[_Key]:
        """Of the file, and of every folder that it lies in."""
        return _keys(self.path)

    @cached_property
    def linked(self) -> frozenset[_Key]:
        """Likewise, of the files that it draws on."""
        return frozenset().union(*map(_keys, linked_files(self.path)))


@dataclass
class _Command:
    """What is known so far of the command that runs.

    Attributes:
        inputs: by path.
        outputs: files and folders that are there and are going to be replaced.
    """

    inputs: dict[Path, _Input] = field(default_factory=dict)
    outputs: dict[_Key, Path] = field(default_factory=dict)


_command: _Command | None = None


@contextmanager
def one_command() -> Iterator[None]:
    """In the block, nothing that is read can be written over; a block in a block is part of it."""
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
    """See that `path` is a file, which a pipe or a device would keep waiting for, and keep it.

    Raises:
        error: if it is none, with the cure, or as `note_input`.
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
    """Keep a file, and every file that it links to, from being written over.

    Args:
        path: of the file; one that is not there is left to whoever opens it.
        error: to raise.
        what: the file is, for the message.

    Raises:
        error: if it is going to be written over.
    """
    if _command is None or _key(path) is None:
        return
    whole = Path(os.path.realpath(path))
    known = _command.inputs.setdefault(whole, _Input(path, what))
    for key, output in _command.outputs.items():
        _check(known, key, output, error)


def check_no_input(path: Path, error: type[WNetEdgeError]) -> None:
    """See that no input is the file `path`, or lies in the folder, that is going to be replaced.

    Raises:
        error: if one does.
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
    """None where there is nothing."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino
