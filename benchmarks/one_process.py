"""What one run of `wnet-edge infer` costs, in a process of its own: prompt to files written.

    python -m benchmarks.one_process [SCAN]

prints the median of five, step by step.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

SCAN = Path(__file__).parents[1] / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
_POLL_S = 0.005
PROGRAM = Path(sys.executable).with_name("wnet-edge")


@dataclass(frozen=True)
class Cost:
    """Of one process.

    Attributes:
        wall_s: by the clock.
        cpu_s: of all its threads.
        peak_mib: resident at most.
        steps_s: what `--json` tells of each step.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    steps_s: dict[str, float]


def infer_cost(
    scan: Path = SCAN, package: str = "w3", environment: Mapping[str, str] | None = None
) -> Cost:
    """Run `infer` on the processor and wait for it.

    Raises:
        subprocess.CalledProcessError: if it fails.
    """
    with TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"
        call = [PROGRAM, "infer", scan, "--package", package, "--provider", "cpu", "--json"]
        call += ["-o", Path(folder) / "out.h5", "--image", Path(folder) / "out.png"]
        # What was tuned for the user is not what is measured; and pip compiles what it installs.
        own = {"XDG_CACHE_HOME": folder, "PYTHONDONTWRITEBYTECODE": ""}
        began = time.perf_counter()
        with told.open("wb") as output:
            child = subprocess.Popen(
                call, stdout=output, env={**os.environ, **own, **(environment or {})}
            )
            pid, status, usage, peak_mib = 0, 0, None, 0.0
            while not pid:
                # Not the usage's own: that of a child begins with what its parent had.
                peak_mib = max(peak_mib, _peak_mib(child.pid))
                pid, status, usage = os.wait4(child.pid, os.WNOHANG)
                time.sleep(0 if pid else _POLL_S)
            child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.perf_counter() - began
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, call)
        values = json.loads(told.read_text("utf-8").splitlines()[-1])
    steps = {key[8:]: values[key] for key in values if key.startswith("seconds_")}
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak_mib, steps)


def _peak_mib(pid: int) -> float:
    """What Linux says is the most that a process had in memory since it was what it is."""
    told = Path(f"/proc/{pid}/status").read_text("utf-8")
    found = re.search(r"VmHWM:\s+(\d+) kB", told)
    return 0.0 if found is None else int(found[1]) / 1024


def main() -> None:
    """Each step of the main thread, and what lies beside it."""
    scan = Path(sys.argv[1]) if len(sys.argv) > 1 else SCAN
    costs = [infer_cost(scan) for _ in range(5)]
    steps = {key: median(cost.steps_s[key] for cost in costs) for key in costs[0].steps_s}
    wall_s = median(cost.wall_s for cost in costs)
    inside = ("open", "prepare", "stitch", "check", "wait_for_frames", "wait_for_network", "write")
    rows = {"start-up": wall_s - sum(steps[key] for key in inside)}
    rows |= {key: steps[key] for key in inside}
    rows |= {"all": wall_s, "parallel: read": steps["read"], "parallel: network": steps["network"]}
    for name, seconds in rows.items():
        print(f"| {name.replace('_', ' ')} | {seconds:.2f} s |")  # noqa: T201
    print(f"peak {max(cost.peak_mib for cost in costs):.0f} MiB")  # noqa: T201


if __name__ == "__main__":
    main()
