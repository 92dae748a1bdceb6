"""Check of available memory before work whose size is set by an option: frames, batch, canvas.

Linux kills a process that runs out of memory without a message; this check gives one in advance.
"""

from pathlib import Path

from wnet_edge.errors import WNetEdgeError

_MEMINFO = Path("/proc/meminfo")
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
_GROUP_USE = Path("/sys/fs/cgroup/memory.current")


def available_bytes() -> int | None:
    """Memory available on the machine and in the container's limit, bytes; None if unknown."""
    known = [size for size in (_of_machine(), _of_group()) if size is not None]
    return min(known, default=None)


def check_memory(needed_bytes: int, what: str, cure: str, error: type[WNetEdgeError]) -> None:
    """Check that enough memory is available.

    Args:
        needed_bytes: estimated need.
        what: what needs it, for the message.
        cure: what the user can do about it, for the message.
        error: exception class to raise.

    Raises:
        error: if less is available.
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
    """Memory left in the Linux control group, as seen inside a container; None if unlimited."""
    try:
        limit, used = int(_GROUP_LIMIT.read_text("ascii")), int(_GROUP_USE.read_text("ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return None
    return max(limit - used, 0)
