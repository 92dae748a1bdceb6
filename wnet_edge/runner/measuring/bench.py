"""Graphs held against each other: of several packages, in several precisions and runtimes.

Each is timed alone, counts to patches; those that `infer` would run also from detector frames to
patches on the image. All of them in turn, batch size by batch size. The first is what others' times
are divided by.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from wnet_edge.errors import PackageError
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.choosing.choice import default_precision, open_best_graph
from wnet_edge.runner.graph.batches import RunFrames
from wnet_edge.runner.graph.open_graph import check_held
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions, RunSettings
from wnet_edge.runner.measuring.end_to_end import EndToEnd
from wnet_edge.runner.measuring.interleaved import WARM_UP, Contestant, Latency, time_in_turn

BATCH_SIZES = (1, 2, 4, 8, 16, 64)
"""Those of Table 2 of Babu et al., Nat. Commun. 14, 7059 (2023), and what lies between them."""

RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Entrant:
    """A graph in one runtime.

    Attributes:
        package: of the graph.
        run_settings: how it runs.
        runtime: `RUNTIME`, or a peer's name.
    """

    package: Package
    run_settings: RunSettings
    runtime: str = RUNTIME

    @property
    def is_own(self) -> bool:
        """Whether it runs as `infer` runs it."""
        return self.runtime == RUNTIME


Opened = tuple[Entrant, RunFrames]
"""A graph, ready to run."""


@dataclass(frozen=True)
class TimedGraph:
    """How long something takes.

    Attributes:
        latency: a frame.
        ratio: of the median to the first entrant's.
    """

    latency: Latency
    ratio: float


@dataclass(frozen=True)
class Row:
    """One entrant at one batch size.

    Attributes:
        entrant: which.
        batch_size: frames a run.
        graph: counts to patches.
        end_to_end: detector frames to patches on the image; None for a peer.
    """

    entrant: Entrant
    batch_size: int
    graph: TimedGraph
    end_to_end: TimedGraph | None


def precisions_to_time(
    package: Package, asked: Sequence[Precision], provider: Provider
) -> tuple[Precision, ...]:
    """Those of `asked` that a package holds; where none is asked for, FP32 if it has it.

    Raises:
        PackageError: if it holds none of them.
    """
    if not asked:
        return (
            (Precision.FP32,)
            if Precision.FP32 in package.graphs
            else (default_precision(package, provider)[0],)
        )
    held = tuple(kind for kind in dict.fromkeys(asked) if kind in package.graphs)
    if not held:
        check_held(package, asked[0])
    return held


def batches_to_time(packages: Sequence[Package], asked: Sequence[int]) -> tuple[int, ...]:
    """Batch sizes that every package takes without being filled up; `BATCH_SIZES` by default.

    Raises:
        PackageError: if one that was asked for is none.
    """
    for package in packages:
        fixed = package.manifest.batch_size
        wrong = [size for size in asked if fixed and size % fixed]
        if wrong:
            raise PackageError(
                f"{package.path}: its graphs take {fixed} frames at once, which {wrong[0]} is not "
                f"a multiple of; give --batch {fixed}, or a package for any number of frames"
            )
    if asked:
        return tuple(dict.fromkeys(asked))
    step = math.lcm(*(package.manifest.batch_size or 1 for package in packages))
    return tuple(size for size in BATCH_SIZES if size % step == 0) or (step,)


def open_graphs(
    graphs: Sequence[tuple[Package, RunnerOptions]],
) -> tuple[list[Opened], tuple[str, ...]]:
    """Open graphs as `infer` would, and say what it would warn of.

    Raises:
        PackageError: as `choose`.
        ProviderError: as `choose`.
    """
    choices = [(package, open_best_graph(package, options)) for package, options in graphs]
    opened: list[Opened] = [
        (Entrant(package, choice.graph.run_settings), choice.graph.run)
        for package, choice in choices
    ]
    return opened, tuple(line for _, choice in choices for line in choice.warnings)


def frames_to_run(opened: Sequence[Opened], batch_size: int, runs: int) -> int:
    """Frames of which `time_batch` tells its `progress`."""
    candidates = sum(2 if entrant.is_own else 1 for entrant, _ in opened)
    return candidates * (WARM_UP + runs) * batch_size


def time_batch(
    opened: Sequence[Opened],
    batch_size: int,
    runs: int,
    progress: Callable[[int], None] | None = None,
) -> list[Row]:
    """Time all graphs in turn at one batch size.

    Args:
        opened: the first in `RUNTIME`.
        batch_size: frames a run.
        runs: that are counted.
        progress: called after each run with the frames in it.

    Raises:
        ProviderError: if a provider fails.
        PackageError: if a package's probe is dark in the network's window.
    """
    with ExitStack() as stack:
        flows = [
            stack.enter_context(EndToEnd(entrant.package, run, batch_size))
            for entrant, run in opened
        ]
        alone = [
            Contestant(partial(run, flow.counts()))
            for (_, run), flow in zip(opened, flows, strict=True)
        ]
        whole = [
            Contestant(flow.run, flow.make_room)
            for (entrant, _), flow in zip(opened, flows, strict=True)
            if entrant.is_own
        ]
        latencies = time_in_turn([*alone, *whole], batch_size, runs, progress)
    graph = _measured(latencies[: len(alone)])
    end_to_end = iter(_measured(latencies[len(alone) :]))
    return [
        Row(entrant, batch_size, measured, next(end_to_end) if entrant.is_own else None)
        for (entrant, _), measured in zip(opened, graph, strict=True)
    ]


def _measured(latencies: Sequence[Latency]) -> list[TimedGraph]:
    return [TimedGraph(latency, latency.p50_ms / latencies[0].p50_ms) for latency in latencies]
