"""Running graphs on the CPU for export's measurements: as in the runner, and exactly.

A quantised graph gives the same result everywhere if its QuantizeLinear and DequantizeLinear nodes
are computed literally, in floats; ONNX Runtime fuses them into integer kernels, which saturate on
some processors. Golden outputs are exact, retention is measured as in the runner.
"""

from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.errors import ExportError
from wnet_edge.export.graph import INPUT, OUTPUTS
from wnet_edge.package.golden import Patches
from wnet_edge.package.manifest import Setting
from wnet_edge.runner.graph.batches import in_batches
from wnet_edge.runner.graph.session_settings import session_settings

THREADS = 1
"""One thread, since another order of summation would give other bytes."""

_FRAMES_AT_ONCE = 32
_FRAMES_AS_WRITTEN = 8
"""Batch size without optimisation, where tensors do not share memory."""


def patches_on_processor(
    graph: bytes, counts: NDArray[np.float32], quantisation: Mapping[str, Setting] | None = None
) -> Patches:
    """Patches (N, 1, H, W) of counts of that shape, as computed by the runner on this processor.

    Raises:
        ExportError: if they are not finite.
    """
    return _finite(_run(session_on_processor(graph, quantisation), counts, _FRAMES_AT_ONCE))


def session_on_processor(
    graph: bytes, quantisation: Mapping[str, Setting] | None = None
) -> onnxruntime.InferenceSession:
    """A session with the runner's settings."""
    return _session(graph, session_settings(THREADS, quantisation))


def exact_patches(graph: bytes, counts: NDArray[np.float32]) -> Patches:
    """Patches (N, 1, H, W) with every node computed as ONNX defines it, without fusion.

    Raises:
        ExportError: if they are not finite.
    """
    return _finite(patches_as_written(graph, counts))


def patches_as_written(graph: bytes, counts: NDArray[np.float32]) -> Patches:
    """As `exact_patches`, without the check for finite values."""
    return _run(session_as_written(graph), counts, _FRAMES_AS_WRITTEN)


def session_as_written(graph: bytes) -> onnxruntime.InferenceSession:
    """A session without any graph optimisation."""
    settings = session_settings(THREADS, None)
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _session(graph, settings)


def _session(graph: bytes, settings: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])


def _run(
    session: onnxruntime.InferenceSession, counts: NDArray[np.float32], frames_at_once: int
) -> Patches:
    def run(batch: NDArray[np.float32]) -> Patches:
        amplitude, phase_rad = session.run(list(OUTPUTS), {INPUT: batch})
        return amplitude, phase_rad

    return in_batches(run, counts, frames_at_once)


def _finite(patches: Patches) -> Patches:
    if not all(np.isfinite(part).all() for part in patches):
        raise ExportError("a graph gives values that are not numbers; train the network again")
    return patches
