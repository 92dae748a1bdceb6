"""Inference session of one graph of a package on one provider: counts in, patches out.

The step from preprocess to patches. ONNX Runtime silently falls back to the CPU if a provider can't
be used; here that is an error.
"""

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.errors import PackageError, ProviderError
from wnet_edge.interrupts import stoppable
from wnet_edge.manifest import Precision
from wnet_edge.memory import check_memory
from wnet_edge.package import Package, Patches
from wnet_edge.processor import processor_name
from wnet_edge.runner.batches import in_batches, in_whole_batches
from wnet_edge.runner.cache import cache_folder
from wnet_edge.runner.compiled_here import is_compiled_here
from wnet_edge.runner.device import this_device
from wnet_edge.runner.device_buffers import DeviceBuffers
from wnet_edge.runner.providers import Provider, missing
from wnet_edge.runner.session_settings import run_options, session_settings
from wnet_edge.runner.tensorrt import engine_folder, tensorrt_options
from wnet_edge.runner.ways import Way

_DEVICE_MEMORY = "cuda"
_FP32_BYTES = 4


class OpenGraph:
    """A graph of a package, loaded and ready to run.

    Attributes:
        way: run settings.
        window_px: edge of its input and outputs.
        batch_size: frames per batch.

    Raises:
        PackageError: if the package lacks the precision, a batch does not fit in memory, ONNX
            Runtime can't load the graph, or it was compiled on another machine.
        ProviderError: if the provider is unavailable.
    """

    def __init__(
        self, package: Package, way: Way, settings: onnxruntime.SessionOptions | None = None
    ) -> None:
        check_held(package, way.precision)
        _check_room(package, way)
        self.way = way
        self.window_px = package.manifest.window_px
        self._package = package
        self._fixed_batch = package.manifest.batch_size
        self.batch_size = _whole_batches(way.batch_size, self._fixed_batch)
        self.session = _create_session(package, way, settings)
        self._buffers: DeviceBuffers | None = None
        self._run_options = run_options()
        stoppable.add(self)

    def stop(self) -> None:
        """Make the current run and every later one fail soon, so that an interrupt can act."""
        self._run_options.terminate = True

    def run(self, counts: NDArray[np.float32]) -> Patches:
        """Amplitude and phase in rad, both (B, 1, H, W) float32, of counts of the same shape.

        Any B ≥ 1, also for a graph of fixed batch size. Masked pixels of `counts` are negative.

        Raises:
            ProviderError: if the provider fails, out of memory for example.
            PackageError: if the graph's outputs have other shapes than declared.
        """
        if self._fixed_batch is None:
            return self._run(counts)
        return in_whole_batches(self._run, counts, self._fixed_batch)

    def run_all(self, counts: NDArray[np.float32]) -> Patches:
        """As `run`, for any number of frames, in batches of `batch_size`.

        Raises:
            ProviderError: as `run`.
            PackageError: as `run`.
        """
        return in_batches(self.run, counts, self.batch_size)

    def _run(self, counts: NDArray[np.float32]) -> Patches:
        try:
            amplitude, phase = self._run_on_device(counts)
        except Exception as error:  # ONNX Runtime's errors share no other base
            raise ProviderError(
                f"{self._package.path}: {self.way.provider.value} failed on {len(counts)} frames "
                f"({_one_line(error)}); try {self._smaller_batch()} or another --provider"
            ) from error
        if amplitude.shape != counts.shape or phase.shape != counts.shape:
            raise self._broken(f"it gives {amplitude.shape} and {phase.shape} for {counts.shape}")
        return amplitude, phase

    def _run_on_device(self, counts: NDArray[np.float32]) -> Patches:
        """Run through buffers in GPU memory; batches of an unusual size without them."""
        usual = self._fixed_batch or self.batch_size
        if not self.way.provider.is_nvidia or len(counts) != usual:
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
            f"{self._package.path}: {self.way.precision.file} breaks the contract: {fault}; "
            "export the package again"
        )


def check_held(package: Package, precision: Precision) -> None:
    """Check that a package has a graph of this precision.

    Raises:
        PackageError: if it has none.
    """
    if precision not in package.graphs:
        held = ", ".join(kind.value for kind in package.graphs)
        raise PackageError(f"{package.path}: holds no {precision.value} graph; choose from {held}")


def _check_room(package: Package, way: Way) -> None:
    """Check that a batch fits in main memory; for GPU memory, the driver reports it."""
    cost, fixed = package.costs[way.precision], package.manifest.batch_size
    if cost is None or way.provider is not Provider.CPU:
        return
    frames = way.batch_size if fixed is None else fixed
    check_memory(
        frames * cost.values_per_frame * _FP32_BYTES,
        f"{package.path}: {frames} frames at once",
        "give a smaller --batch-size" if fixed is None else "use a package of a smaller batch",
        PackageError,
    )


def package_settings(package: Package, way: Way) -> onnxruntime.SessionOptions:
    """ONNX Runtime's session options for one graph of a package."""
    manifest = package.manifest
    quantisation = manifest.precisions[way.precision].quantisation
    return session_settings(way.threads, quantisation, compiled=manifest.compiled is not None)


def _check_compiled_for_this(package: Package, way: Way) -> None:
    """Refuse a graph compiled for another processor, whose memory layout gives wrong results."""
    compiled = package.manifest.compiled
    if compiled is None:
        return
    if way.provider.value != compiled.provider:
        raise ProviderError(f"{package.path} is compiled for {compiled.provider}")
    made_for = (compiled.processor, compiled.onnxruntime)
    if made_for != (processor_name(), onnxruntime.__version__):
        raise PackageError(
            f"{package.path}: is compiled for ONNX Runtime {compiled.onnxruntime} on "
            f"{compiled.processor}, here are {onnxruntime.__version__} and {processor_name()}; "
            "use the package it was made from, or compile that here: "
            "wnet-edge export --package FILE --target ort"
        )
    if not (package.trusted or is_compiled_here(package.graphs[way.precision])):
        raise PackageError(
            f"{package.path}: was not compiled by you on this machine, and what a compiled graph "
            "does can't be told from its file; compile the package it was made from: wnet-edge "
            "export --package FILE --target ort, or name the key it is signed with: --trust"
        )


def _whole_batches(wanted: int, fixed: int | None) -> int:
    """Smallest batch size ≥ `wanted` that needs no padding for a graph of `fixed` batch size."""
    return wanted if fixed is None else -(-wanted // fixed) * fixed


def _create_session(
    package: Package, way: Way, settings: onnxruntime.SessionOptions | None
) -> onnxruntime.InferenceSession:
    fault = missing(way.provider)
    if fault is not None:
        raise ProviderError(fault)
    _check_compiled_for_this(package, way)
    settings = settings or package_settings(package, way)
    try:
        session = onnxruntime.InferenceSession(
            package.graphs[way.precision],
            settings,
            providers=_providers(package, way),
            enable_fallback=0,
        )
    except Exception as error:  # ONNX Runtime's errors share no other base
        if way.provider is not Provider.CPU:
            raise ProviderError(_one_line(error)) from error
        raise PackageError(
            f"{package.path}: ONNX Runtime {onnxruntime.__version__} can't load a graph of it "
            f"({_one_line(error)}); update onnxruntime or export the package again"
        ) from error
    if session.get_providers()[0] != way.provider.execution_provider:
        raise ProviderError(f"ONNX Runtime takes {session.get_providers()[0]} in its place")
    return session


def _providers(package: Package, way: Way) -> list[str | tuple[str, dict[str, str]]]:
    """The provider, followed by those that run the nodes it does not support."""
    processor = Provider.CPU.execution_provider
    if way.provider is Provider.CPU:
        return [processor]
    if way.provider is not Provider.TENSORRT:
        return [way.provider.execution_provider, processor]
    folder = engine_folder(package, this_device(), cache_folder())
    folder.mkdir(parents=True, exist_ok=True)
    options = tensorrt_options(package, way, folder)
    cuda = Provider.CUDA.execution_provider
    return [(way.provider.execution_provider, options), cuda, processor]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
