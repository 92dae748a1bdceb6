"""Does this machine compute what the package's maker saw?

Runs the golden frames that travel in a package and compares the patches with those stored beside
them: the check of the step from counts to patches.
"""

from dataclasses import dataclass, replace

from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision, Tolerance
from wnet_edge.package.opening import Package
from wnet_edge.runner.choosing.choice import open_best_graph, opening_fault
from wnet_edge.runner.graph.golden import golden_deviation, golden_fault
from wnet_edge.runner.graph.providers import Provider, offered
from wnet_edge.runner.graph.run_settings import RunnerOptions


@dataclass(frozen=True)
class GoldenCheck:
    """How far one precision's outputs are from the golden ones.

    Attributes:
        precision: of the graph.
        provider: it ran on.
        reason: why on that provider.
        deviation: from the stored patches.
        tolerance: what the package allows.
        passed: whether the deviation is within the tolerance.
    """

    precision: Precision
    provider: Provider
    reason: str
    deviation: Deviation
    tolerance: Tolerance
    passed: bool


def ways_to_run(package: Package, options: RunnerOptions) -> list[RunnerOptions]:
    """Every precision on every provider that works here, as far as `options` leave them open."""
    precisions = list(package.graphs) if options.precision is None else [options.precision]
    providers = [options.provider]
    if options.provider is Provider.AUTO:
        providers = [kind for kind in offered() if opening_fault(package, kind) is None]
    return [
        replace(options, precision=precision, provider=provider)
        for provider in providers
        for precision in precisions
    ]


def check_golden(package: Package, options: RunnerOptions) -> GoldenCheck:
    """Run the golden frames through the graph that `options` choose.

    Raises:
        PackageError: as `choose`.
        ProviderError: as `choose`.
    """
    choice = open_best_graph(package, options)
    deviation = golden_deviation(package, choice.graph)
    return GoldenCheck(
        precision=choice.precision,
        provider=choice.provider,
        reason=choice.reason,
        deviation=deviation,
        tolerance=package.manifest.golden.tolerance[choice.precision],
        passed=golden_fault(package, choice.precision, deviation) is None,
    )
