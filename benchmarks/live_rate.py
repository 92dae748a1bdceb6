"""How fast `wnet-edge stream` takes frames, with pvaPy's simulated detector on the same machine.

    python -m benchmarks.live_rate [--rate HZ]... [--seconds S] [--scan-s S]

The simulator (`pvapy-ad-sim-server`) publishes the embedded scan's frames over and over; each pass
lies beside the one before, so that the image grows as a large scan's does. With --scan-s it is one
scan after the other, of so many seconds each. For each rate one line: frames sent, processed and
lost, the latency from publication to the image (over each whole scan, and over the last seconds at
each look), memory of wnet-edge after a sixth of the time and at the end, and processor time per
frame of both programs.
"""

import argparse
import contextlib
import json
import math
import os
import pty
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.io.parts.complete_scan import known_geometry, known_positions_m, required_frames
from wnet_edge.io.scan_file import find_scan

_PROGRAMS = Path(sys.executable).parent
_PV = "bench:Image"
_LOOPBACK = {
    "EPICS_PVA_ADDR_LIST": "127.0.0.1",
    "EPICS_PVA_AUTO_ADDR_LIST": "NO",
    "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
    "EPICS_PVAS_BEACON_ADDR_LIST": "127.0.0.1",
    "EPICS_PVAS_AUTO_BEACON_ADDR_LIST": "NO",
}
_START_S = 6.0
"""Before the simulator publishes its first frame: the client has to be there."""


@dataclass(frozen=True)
class Use:
    """What a process has used so far.

    Attributes:
        cpu_s: of all its threads.
        resident_mib: memory now.
    """

    cpu_s: float
    resident_mib: float

    @classmethod
    def of(cls, pid: int) -> "Use":
        """From the kernel; zero for a process that is gone."""
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return cls(0.0, 0.0)
        ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
        return cls((int(fields[11]) + int(fields[12])) / ticks, int(fields[21]) * page / 2**20)


def mosaic(scan: Path, count: int, folder: Path) -> tuple[Path, Path, list[str]]:
    """Frames for the simulator, positions of `count` of them, and the geometry as options."""
    found = find_scan(scan)
    frames, positions_m = required_frames(found).value, known_positions_m(found)
    geometry = known_geometry(found)
    passes = math.ceil(count / len(positions_m))
    across = math.ceil(math.sqrt(passes))
    step_m = np.ptp(positions_m, axis=0)
    places = np.stack(np.divmod(np.arange(passes), across), axis=1) * step_m
    spread_m = (places[:, None] + positions_m).reshape(-1, 2)[:count]
    stored, listed = folder / "frames.npy", folder / "positions.npy"
    np.save(stored, np.asarray(frames[:]))
    np.save(listed, spread_m)
    options = ("energy-ev", geometry.energy_ev), ("distance-m", geometry.distance_m)
    options += (("pixel-size-m", geometry.detector_pixel_size_m * found.binning),)
    return stored, listed, [f"--{name}={value}" for name, value in options]


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        scans: last line of JSON of `wnet-edge stream` for each scan.
        p99_s: at each look, over the seconds before it.
        early: use of wnet-edge after a sixth of the time.
        ends_mib: its memory at the end of each scan.
        late: at the end.
        simulator: use of the simulator at the end.
    """

    scans: list[dict[str, Any]]
    p99_s: list[float]
    early: Use
    ends_mib: list[float]
    late: Use
    simulator: Use


def measure(rate_hz: float, seconds: float, scan_s: float, options: list[str]) -> Measured:
    """Run simulator and client beside each other, until all frames have come."""
    count, scans = int(rate_hz * scan_s), math.ceil(seconds / scan_s)
    environment = os.environ | _LOOPBACK | {"PYTHONUNBUFFERED": "1"}
    with TemporaryDirectory() as name:
        folder = Path(name)
        frames, positions, geometry = mosaic(EXAMPLE_SCAN, count, folder)
        simulate = [_PROGRAMS / "pvapy-ad-sim-server", "-cn", _PV, "-if", frames, "-cs", "100000"]
        simulate += ["-fps", str(rate_hz), "-rt", str(seconds), "-std", str(_START_S), "-rp", "0"]
        call = [_PROGRAMS / "wnet-edge", "stream", "--input-pv", _PV, "--positions", positions]
        call += ["--positions-unit", "m"]
        call += [*geometry, "--first-id", "1", "--idle-s", "10", "--orientation", "identity"]
        call += ["--scans", str(scans), "--json", "-o", folder]
        call += ["--provider", "cpu", "--threads", "1", *options]
        controller, terminal = pty.openpty()  # the simulator draws on its terminal
        looks: list[dict[str, Any]] = []
        ends_mib: list[float] = []
        with (
            subprocess.Popen(
                simulate, env=environment, stdin=terminal, stdout=terminal, stderr=terminal
            ) as simulator,
            subprocess.Popen(call, env=environment, stdout=subprocess.PIPE, text=True) as client,
        ):
            os.close(terminal)
            os.set_blocking(controller, False)
            began = time.perf_counter()
            early = late = simulated = Use(0.0, 0.0)
            if client.stdout is None:
                raise ValueError("no output")
            for line in client.stdout:
                looks.append(json.loads(line))
                with contextlib.suppress(OSError):
                    os.read(controller, 1 << 16)
                used = Use.of(client.pid)
                if looks[-1].get("ended") is not None:
                    ends_mib.append(used.resident_mib)
                late, simulated = (
                    max(late, used, key=_cpu),
                    max(simulated, Use.of(simulator.pid), key=_cpu),
                )
                if (
                    early.cpu_s == 0
                    and used.cpu_s > 0
                    and time.perf_counter() - began > _START_S + seconds / 6
                ):
                    early = used
            simulator.terminate()
        os.close(controller)
    if not looks:
        raise SystemExit(f"wnet-edge stream ended with {client.returncode}")
    p99_s = [look["latency_p99_s"] for look in looks if look.get("ended", "") is None]
    ends = [look for look in looks if look.get("ended") is not None or "error" in look]
    return Measured(ends, p99_s, early, ends_mib, late, simulated)


def _cpu(use: Use) -> float:
    return use.cpu_s


def line(rate_hz: float, seconds: float, measured: Measured) -> str:
    """One row of the table."""
    errors = [told["error"] for told in measured.scans if "error" in told]
    if errors:
        return f"{rate_hz:.0f} Hz: {errors}"
    received, processed = (
        sum(told[name] for told in measured.scans) for name in ("received", "processed")
    )
    lost: Counter[str] = Counter()
    for told in measured.scans:
        lost.update(told["lost"])
    p50_ms, p99_ms = (
        1e3 * max(told[f"latency_{name}_s"] for told in measured.scans) for name in ("p50", "p99")
    )
    middle_ms, worst_ms = 1e3 * median(measured.p99_s), 1e3 * max(measured.p99_s)
    frames = max(processed, 1)
    ends = ""
    if measured.ends_mib[1:]:
        ends = f" (scans end at {', '.join(f'{mib:.0f}' for mib in measured.ends_mib)})"
    return (
        f"{rate_hz:5.0f} Hz {seconds:4.0f} s, {len(measured.scans)} scans | received {received} "
        f"processed {processed} lost {lost.total()} {dict(lost) or ''} | latency p50 {p50_ms:.0f} "
        f"ms, p99 {p99_ms:.0f} ms (at looks: median {middle_ms:.0f}, worst {worst_ms:.0f}) | memory"
        f" {measured.early.resident_mib:.0f} -> {measured.late.resident_mib:.0f} MiB"
        f"{ends} | processor "
        f"{1e3 * measured.late.cpu_s / frames:.2f} ms/frame, simulator "
        f"{1e3 * measured.simulator.cpu_s / frames:.2f}"
    )


def main() -> None:
    """Measure and print a line for each rate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rate", type=float, action="append", help="frames per second")
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--scan-s", type=float, help="of each scan; all of it by default")
    parser.add_argument("options", nargs="*", help="after --: more options for stream")
    given = parser.parse_args()
    for rate_hz in given.rate or (500.0, 1000.0, 2000.0):
        scan_s = given.scan_s or given.seconds
        measured = measure(rate_hz, given.seconds, scan_s, given.options)
        print(line(rate_hz, given.seconds, measured), flush=True)  # noqa: T201
        time.sleep(2)


if __name__ == "__main__":
    main()
