"""Where each node of a graph runs and how long it takes, from ONNX Runtime's own profile.

ONNX Runtime leaves to the processor what a provider has no kernel for, without a word; the profile
tells. A card computes on while the processor goes on: its nodes' times are those of being started.
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

Shape = tuple[int, ...]


@dataclass(frozen=True)
class NodeTime:
    """One node of a graph as ONNX Runtime runs it, after its own changes to the graph.

    Attributes:
        name: of the node.
        operator: its kind.
        provider: ONNX Runtime's name of the one that ran it.
        ms: a run, the median.
        input_shapes: of the inputs, weights included.
        output_shapes: of the outputs.
    """

    name: str
    operator: str
    provider: str
    ms: float
    input_shapes: tuple[Shape, ...]
    output_shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class OperatorTime:
    """All nodes of one kind.

    Attributes:
        operator: their kind.
        calls: how many a run.
        ms: a run, all of them.
        share: of the time of all nodes.
    """

    operator: str
    calls: int
    ms: float
    share: float


def profile_graph(
    package: Package, run_settings: RunSettings, batch_size: int, runs: int
) -> tuple[NodeTime, ...]:
    """Run a graph under ONNX Runtime's profiler; its nodes in the order in which they ran.

    Args:
        package: of the graph.
        run_settings: how it runs.
        batch_size: frames a run.
        runs: that are counted, after a few that are not.

    Raises:
        PackageError: as `OpenGraph`.
        ProviderError: as `OpenGraph` and its `run`, or if no profile comes of it.
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
    """Nodes of a profile, as the profiler wrote it; `warm_up` runs of each do not count."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith(_NODE_SUFFIX):
            key = event["name"].removesuffix(_NODE_SUFFIX), event["args"].get("node_index", "")
            runs.setdefault(key, []).append(event)
    return tuple(_node_time(name, runs[name, index][warm_up:]) for name, index in runs)


def misplaced(nodes: Sequence[NodeTime], provider: Provider) -> tuple[NodeTime, ...]:
    """The nodes that another provider ran."""
    return tuple(node for node in nodes if node.provider != provider.execution_provider)


def by_operator(nodes: Sequence[NodeTime]) -> tuple[OperatorTime, ...]:
    """Nodes of a kind together, those first that take most of the time."""
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
    """The profiler gives each as {type: shape}."""
    return tuple(tuple(shape) for port in told for shape in port.values())
