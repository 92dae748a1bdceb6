"""Simulated frames in as many as the time allows: a training that ends when it should.

The number of epochs is fixed, and with it the schedule of the learning rate; how many frames an
epoch has follows from how fast the machine is at the time. On a steady machine that is the planned
number, so that the same plan gives the same weights.
"""

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.batch import Batch
from wnet_edge.training.simulation import SimulatedFrames

_STEADY = 0.03
"""Of the time for all epochs: to end so much earlier or later is not worth other weights."""

_FEWEST, _MOST = 0.1, 3.0
"""Of the planned number of frames, in one epoch."""


@dataclass(frozen=True)
class Pace:
    """The time for a training.

    Attributes:
        epochs: number of epochs.
        frames: planned frames per epoch.
        seconds: for the epochs that are left.
        clock: tells the time, in seconds.
    """

    epochs: int
    frames: int
    seconds: float
    clock: Callable[[], float] = time.monotonic


class PacedFrames:
    """A supply of simulated frames that gives as many in an epoch as its pace allows.

    Args:
        supply: the frames; its options hold the planned number.
        pace: the time, which begins now.
        done: number of whole epochs of earlier runs.
        batch_size: frames per step.
        threads: that simulate.
        about: what the frames are for, by name, in the description; JSON values.
    """

    def __init__(
        self,
        supply: SimulatedFrames,
        pace: Pace,
        *,
        done: int,
        batch_size: int,
        threads: int = 1,
        about: dict[str, Any],
    ) -> None:
        self._supply, self._pace, self._batch_size = supply, pace, batch_size
        self._about, self._threads = about, threads
        self._done = done
        self._decided: tuple[int, int, float] | None = None
        self._end_s = pace.clock() + pace.seconds

    @property
    def instrument(self) -> Instrument:
        """Instrument of the frames."""
        return self._supply.instrument

    @property
    def frames_per_epoch(self) -> int:
        """Frames of the next epoch, decided when the one before has ended."""
        epoch, planned = self._done, self._pace.frames
        if self._decided is not None and self._decided[0] == epoch:
            return self._decided[1]
        now_s, frames = self._pace.clock(), planned
        if self._decided is not None:
            _, last_frames, began_s = self._decided
            frames_per_s = last_frames / max(now_s - began_s, 1e-6)
            epochs = max(self._pace.epochs - epoch, 1)
            late_s = now_s + epochs * planned / frames_per_s - self._end_s
            if abs(late_s) > _STEADY * self._pace.seconds:
                frames = self._whole(max(self._end_s - now_s, 0) * frames_per_s / epochs)
        self._decided = epoch, frames, now_s
        return frames

    def describe(self) -> dict[str, Any]:
        """Description of the supply, whose frames per epoch are those planned."""
        return {**self._supply.describe(), **self._about}

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of one epoch."""
        frames = self.frames_per_epoch
        yield from self._supply.first_frames(epoch, frames, batch_size, self._threads)
        self._done = epoch + 1

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of the supply's validation frames."""
        return self._supply.validation(frames, batch_size)

    def _whole(self, frames: float) -> int:
        """As many in whole batches, within what an epoch may have."""
        planned = self._pace.frames
        within = min(max(frames, _FEWEST * planned), _MOST * planned)
        return max(round(within / self._batch_size), 1) * self._batch_size
