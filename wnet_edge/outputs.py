"""Outputs that are whole or absent: written beside their target and renamed into place.

Where the flow frames → … → image ends, and where a package or a simulated scan is written.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wnet_edge.errors import WNetEdgeError


def check_output(path: Path, error: type[WNetEdgeError], *, force: bool) -> None:
    """See that `path` may be written, before any work is spent on what goes into it.

    Raises:
        error: if its folder is missing or read-only, if it is a folder, or if it exists and `force`
            is False.
    """
    mode = _mode(path, error)
    if mode is None and not path.parent.is_dir():
        raise error(f"{path}: no folder {path.parent}; create it first")
    if mode is not None and stat.S_ISDIR(mode):
        raise error(f"{path}: is a folder; name a file")
    if mode is not None and not stat.S_ISREG(mode):
        raise error(f"{path}: is a device or a pipe; name a file")
    if mode is not None and not force:
        raise error(f"{path}: exists already; replace it with --force or name another file")
    if not os.access(path.parent, os.W_OK):
        raise error(f"{path}: the folder {path.parent} can't be written to; name another")


def check_room(path: Path, what: str, size_bytes: int, error: type[WNetEdgeError]) -> None:
    """See that the disk of `path` has room for an output, before any work is spent on it.

    Args:
        path: of the output.
        what: takes that much, for the error.
        size_bytes: the most that it can take.
        error: to raise.

    Raises:
        error: if it has not.
    """
    free = shutil.disk_usage(path.parent).free
    if size_bytes > free:
        raise error(
            f"{path}: {what} take up to {size_bytes / 1e9:.3g} GB, and the disk has room for "
            f"{free / 1e9:.3g} GB; simulate fewer frames"
        )


def _mode(path: Path, error: type[WNetEdgeError]) -> int | None:
    """What kind of file is there, None where there is none.

    Raises:
        error: if that can't be told: a folder that can't be entered, a name too long.
    """
    try:
        return path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as cause:
        reason = getattr(cause, "strerror", None) or str(cause)
        raise error(f"{path}: can't be written ({reason.lower()}); name another") from cause


@contextmanager
def replacing(path: Path, error: type[WNetEdgeError], *, force: bool) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` if the block succeeds.

    Whatever stops the block, Ctrl-C included, leaves `path` as it was and nothing beside it.

    Raises:
        error: as `check_output`, or if the disk refuses the file.
    """
    check_output(path, error, force=force)
    # A name of its own: with the target's in it, it could be too long for the disk.
    temporary = path.with_name(f".wnet-edge-{secrets.token_hex(8)}.part")
    try:
        yield temporary
        temporary.replace(path)
    except OSError as cause:
        reason = cause.strerror or " ".join(str(cause).split())
        raise error(
            f"{path}: can't be written ({reason}); free the disk or name another"
        ) from cause
    finally:
        temporary.unlink(missing_ok=True)


def check_folders(
    parent: Path, names: Sequence[str], error: type[WNetEdgeError], *, force: bool
) -> None:
    """See that `placing_folders` may write, before any work is spent on what goes into it.

    Raises:
        error: if `parent` can neither be written to nor made, or if one of `names` is there and
            `force` is False.
    """
    mode = _mode(parent, error)
    if mode is None and not parent.parent.is_dir():
        raise error(f"{parent}: no folder {parent.parent}; create it first")
    if mode is not None and not stat.S_ISDIR(mode):
        raise error(f"{parent}: is no folder; name another")
    if not os.access(parent if mode is not None else parent.parent, os.W_OK):
        raise error(f"{parent}: can't be written to; name another")
    for name in names:
        path = parent / name
        if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):
            raise error(f"{path}: is no folder; name another")
        if os.path.lexists(path) and not force:
            raise error(f"{path}: exists already; replace it with --force or name another folder")


@contextmanager
def placing_folders(
    parent: Path, names: Sequence[str], error: type[WNetEdgeError], *, force: bool
) -> Iterator[Path]:
    """A temporary folder to make folders of these `names` in; moved to `parent` if that succeeds.

    `parent` is made if it is missing, and other things in it are left alone. Whatever stops the
    block, Ctrl-C included, leaves it as it was.

    Raises:
        error: as `check_folders`, or if the disk refuses a file.
    """
    check_folders(parent, names, error, force=force)
    made = not parent.exists()
    # In the folder itself: it may be a disk of its own, to which nothing can be moved at once.
    temporary = parent / f".wnet-edge-{secrets.token_hex(8)}.part"
    new, old = temporary / "new", temporary / "old"
    try:
        for folder in (new, old):
            folder.mkdir(parents=True)
        yield new
        moves = [(parent / name, old / name) for name in names if (parent / name).exists()]
        _move_all([*moves, *((new / name, parent / name) for name in names)])
    except OSError as cause:
        reason = cause.strerror or " ".join(str(cause).split())
        raise error(
            f"{parent}: can't be written ({reason}); free the disk or name another"
        ) from cause
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if made and parent.exists() and not any(parent.iterdir()):
            parent.rmdir()


def _move_all(moves: Sequence[tuple[Path, Path]]) -> None:
    """Rename each first to its second, or, if anything stops that, none."""
    try:
        for source, target in moves:
            source.rename(target)
    except BaseException:
        for source, target in reversed(moves):
            if target.exists() and not source.exists():
                target.rename(source)
        raise
