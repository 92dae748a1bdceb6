"""Check of an opened graph against the package's golden patches."""

from wnet_edge.errors import ProviderError
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.open_graph import OpenGraph


def golden_deviation(package: Package, graph: OpenGraph) -> Deviation:
    """Deviation of a graph's patches of the golden frames from the golden patches.

    Raises:
        ProviderError: as `OpenGraph.run`.
    """
    expected = package.golden.outputs[graph.run_settings.precision]
    return Deviation.between(graph.run_all(package.golden.counts), expected)


def check_golden_patches(package: Package, graph: OpenGraph) -> None:
    """Check that a graph reproduces the golden patches on this machine.

    Raises:
        ProviderError: if it fails or deviates too much.
    """
    fault = golden_fault(package, graph.run_settings.precision, golden_deviation(package, graph))
    if fault is not None:
        raise ProviderError(fault)


def golden_fault(package: Package, precision: Precision, deviation: Deviation) -> str | None:
    """Text for a deviation beyond the precision's tolerance; None if it is within."""
    if deviation.within(package.manifest.golden.tolerance[precision]):
        return None
    return f"it gives other patches than it should, off by {deviation.phase_rms_rad:.2g} rad"
