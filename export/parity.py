"""Parity check of the exported FP32 graph with the trained network, part of every export.

Compares PyTorch and ONNX Runtime at several batch sizes, on frames of every kind: bright, dim,
empty, and with masked pixels.
"""

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from wnet_edge.errors import ExportError
from wnet_edge.export.run_graph import session_on_processor
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Tolerance
from wnet_edge.scan.counts import MASKED

BATCH_SIZES = (1, 2, 7, 32)
LIMIT = Tolerance(amplitude=1e-3, phase_rad=1e-3, phase_rms_rad=1e-3)


def assert_parity(graph: bytes, network: CountsNetwork, counts: NDArray[np.float32]) -> Deviation:
    """Check the graph against the network; returns the largest deviation over `BATCH_SIZES`.

    Args:
        graph: FP32 ONNX bytes.
        network: network in evaluation mode.
        counts: (N, 1, H, W) float32, frames of a measured or simulated scan.

    Raises:
        ExportError: if a batch deviates by more than the tolerances, or outputs are not finite, or
            this ONNX Runtime can't load the graph.
    """
    try:
        session = session_on_processor(graph)
    except Exception as error:  # ONNX Runtime's errors share no other base
        raise ExportError(
            f"ONNX Runtime {onnxruntime.__version__} can't load the graph; choose a lower --opset"
        ) from error
    largest = Deviation(0.0, 0.0, 0.0)
    for size in BATCH_SIZES:
        batch = varied(counts, size)
        amplitude, phase_rad = session.run(["amplitude", "phase"], {"counts": batch})
        with torch.inference_mode():
            expected = [output.numpy() for output in network(torch.from_numpy(batch))]
        found = Deviation.between((amplitude, phase_rad), (expected[0], expected[1]))
        if not found.within(LIMIT):
            raise ExportError(
                f"the exported graph differs from the network at batch {size}: amplitude by "
                f"{found.amplitude:.2g}, phase by {found.phase_rad:.2g} rad"
            )
        largest = largest.or_worse(found)
    return largest


def varied(counts: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Batch (size, 1, H, W) of varied frames: as measured, empty, dim, and with a masked row."""
    batch = np.resize(counts, (size, *counts.shape[1:])).copy()
    batch[1::4] = 0
    batch[2::4] *= np.float32(1e-6)
    batch[3::4, :, 5, :] = MASKED
    return batch
