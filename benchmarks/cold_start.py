"""Cold starts of `wnet-edge infer`, prompt to files written, in turn: packages against each other.

    python benchmarks/cold_start.py [ROUNDS]

Compiles the embedded package for this device, then runs the embedded scan through both, each start
a process of its own; and, in this process, opens the graphs of both.
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from wnet_edge.export.compiled import compile_package
from wnet_edge.package import find_package, open_package
from wnet_edge.runner.open_graph import OpenGraph
from wnet_edge.runner.providers import Provider
from wnet_edge.runner.ways import Way

SCAN = Path(__file__).parents[1] / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
PROGRAM = Path(sys.executable).with_name("wnet-edge")


def main() -> None:
    """Both tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    with TemporaryDirectory() as folder:
        portable = open_package(find_package("w3"))
        compiled = compile_package(portable, Path(folder) / "w3.ort.wnet", force=False)
        packages = {"portable": portable, "compiled": compiled}
        print("| | graph opened: portable | compiled | ratio |\n|---|---|---|---|")  # noqa: T201
        for precision in portable.graphs:
            print_row(precision.value, {n: opened(p, precision) for n, p in packages.items()})
        walls = {name: [] for name in packages}
        for _ in range(rounds):
            for name, package in packages.items():
                walls[name].append(infer_s(package.path, Path(folder)))
        print_row("infer, cold", {name: 1000 * median(values) for name, values in walls.items()})


def opened(package, precision):
    """Median milliseconds to open a graph on one thread."""
    seconds = []
    for _ in range(9):
        began = time.perf_counter()
        OpenGraph(package, Way(precision, Provider.CPU, 1))
        seconds.append(time.perf_counter() - began)
    return 1000 * median(seconds)


def infer_s(package: Path, folder: Path) -> float:
    """Seconds of one process."""
    outputs = ["-o", folder / "out.h5", "--image", folder / "out.png", "--force"]
    began = time.perf_counter()
    subprocess.run(
        [PROGRAM, "infer", SCAN, "--package", package, *outputs], check=True, capture_output=True
    )
    return time.perf_counter() - began


def print_row(name, ms):
    """A row of the table."""
    ratio = ms["compiled"] / ms["portable"]
    cells = " | ".join(f"{value:.0f} ms" for value in ms.values())
    print(f"| {name} | {cells} | {ratio:.2f} |", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
