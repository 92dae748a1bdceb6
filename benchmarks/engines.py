"""Seconds to the same R-factor: passes of refinement, and pty-chi's engines from nothing.

    python -m benchmarks.engines [SCAN]

`wnet-edge infer --refine` and `wnet-edge reference` of a scan (the embedded one by default) on the
same processor, one after the other, each cold, probe and positions held. An engine's R-factor in
each epoch is that of 32 frames, refinement's that of all; both are of the probe's full window.
"""

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.markdown import head, show
from wnet_edge.embedded import EXAMPLE_SCAN

_PROGRAM = Path(sys.executable).with_name("wnet-edge")
_PASSES = (0, 3, 10)
_EPOCHS = {"lsqml": 36, "mpie": 20, "epie": 16, "dm": 12}


def run(*words: object) -> tuple[float, dict[str, Any]]:
    """Seconds of a command, and the last line of its `--json`."""
    began = perf_counter()
    done = subprocess.run(
        [_PROGRAM, *map(str, words), "--no-image", "--json"],
        check=True,
        capture_output=True,
        text=True,
    )
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return perf_counter() - began, values


def main() -> None:
    """First what refinement reaches, then when each engine does."""
    scan = Path(sys.argv[1]) if sys.argv[1:] else EXAMPLE_SCAN
    with TemporaryDirectory() as folder:
        output = ("-o", Path(folder) / "out.h5", "--force")
        wanted = []
        head("infer", "seconds, whole command", "R")
        for passes in _PASSES:
            # One pass more measures the image without any.
            refine = ("--refine", passes or 1)
            seconds, values = run("infer", scan, *refine, *output)
            r_factors = values["refinement"]["r_factors"]
            if not passes:
                seconds, _ = run("infer", scan, *output)
            wanted.append(r_factors[0] if not passes else r_factors[-1])
            show(f"--refine {passes}" if passes else "", f"{seconds:.1f}", f"{wanted[-1]:.4f}")
        print()  # noqa: T201
        head("engine", "s an epoch", *(f"seconds to R ≤ {r:.4f} (epochs)" for r in wanted))
        for engine, epochs in _EPOCHS.items():
            options = ("--engine", engine, "--epochs", epochs, "--batch-size", "10")
            _, values = run("reference", scan, *options, *output)
            show(engine, *told(values, wanted))


def told(values: dict[str, Any], wanted: list[float]) -> list[str]:
    """Seconds per epoch, and those to each R-factor."""
    r_factors, per_epoch_s = values["r_factors"][1:], values["seconds"] / values["epochs"]
    row = [f"{per_epoch_s:.1f}"]
    for target in wanted:
        reached = [number for number, r in enumerate(r_factors, 1) if r <= target]
        row.append(
            f"{reached[0] * per_epoch_s:.0f} ({reached[0]})"
            if reached
            else f"not in {len(r_factors)}, {min(r_factors):.4f}"
        )
    return row


if __name__ == "__main__":
    main()
