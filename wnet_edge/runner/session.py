"""The graph at work: counts in, patches out, on the provider that was asked for or the best here.

The step from preprocess to patches. ONNX Runtime falls back to the processor without a word when a
graphics card can't be used; here a provider that was asked for by name is had or refused, and a
fallback says why.
"""

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.errors import PackageError, ProviderError
from wnet_edge.manifest import Precision
from wnet_edge.package import Package, Patches
from wnet_edge.runner.batches import in_batches, in_whole_batches
from wnet_edge.runner.session_settings import session_settings

_CUDA, _CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
_FATAL_ONLY, _WARNINGS = 4, 2
"""Severities of ONNX Runtime's log."""


class Provider(str, Enum):
    """Where a graph runs; AUTO takes the first that works of CUDA and CPU."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


@dataclass(frozen=True)
class RunnerOptions:
    """How a package's graph is run.

    Attributes:
        precision: None takes FP16 on CUDA and FP32 on the processor, or what the package has.
        provider: AUTO falls back to the processor; any other is had or refused.
        threads: of the processor; 0 leaves the number to ONNX Runtime, one a core.
        batch_size: frames run at once, where the package leaves it open.
    """

    precision: Precision | None = None
    provider: Provider = Provider.AUTO
    threads: int = 0
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.threads < 0 or self.batch_size < 1:
            raise ValueError("threads is negative or batch_size is not positive")


class GraphSession:
    """One graph of a package, ready to run.

    Attributes:
        precision: of the graph.
        provider: CPU or CUDA, whichever it runs on.
        reason: why this provider and this precision, one line.
        window_px: edge of its input and outputs.
        batch_size: frames that are best run at once.

    Raises:
        PackageError: if the package lacks the precision, or its graph breaks the contract: input
            `counts`, outputs `amplitude` and `phase`, all float32 (batch, 1, window, window), the
            batch as the manifest has it.
        ProviderError: if a provider that was asked for can't be had.
    """

    def __init__(self, package: Package, options: RunnerOptions) -> None:
        self._package = package
        self.window_px = package.manifest.window_px
        self._fixed_batch = package.manifest.batch_size
        self.batch_size = _whole_batches(options.batch_size, self._fixed_batch)
        self.provider, provider_reason = _choose_provider(package, options)
        self.precision, precision_reason = _choose_precision(package, options, self.provider)
        self.reason = f"{provider_reason}; {precision_reason}"
        self._session = _create_session(package, self.precision, self.provider, options.threads)
        self._check_contract()

    def run(self, counts: NDArray[np.float32]) -> Patches:
        """Amplitude and phase in rad, both (B, 1, H, W) float32, for counts of the same shape.

        Any B ≥ 1 will do, whatever the graph takes at once. Masked pixels of `counts` are negative.

        Raises:
            ProviderError: if the provider fails, for want of memory say.
            PackageError: if the graph gives other shapes than it declares.
        """
        if self._fixed_batch is None:
            return self._run(counts)
        return in_whole_batches(self._run, counts, self._fixed_batch)

    def run_all(self, counts: NDArray[np.float32]) -> Patches:
        """As `run`, `batch_size` frames at a time.

        Raises:
            ProviderError: as `run`.
            PackageError: as `run`.
        """
        return in_batches(self.run, counts, self.batch_size)

    def _run(self, counts: NDArray[np.float32]) -> Patches:
        try:
            amplitude, phase = self._session.run(["amplitude", "phase"], {"counts": counts})
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise ProviderError(
                f"{self._package.path}: {self.provider.value} failed on {len(counts)} frames "
                f"({_one_line(error)}); try {self._smaller_batch()} or another --provider"
            ) from error
        if amplitude.shape != counts.shape or phase.shape != counts.shape:
            raise self._broken(f"it gives {amplitude.shape} and {phase.shape} for {counts.shape}")
        return amplitude, phase

    def _smaller_batch(self) -> str:
        if self._fixed_batch is None:
            return "a smaller --batch-size"
        return "a package of a smaller batch"

    def _check_contract(self) -> None:
        declared = {
            "input": {port.name: port for port in self._session.get_inputs()},
            "output": {port.name: port for port in self._session.get_outputs()},
        }
        for kind, names in (("input", {"counts"}), ("output", {"amplitude", "phase"})):
            if set(declared[kind]) != names:
                raise self._broken(f"its {kind}s are not {', '.join(sorted(names))}")
            for name, port in declared[kind].items():
                if port.type != "tensor(float)":
                    raise self._broken(f"{name} is {port.type}, not float32")
                batch, *rest = port.shape or [0]
                # ONNX Runtime gives a number for a fixed dimension, else its name or None.
                found = batch if isinstance(batch, int) else None
                if found != self._fixed_batch or rest != [1, self.window_px, self.window_px]:
                    expected = (
                        f"({self._fixed_batch or 'batch'}, 1, {self.window_px}, {self.window_px})"
                    )
                    raise self._broken(f"{name} is {port.shape}, not {expected}")

    def _broken(self, fault: str) -> PackageError:
        return PackageError(
            f"{self._package.path}: {self.precision.file} breaks the contract: {fault}; "
            "export the package again"
        )


def _whole_batches(wanted: int, fixed: int | None) -> int:
    """At least `wanted` frames, in batches none of which has to be filled up."""
    return wanted if fixed is None else -(-wanted // fixed) * fixed


def cuda_fault(package: Package) -> str | None:
    """Why CUDA can't run this package here, or None if it can.

    A provider that is listed as available may still fail for want of a driver or a library, and
    ONNX Runtime then takes the processor; only the session tells.
    """
    if _CUDA not in onnxruntime.get_available_providers():
        return "this onnxruntime has no CUDA: pip install onnxruntime-gpu instead of onnxruntime"
    said = io.StringIO()
    if hasattr(onnxruntime, "preload_dlls"):
        # Finds the libraries of pip's nvidia-* packages; prints what it does not find.
        with contextlib.redirect_stdout(said):
            onnxruntime.preload_dlls()
    kind = next(iter(package.graphs))
    try:
        _create_session(package, kind, Provider.CUDA, 1)
    except ProviderError as error:
        missing = said.getvalue().strip().splitlines()[:1]
        return missing[0].split(":")[0] if missing else str(error)
    return None


def _choose_provider(package: Package, options: RunnerOptions) -> tuple[Provider, str]:
    if options.provider is Provider.CPU:
        return Provider.CPU, "cpu as asked"
    fault = cuda_fault(package)
    if fault is None:
        asked = options.provider is Provider.CUDA
        return Provider.CUDA, "cuda as asked" if asked else "cuda works here"
    if options.provider is Provider.CUDA:
        raise ProviderError(
            f"cuda can't be had ({fault}); install an NVIDIA driver and "
            "pip install 'onnxruntime-gpu[cuda,cudnn]', or use --provider cpu"
        )
    return Provider.CPU, f"cpu because cuda can't be had ({fault})"


def check_held(package: Package, precision: Precision) -> None:
    """See that a package has a graph of this precision.

    Raises:
        PackageError: if it has none.
    """
    if precision not in package.graphs:
        held = ", ".join(kind.value for kind in package.graphs)
        raise PackageError(f"{package.path}: holds no {precision.value} graph; choose from {held}")


def _choose_precision(
    package: Package, options: RunnerOptions, provider: Provider
) -> tuple[Precision, str]:
    if options.precision is not None:
        check_held(package, options.precision)
        return options.precision, f"{options.precision.value} as asked"
    if provider is Provider.CUDA and Precision.FP16 in package.graphs:
        return Precision.FP16, "fp16 is the fastest on cuda"
    if Precision.FP32 in package.graphs:
        return Precision.FP32, "fp32 is exact"
    first = next(iter(package.graphs))
    return first, f"{first.value} is what the package holds"


def _create_session(
    package: Package, precision: Precision, provider: Provider, threads: int
) -> onnxruntime.InferenceSession:
    content = package.graphs[precision]
    settings = session_settings(threads, package.manifest.precisions[precision].quantisation)
    names = [_CUDA, _CPU] if provider is Provider.CUDA else [_CPU]
    try:
        with _quiet():
            session = onnxruntime.InferenceSession(
                content, settings, providers=names, enable_fallback=0
            )
    except Exception as error:  # ONNX Runtime's errors share no other base
        if provider is Provider.CUDA:
            raise ProviderError(_one_line(error)) from error
        raise PackageError(
            f"{package.path}: ONNX Runtime {onnxruntime.__version__} can't load a graph of it "
            f"({_one_line(error)}); update onnxruntime or export the package again"
        ) from error
    if session.get_providers()[0] != names[0]:
        raise ProviderError("CUDA or cuDNN libraries, or the driver, are missing")
    return session


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps ONNX Runtime from writing to the terminal what is told in one line elsewhere."""
    onnxruntime.set_default_logger_severity(_FATAL_ONLY)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(_WARNINGS)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
