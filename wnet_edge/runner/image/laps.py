"""Timing of the steps of inference, some of which run concurrently."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

Taken = TypeVar("Taken")
Given = TypeVar("Given")


@dataclass(frozen=True)
class Timing:
    """Busy time of each step and total time, in seconds.

    One thread reads frames and another runs the network, while the main thread does everything
    else. So preparing, stitching, refining, checking and waiting add up to `total_s`; reading and
    network run concurrently with them, and opening the graph, which may serve many scans, precedes
    them.

    Attributes:
        open_s: choosing and opening the graph.
        read_s: reading frames, in a separate thread.
        prepare_s: binning and masking them.
        network_s: running the network, in a separate thread.
        stitch_s: placing patches and solving for their phases.
        refine_s: passes over the frames.
        check_s: self-check of the image.
        wait_for_frames_s: main thread waiting for frames.
        wait_for_network_s: main thread waiting for patches.
        total_s: wall time.
    """

    open_s: float
    total_s: float
    read_s: float = 0.0
    prepare_s: float = 0.0
    network_s: float = 0.0
    stitch_s: float = 0.0
    refine_s: float = 0.0
    check_s: float = 0.0
    wait_for_frames_s: float = 0.0
    wait_for_network_s: float = 0.0


class Laps:
    """Stopwatch for the steps: laps in the main thread, wrapped functions in other threads."""

    def __init__(self) -> None:
        self._began = self._last = perf_counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def lap(self, step: str) -> None:
        """Attribute the main thread's time since its last lap to `step`."""
        now = perf_counter()
        self._seconds[step] += now - self._last
        self._last = now

    def beside(self, step: str, work: Callable[[Taken], Given]) -> Callable[[Taken], Given]:
        """Wrap `work`, to be run in one other thread, so that its time is added to `step`."""

        def timed(taken: Taken) -> Given:
            began = perf_counter()
            try:
                return work(taken)
            finally:
                self._seconds[step] += perf_counter() - began

        return timed

    def timing(self, open_s: float) -> Timing:
        """Times so far, with the given time for opening the graph."""
        steps = {f"{step}_s": seconds for step, seconds in self._seconds.items()}
        return Timing(open_s=open_s, **steps, total_s=self._last - self._began)
