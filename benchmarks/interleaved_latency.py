"""How long ONNX graphs take against each other: taken in turn, on one thread, CPU provider.

A ratio of two graphs timed one after the other says what else the machine was doing; in turn, both
meet the same. The thread's own time is counted, not the clock's: on an idle machine they are the
same, on a busy one the others' share stays out. Weights do not change the time.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnxruntime
from numpy.typing import NDArray

Run = Callable[[NDArray[np.float32]], object]
"""Takes counts (B, 1, H, W)."""


def one_thread_run(graph: bytes) -> Run:
    """Runs a graph in the thread which calls it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return lambda counts: session.run(None, {"counts": counts})


def plausible_counts(batch: int, window_px: int) -> NDArray[np.float32]:
    """Graph input (batch, 1, window, window) float32; what it holds does not change the time."""
    counts = np.random.default_rng(0).poisson(1000, (batch, 1, window_px, window_px))
    return counts.astype(np.float32)


def one_round(runs: Mapping[str, Run], counts: NDArray[np.float32]) -> dict[str, float]:
    """Milliseconds a frame of each graph, run once in turn."""
    latency_ms = {}
    for name, run in runs.items():
        start = time.thread_time()
        run(counts)
        latency_ms[name] = 1000 * (time.thread_time() - start) / len(counts)
    return latency_ms


def median_latency_ms(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Median milliseconds a frame of each graph over rounds."""
    return {name: float(np.median([r[name] for r in rounds])) for name in rounds[0]}
