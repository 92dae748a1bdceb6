"""Search for the fastest run settings of a package on this device within an accuracy budget.

Every precision on every working provider must reproduce its golden patches and come close to those
of FP32; those that do are timed with several thread counts and batch sizes, in interleaved rounds,
so that all are exposed to the same machine load.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ProviderError
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.choosing.choice import refusal
from wnet_edge.runner.choosing.tune_record import TimedSettings, TuneRecord
from wnet_edge.runner.graph.device import this_device, usable_cores
from wnet_edge.runner.graph.golden import golden_fault
from wnet_edge.runner.graph.open_graph import OpenGraph, check_held
from wnet_edge.runner.graph.providers import Provider, offered, unavailable_reason
from wnet_edge.runner.graph.run_settings import RunSettings

TUNED_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
MAX_PHASE_RMS_RAD = 0.1
"""Default for the largest RMS phase deviation from FP32's golden patches: twice that of the
embedded networks in INT8."""

_HEAT_ROUNDS, _FINAL_ROUNDS = 3, 30
_LONGEST_S = 60.0
"""Time after which no further round is started, for a heavy network on a slow device."""

_FINAL_RATIO = 1.25
"""Largest ratio to the fastest time, in a few runs, for which settings are timed again in many."""

_TIE_RATIO = 1.05
"""Largest ratio to the fastest time that counts as a tie, given the noise of machines; ties go to
the more accurate precision, then to fewer threads."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class TuneOptions:
    """Run settings to try, and the accuracy budget.

    Attributes:
        precisions: () for all in the package.
        provider: AUTO for all that work here; any other is used as given, and if it is unavailable
            tuning fails.
        threads: numbers of CPU threads; () for 1, 2, 4 … up to all cores.
        batch_sizes: frames per batch, unless the package has a fixed batch size.
        max_phase_rms_rad: largest accepted RMS phase deviation from FP32's golden patches.
        final_rounds: number of runs of each of the fastest settings.
    """

    precisions: tuple[Precision, ...] = ()
    provider: Provider = Provider.AUTO
    threads: tuple[int, ...] = ()
    batch_sizes: tuple[int, ...] = TUNED_BATCH_SIZES
    max_phase_rms_rad: float = MAX_PHASE_RMS_RAD
    final_rounds: int = _FINAL_ROUNDS


@dataclass(frozen=True)
class Dropped:
    """A rejected precision on a provider, with the reason."""

    precision: Precision
    provider: Provider
    reason: str


@dataclass(frozen=True)
class Tuned:
    """Result of tuning.

    Attributes:
        record: accepted run settings, fastest first.
        dropped: rejected precisions and providers.
    """

    record: TuneRecord
    dropped: tuple[Dropped, ...]


@dataclass
class _Field:
    """Candidate run settings with their opened graphs, and the rejected ones."""

    graphs: dict[RunSettings, OpenGraph] = field(default_factory=dict)
    dropped: list[Dropped] = field(default_factory=list)


def tune(package: Package, options: TuneOptions, progress: Tell) -> Tuned:
    """Find the fastest accurate run settings of a package on this device.

    Args:
        package: a verified package.
        options: settings to try.
        progress: called with one line per step.

    Raises:
        PackageError: if the package lacks a requested precision.
        ProviderError: if a requested provider is unavailable, or no candidate is left.
    """
    entrants = _entrants(package, options, progress)
    if not entrants.graphs:
        reasons = "; ".join(f"{one.provider.value}: {one.reason}" for one in entrants.dropped)
        raise ProviderError(
            f"{package.path}: no precision and provider is accurate enough here ({reasons}); see "
            "wnet-edge doctor, or allow more with --max-phase-rms-rad"
        )
    progress(f"{len(entrants.graphs)} run settings, a few runs each")
    heat_ms = _in_turn(package, entrants.graphs, _HEAT_ROUNDS)
    finalists = _finalists(heat_ms)
    progress(f"{len(finalists)} of them, {options.final_rounds} runs each")
    graphs = {run_settings: entrants.graphs[run_settings] for run_settings in finalists}
    final_ms = _in_turn(package, graphs, options.final_rounds)
    timed = [
        TimedSettings(run_settings, round(ms, 6))
        for run_settings, ms in (heat_ms | final_ms).items()
    ]
    record = TuneRecord(
        package_sha256=package.sha256,
        device=this_device(),
        max_phase_rms_rad=options.max_phase_rms_rad,
        timed=_ranked(timed),
    )
    return Tuned(record, tuple(entrants.dropped))


def _ranked(timed: Sequence[TimedSettings]) -> tuple[TimedSettings, ...]:
    """Run settings, fastest first, with ties decided."""
    by_time = sorted(timed, key=lambda one: one.ms_per_frame)
    tied = [one for one in by_time if one.ms_per_frame <= _TIE_RATIO * by_time[0].ms_per_frame]
    exactness = list(Precision)
    tied.sort(
        key=lambda one: (exactness.index(one.run_settings.precision), one.run_settings.threads)
    )
    return (*tied, *by_time[len(tied) :])


def _entrants(package: Package, options: TuneOptions, progress: Tell) -> _Field:
    """All run settings that are accurate enough, with opened graphs."""
    entrants = _Field()
    for precision in options.precisions:
        check_held(package, precision)
    for provider in _providers(options):
        for precision in options.precisions or package.graphs:
            progress(f"{precision.value} on {provider.value}: golden frames")
            try:
                candidates = _candidates(package, precision, provider, options)
                _check_accurate(package, next(iter(candidates.values())), options.max_phase_rms_rad)
            except ProviderError as error:
                entrants.dropped.append(Dropped(precision, provider, str(error)))
            else:
                entrants.graphs |= candidates
    return entrants


def _providers(options: TuneOptions) -> tuple[Provider, ...]:
    if options.provider is Provider.AUTO:
        return tuple(kind for kind in offered() if unavailable_reason(kind) is None)
    fault = unavailable_reason(options.provider)
    if fault is not None:
        raise refusal(options.provider, fault)
    return (options.provider,)


def _check_accurate(package: Package, graph: OpenGraph, limit_rad: float) -> None:
    """Check that a graph reproduces its golden patches and, if present, is close to FP32's."""
    golden, precision = package.golden, graph.run_settings.precision
    patches = graph.run_all(golden.counts)
    fault = golden_fault(package, precision, Deviation.between(patches, golden.outputs[precision]))
    if fault is not None:
        raise ProviderError(fault)
    if Precision.FP32 not in golden.outputs:
        return
    found = Deviation.between(patches, golden.outputs[Precision.FP32])
    if not found.phase_rms_rad <= limit_rad:
        raise ProviderError(
            f"its phases are {found.phase_rms_rad:.3g} rad RMS from those of fp32, more than "
            f"{limit_rad:g}"
        )


def _candidates(
    package: Package, precision: Precision, provider: Provider, options: TuneOptions
) -> dict[RunSettings, OpenGraph]:
    """Run settings with opened graphs.

    Per thread count, one graph serves the batches with a frame or more for each thread, another
    one those with fewer.
    """
    fixed = package.manifest.batch_size
    batch_sizes = options.batch_sizes if fixed is None else (fixed,)
    threads = (options.threads or thread_counts()) if provider is Provider.CPU else (0,)
    candidates: dict[RunSettings, OpenGraph] = {}
    for count in threads:
        for sizes in (
            [size for size in batch_sizes if size >= count],
            [size for size in batch_sizes if size < count],
        ):
            if sizes:
                # The largest batch first, for which GPU buffers and engines are made.
                largest = OpenGraph(package, RunSettings(precision, provider, count, max(sizes)))
                candidates |= {
                    RunSettings(precision, provider, count, size): largest for size in sizes
                }
    return candidates


def thread_counts() -> tuple[int, ...]:
    """Thread counts to try: 1, 2, 4 … and all cores."""
    cores = usable_cores()
    powers = itertools.takewhile(lambda count: count < cores, (2**k for k in itertools.count()))
    return (*powers, cores)


def _in_turn(
    package: Package, graphs: Mapping[RunSettings, OpenGraph], rounds: int
) -> dict[RunSettings, float]:
    """Median ms per frame of each of the run settings, in interleaved rounds after one warm-up.

    Settings that fail, out of memory for example, are left out.
    """
    counts = _batch(package, max(run_settings.batch_size for run_settings in graphs))
    seconds: dict[RunSettings, list[float]] = {run_settings: [] for run_settings in graphs}
    began_all = perf_counter()
    for done in range(rounds + 1):
        if done > 1 and perf_counter() - began_all > _LONGEST_S:
            break
        for run_settings in list(seconds):
            began = perf_counter()
            try:
                graphs[run_settings].run(counts[: run_settings.batch_size])
            except ProviderError:
                del seconds[run_settings]
            else:
                seconds[run_settings].append((perf_counter() - began) / run_settings.batch_size)
    return {run_settings: 1000 * median(values[1:]) for run_settings, values in seconds.items()}


def _batch(package: Package, size: int) -> NDArray[np.float32]:
    """Batch (size, 1, H, W) float32 of the golden frames, repeated."""
    counts = package.golden.counts
    return np.resize(counts, (size, *counts.shape[1:])).astype(np.float32, copy=False)


def _finalists(heat_ms: Mapping[RunSettings, float]) -> Sequence[RunSettings]:
    """The fastest run settings, and the fastest of each precision on each provider."""
    fastest = sorted(heat_ms, key=lambda run_settings: heat_ms[run_settings])
    near = [
        run_settings
        for run_settings in fastest
        if heat_ms[run_settings] <= _FINAL_RATIO * heat_ms[fastest[0]]
    ]
    kinds = {
        (run_settings.precision, run_settings.provider): run_settings
        for run_settings in reversed(fastest)
    }
    return list(dict.fromkeys([*near, *kinds.values()]))
