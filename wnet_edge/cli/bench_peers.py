"""Other runtimes for `wnet-edge bench --peers`: imported only there, and only where installed."""

import os
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from shutil import which
from types import ModuleType

from wnet_edge.embedded import zoo_checkpoint
from wnet_edge.errors import CheckpointError, PeerError
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunFrames, in_whole_batches
from wnet_edge.runner.graph.golden import golden_fault
from wnet_edge.runner.graph.processor import has_vnni
from wnet_edge.runner.graph.run_settings import RunSettings


class Peer(str, Enum):
    """Runtimes that a graph is held against: PyTorch eager and compiled, OpenVINO, in bfloat16."""

    PYTORCH = "pytorch"
    PYTORCH_COMPILED = "pytorch-compiled"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"

    @property
    def library(self) -> str:
        """The package that has to be there, and whose version counts."""
        return "torch" if self in _OF_PYTORCH else "openvino"


_OF_PYTORCH = (Peer.PYTORCH, Peer.PYTORCH_COMPILED)

_NEEDED = {
    # The network is built and its weights are found as `export` does it.
    Peer.PYTORCH: ("torch", "onnx", "safetensors"),
    Peer.OPENVINO: ("openvino", "onnx"),
}
_CURES = {
    Peer.PYTORCH: "pip install 'wnet-edge[train]'",
    Peer.OPENVINO: "pip install openvino onnx",
}

_SATURATES = (
    "; without VNNI, OpenVINO's sums of 8-bit products saturate, which the 7-bit weights of "
    "int8-u8s8 do not: wnet-edge export --precision int8-u8s8"
)


def installed_peers() -> tuple[tuple[Peer, ...], tuple[str, ...]]:
    """The peers that this machine can run, and a line for each that it can't.

    Raises:
        PeerError: if none is.
    """
    lacking = {
        peer: ", ".join(name for name in names if find_spec(name) is None)
        for peer, names in _NEEDED.items()
    }
    here = [peer for peer, names in lacking.items() if not names]
    lines = [
        f"{peer.value} is not timed: {names} is not installed ({_CURES[peer]})"
        for peer, names in lacking.items()
        if names
    ]
    if not here:
        raise PeerError(f"no other runtime is installed: {' or '.join(_CURES.values())}")
    if Peer.PYTORCH in here:
        if _compiler() is not None:
            here.append(Peer.PYTORCH_COMPILED)
        else:
            lines.append(
                f"{Peer.PYTORCH_COMPILED.value} is not timed: there is no C++ compiler (apt-get "
                "install g++)"
            )
    if Peer.OPENVINO in here:
        capabilities = _openvino_peer().processor_capabilities()
        if "BF16" in capabilities:
            here.append(Peer.OPENVINO_BF16)
        else:
            lines.append(
                f"{Peer.OPENVINO_BF16.value} is not timed: this processor has no bfloat16 "
                f"(OpenVINO has {', '.join(capabilities)} on it)"
            )
    return tuple(here), tuple(lines)


def peer_run(peer: Peer, package: Package, run_settings: RunSettings) -> RunFrames:
    """A package's graph in another runtime on the processor, once it has given the golden patches.

    Raises:
        PeerError: if it can't run it, or gives other patches.
    """
    if peer in _OF_PYTORCH:
        run = _network_in_torch(peer, package, run_settings)
    else:
        run = _graph_in_openvino(peer, package, run_settings)
    # A copy: PyTorch warns of arrays that can't be written to.
    found = in_whole_batches(run, package.golden.counts.copy(), run_settings.batch_size)
    deviation = Deviation.between(found, package.golden.outputs[run_settings.precision])
    fault = golden_fault(package, run_settings.precision, deviation)
    if fault is not None:
        in_integers = peer is Peer.OPENVINO and run_settings.precision is Precision.INT8
        saturates = in_integers and has_vnni() is False
        raise PeerError(
            f"{peer.value} is not timed on {run_settings.precision.value} of {package.path}: "
            f"{fault}{_SATURATES if saturates else ''}"
        )
    return run


def _compiler() -> str | None:
    """The C++ compiler that PyTorch compiles with."""
    return which(os.environ.get("CXX", "g++"))


def _openvino_peer() -> ModuleType:
    return import_module("wnet_edge.export.openvino_peer")


def _graph_in_openvino(peer: Peer, package: Package, run_settings: RunSettings) -> RunFrames:
    bfloat16 = peer is Peer.OPENVINO_BF16
    if bfloat16 and run_settings.precision is not Precision.FP32:
        raise PeerError(
            f"{peer.value} is not timed on {run_settings.precision.value}: it is the fp32 graph, "
            "computed in bfloat16"
        )
    run: RunFrames = _openvino_peer().openvino_run(package, run_settings, bfloat16=bfloat16)
    return run


def _network_in_torch(peer: Peer, package: Package, run_settings: RunSettings) -> RunFrames:
    if run_settings.precision is not Precision.FP32:
        raise PeerError(
            f"{peer.value} is not timed on {run_settings.precision.value}: the network is in fp32"
        )
    try:
        checkpoint = zoo_checkpoint(package.manifest.model)
    except CheckpointError as error:
        raise PeerError(
            f"{peer.value} is not timed on {package.path}: no PyTorch weights of it ship with "
            "wnet-edge"
        ) from error
    run: RunFrames = import_module("wnet_edge.export.torch_peer").torch_run(
        package, checkpoint, run_settings, compiled=peer is Peer.PYTORCH_COMPILED
    )
    return run
