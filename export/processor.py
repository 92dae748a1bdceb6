"""Graphs run on the processor, for export to measure: as the runner does it, and exactly.

A quantised graph computes the same everywhere if its QuantizeLinear and DequantizeLinear nodes are
taken at their word, in floats; ONNX Runtime fuses them into integer kernels, which some processors
get wrong. Golden outputs are the former, retention is measured on the latter.
"""

from collections.abc import Mapping

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from wnet_edge.errors import ExportError
from wnet_edge.manifest import Setting
from wnet_edge.package import Patches
from wnet_edge.runner.session_settings import session_settings

BATCH_SIZE = 32
THREADS = 1
"""Sums of another order would give other bytes."""


def patches_on_processor(
    graph: bytes, counts: NDArray[np.float32], quantisation: Mapping[str, Setting] | None = None
) -> Patches:
    """Patches (N, 1, H, W) of counts of that shape, as the runner gives them on this processor.

    Raises:
        ExportError: if they are no numbers.
    """
    return _run(graph, counts, session_settings(THREADS, quantisation))


def exact_patches(graph: bytes, counts: NDArray[np.float32]) -> Patches:
    """Patches (N, 1, H, W) with every node computed as ONNX defines it, none fused.

    Raises:
        ExportError: if they are no numbers.
    """
    settings = session_settings(THREADS, None)
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return _run(graph, counts, settings)


def _run(
    graph: bytes, counts: NDArray[np.float32], settings: onnxruntime.SessionOptions
) -> Patches:
    session = onnxruntime.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
    parts = [
        session.run(["amplitude", "phase"], {"counts": counts[start : start + BATCH_SIZE]})
        for start in range(0, len(counts), BATCH_SIZE)
    ]
    amplitude, phase_rad = (np.concatenate(part) for part in zip(*parts, strict=True))
    if not (np.isfinite(amplitude).all() and np.isfinite(phase_rad).all()):
        raise ExportError("a graph gives values that are no numbers; train the network again")
    return amplitude, phase_rad
