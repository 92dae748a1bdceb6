"""Diagnosis of this machine: which providers and precisions work, what fails, and the remedy.

ONNX Runtime's list of providers states what it was built with; here each provider runs the
package's graphs and must reproduce the golden patches. Nothing is changed or written except for
TensorRT's engines in the cache.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wnet_edge.errors import PackageError, ProviderError, ResultError
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.choosing.tune_record import TuneRecord, read_record
from wnet_edge.runner.doctor.installation import CacheState, cache_state, versions
from wnet_edge.runner.doctor.wheels import Wheel, installed_wheels, overwriting, wheels_fault
from wnet_edge.runner.graph.device import Device, cpu_quota_cores, has_nvidia_card, this_device
from wnet_edge.runner.graph.golden import check_golden_patches, golden_deviation, golden_fault
from wnet_edge.runner.graph.open_graph import OpenGraph
from wnet_edge.runner.graph.processor import has_vnni
from wnet_edge.runner.graph.providers import CURES, Provider, offered, unavailable_reason
from wnet_edge.runner.graph.run_settings import RunnerOptions, RunSettings

_CONTAINER = "in a container, start it with --gpus all"


@dataclass(frozen=True)
class PrecisionCheck:
    """Check of one precision on one provider.

    Attributes:
        precision: precision of the graph.
        deviation: deviation from the golden patches; None if it did not run.
        fault: why it can't be used; None if it can.
    """

    precision: Precision
    deviation: Deviation | None
    fault: str | None


@dataclass(frozen=True)
class ProviderCheck:
    """Check of one provider.

    Attributes:
        provider: any but AUTO.
        offered: whether the installed ONNX Runtime was built with it.
        fault: why it is unavailable; None if it was tried.
        precisions: checks of the package's precisions; empty if it is unavailable.
    """

    provider: Provider
    offered: bool
    fault: str | None
    precisions: tuple[PrecisionCheck, ...]

    @property
    def works(self) -> bool:
        """Whether any precision can be used on it."""
        return any(check.fault is None for check in self.precisions)


@dataclass(frozen=True)
class AutoCheck:
    """Check of the default run settings.

    Attributes:
        run_settings: settings that `infer` chooses by itself; None if there are none.
        reason: why these.
        fault: why they can't be used; None if they reproduce the golden patches.
    """

    run_settings: RunSettings | None
    reason: str
    fault: str | None


@dataclass(frozen=True)
class TuneCheck:
    """Check of the record of `wnet-edge tune`.

    Attributes:
        record: record for this package and device; None if there is no valid one.
        fault: what is wrong with an unusable record, and the remedy.
    """

    record: TuneRecord | None
    fault: str | None


@dataclass(frozen=True)
class CheckUp:
    """Complete diagnosis of this machine.

    Attributes:
        package: package used for the checks.
        versions: software versions by name.
        device: this machine.
        vnni: whether the processor has VNNI; None if unknown.
        quota_cores: processor quota of this process, in cores; None if no limit is known.
        nvidia_card: whether there is an NVIDIA GPU, as far as visible without a driver.
        wheels: installed wheels with files of onnxruntime.
        providers: checks of the wheel's providers, then of the others.
        auto: default run settings of `infer`.
        tune: record of `tune`.
        cache: cache folder.
    """

    package: Package
    versions: dict[str, str]
    device: Device
    vnni: bool | None
    quota_cores: float | None
    nvidia_card: bool
    wheels: tuple[Wheel, ...]
    providers: tuple[ProviderCheck, ...]
    auto: AutoCheck
    tune: TuneCheck
    cache: CacheState

    @property
    def wheel_fault(self) -> str | None:
        """What is wrong with onnxruntime's files, and the remedy."""
        if not self.wheels:  # built from source, for example; the import has succeeded
            return None
        first, module = self.wheels[0], self.versions["onnxruntime"]
        fault = wheels_fault(self.wheels)
        if fault is None and _release(first.version) != _release(module):
            return (
                f"{first} is installed, and the module says it is {module}: its files are "
                f"another's; pip install --force-reinstall --no-deps {first.name}"
            )
        return fault

    @property
    def quota_fault(self) -> str | None:
        """Warning that more threads are started than the quota allows, and the remedy."""
        if self.quota_cores is None or self.quota_cores >= self.device.cores:
            return None
        return (
            f"{self.device.cores} cores are visible, but only {self.quota_cores:g} may be used "
            f"(cgroup cpu.max), and more threads wait for each other: give --threads "
            f"{max(1, int(self.quota_cores))}, or raise the quota"
        )

    @property
    def fault(self) -> str | None:
        """Why inference does not work here, with the remedy; None if `auto` works."""
        if overwriting(self.wheels):
            return wheels_fault(self.wheels)
        if self.auto.fault is not None:
            return f"{self.package.path} can't be run here: {self.auto.fault}"
        return None

    @property
    def to_do(self) -> tuple[str, ...]:
        """One line for each problem or unused resource, with its remedy."""
        found = [
            self.wheel_fault,
            *self._idle_card(),
            *self._wrong_precisions(),
            self.tune.fault,
            self.quota_fault,
            self.cache.fault,
            self.auto.fault,
        ]
        return tuple(line for line in found if line is not None)

    def _idle_card(self) -> Iterator[str]:
        cuda = next(check for check in self.providers if check.provider is Provider.CUDA)
        if (self.nvidia_card or self.device.gpu) and cuda.fault is not None:
            cure = f"; {CURES[Provider.CUDA]}; {_CONTAINER}" if cuda.offered else ""
            yield f"there is an NVIDIA GPU, but cuda is unavailable: {cuda.fault}{cure}"

    def _wrong_precisions(self) -> Iterator[str]:
        for check in self.providers:
            for one in check.precisions:
                if one.fault is not None:
                    yield (
                        f"{one.precision.value} on {check.provider.value}: {one.fault}; use "
                        "another --precision or --provider, or update onnxruntime"
                    )


def check_up(package: Package, tell: Callable[[str], None]) -> CheckUp:
    """Examine this machine and run the package's golden frames on every provider.

    Args:
        package: a verified package.
        tell: called with one line before each slow step.
    """
    return CheckUp(
        package=package,
        versions=versions(),
        device=this_device(),
        vnni=has_vnni(),
        quota_cores=cpu_quota_cores(),
        nvidia_card=has_nvidia_card(),
        wheels=installed_wheels(),
        providers=_provider_checks(package, tell),
        auto=_auto_check(package),
        tune=_tune_check(package),
        cache=cache_state(),
    )


def _release(version: str) -> str:
    """Version without the local part after the +."""
    return version.partition("+")[0]


def _provider_checks(package: Package, tell: Callable[[str], None]) -> tuple[ProviderCheck, ...]:
    built = offered()
    others = [kind for kind in Provider if kind not in (Provider.AUTO, *built)]
    return (
        *(_tried(package, provider, tell) for provider in built),
        *(ProviderCheck(provider, False, unavailable_reason(provider), ()) for provider in others),
    )


def _tried(package: Package, provider: Provider, tell: Callable[[str], None]) -> ProviderCheck:
    fault = unavailable_reason(provider)
    if fault is not None:
        return ProviderCheck(provider, True, fault, ())
    if provider is Provider.TENSORRT:
        tell("tensorrt builds an engine for each precision, which may take minutes, and keeps it")
    checks = tuple(
        _precision_check(package, RunSettings(kind, provider)) for kind in package.graphs
    )
    faults = dict.fromkeys(check.fault for check in checks)
    if len(faults) == 1 and None not in faults and checks[0].deviation is None:
        return ProviderCheck(provider, True, checks[0].fault, ())
    return ProviderCheck(provider, True, None, checks)


def _precision_check(package: Package, run_settings: RunSettings) -> PrecisionCheck:
    try:
        graph = OpenGraph(package, run_settings)
        deviation = golden_deviation(package, graph)
    except (PackageError, ProviderError) as error:
        return PrecisionCheck(run_settings.precision, None, str(error))
    return PrecisionCheck(
        run_settings.precision, deviation, golden_fault(package, run_settings.precision, deviation)
    )


def _auto_check(package: Package) -> AutoCheck:
    try:
        choice = open_best_graph(package, RunnerOptions())
    except (PackageError, ProviderError) as error:
        return AutoCheck(None, "nothing works", str(error))
    try:
        check_golden_patches(package, choice.graph)
    except ProviderError as error:
        return AutoCheck(choice.graph.run_settings, choice.reason, str(error))
    return AutoCheck(choice.graph.run_settings, choice.reason, None)


def _tune_check(package: Package) -> TuneCheck:
    try:
        return TuneCheck(read_record(package), None)
    except ResultError as error:
        return TuneCheck(None, str(error))
