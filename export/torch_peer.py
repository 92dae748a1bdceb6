"""The network of a package in PyTorch, to compare its speed with ONNX Runtime.

This is what a user has who runs the trained network without exporting it: eager, or compiled.
"""

import atexit
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import CheckpointError, PeerError
from wnet_edge.models.dynamo import COMPILER_FOLDER
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.one_line import one_line
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.training.checkpoint import load_network


def torch_run(
    package: Package, checkpoint: Path, run_settings: RunSettings, *, compiled: bool = False
) -> RunFrames:
    """Load the network of a checkpoint for the CPU, FP32.

    Args:
        package: package that was exported from the checkpoint.
        checkpoint: file of trained weights.
        run_settings: number of CPU threads, for all of PyTorch, 0 leaves it to PyTorch; batch
            size, which a compiled network is compiled for.
        compiled: by torch.compile, which takes a minute.

    Raises:
        PeerError: if the checkpoint can't be read, is of another network or window, or can't be
            compiled.
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
    if run_settings.threads:
        torch.set_num_threads(run_settings.threads)
    call: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]] = network
    if compiled:
        call = _compiled(network, package, run_settings)

    def run(counts: NDArray[np.float32]) -> PatchArrays:
        with torch.inference_mode():
            amplitude, phase_rad = call(torch.from_numpy(counts))
        return amplitude.numpy(), phase_rad.numpy()

    return run


def _compiled(
    network: CountsNetwork, package: Package, run_settings: RunSettings
) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    # Precompiled headers would go to a folder that stays.
    options: dict[str, Any] = {"cpp_cache_precompile_headers": False}
    compiled = torch.compile(network.eval(), dynamic=False, options=options)
    edge = package.manifest.window_px
    # Until the process ends: compiled code is loaded from there, and compiled anew, later on.
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    os.environ[COMPILER_FOLDER] = folder.name
    with warnings.catch_warnings():
        # torch's compiler calls functions that torch has deprecated.
        warnings.simplefilter("ignore")
        try:
            with torch.inference_mode():
                compiled(torch.ones(run_settings.batch_size, 1, edge, edge))
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise PeerError(f"PyTorch can't compile {package.path} ({one_line(first)})") from error
    return compiled
