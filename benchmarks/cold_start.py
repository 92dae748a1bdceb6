"""Cold starts of `wnet-edge infer`, prompt to files written, in turn: packages against each other.

    python -m benchmarks.cold_start [ROUNDS]

Compiles the embedded package for this device, then runs the embedded scan through both, each start
a process of its own; and, in this process, opens the graphs of both.
"""

import os
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks.one_process import infer_cost
from wnet_edge.embedded import find_package
from wnet_edge.export.compiled import compile_package
from wnet_edge.package.opening import open_package
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings


def main() -> None:
    """Both tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with TemporaryDirectory() as folder:
        # Where it is noted that the compiled package is this machine's own.
        os.environ["XDG_CACHE_HOME"] = folder
        portable = open_package(find_package("w3"))
        compiled = compile_package(portable, Path(folder) / "w3.ort.wnet", force=False)
        packages = {"portable": portable, "compiled": compiled}
        print("| | graph opened: portable | compiled | ratio |\n|---|---|---|---|")  # noqa: T201
        for precision in portable.graphs:
            print_row(precision.value, {n: opened(p, precision) for n, p in packages.items()})
        cache = {"XDG_CACHE_HOME": folder}
        walls = {name: [] for name in packages}
        for _ in range(rounds):
            for name, package in packages.items():
                walls[name].append(infer_cost(package=str(package.path), environment=cache).wall_s)
        print_row("infer, cold", {name: 1000 * median(values) for name, values in walls.items()})


def opened(package, precision):
    """Median milliseconds to open a graph on one thread."""
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        OpenGraph(package, RunSettings(precision, Provider.CPU, 1))
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds)


def print_row(name, ms):
    """A row of the table."""
    ratio = ms["compiled"] / ms["portable"]
    cells = " | ".join(f"{value:.0f} ms" for value in ms.values())
    print(f"| {name} | {cells} | {ratio:.2f} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
