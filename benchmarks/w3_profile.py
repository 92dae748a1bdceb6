"""Where W3's time goes: operators, their share, and how near they come to this core's best.

    python -m benchmarks.w3_profile --batch 8

FP32, CPU provider, one thread. The best is a product of two large matrices in NumPy's BLAS, and a
copy of a large array, also on one thread, taken before and after. Prints two tables of
docs/performance.md: W3's operators, and W3 and PtychoNN whole.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np
from threadpoolctl import threadpool_limits

from wnet_edge.embedded import find_package
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunSettings
from wnet_edge.runner.measuring.node_profile import NodeTime, profile_graph

RUNS = 100
MATRIX_EDGE, MATRIX_RUNS = 1024, 20
COPIED_BYTES = 256 << 20

CONVOLUTIONS = ("Conv", "FusedConv")
PRODUCTS = ("MatMul", "FusedMatMul", "Gemm")
MOVES = {
    "change of layout": ("ReorderInput", "ReorderOutput", "Transpose", "DepthToSpace"),
    "reshape, concatenate, split": ("Reshape", "Concat", "Split", "Unsqueeze", "Squeeze", "Slice"),
    "upsampling": ("Upsample", "Resize"),
    "sums and means": ("ReduceSum", "ReduceMean"),
}


@dataclass(frozen=True)
class Kind:
    """Nodes of one kind.

    Attributes:
        name: in words.
        calls: how many a run.
        ms: a run, all of them.
        flops: multiplications and additions a run; 0 where they are not counted.
    """

    name: str
    calls: int
    ms: float
    flops: int

    @property
    def gflops_per_second(self) -> float:
        """Achieved."""
        return self.flops / self.ms / 1e6


def kind_of(node: NodeTime) -> str:
    """What a node is, in words."""
    if node.operator in CONVOLUTIONS:
        (_, channels, *_), (_, inputs_each, *kernel) = node.input_shapes[:2]
        if inputs_each == 1 < channels:
            return f"depthwise convolution, {kernel[0]} × {kernel[1]}"
        return f"dense convolution, {kernel[0]} × {kernel[1]}"
    if node.operator in PRODUCTS:
        return "matrix product"
    return next((name for name, members in MOVES.items() if node.operator in members), "pointwise")


def flops(node: NodeTime) -> int:
    """Multiplications and additions of a convolution or matrix product; 0 for any other node."""
    if node.operator in CONVOLUTIONS:
        return 2 * math.prod(node.output_shapes[0]) * math.prod(node.input_shapes[1][1:])
    if node.operator in PRODUCTS:
        return 2 * math.prod(node.output_shapes[0]) * node.input_shapes[0][-1]
    return 0


def moved_bytes(node: NodeTime) -> int:
    """Of a node's inputs and outputs, FP32."""
    return 4 * sum(math.prod(shape) for shape in (*node.input_shapes, *node.output_shapes))


def kinds(nodes: Sequence[NodeTime]) -> list[Kind]:
    """Nodes of a kind together, those first that take most of the time."""
    names = dict.fromkeys(kind_of(node) for node in nodes)
    found = []
    for name in names:
        same = [node for node in nodes if kind_of(node) == name]
        found.append(Kind(name, len(same), sum(n.ms for n in same), sum(flops(n) for n in same)))
    return sorted(found, key=lambda kind: -kind.ms)


def sgemm_gflops_per_second() -> float:
    """What NumPy's BLAS reaches on one core, the median of a few products."""
    matrix = np.random.default_rng(0).normal(size=(MATRIX_EDGE, MATRIX_EDGE)).astype(np.float32)
    times_s = []
    with threadpool_limits(1):
        for _ in range(MATRIX_RUNS):
            start = perf_counter()
            matrix @ matrix
            times_s.append(perf_counter() - start)
    return 2 * MATRIX_EDGE**3 / median(times_s) / 1e9


def copied_gb_per_second() -> float:
    """What is read and written in copies of an array that no cache holds, median of a few."""
    source = np.zeros(COPIED_BYTES // 4, np.float32)
    target = np.ones_like(source)
    times_s = []
    for _ in range(MATRIX_RUNS):
        start = perf_counter()
        np.copyto(target, source)
        times_s.append(perf_counter() - start)
    return 2 * COPIED_BYTES / median(times_s) / 1e9


def table(batch_size: int) -> str:
    """The whole table in Markdown."""
    package = open_package(find_package("w3"))
    before = sgemm_gflops_per_second()
    run_settings = RunSettings(Precision.FP32, Provider.CPU, 1, batch_size)
    nodes = profile_graph(package, run_settings, batch_size, RUNS)
    best = (before + sgemm_gflops_per_second()) / 2
    found = kinds(nodes)
    whole = Kind("all", len(nodes), sum(k.ms for k in found), sum(k.flops for k in found))
    lines = [
        "| | calls | ms | share | GFLOP/s | of sgemm |",
        "|---|---|---|---|---|---|",
        *(_line(kind, whole.ms, best) for kind in [*found, whole]),
    ]
    return "\n".join(
        [
            *lines,
            "",
            f"Batch {batch_size}; sgemm of {MATRIX_EDGE} × {MATRIX_EDGE} in the same run: "
            f"{best:.0f} GFLOP/s; W3: {whole.flops / batch_size / 1e6:.1f} MFLOP per frame.",
        ]
    )


def roofline(batch_size: int) -> str:
    """What both networks compute and move a frame, the least time for it, and theirs, in Markdown.

    Bytes are those of each node's inputs and outputs; what a cache keeps is moved faster.
    """
    lines = [
        "| | MFLOP | MB moved | ms at sgemm's rate | ms at the copy's rate | ms taken | of the "
        "larger |",
        f"|{'---|' * 7}",
    ]
    for name in ("w3", "ptychonn"):
        package = open_package(find_package(name))
        run_settings = RunSettings(Precision.FP32, Provider.CPU, 1, batch_size)
        best, fastest = sgemm_gflops_per_second(), copied_gb_per_second()
        nodes = profile_graph(package, run_settings, batch_size, RUNS)
        best = (best + sgemm_gflops_per_second()) / 2
        fastest = (fastest + copied_gb_per_second()) / 2
        mflop = sum(map(flops, nodes)) / batch_size / 1e6
        megabytes = sum(map(moved_bytes, nodes)) / batch_size / 1e6
        computed_ms, moved_ms = mflop / best, megabytes / fastest
        taken_ms = sum(node.ms for node in nodes) / batch_size
        cells = (
            package.manifest.model,
            f"{mflop:.1f}",
            f"{megabytes:.1f}",
            *(f"{ms:.3g}" for ms in (computed_ms, moved_ms, taken_ms)),
            f"{taken_ms / max(computed_ms, moved_ms):.2f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [
            *lines,
            "",
            f"Batch {batch_size}, one thread; sgemm {best:.0f} GFLOP/s, copy {fastest:.1f} GB/s "
            "read and written.",
        ]
    )


def _line(kind: Kind, all_ms: float, best: float) -> str:
    rate = kind.gflops_per_second
    speed = f"{rate:.1f} | {rate / best:.0%}" if kind.flops else "|"
    return f"| {kind.name} | {kind.calls} | {kind.ms:.3f} | {kind.ms / all_ms:.1%} | {speed} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=8)
    size = parser.parse_args().batch
    print(f"{table(size)}\n\n{roofline(size)}")  # noqa: T201
