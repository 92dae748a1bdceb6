"""One hostile file: how it is made, how `wnet-edge` is called, what the call took.

As `bad_case`, with limits: whatever a file claims, it is refused in seconds and in little memory.
"""

import os
import resource
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bad_case import INFER, PROGRAM

LIMIT_S = 10
LIMIT_MB = 1000
_PATIENCE_S = 120


@dataclass(frozen=True)
class Hostile:
    """A hostile file, and the call that meets it.

    Attributes:
        name: for the table.
        make: writes it into a folder that holds a good scan, `scan.cxi`, and its package.
        arguments: of `wnet-edge`.
        slow: whether making it takes seconds.
        harmless: whether the call may do its work, having looked at no more than it needs.
    """

    name: str
    make: Callable[[Path], None]
    arguments: tuple[str, ...] = INFER
    slow: bool = False
    harmless: bool = False


def fault_of(case: Hostile, cost: "Cost") -> str:
    """What is wrong with how a case was met; empty where nothing is."""
    lines = [line for line in cost.err.splitlines() if not line.startswith("Warning: ")]
    refused = cost.code == 1 and len(lines) == 1 and lines[0].startswith("Error: ")
    if not refused and not (case.harmless and cost.code == 0):
        return "NOT REFUSED IN ONE LINE"
    return "OVER THE LIMIT" if cost.seconds > LIMIT_S or cost.peak_mb > LIMIT_MB else ""


@dataclass(frozen=True)
class Cost:
    """What a call took.

    Attributes:
        code: its exit status, below zero for a signal.
        seconds: of wall clock.
        peak_mb: of memory that lay in RAM.
        err: what it said on stderr.
    """

    code: int
    seconds: float
    peak_mb: float
    err: str

    @property
    def line(self) -> str:
        """The last line of stderr."""
        return (self.err.splitlines() or [""])[-1]


def measured(folder: Path, arguments: tuple[str, ...]) -> Cost:
    """Run `wnet-edge` in a process of its own, which is stopped after two minutes."""
    out, err = folder / ".out", folder / ".err"
    with out.open("w") as stdout, err.open("w") as stderr:
        start = time.perf_counter()
        process = subprocess.Popen(
            [PROGRAM, *arguments],
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            preexec_fn=_limit,  # noqa: PLW1509 - no thread runs here
        )
        pid, status, usage = _waited(process.pid)
        if not pid:
            process.kill()
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
    unit = 1e6 if sys.platform == "darwin" else 1e3
    said = err.read_text(errors="replace")
    out.unlink()
    err.unlink()
    return Cost(process.returncode, seconds, usage.ru_maxrss / unit, said)


def zeros_deflated(size: int) -> bytes:
    """A stream of zlib that unfolds to `size` zeros, its checksum wrong."""
    packer = zlib.compressobj(9)
    block = 16 << 20
    first = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (size // block - 1) + packer.flush()


def _waited(pid: int):
    until = time.perf_counter() + _PATIENCE_S
    while time.perf_counter() < until:
        done, status, usage = os.wait4(pid, os.WNOHANG)
        if done:
            return done, status, usage
        time.sleep(0.01)
    return 0, 0, None


def _limit() -> None:
    """No more than 12 GB in all, for the sake of this machine."""
    resource.setrlimit(resource.RLIMIT_AS, (12 << 30, 12 << 30))
