"""The plan of an adaptation: what this machine trains in the time that is given.

Measured, not guessed: a few batches of this very training are simulated and trained on, with
weights that are thrown away.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from wnet_edge.errors import TrainingError
from wnet_edge.training.loop import seconds_per_frame
from wnet_edge.training.options import TrainingOptions
from wnet_edge.training.simulation import SimulatedFrames

_TIMED_BATCHES, _TRIED_BATCHES = 12, 6
"""Batches with the first number of threads, and with any other, which may be very slow."""

_MOST_THREADS = 8
"""That share a batch of 32 frames."""

_BESIDE = 1.15
"""By which simulation in a thread beside the training slows it down."""

_EPOCH_S = 40.0
_FEWEST_EPOCHS, _MOST_EPOCHS = 4, 24
"""Epochs of about that length: each is a checkpoint, and the machine's speed is looked at anew."""

_FEWEST_FRAMES = 1_000
"""In all: an image from less is not worth looking at."""

_VALIDATION_SHARE = 0.4
"""Of the time to train on a frame, that validation takes for one: the forward part of it."""

_INT8_FRAMES, _FLOAT_FRAMES = 9_500, 1_000
"""Frames that are trained on in the time that export and evaluation take (W3 at 64 px), with the
search for two INT8 graphs and without; made of the network's runs, they scale with the machine's
speed."""

_LEAST_EXPORT_S = 15.0
"""For what does not scale: imports, the scan, files."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and when it ends.

    Attributes:
        epochs: number of epochs.
        frames: per epoch.
        training_s: for all epochs that are left.
        export_s: for export and evaluation after them.
        frames_per_s: measured.
    """

    epochs: int
    frames: int
    training_s: float = 0.0
    export_s: float = 0.0
    frames_per_s: float = 0.0

    def going_on(self, seconds: float, seconds_per_frame: float, *, quantises: bool) -> "Plan":
        """The same epochs, with the time that is left of the budget."""
        export_s = _export_s(seconds_per_frame, quantises=quantises)
        left_s = max(seconds - export_s, 0.0)
        return replace(
            self, training_s=left_s, export_s=export_s, frames_per_s=1 / seconds_per_frame
        )


@dataclass(frozen=True)
class Speed:
    """How fast this machine trains, as busy as it is.

    Attributes:
        seconds_per_frame: to train on a frame while others are simulated.
        threads: that share each batch, with which it is fastest: on a busy machine threads that
            wait for one another may lose more than they gain.
    """

    seconds_per_frame: float
    threads: int


def threads_to_try(cores: int) -> list[int]:
    """Numbers of threads that may share a batch."""
    return sorted({1, *(min(max(n, 1), _MOST_THREADS) for n in (cores // 2, cores))})


def simulating_threads(cores: int) -> int:
    """Number of threads that simulate beside the training."""
    return max(cores // 4, 1)


def measured_speed(
    supply: SimulatedFrames, options: TrainingOptions, threads: Sequence[int], cores: int
) -> Speed:
    """Measure the speed with each number of threads, the safest first, and take the fastest.

    PyTorch itself has one thread from here on: the network's layers are too small to be shared.

    Raises:
        TrainingError: if the training can't start.
    """
    torch.set_num_threads(1)
    speeds: list[Speed] = []
    for count in threads:
        batches = _TRIED_BATCHES if speeds else _TIMED_BATCHES
        began_s = time.perf_counter()
        frames = batches * options.batch_size
        made = list(supply.first_frames(0, frames, options.batch_size))
        simulated_s = (time.perf_counter() - began_s) / frames
        trained_s = seconds_per_frame(supply, options, made, copies=count)
        # Threads that train leave the simulation what they do not use of the cores.
        busy_s = (simulated_s + count * trained_s) / cores
        beside_s = simulated_s / simulating_threads(cores)
        speeds.append(Speed(_BESIDE * max(busy_s, beside_s, trained_s), count))
    return min(speeds, key=lambda speed: speed.seconds_per_frame)


def make_plan(
    seconds: float, seconds_per_frame: float, options: TrainingOptions, *, quantises: bool
) -> Plan:
    """Plan what is left of the budget.

    Args:
        seconds: until the end, export and evaluation included.
        seconds_per_frame: as `measured_speed` gives it.
        options: their batch and validation sizes.
        quantises: whether export searches for an INT8 graph.

    Raises:
        TrainingError: if the time is too short for any training, with the least that would do.
    """
    export_s = _export_s(seconds_per_frame, quantises=quantises)
    training_s = seconds - export_s
    epochs = min(max(round(training_s / _EPOCH_S), _FEWEST_EPOCHS), _MOST_EPOCHS)
    validated = epochs * options.validation_frames * _VALIDATION_SHARE
    frames = int((training_s / seconds_per_frame - validated) / epochs)
    frames = frames // options.batch_size * options.batch_size
    if epochs * frames < _FEWEST_FRAMES:
        short_s = (_FEWEST_FRAMES + validated) * seconds_per_frame - training_s
        raise TrainingError(
            f"the time is too short: this machine trains {1 / seconds_per_frame:.0f} frames a "
            f"second, and export takes {export_s:.0f} s; give at least {short_s / 60:.1f} "
            "--minutes more"
        )
    return Plan(epochs, frames, training_s, export_s, 1 / seconds_per_frame)


def _export_s(seconds_per_frame: float, *, quantises: bool) -> float:
    frames = _INT8_FRAMES if quantises else _FLOAT_FRAMES
    return _LEAST_EXPORT_S + frames * seconds_per_frame
