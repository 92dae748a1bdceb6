"""Outputs that are whole or absent: written beside their target and renamed into place.

Where the flow frames → … → image ends, and where a package or a simulated scan is written.
"""

import os
import secrets
import stat
from collections.abc import Iterator
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
