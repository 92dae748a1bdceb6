"""Atomic output files and folders: written beside their target and renamed into place.

Used for images, packages, checkpoints and simulated scans.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wnet_edge.errors import WNetEdgeError
from wnet_edge.host.inputs import check_no_input
from wnet_edge.host.interrupts import held_back, temporary_paths


def check_output(path: Path, error: type[WNetEdgeError], *, force: bool) -> None:
    """Check that `path` can be written, before any work is spent on its content.

    Raises:
        error: if its folder is missing or read-only, it is a folder itself, the command reads it,
            or it exists and `force` is False.
    """
    check_current_folder(path, error)
    mode = _mode(path, error)
    if mode is None and not path.parent.is_dir():
        raise error(f"{path}: no folder {path.parent}; create it first")
    if mode is not None and stat.S_ISDIR(mode):
        raise error(f"{path}: is a folder; name a file")
    if mode is not None and not stat.S_ISREG(mode):
        raise error(f"{path}: is a device or a pipe; name a file")
    check_no_input(path, error)
    if mode is not None and not force:
        raise error(f"{path}: exists already; replace it with --force or name another file")
    if not os.access(path.parent, os.W_OK):
        raise error(f"{path}: the folder {path.parent} can't be written to; name another")


def check_room(path: Path, what: str, size_bytes: int, error: type[WNetEdgeError]) -> None:
    """Check that the disk of `path` has space for an output, before any work is spent on it.

    Args:
        path: of the output.
        what: content of the output, for the message.
        size_bytes: largest possible size.
        error: exception class to raise.

    Raises:
        error: if the free space is smaller.
    """
    free = shutil.disk_usage(path.parent).free
    if size_bytes > free:
        raise error(
            f"{path}: {what} take up to {size_bytes / 1e9:.3g} GB, and the disk has room for "
            f"{free / 1e9:.3g} GB; simulate fewer frames"
        )


def _mode(path: Path, error: type[WNetEdgeError]) -> int | None:
    """File mode of `path`, None if it does not exist.

    Raises:
        error: if that can't be determined: an inaccessible folder, or a name that is too long.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"{path}: can't be written ({reason.lower()}); name another") from cause


def check_apart(paths: Sequence[Path], error: type[WNetEdgeError]) -> None:
    """Check that all outputs of a command are different files.

    Raises:
        error: naming the file that would be written twice.
    """
    taken: set[str] = set()
    for path in paths:
        # Not Path.resolve, which raises for a link to itself.
        place = os.path.realpath(path)
        if place in taken:
            raise error(f"{path}: would be written twice; name the outputs apart")
        taken.add(place)


@dataclass(frozen=True)
class _Written:
    """A completely written temporary file that still has to be renamed."""

    temporary: Path
    path: Path
    error: type[WNetEdgeError]


_waiting: list[_Written] | None = None
"""Files that the current `together` context renames at its end; None outside of one."""


@contextmanager
def replacing(path: Path, error: type[WNetEdgeError], *, force: bool) -> Iterator[Path]:
    """Context with a temporary path beside `path` to write to; renamed to `path` on success.

    If the block fails or is interrupted, `path` stays as it was and the temporary file is deleted.

    Raises:
        error: as `check_output`, or if the disk refuses the file.
    """
    check_output(path, error, force=force)
    # A name without the target's, with which it could be too long for the file system.
    temporary = path.with_name(f".wnet-edge-{secrets.token_hex(8)}.part")
    temporary_paths.add(temporary)
    waits = False
    try:
        with _told_as(error, path):
            yield temporary
        written = _Written(temporary, path, error)
        if _waiting is None:
            _rename([written])
        else:
            waits = True
            _waiting.append(written)
    finally:
        if not waits:
            _discard(temporary)


@contextmanager
def together() -> Iterator[None]:
    """Context in which the files of `replacing` are renamed together at its end: all, or none.

    Raises:
        WNetEdgeError: of the kind that the file's own `replacing` was given, if the disk refuses.
    """
    global _waiting  # noqa: PLW0603 - writers do not know their callers
    if _waiting is not None:
        yield
        return
    written: list[_Written] = []
    _waiting = written
    try:
        yield
        _rename(written)
    finally:
        _waiting = None
        for one in written:
            _discard(one.temporary)


def _rename(files: Sequence[_Written]) -> None:
    """Rename files to their targets; if one fails, delete those that did not exist before."""
    new: list[Path] = []
    with held_back():
        try:
            for one in files:
                is_new = not os.path.lexists(one.path)
                with _told_as(one.error, one.path):
                    one.temporary.replace(one.path)
                new += [one.path] if is_new else []
        except WNetEdgeError:
            for path in new:
                path.unlink(missing_ok=True)
            raise


@contextmanager
def _told_as(error: type[WNetEdgeError], path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as cause:
        reason = cause.strerror or " ".join(str(cause).split())
        raise error(
            f"{path}: can't be written ({reason}); free disk space or name another"
        ) from cause


def _discard(temporary: Path) -> None:
    if temporary.is_dir():
        shutil.rmtree(temporary, ignore_errors=True)
    else:
        temporary.unlink(missing_ok=True)
    temporary_paths.discard(temporary)


def check_current_folder(path: Path, error: type[WNetEdgeError]) -> None:
    """Check, for a relative path, that the current folder still exists.

    Raises:
        error: if it has been removed.
    """
    if path.is_absolute():
        return
    try:
        Path.cwd()
    except OSError as cause:
        raise error("the current folder is no longer there; go to another") from cause


def check_folders(
    parent: Path, names: Sequence[str], error: type[WNetEdgeError], *, force: bool
) -> None:
    """Check that `placing_folders` can write, before any work is spent on the content.

    Raises:
        error: if `parent` can neither be written to nor created, or if one of `names` exists and
            `force` is False.
    """
    check_current_folder(parent, error)
    mode = _mode(parent, error)
    if mode is None and not parent.parent.is_dir():
        raise error(f"{parent}: no folder {parent.parent}; create it first")
    if mode is not None and not stat.S_ISDIR(mode):
        raise error(f"{parent}: is not a folder; name another")
    if not os.access(parent if mode is not None else parent.parent, os.W_OK):
        raise error(f"{parent}: can't be written to; name another")
    for name in names:
        path = parent / name
        if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
            raise error(f"{path}: is not a folder; name another")
        check_no_input(path, error)
        if os.path.lexists(path) and not force:
            raise error(f"{path}: exists already; replace it with --force or name another folder")


@contextmanager
def placing_folders(
    parent: Path, names: Sequence[str], error: type[WNetEdgeError], *, force: bool
) -> Iterator[Path]:
    """Context with a temporary folder to create folders `names` in; moved to `parent` on success.

    `parent` is created if it is missing; its other contents are left alone. If the block fails or
    is interrupted, `parent` stays as it was.

    Raises:
        error: as `check_folders`, or if the disk refuses a file.
    """
    check_folders(parent, names, error, force=force)
    made = not parent.exists()
    # Inside the folder itself: it may be a mount point, into which a rename is not possible.
    temporary = parent / f".wnet-edge-{secrets.token_hex(8)}.part"
    new, old = temporary / "new", temporary / "old"
    temporary_paths.add(temporary)
    try:
        with _told_as(error, parent):
            for folder in (new, old):
                folder.mkdir(parents=True)
            yield new
            moves = [(parent / name, old / name) for name in names if (parent / name).exists()]
            with held_back():
                _move_all([*moves, *((new / name, parent / name) for name in names)])
    finally:
        _discard(temporary)
        if made and parent.exists() and not any(parent.iterdir()):
            parent.rmdir()


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename each (source, target) pair; if one fails, undo those before it."""
    try:
        for source, target in moves:
            source.rename(target)
    except BaseException:
        for source, target in reversed(moves):
            if target.exists() and not source.exists():
                target.rename(source)
        raise
