"""The latency of shapes against PtychoNN's: all in turn in one process, weights from a seed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.interleaved_latency import (
    Run,
    median_latency_ms,
    one_round,
    one_thread_run,
    plausible_counts,
)
from benchmarks.search_w3.shapes import Shape, build_shape
from wnet_edge.export.trace import export_fp32
from wnet_edge.models.registry import ModelName, NetworkSpec, build

BATCH = 8
_WARM_UP = 5
_BASELINE = "PtychoNN"


@dataclass(frozen=True)
class TimingOptions:
    """How often.

    Attributes:
        rounds: in one median.
        repeats: ratios of medians, of which the median counts.
    """

    rounds: int = 25
    repeats: int = 3


def ptychonn_run(probe: NDArray[np.complex64], window_px: int) -> Run:
    """What shapes are timed against."""
    baseline = build(NetworkSpec(ModelName.PTYCHONN), seed=0, probe=probe, window_px=window_px)
    return one_thread_run(export_fp32(baseline, window_px))


def latency_ratios(
    shapes: list[Shape],
    baseline: Run,
    options: TimingOptions,
    *,
    probe: NDArray[np.complex64],
    window_px: int,
) -> list[list[float]]:
    """Of each shape, `repeats` ratios to the baseline, FP32, CPU provider, one thread, batch 8."""
    runs = {_BASELINE: baseline}
    for index, shape in enumerate(shapes):
        network = build_shape(shape, seed=0, probe=probe, window_px=window_px)
        runs[str(index)] = one_thread_run(export_fp32(network, window_px))
    counts = plausible_counts(BATCH, window_px)
    for _ in range(_WARM_UP):
        one_round(runs, counts)
    ratios: list[list[float]] = [[] for _ in shapes]
    for _ in range(options.repeats):
        latency_ms = median_latency_ms([one_round(runs, counts) for _ in range(options.rounds)])
        for index, found in enumerate(ratios):
            found.append(round(latency_ms[str(index)] / latency_ms[_BASELINE], 4))
    return ratios
