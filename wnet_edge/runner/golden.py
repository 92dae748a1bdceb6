"""Does this machine compute what the package's maker saw?

Runs the golden frames that travel in a package and compares the patches with those stored beside
them: the check of the step from counts to patches.
"""

from dataclasses import dataclass, replace

import numpy as np

from wnet_edge.manifest import Precision, Tolerance
from wnet_edge.package import Package
from wnet_edge.runner.session import GraphSession, Provider, RunnerOptions, cuda_fault


@dataclass(frozen=True)
class GoldenCheck:
    """How far one precision's outputs are from the golden ones.

    Attributes:
        precision: of the graph.
        provider: it ran on.
        reason: why on that provider.
        amplitude: largest absolute difference.
        phase_rad: largest absolute difference, wrapped.
        phase_rms_rad: root mean square difference, wrapped.
        tolerance: what the package allows.
        passed: whether all are within it.
    """

    precision: Precision
    provider: Provider
    reason: str
    amplitude: float
    phase_rad: float
    phase_rms_rad: float
    tolerance: Tolerance
    passed: bool


def ways_to_run(package: Package, options: RunnerOptions) -> list[RunnerOptions]:
    """Every precision on every provider that works here, as far as `options` leave them open."""
    precisions = list(package.graphs) if options.precision is None else [options.precision]
    providers = [options.provider]
    if options.provider is Provider.AUTO:
        providers = [Provider.CPU]
        providers += [Provider.CUDA] if cuda_fault(package) is None else []
    return [
        replace(options, precision=precision, provider=provider)
        for provider in providers
        for precision in precisions
    ]


def check_golden(package: Package, options: RunnerOptions) -> GoldenCheck:
    """Run the golden frames through the graph that `options` choose.

    Raises:
        PackageError: as `GraphSession`.
        ProviderError: as `GraphSession`.
    """
    session = GraphSession(package, options)
    golden = package.golden
    expected_amplitude, expected_phase = golden.outputs[session.precision]
    amplitude, phase = session.run_all(golden.counts)
    difference = np.abs(amplitude.astype(np.float64) - expected_amplitude).max()
    turn = phase.astype(np.float64) - expected_phase
    wrapped = np.abs((turn + np.pi) % (2 * np.pi) - np.pi)
    largest, rms = float(wrapped.max()), float(np.sqrt(np.mean(wrapped**2)))
    tolerance = package.manifest.golden.tolerance[session.precision]
    # Written so that NaN fails.
    passed = bool(
        difference <= tolerance.amplitude
        and largest <= tolerance.phase_rad
        and rms <= tolerance.phase_rms_rad
    )
    return GoldenCheck(
        precision=session.precision,
        provider=session.provider,
        reason=session.reason,
        amplitude=float(difference),
        phase_rad=largest,
        phase_rms_rad=rms,
        tolerance=tolerance,
        passed=passed,
    )
