"""Lock file of a checkpoint, so that only one training at a time writes it.

Created with O_EXCL, because network file systems of clusters often lack `flock`, or have one that
is local to each machine. It names process and machine, so that the message can state who holds the
lock, and so that the lock of a dead process of this machine is taken over.
"""

import json
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from wnet_edge.errors import CheckpointError
from wnet_edge.host.interrupts import temporary_paths

_MAX_BYTES = 4096
_BOOT, _NAMESPACE = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")


@dataclass(frozen=True)
class _Holder:
    """Identity of the process that holds a lock, unique across reboots and containers.

    Attributes:
        host: name of the machine.
        pid: process ID.
        namespace: boot and container in which the process ID is valid.
        started: start time in the machine's clock ticks; empty if unknown.
    """

    host: str
    pid: int
    namespace: str
    started: str

    @property
    def is_dead(self) -> bool:
        """Whether it has certainly ended; False if unknown, as on another machine."""
        here = _this_process()
        if self.host != here.host:
            return False
        if self.namespace != here.namespace:
            # A process of an earlier boot is dead; one of another container may be alive.
            return self.namespace.partition(" ")[0] != here.namespace.partition(" ")[0]
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # a process of another user
            return False
        return self.started != _started(self.pid)


def lock_path(checkpoint: Path) -> Path:
    """Path of a checkpoint's lock file: NAME.safetensors.lock beside it."""
    return checkpoint.with_name(f"{checkpoint.name}.lock")


@contextmanager
def locked(checkpoint: Path) -> Iterator[str | None]:
    """Context in which no other training writes `checkpoint`; gives a warning for the user or None.

    Raises:
        CheckpointError: if another training holds the lock, or it can't be created.
    """
    path, warning = lock_path(checkpoint), None
    own = json.dumps(asdict(_this_process())).encode("ascii")
    if not _made(path, own):
        holder, content = _holder(path)
        if holder is None or not holder.is_dead:
            raise _held(checkpoint, path, holder)
        _take_away(path, content)
        if not _made(path, own):
            raise _held(checkpoint, path, _holder(path)[0])
        warning = f"{path}: was left by process {holder.pid}, which has died; it is taken over"
    temporary_paths.add(path)
    try:
        yield warning
    finally:
        with suppress(OSError):
            if path.read_bytes() == own:  # not the lock of a training that has replaced ours
                path.unlink()
        temporary_paths.discard(path)


def _held(checkpoint: Path, path: Path, holder: _Holder | None) -> CheckpointError:
    who = "another process" if holder is None else f"process {holder.pid} on {holder.host}"
    return CheckpointError(
        f"{checkpoint}: is being written by {who}; name another -o, or, if that has ended, "
        f"delete {path}"
    )


def _made(path: Path, content: bytes) -> bool:
    """Create the file with its content; False if it exists already."""
    try:
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
    except FileExistsError:
        return False
    except OSError as error:
        raise CheckpointError(
            f"{path}: the lock can't be made ({(error.strerror or str(error)).lower()}); name "
            "another -o"
        ) from error
    try:
        os.write(file, content)
    finally:
        os.close(file)
    return True


def _holder(path: Path) -> tuple[_Holder | None, bytes]:
    """Holder of a lock (None if the file does not state it), and the file's content."""
    content = b""
    try:
        if path.is_file():
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES)
        values = json.loads(content)
        return _Holder(
            host=str(values["host"]),
            pid=int(values["pid"]),
            namespace=str(values["namespace"]),
            started=str(values["started"]),
        ), content
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None, content


def _take_away(path: Path, content: bytes) -> None:
    """Delete a stale lock, unless another process has replaced it since."""
    aside = path.with_name(f".wnet-edge-{secrets.token_hex(8)}.part")
    with suppress(OSError):
        path.rename(aside)
        if aside.read_bytes() == content:
            aside.unlink()
        else:
            aside.rename(path)


def _this_process() -> _Holder:
    boot = container = ""
    with suppress(OSError):
        boot = _BOOT.read_text("ascii").strip()
        container = str(_NAMESPACE.readlink())
    pid = os.getpid()
    return _Holder(socket.gethostname(), pid, f"{boot} {container}".strip(), _started(pid))


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot (proc_pid_stat(5), fields 3 and 22).

    Empty for a zombie process.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        state, *others = text.rpartition(")")[2].split()
        return "" if state in "ZX" else others[18]
    except (OSError, ValueError, IndexError):
        return ""
