"""How long things take against each other: timed in turn, round by round, by the wall clock.

A ratio of two things timed one after the other says what else the machine was doing; in turn, both
meet the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

WARM_UP = 5
"""Rounds that are run first and not counted: memory is taken, kernels are chosen, engines built."""


def _nothing() -> None:
    """No preparation."""


@dataclass(frozen=True)
class Contestant:
    """Something to be timed.

    Attributes:
        run: what is timed.
        prepare: what is done before every run and not timed.
    """

    run: Callable[[], object]
    prepare: Callable[[], object] = _nothing


@dataclass(frozen=True)
class Latency:
    """Milliseconds a frame over the rounds: quantiles and the fastest.

    Quantiles lie between rounds: of 50, the 99th percentile between the slowest two.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float

    @property
    def frames_per_second(self) -> float:
        """At the median."""
        return 1000 / self.p50_ms


def time_in_turn(
    contestants: Sequence[Contestant],
    frames: int,
    rounds: int,
    progress: Callable[[int], None] | None = None,
) -> list[Latency]:
    """Time every contestant once a round, after `WARM_UP` rounds that are not counted.

    Args:
        contestants: in the order in which they take their turns.
        frames: that every run takes, by which its time is divided.
        rounds: that are counted.
        progress: called after each run with `frames`.
    """
    times_s: list[list[float]] = [[] for _ in contestants]
    for _ in range(WARM_UP + rounds):
        for contestant, taken in zip(contestants, times_s, strict=True):
            contestant.prepare()
            start = perf_counter()
            contestant.run()
            taken.append(perf_counter() - start)
            if progress is not None:
                progress(frames)
    return [_latency(taken[WARM_UP:], frames) for taken in times_s]


def _latency(times_s: Sequence[float], frames: int) -> Latency:
    ms_per_frame = 1000 * np.asarray(times_s) / frames
    p50, p95, p99, least = (float(q) for q in np.quantile(ms_per_frame, (0.5, 0.95, 0.99, 0)))
    return Latency(p50, p95, p99, least)
