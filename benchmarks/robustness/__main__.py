"""How far a scan may be from what a package was trained for: one Markdown table a quantity.

    python -m benchmarks.robustness [PACKAGE [QUANTITY …]]

PACKAGE is a name or a file, `w3` by default; QUANTITY one or several of `conditions.SERIES`, all by
default. Every row is a simulated scan of 306 frames of an object that no training has drawn, under
the package's own probe, after the network alone and after five passes of refinement.
"""

import sys

from benchmarks.robustness.conditions import SERIES
from benchmarks.robustness.table import print_table
from wnet_edge.embedded import opened_package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions


def main() -> None:
    """The tables that are asked for."""
    package, *quantities = sys.argv[1:] or ["w3"]
    opened = open_best_graph(opened_package(package), RunnerOptions(provider=Provider.CPU))
    for quantity in quantities or SERIES:
        print_table(opened, SERIES[quantity])
        print()  # noqa: T201


if __name__ == "__main__":
    main()
