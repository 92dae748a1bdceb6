"""Benchmark of graphs: several packages, precisions and runtimes in comparison.

Each graph is timed from counts to patches, and those that `infer` can run also end to end, from
detector frames to stitched patches. Rounds are interleaved, per batch size; ratios are relative to
the first graph.
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
"""Batch sizes of Table 2 of Babu et al., Nat. Commun. 14, 7059 (2023), and some between them."""

RUNTIME = "onnxruntime"


@dataclass(frozen=True)
class Entrant:
    """A graph to benchmark, in one runtime.

    Attributes:
        package: package of the graph.
        run_settings: precision, provider, threads, batch size.
        runtime: `RUNTIME`, or the name of another runtime.
    """

    package: Package
    run_settings: RunSettings
    runtime: str = RUNTIME

    @property
    def is_own(self) -> bool:
        """Whether it runs as `infer` runs it."""
        return self.runtime == RUNTIME


Opened = tuple[Entrant, RunFrames]
"""A graph to benchmark and the function that runs it."""


@dataclass(frozen=True)
class TimedGraph:
    """Measured latency.

    Attributes:
        latency: latency per frame.
        ratio: median relative to that of the first entrant.
    """

    latency: Latency
    ratio: float


@dataclass(frozen=True)
class Row:
    """Result of one entrant at one batch size.

    Attributes:
        entrant: graph and runtime.
        batch_size: frames per run.
        graph: from counts to patches.
        end_to_end: from detector frames to stitched patches; None for other runtimes.
    """

    entrant: Entrant
    batch_size: int
    graph: TimedGraph
    end_to_end: TimedGraph | None


def precisions_to_time(
    package: Package, asked: Sequence[Precision], provider: Provider
) -> tuple[Precision, ...]:
    """The precisions of `asked` that a package contains; by default FP32 if it contains it.

    Raises:
        PackageError: if it contains none of them.
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
    """Batch sizes that every package takes without padding; `BATCH_SIZES` by default.

    Raises:
        PackageError: if a requested one needs padding.
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
    """Open graphs as `infer` would; returns them and the warnings that `infer` would give.

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
    """Total number of frames that `time_batch` reports to its `progress`."""
    candidates = sum(2 if entrant.is_own else 1 for entrant, _ in opened)
    return candidates * (WARM_UP + runs) * batch_size


def time_batch(
    opened: Sequence[Opened],
    batch_size: int,
    runs: int,
    progress: Callable[[int], None] | None = None,
) -> list[Row]:
    """Time all graphs in interleaved rounds at one batch size.

    Args:
        opened: graphs to time; the first must run in `RUNTIME`.
        batch_size: frames per run.
        runs: number of timed rounds.
        progress: called after each run with its number of frames.

    Raises:
        ProviderError: if a provider fails.
        PackageError: if a package's probe is zero in the network's window.
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
