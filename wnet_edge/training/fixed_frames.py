"""The same frames every epoch: a data set of fixed size, as the literature trains on."""

from collections.abc import Generator
from typing import Any

import numpy as np
import torch

from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.batch import Batch, FrameSupply, joined_batches


class FixedFrames:
    """The first epoch of a supply, held in memory and shuffled anew for each epoch.

    Args:
        supply: where the frames come from; it keeps giving the validation frames.
        seed: of the orders.
    """

    def __init__(self, supply: FrameSupply, *, seed: int) -> None:
        self._supply, self._seed = supply, seed
        self._frames: Batch | None = None

    @property
    def instrument(self) -> Instrument:
        """What the frames belong to."""
        return self._supply.instrument

    @property
    def frames_per_epoch(self) -> int:
        """Frames in the set."""
        return self._supply.frames_per_epoch

    def describe(self) -> dict[str, Any]:
        """The supply's description, and that its frames repeat."""
        return {**self._supply.describe(), "fixed": True}

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Every frame once, in an order of this epoch's own."""
        if self._frames is None:
            # In pieces of a fixed size, so that the set does not depend on the batch size.
            self._frames = joined_batches(self._supply.epoch(0, _PART_FRAMES))
        frames = self._frames
        order = np.random.default_rng([self._seed, epoch]).permutation(self.frames_per_epoch)
        for part in torch.split(torch.from_numpy(order), batch_size):
            yield Batch(frames.counts[part], frames.amplitude[part], frames.phase_rad[part])

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """The supply's validation frames."""
        return self._supply.validation(frames, batch_size)


_PART_FRAMES = 32
