"""Other runtimes for `wnet-edge bench --peers`: imported only there, and only where installed."""

from enum import Enum
from importlib import import_module
from importlib.util import find_spec

from wnet_edge.embedded import zoo_checkpoint
from wnet_edge.errors import CheckpointError, PeerError
from wnet_edge.package.golden import Deviation
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.batches import RunFrames, in_whole_batches
from wnet_edge.runner.graph.golden import golden_fault
from wnet_edge.runner.graph.run_settings import RunSettings


class Peer(str, Enum):
    """Runtimes that a graph is held against."""

    PYTORCH = "pytorch"
    OPENVINO = "openvino"

    @property
    def library(self) -> str:
        """The package that has to be there, and whose version counts."""
        return {Peer.PYTORCH: "torch", Peer.OPENVINO: "openvino"}[self]


_NEEDED = {
    # The network is built and its weights are found as `export` does it.
    Peer.PYTORCH: ("torch", "onnx", "safetensors"),
    Peer.OPENVINO: ("openvino",),
}
_CURES = {
    Peer.PYTORCH: "pip install 'wnet-edge[train]'",
    Peer.OPENVINO: "pip install openvino",
}


def installed_peers() -> tuple[tuple[Peer, ...], tuple[str, ...]]:
    """The peers that are installed, and a line for each that is not.

    Raises:
        PeerError: if none is.
    """
    lacking = {
        peer: ", ".join(name for name in names if find_spec(name) is None)
        for peer, names in _NEEDED.items()
    }
    here = tuple(peer for peer in Peer if not lacking[peer])
    lines = [f"{p.value} is not timed: {lacking[p]} is not installed ({_CURES[p]})" for p in Peer]
    if not here:
        raise PeerError(f"no other runtime is installed: {' or '.join(_CURES.values())}")
    return here, tuple(line for peer, line in zip(Peer, lines, strict=True) if lacking[peer])


def peer_run(peer: Peer, package: Package, run_settings: RunSettings) -> RunFrames:
    """A package's graph in another runtime on the processor, once it has given the golden patches.

    Raises:
        PeerError: if it can't run it, or gives other patches.
    """
    if peer is Peer.OPENVINO:
        run: RunFrames = import_module("wnet_edge.export.openvino_peer").openvino_run(
            package, run_settings
        )
    else:
        run = _network_in_torch(package, run_settings)
    # A copy: PyTorch warns of arrays that can't be written to.
    found = in_whole_batches(run, package.golden.counts.copy(), run_settings.batch_size)
    deviation = Deviation.between(found, package.golden.outputs[run_settings.precision])
    fault = golden_fault(package, run_settings.precision, deviation)
    if fault is not None:
        raise PeerError(
            f"{peer.value} is not timed on {run_settings.precision.value} of {package.path}: "
            f"{fault}"
        )
    return run


def _network_in_torch(package: Package, run_settings: RunSettings) -> RunFrames:
    if run_settings.precision is not Precision.FP32:
        raise PeerError(
            f"pytorch is not timed on {run_settings.precision.value}: the network is in fp32"
        )
    try:
        checkpoint = zoo_checkpoint(package.manifest.model)
    except CheckpointError as error:
        raise PeerError(
            f"pytorch is not timed on {package.path}: no PyTorch weights of it ship with wnet-edge"
        ) from error
    run: RunFrames = import_module("wnet_edge.export.torch_peer").torch_run(
        package, checkpoint, run_settings.threads
    )
    return run
