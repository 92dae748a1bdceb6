"""How much memory there is, asked before work whose size an option decides: frames, batch, canvas.

Linux kills what takes more than there is, without a word; here it is said before anything is begun.
"""

from pathlib import Path

from wnet_edge.errors import WNetEdgeError

_MEMINFO = Path("/proc/meminfo")
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GROUP_USE = Path("/sys/fs/cgroup/memory.current")


def available_bytes() -> int | None:
    """That a process may still take, of the machine and of a container's share; None: unknown."""
    known = [size for size in (_of_machine(), _of_group()) if size is not None]
    return min(known, default=None)


def check_memory(needed_bytes: int, what: str, cure: str, error: type[WNetEdgeError]) -> None:
    """See that there is room for what an option asks for.

    Args:
        needed_bytes: estimated.
        what: takes that much, for the error.
        cure: what to do about it.
        error: to raise.

    Raises:
        error: if there is not.
    """
    available = available_bytes()
    if available is not None and needed_bytes > available:
        raise error(
            f"{what}: needs about {needed_bytes / 1e9:.3g} GB of memory, and "
            f"{available / 1e9:.3g} GB are free; {cure}"
        )


def _of_machine() -> int | None:
    try:
        for line in _MEMINFO.read_text("ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return None


def _of_group() -> int | None:
    """Of Linux's control group, as a container sees its own."""
    try:
        limit, used = int(_GROUP_LIMIT.read_text("ascii")), int(_GROUP_USE.read_text("ascii"))
    except (OSError, ValueError):  # not there, or "max"
        return None
    return max(limit - used, 0)
