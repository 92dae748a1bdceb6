"""One batch of training frames with its labels, whatever it was made from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray


@dataclass(frozen=True)
class Batch:
    """Frames with labels, each (B, 1, H, W) float32.

    Attributes:
        counts: binned counts, masked pixels negative.
        amplitude: label relative to its illumination-weighted RMS.
        phase_rad: gauge-fixed label.
    """

    counts: torch.Tensor
    amplitude: torch.Tensor
    phase_rad: torch.Tensor


class FrameSupply(Protocol):
    """Where batches come from: simulation on the fly, or a file."""

    @property
    def frames_per_epoch(self) -> int:
        """Frames that `epoch` gives."""
        ...

    @property
    def window_intensity(self) -> NDArray[np.float32]:
        """Σ_modes |P|² in the network's window, (h, w): what the loss weighs with."""
        ...

    def epoch(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Batches of one epoch, the same for the same epoch."""
        ...

    def validation(self, frames: int, batch_size: int) -> Iterator[Batch]:
        """Batches that no epoch holds, the same at each call."""
        ...
