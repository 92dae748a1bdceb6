"""Relative timing of functions in interleaved rounds, by the wall clock.

Back-to-back timings confound the ratio with machine load; interleaved rounds expose both to the
same load.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

WARM_UP = 5
"""Warm-up rounds that are not counted: memory is allocated, kernels are chosen, engines built."""


def _nothing() -> None:
    """Default preparation: none."""


@dataclass(frozen=True)
class Contestant:
    """A function to be timed.

    Attributes:
        run: the timed function.
        prepare: called before every run, untimed.
    """

    run: Callable[[], object]
    prepare: Callable[[], object] = _nothing


@dataclass(frozen=True)
class Latency:
    """Latency per frame in ms over the rounds: quantiles and minimum.

    Quantiles are interpolated: of 50 rounds, the 99th percentile lies between the slowest two.
    """

    p50_ms: float
    p95_ms: float
    p99_ms: float
    min_ms: float

    @property
    def frames_per_second(self) -> float:
        """Throughput at the median latency."""
        return 1000 / self.p50_ms


def time_in_turn(
    contestants: Sequence[Contestant],
    frames: int,
    rounds: int,
    progress: Callable[[int], None] | None = None,
) -> list[Latency]:
    """Time every contestant once per round, after `WARM_UP` rounds that are not counted.

    Args:
        contestants: functions to time, in the order of each round.
        frames: frames per run, by which its time is divided.
        rounds: number of timed rounds.
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
