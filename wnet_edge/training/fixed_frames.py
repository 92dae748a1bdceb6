"""Training set of fixed size: the same frames every epoch, as in the literature."""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.batch import Batch, FrameSupply, joined_batches


class FixedFrames:
    """The first epoch of a supply, held in memory and reshuffled for each epoch.

    Args:
        supply: source of the frames, and of the validation frames.
        seed: seed of the shuffling.
    """

    def __init__(self, supply: FrameSupply, *, seed: int) -> None:
        self._supply, self._seed = supply, seed
        self._frames: Batch | None = None

    @property
    def instrument(self) -> Instrument:
        """Instrument of the frames."""
        return self._supply.instrument

    @property
    def frames_per_epoch(self) -> int:
        """Number of frames in the set."""
        return self._supply.frames_per_epoch

    def describe(self) -> dict[str, Any]:
        """Description of the supply, marked as fixed."""
        return {**self._supply.describe(), "fixed": True}

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of all frames once, in the epoch's own order."""
        if self._frames is None:
            # In chunks of fixed size, so that the set does not depend on the batch size.
            self._frames = joined_batches(self._supply.epoch(0, _PART_FRAMES))
        frames = self._frames
        order = np.random.default_rng([self._seed, epoch]).permutation(self.frames_per_epoch)
        for part in torch.split(torch.from_numpy(order), batch_size):
            yield Batch(frames.counts[part], frames.amplitude[part], frames.phase_rad[part])

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of the supply's validation frames."""
        return self._supply.validation(frames, batch_size)


_PART_FRAMES = 32
