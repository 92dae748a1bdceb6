"""A piece of work that other times are divided by, so that a faster machine is no better a result.

A third each of what the product does: matrix products, whole arrays element by element, and Python.
"""

import math
import time
from collections.abc import Callable
from statistics import median
from typing import TypeVar

import numpy as np
from threadpoolctl import threadpool_limits

_ROUNDS, _REPEATS = 20, 3
Result = TypeVar("Result")
_rng = np.random.default_rng(0)
_MATRIX = _rng.random((256, 256), dtype=np.float32)
_PLANE = _rng.random((512, 512), dtype=np.float32)
_STEPS = 20_000


def kernel() -> float:
    """One piece, about 5 ms of one core."""
    product = _MATRIX
    for _ in range(4):
        product = product @ _MATRIX
        product *= np.float32(1 / 256)
    plane = np.sqrt(_PLANE * _PLANE + np.float32(1))
    total = 0.0
    for step in range(_STEPS):
        total += math.sqrt(step)
    return float(product[0, 0] + plane.sum()) + total


def in_kernels(work: Callable[[], tuple[float, Result]]) -> tuple[float, list[Result]]:
    """Median of a few times of `work`, each over the kernel's before and after it; all it gave.

    A machine's speed changes from second to second: what is not timed beside the kernel is not
    comparable to it.

    NumPy's own threads are kept to one.

    Args:
        work: gives seconds and a result.
    """
    ratios, results = [], []
    with threadpool_limits(1):
        for _ in range(_REPEATS):
            before_s = _kernel_s()
            seconds, result = work()
            ratios.append(2 * seconds / (before_s + _kernel_s()))
            results.append(result)
    return median(ratios), results


def _kernel_s() -> float:
    """Median seconds of one piece, the thread's own time."""
    seconds = []
    for _ in range(_ROUNDS):
        began = time.thread_time()
        kernel()
        seconds.append(time.thread_time() - began)
    return median(seconds)
