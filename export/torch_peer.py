"""The network that a package was exported from, in PyTorch as it was trained, not compiled.

To hold ONNX Runtime's times against: what a user has who runs the network without exporting it.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import CheckpointError, PeerError
from wnet_edge.package.golden import Patches
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.training.checkpoint import load_network


def torch_run(package: Package, checkpoint: Path, threads: int) -> RunFrames:
    """The network of a checkpoint on the processor, eager, FP32; any number of frames.

    Args:
        package: that is said to be exported from the checkpoint.
        checkpoint: trained weights.
        threads: of the processor, of all of PyTorch; 0 leaves the number to PyTorch.

    Raises:
        PeerError: if the checkpoint can't be read or is of another network or window.
    """
    try:
        network, loaded = load_network(checkpoint)
    except CheckpointError as error:
        raise PeerError(f"no PyTorch weights for {package.path} ({error})") from error
    found = loaded.record.network.model.value, loaded.instrument.window_px
    if found != (package.manifest.model, package.manifest.window_px):
        raise PeerError(
            f"no PyTorch weights for {package.path}: {checkpoint} is of another network"
        )
    if threads:
        torch.set_num_threads(threads)

    def run(counts: NDArray[np.float32]) -> Patches:
        with torch.inference_mode():
            amplitude, phase_rad = network(torch.from_numpy(counts))
        return amplitude.numpy(), phase_rad.numpy()

    return run
