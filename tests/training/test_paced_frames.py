"""A training with a budget ends in time, on a machine that is as fast as planned or not."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_training import QUIET, instrument, options

from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.loop import train
from wnet_edge.training.paced_frames import Pace, PacedFrames
from wnet_edge.training.progress import Progress
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions

EPOCHS, FRAMES, SECONDS = 6, 40, 60.0
BATCH = 4


class Machine:
    """A clock that goes on with every frame, at a speed that changes in some epoch."""

    def __init__(self, *frames_per_s: float) -> None:
        self.now_s = 100.0
        self._frames_per_s = frames_per_s

    def clock(self) -> float:
        return self.now_s

    def run(self, frames: PacedFrames) -> list[int]:
        """Goes over all epochs; the frames of each."""
        counts = []
        for epoch in range(EPOCHS):
            planned, seen = frames.frames_per_epoch, 0
            for batch in frames.epoch(epoch, BATCH):
                seen += len(batch.counts)
            assert seen == planned
            self.now_s += seen / self._frames_per_s[min(epoch, len(self._frames_per_s) - 1)]
            counts.append(seen)
        return counts


def paced(machine, done=0, seconds=SECONDS):
    simulated = SimulatedFrames(
        instrument(), SimulationOptions(FRAMES, canvas_px=128, frames_per_canvas=20), seed=3
    )
    pace = Pace(EPOCHS, FRAMES, seconds, machine.clock)
    return PacedFrames(simulated, pace, done=done, batch_size=BATCH, about={"scan": "a.h5"})


def test_a_steady_machine_trains_what_was_planned():
    machine = Machine(4.05)
    assert machine.run(paced(machine)) == [FRAMES] * EPOCHS
    assert machine.now_s == pytest.approx(160, abs=3)


@pytest.mark.parametrize("speeds", [(2.0,), (8.0,), (4.0, 4.0, 1.5), (4.0, 4.0, 4.0, 9.0)])
def test_another_speed_changes_the_frames_and_not_the_end(speeds):
    machine = Machine(*speeds)
    counts = machine.run(paced(machine))
    assert set(counts) != {FRAMES}
    assert machine.now_s - 100 == pytest.approx(SECONDS, rel=0.1)
    assert all(count % BATCH == 0 for count in counts)


def test_a_machine_that_stands_still_ends_all_the_same():
    machine = Machine(4.0, 0.05)
    assert machine.run(paced(machine))[-1] == BATCH


def test_the_description_holds_the_plan_and_what_it_is_for():
    told = paced(Machine(1.0)).describe()
    assert (told["frames_per_epoch"], told["scan"]) == (FRAMES, "a.h5")


class Ticking:
    """A clock that is asked before each epoch, which takes ten seconds."""

    def __init__(self) -> None:
        self._asked = -1

    def clock(self) -> float:
        self._asked += 1
        return 10.0 * max(self._asked - 1, 0)


def test_an_interrupted_training_goes_on_to_the_same_weights(tmp_path):
    class Stopped(Progress):
        def epoch(self, epoch, _errors):
            if epoch == 2:
                raise KeyboardInterrupt

    def run(name, progress, *, done=0):
        return train(
            paced(Ticking(), done, SECONDS - 10 * done),
            replace(options(), epochs=EPOCHS),
            tmp_path / name,
            resume=done > 0,
            progress=progress,
        )

    whole = run("whole.safetensors", QUIET)
    with pytest.raises(KeyboardInterrupt):
        run("parts.safetensors", Stopped(1, 1, shown=False))
    parts = run("parts.safetensors", QUIET, done=2)
    assert [epoch["frames"] for epoch in parts.history] == [FRAMES] * EPOCHS
    assert [epoch["frames"] for epoch in whole.history] == [FRAMES] * EPOCHS
    one, other = (
        read_checkpoint(tmp_path / f"{name}.safetensors").tensors for name in ("whole", "parts")
    )
    assert all(np.array_equal(one[name], other[name]) for name in one)
