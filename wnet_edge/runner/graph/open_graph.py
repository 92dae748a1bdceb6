"""Inference session of one graph of a package on one provider: counts in, patches out.

The step from preprocess to patches. ONNX Runtime silently falls back to the CPU if a provider can't
be used; here that is an error.

On the processor, a batch of at least as many frames as threads is shared out among the threads, a
few frames at a time: layers of few channels are too short to be worth sharing one by one, as ONNX
Runtime does, and few frames stay in a core's cache from one layer to the next.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.errors import PackageError, ProviderError
from wnet_edge.host.interrupts import stoppable
from wnet_edge.host.memory import check_memory
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunEach, in_batches, in_whole_batches
from wnet_edge.runner.graph.cache import cache_folder
from wnet_edge.runner.graph.compiled_here import is_compiled_here
from wnet_edge.runner.graph.device import this_device, usable_cores
from wnet_edge.runner.graph.device_buffers import DeviceBuffers
from wnet_edge.runner.graph.processor import processor_name
from wnet_edge.runner.graph.providers import Provider, unavailable_reason
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.graph.session_settings import run_options, session_settings
from wnet_edge.runner.graph.tensorrt import engine_folder, tensorrt_options

_DEVICE_MEMORY = "cuda"
_FP32_BYTES = 4

_SHARED_FRAMES = 8
"""At most, that a thread takes at a time: more leave the cache, fewer cost calls."""


class OpenGraph:
    """A graph of a package, loaded and ready to run.

    Attributes:
        run_settings: precision, provider, threads, batch size.
        window_px: edge of its input and outputs.
        batch_size: frames per batch.

    Raises:
        PackageError: if the package lacks the precision, a batch does not fit in memory, ONNX
            Runtime can't load the graph, or it was compiled on another machine.
        ProviderError: if the provider is unavailable.
    """

    def __init__(
        self,
        package: Package,
        run_settings: RunSettings,
        settings: onnxruntime.SessionOptions | None = None,
    ) -> None:
        check_held(package, run_settings.precision)
        _check_room(package, run_settings)
        self.run_settings = run_settings
        self.window_px = package.manifest.window_px
        self._package = package
        self._fixed_batch = package.manifest.batch_size
        self.batch_size = _whole_batches(run_settings.batch_size, self._fixed_batch)
        self._sharing = 1
        if settings is None and run_settings.provider is Provider.CPU:
            self._sharing = self._threads_with_frames()
        self._run_each: RunEach = map
        if self._sharing > 1:
            self._run_each = ThreadPoolExecutor(self._sharing, thread_name_prefix="graph").map
            settings = package_settings(package, replace(run_settings, threads=1))
        self.session = _create_session(package, run_settings, settings)
        self._buffers: DeviceBuffers | None = None
        self._run_options = run_options()
        stoppable.add(self)

    def stop(self) -> None:
        """Make the current run and every later one fail soon, so that an interrupt can act."""
        self._run_options.terminate = True

    def run(self, counts: NDArray[np.float32]) -> PatchArrays:
        """Amplitude and phase in rad, both (B, 1, H, W) float32, of counts of the same shape.

        Any B ≥ 1, also for a graph of fixed batch size. Masked pixels of `counts` are negative.

        Raises:
            ProviderError: if the provider fails, out of memory for example.
            PackageError: if the graph's outputs have other shapes than declared.
        """
        try:
            amplitude, phase = self._run_batch(counts)
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise ProviderError(
                f"{self._package.path}: {self.run_settings.provider.value} failed on "
                f"{len(counts)} frames ({_one_line(error)}); try "
                f"{self._smaller_batch()} or another --provider"
            ) from error
        if amplitude.shape != counts.shape or phase.shape != counts.shape:
            raise self._broken(f"it gives {amplitude.shape} and {phase.shape} for {counts.shape}")
        return amplitude, phase

    def run_all(self, counts: NDArray[np.float32]) -> PatchArrays:
        """As `run`, for any number of frames, in batches of `batch_size`.

        Raises:
            ProviderError: as `run`.
            PackageError: as `run`.
        """
        return in_batches(self.run, counts, self.batch_size)

    def _threads_with_frames(self) -> int:
        """Threads, if a batch has frames for each; else 1, and ONNX Runtime shares its layers."""
        threads = self.run_settings.threads or usable_cores()
        return threads if self.batch_size // (self._fixed_batch or 1) >= threads else 1

    def _run_batch(self, counts: NDArray[np.float32]) -> PatchArrays:
        """In as many runs as the graph's fixed size and the threads that share the batch need."""
        if self._fixed_batch is not None:
            return in_whole_batches(self._run_on_device, counts, self._fixed_batch, self._run_each)
        if self._sharing == 1:
            return self._run_on_device(counts)
        share = min(-(-len(counts) // self._sharing), _SHARED_FRAMES)
        return in_batches(self._run_on_device, counts, share, self._run_each)

    def _run_on_device(self, counts: NDArray[np.float32]) -> PatchArrays:
        """Run through buffers in GPU memory; batches of an unusual size without them."""
        usual = self._fixed_batch or self.batch_size
        if not self.run_settings.provider.is_nvidia or len(counts) != usual:
            amplitude, phase = self.session.run(
                ["amplitude", "phase"], {"counts": counts}, self._run_options
            )
            return amplitude, phase
        if self._buffers is None:
            self._buffers = DeviceBuffers(self.session, counts.shape, _DEVICE_MEMORY)
        return self._buffers.run(counts, self._run_options)

    def _smaller_batch(self) -> str:
        if self._fixed_batch is None:
            return "a smaller --batch-size"
        return "a package of a smaller batch"

    def _broken(self, fault: str) -> PackageError:
        return PackageError(
            f"{self._package.path}: {self.run_settings.precision.file} breaks the contract: "
            f"{fault}; export the package again"
        )


def check_held(package: Package, precision: Precision) -> None:
    """Check that a package has a graph of this precision.

    Raises:
        PackageError: if it has none.
    """
    if precision not in package.graphs:
        held = ", ".join(kind.value for kind in package.graphs)
        raise PackageError(f"{package.path}: holds no {precision.value} graph; choose from {held}")


def _check_room(package: Package, run_settings: RunSettings) -> None:
    """Check that a batch fits in main memory; for GPU memory, the driver reports it."""
    cost, fixed = package.costs[run_settings.precision], package.manifest.batch_size
    if cost is None or run_settings.provider is not Provider.CPU:
        return
    frames = run_settings.batch_size if fixed is None else fixed
    check_memory(
        frames * cost.values_per_frame * _FP32_BYTES,
        f"{package.path}: {frames} frames at once",
        "give a smaller --batch-size" if fixed is None else "use a package of a smaller batch",
        PackageError,
    )


def package_settings(package: Package, run_settings: RunSettings) -> onnxruntime.SessionOptions:
    """ONNX Runtime's session options for one graph of a package."""
    manifest = package.manifest
    quantisation = manifest.precisions[run_settings.precision].quantisation
    return session_settings(
        run_settings.threads, quantisation, compiled=manifest.compiled is not None
    )


def _check_compiled_for_this(package: Package, run_settings: RunSettings) -> None:
    """Refuse a graph compiled for another processor, whose memory layout gives wrong results."""
    compiled = package.manifest.compiled
    if compiled is None:
        return
    if run_settings.provider.value != compiled.provider:
        raise ProviderError(f"{package.path} is compiled for {compiled.provider}")
    made_for = (compiled.processor, compiled.onnxruntime)
    if made_for != (processor_name(), onnxruntime.__version__):
        raise PackageError(
            f"{package.path}: is compiled for ONNX Runtime {compiled.onnxruntime} on "
            f"{compiled.processor}, here are {onnxruntime.__version__} and {processor_name()}; "
            "use the package it was made from, or compile that here: "
            "wnet-edge export --package FILE --target ort"
        )
    if not (package.trusted or is_compiled_here(package.graphs[run_settings.precision])):
        raise PackageError(
            f"{package.path}: was not compiled by you on this machine, and what a compiled graph "
            "does can't be told from its file; compile the package it was made from: wnet-edge "
            "export --package FILE --target ort, or name the key it is signed with: --trust"
        )


def _whole_batches(wanted: int, fixed: int | None) -> int:
    """Smallest batch size ≥ `wanted` that needs no padding for a graph of `fixed` batch size."""
    return wanted if fixed is None else -(-wanted // fixed) * fixed


def _create_session(
    package: Package, run_settings: RunSettings, settings: onnxruntime.SessionOptions | None
) -> onnxruntime.InferenceSession:
    fault = unavailable_reason(run_settings.provider)
    if fault is not None:
        raise ProviderError(fault)
    _check_compiled_for_this(package, run_settings)
    settings = settings or package_settings(package, run_settings)
    try:
        session = onnxruntime.InferenceSession(
            package.graphs[run_settings.precision],
            settings,
            providers=_providers(package, run_settings),
            enable_fallback=0,
        )
    except Exception as error:  # ONNX Runtime's errors share no other base
        if run_settings.provider is not Provider.CPU:
            raise ProviderError(_one_line(error)) from error
        raise PackageError(
            f"{package.path}: ONNX Runtime {onnxruntime.__version__} can't load a graph of it "
            f"({_one_line(error)}); update onnxruntime or export the package again"
        ) from error
    if session.get_providers()[0] != run_settings.provider.execution_provider:
        raise ProviderError(f"ONNX Runtime takes {session.get_providers()[0]} in its place")
    return session


def _providers(
    package: Package, run_settings: RunSettings
) -> list[str | tuple[str, dict[str, str]]]:
    """The provider, followed by those that run the nodes it does not support."""
    processor = Provider.CPU.execution_provider
    if run_settings.provider is Provider.CPU:
        return [processor]
    if run_settings.provider is not Provider.TENSORRT:
        return [run_settings.provider.execution_provider, processor]
    folder = engine_folder(package, this_device(), cache_folder())
    folder.mkdir(parents=True, exist_ok=True)
    options = tensorrt_options(package, run_settings, folder)
    cuda = Provider.CUDA.execution_provider
    return [(run_settings.provider.execution_provider, options), cuda, processor]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
