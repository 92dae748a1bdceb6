"""How fast a running scan's frames go through, and how long after their publication."""

import math
from bisect import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter, time

import numpy as np
from numpy.typing import NDArray

from wnet_edge.live.source import Frame

_RECENT_S = 5.0
"""Over which pace is told while a scan runs; at its end, over all of it."""

_OLDEST_S = 3600.0
"""Frames that say they are older were published by another clock."""


@dataclass(frozen=True)
class Pace:
    """How fast frames go through.

    Attributes:
        frames_per_second: processed.
        latency_s: (K,) from publication, or else reception, to the image, of each frame.
    """

    frames_per_second: float
    latency_s: NDArray[np.float64]

    def latency_quantile_s(self, share: float) -> float:
        """Latency that a share of the frames does not exceed."""
        return float(np.quantile(self.latency_s, share))


class PaceMeter:
    """Takes the time of frames as they are stitched."""

    def __init__(self) -> None:
        self._latency_s: list[NDArray[np.float64]] = []
        self._done_at_s: list[float] = []

    def add(self, frames: Sequence[Frame]) -> None:
        """Frames that are in the image now."""
        self._done_at_s.append(perf_counter())
        self._latency_s.append(_latencies_s(frames, self._done_at_s[-1]))

    def pace(self, *, recent: bool) -> Pace:
        """Of all frames, at least one batch, or of the last seconds."""
        since_s = self._done_at_s[-1] - _RECENT_S if recent else -math.inf
        first = bisect(self._done_at_s, since_s)
        latency_s = np.concatenate(self._latency_s[first:])
        took_s = self._done_at_s[-1] - self._done_at_s[first]
        frames = len(latency_s) - len(self._latency_s[first])
        return Pace(frames / took_s if took_s > 0 else 0.0, latency_s)


def _latencies_s(frames: Sequence[Frame], done_at_s: float) -> NDArray[np.float64]:
    """(B,) from publication, or else reception, to now."""
    now_s = time()
    published_s = np.array([frame.published_s or -math.inf for frame in frames])
    received_s = np.array([frame.received_s for frame in frames])
    latency_s = now_s - published_s
    # A detector's clock may be off, or the series an old one.
    known = (latency_s >= 0) & (latency_s < _OLDEST_S)
    return np.where(known, latency_s, done_at_s - received_s)
