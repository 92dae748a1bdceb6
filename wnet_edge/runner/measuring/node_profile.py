"""Node profile of a graph: on which provider each node runs and for how long.

ONNX Runtime silently runs nodes on the CPU for which a provider has no kernel; its profiler shows
them. GPU kernels run asynchronously, so that the times of their nodes are launch times.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from wnet_edge.errors import ProviderError
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.open_graph import OpenGraph, package_settings
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.measuring.end_to_end import detector_frames
from wnet_edge.scan.preparation import Preparation

_WARM_UP = 3
_NODE_SUFFIX = "_kernel_time"

_INTEGER_CONVOLUTIONS = ("QLinearConv", "QLinearConvTranspose", "ConvInteger")
_CONVOLUTIONS = ("Conv", "FusedConv", "ConvTranspose", *_INTEGER_CONVOLUTIONS)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class NodeTime:
    """One node of a graph, after ONNX Runtime's optimisations, with its median time.

    Attributes:
        name: name of the node.
        operator: its operator type.
        provider: ONNX Runtime's name of the provider that ran it.
        ms: median time per run.
        input_shapes: shapes of the inputs, weights included.
        output_shapes: shapes of the outputs.
    """

    name: str
    operator: str
    provider: str
    ms: float
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class OperatorTime:
    """Total time of all nodes of one operator type.

    Attributes:
        operator: operator type.
        calls: number of nodes per run.
        ms: their total time per run.
        share: fraction of the time of all nodes.
    """

    operator: str
    calls: int
    ms: float
    share: float


def profile_graph(
    package: Package, run_settings: RunSettings, batch_size: int, runs: int
) -> tuple[NodeTime, ...]:
    """Run a graph under ONNX Runtime's profiler; returns its nodes in execution order.

    Args:
        package: package of the graph.
        run_settings: precision, provider, threads, batch size.
        batch_size: frames per run.
        runs: number of counted runs, after a few for warm-up.

    Raises:
        PackageError: as `OpenGraph`.
        ProviderError: as `OpenGraph` and its `run`, or if ONNX Runtime writes no profile.
    """
    settings = package_settings(package, run_settings)
    settings.enable_profiling = True
    frames, mask = detector_frames(package, batch_size)
    counts = Preparation(mask, package.manifest.binning).prepare(frames).counts
    with TemporaryDirectory() as folder:
        settings.profile_file_prefix = str(Path(folder) / "profile")
        graph = OpenGraph(package, run_settings, settings)
        for _ in range(_WARM_UP + runs):
            graph.run(counts)
        try:
            events = json.loads(Path(graph.session.end_profiling()).read_bytes())
        except (OSError, ValueError) as error:
            raise ProviderError(f"ONNX Runtime gives no profile of its nodes ({error})") from error
    return node_times(events, _WARM_UP)


def node_times(events: Sequence[dict[str, Any]], warm_up: int) -> tuple[NodeTime, ...]:
    """Node times from the profiler's events, without the first `warm_up` runs of each node."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_NODE_SUFFIX):
            key = event["name"].removesuffix(_NODE_SUFFIX), event["args"].get("node_index", "")
            runs.setdefault(key, []).append(event)
    return tuple(_node_time(name, runs[name, index][warm_up:]) for name, index in runs)


def misplaced(nodes: Sequence[NodeTime], provider: Provider) -> tuple[NodeTime, ...]:
    """Nodes that ran on another provider."""
    return tuple(node for node in nodes if node.provider != provider.execution_provider)


@dataclass(frozen=True)
class Convolutions:
    """Convolutions of a graph, as a provider runs them.

    Attributes:
        in_integers: those that multiply 8-bit integers.
        all: with those in floats.
    """

    in_integers: int
    all: int


def convolutions_run(nodes: Sequence[NodeTime]) -> Convolutions:
    """Count the convolutions of an optimised graph.

    One that is quantised multiplies integers only where ONNX Runtime has merged it with the
    conversions before and behind it; else it runs in floats between them.
    """
    found = [node.operator for node in nodes if node.operator in _CONVOLUTIONS]
    return Convolutions(sum(kind in _INTEGER_CONVOLUTIONS for kind in found), len(found))


def by_operator(nodes: Sequence[NodeTime]) -> tuple[OperatorTime, ...]:
    """Times summed by operator type, largest first."""
    total = sum(node.ms for node in nodes)
    kinds: dict[str, list[float]] = {}
    for node in nodes:
        kinds.setdefault(node.operator, []).append(node.ms)
    times = (
        OperatorTime(kind, len(ms), sum(ms), sum(ms) / total if total else 0.0)
        for kind, ms in kinds.items()
    )
    return tuple(sorted(times, key=lambda one: -one.ms))


def _node_time(name: str, runs: Sequence[dict[str, Any]]) -> NodeTime:
    told = runs[-1]["args"]
    return NodeTime(
        name=name,
        operator=told["op_name"],
        provider=told["provider"],
        ms=median(run["dur"] for run in runs) / 1000,
        input_shapes=_shapes(told.get("input_type_shape", [])),
        output_shapes=_shapes(told.get("output_type_shape", [])),
    )


def _shapes(told: Sequence[dict[str, Sequence[int]]]) -> tuple[Shape, ...]:
    """Shapes from the profiler's form, {type: shape} each."""
    return tuple(tuple(shape) for port in told for shape in port.values())
