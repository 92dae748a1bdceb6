"""Which precision, provider, threads and batch a package runs with here, and why.

What was asked for is had or refused. What was left open is what `wnet-edge tune` found fastest on
this device; else CUDA where it works and the processor where it does not, in a precision that is
safe. A provider that nobody asked for has to give the golden patches before it is taken.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from wnet_edge.errors import ProviderError, ResultError
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.choosing.tune_record import TimedSettings, TuneRecord, read_record
from wnet_edge.runner.graph.device import has_nvidia_card
from wnet_edge.runner.graph.golden import check_golden_patches
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.providers import CURES, Provider, has_nvidia_driver, offered
from wnet_edge.runner.graph.run_settings import BATCH_SIZE, RunnerOptions, RunSettings


@dataclass(frozen=True)
class ChosenGraph:
    """What was settled on.

    Attributes:
        package: whose graph it is.
        graph: ready to run.
        reason: one line.
        warnings: what a user should know of it, one line each.
        open_s: seconds that choosing and opening it took.
    """

    package: Package
    graph: OpenGraph
    reason: str
    warnings: tuple[str, ...]
    open_s: float

    @property
    def precision(self) -> Precision:
        """Of the graph."""
        return self.graph.run_settings.precision

    @property
    def provider(self) -> Provider:
        """That it runs on."""
        return self.graph.run_settings.provider


def open_best_graph(package: Package, options: RunnerOptions) -> ChosenGraph:
    """Open the graph of a package that fits `options` best.

    Raises:
        PackageError: as `OpenGraph`, or if the package lacks the precision that was asked for.
        ProviderError: if a provider that was asked for can't be had, or none can.
    """
    began = perf_counter()
    record, warnings = _kept(package)
    faults: list[str] = []
    for run_settings, reason in _candidates(package, options, record, faults):
        try:
            graph = OpenGraph(package, run_settings)
            if options.provider is Provider.AUTO and run_settings.provider is not Provider.CPU:
                check_golden_patches(package, graph)
        except ProviderError as error:
            if options.provider is not Provider.AUTO:
                raise refusal(options.provider, error) from error
            faults.append(f"{run_settings.provider.value} can't be had ({error})")
            if _was_expected(run_settings, record):
                warnings = (*warnings, f"{faults[-1]}: wnet-edge doctor says more")
            continue
        return ChosenGraph(package, graph, reason, warnings, perf_counter() - began)
    raise ProviderError(f"{package.path}: nothing runs it here: {'; '.join(faults)}")


def opening_fault(package: Package, provider: Provider) -> str | None:
    """Why a provider can't open a graph of this package here; None if it can."""
    try:
        OpenGraph(package, RunSettings(default_precision(package, provider)[0], provider))
    except ProviderError as error:
        return str(error)
    return None


def default_precision(package: Package, provider: Provider) -> tuple[Precision, str]:
    """What is safe where nothing was asked for or measured, and why."""
    if provider.is_nvidia and Precision.FP16 in package.graphs:
        return Precision.FP16, "fp16 is made for graphics cards"
    if Precision.FP32 in package.graphs:
        return Precision.FP32, "fp32 is exact"
    first = next(iter(package.graphs))
    return first, f"{first.value} is what the package holds"


def refusal(provider: Provider, fault: object) -> ProviderError:
    """The error for a provider that was asked for and can't be had, with the cure."""
    cure = CURES.get(provider)
    steps = f"{cure}, or " if cure else ""
    return ProviderError(
        f"{provider.value} can't be had ({fault}); {steps}use --provider cpu "
        "(wnet-edge doctor says more)"
    )


def _kept(package: Package) -> tuple[TuneRecord | None, tuple[str, ...]]:
    try:
        return read_record(package), ()
    except ResultError as error:
        return None, (str(error),)


def _candidates(
    package: Package, options: RunnerOptions, record: TuneRecord | None, faults: Sequence[str]
) -> Iterator[tuple[RunSettings, str]]:
    """Ways with their reasons, the best first; `faults` grows by those that were tried in vain."""
    tuned = (
        [one for one in record.timed if one.run_settings.fits(options)]
        if record is not None
        else []
    )
    if record is not None and tuned:
        yield tuned[0].run_settings, _tuned_reason(tuned[0], record)
    providers = [options.provider]
    if options.provider is Provider.AUTO:
        # Where no card is seen there is nothing to tell; `wnet-edge doctor` says what it takes.
        wanted = (Provider.CUDA, Provider.CPU) if _nvidia_here() else (Provider.CPU,)
        providers = [kind for kind in wanted if kind in offered()]
    for provider in providers:
        precision, why = default_precision(package, provider)
        if options.precision is not None:
            precision, why = options.precision, f"{options.precision.value} as asked"
        threads = 0 if options.threads is None else options.threads
        run_settings = RunSettings(precision, provider, threads, options.batch_size or BATCH_SIZE)
        yield run_settings, f"{_provider_reason(provider, options, faults)}; {why}"


def _provider_reason(provider: Provider, options: RunnerOptions, faults: Sequence[str]) -> str:
    if options.provider is provider:
        return f"{provider.value} as asked"
    if provider is Provider.CPU:
        return f"cpu because {'; '.join(faults)}" if faults else "cpu"
    return f"{provider.value} works here"


def _tuned_reason(fastest: TimedSettings, record: TuneRecord) -> str:
    run_settings = fastest.run_settings
    threads = f"{run_settings.threads} thread{'s' if run_settings.threads > 1 else ''}, "
    cores = threads if run_settings.provider is Provider.CPU else ""
    line = (
        f"{run_settings.precision.value} on {run_settings.provider.value}, {cores}"
        f"{run_settings.batch_size} frames at once, was the fastest in wnet-edge tune "
        f"({fastest.ms_per_frame:.3g} ms a frame)"
    )
    slower = [
        f"{kind.value} took {other.ms_per_frame / fastest.ms_per_frame:.2f} times as long"
        for kind in Precision
        if kind is not run_settings.precision and (other := record.best_of(kind)) is not None
    ]
    return "; ".join([line, *slower])


def _was_expected(run_settings: RunSettings, record: TuneRecord | None) -> bool:
    """Whether a user would count on it: a card, or what was measured here."""
    measured = record is not None and any(one.run_settings == run_settings for one in record.timed)
    return measured or (run_settings.provider.is_nvidia and _nvidia_here())


def _nvidia_here() -> bool:
    return has_nvidia_driver() or has_nvidia_card()
