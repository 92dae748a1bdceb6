"""Where the time of an image goes, when several steps of its flow go on at once."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import TypeVar

Taken = TypeVar("Taken")
Given = TypeVar("Given")


@dataclass(frozen=True)
class Timing:
    """Seconds that each step was at work, and all of them together.

    A thread reads frames and another runs the network while the main one does everything else. So
    preparing, stitching, checking and waiting add up to `total_s`; reading and network lie beside
    them, and opening the graph, which may serve many scans, before them.

    Attributes:
        open_s: to choose and open the graph.
        read_s: to read frames, in a thread of its own.
        prepare_s: to bin and mask them.
        network_s: to run the network, in a thread of its own.
        stitch_s: to place patches and find their phases.
        check_s: to judge the image by its frames.
        wait_for_frames_s: when the main thread had nothing to do before frames came.
        wait_for_network_s: when it had nothing to do before patches came.
        total_s: by the clock.
    """

    open_s: float
    read_s: float
    prepare_s: float
    network_s: float
    stitch_s: float
    check_s: float
    wait_for_frames_s: float
    wait_for_network_s: float
    total_s: float


class Laps:
    """Counts the seconds of every step: the main thread's in laps, the others' by themselves."""

    def __init__(self) -> None:
        self._began = self._last = perf_counter()
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def lap(self, step: str) -> None:
        """What the main thread has done since its last lap was `step`."""
        now = perf_counter()
        self._seconds[step] += now - self._last
        self._last = now

    def beside(self, step: str, work: Callable[[Taken], Given]) -> Callable[[Taken], Given]:
        """`work`, for one other thread, with its time added to `step`."""

        def timed(taken: Taken) -> Given:
            began = perf_counter()
            try:
                return work(taken)
            finally:
                self._seconds[step] += perf_counter() - began

        return timed

    def timing(self, open_s: float) -> Timing:
        """All of it so far."""
        steps = {f"{step}_s": seconds for step, seconds in self._seconds.items()}
        return Timing(open_s=open_s, **steps, total_s=self._last - self._began)
