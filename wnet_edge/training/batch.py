"""Batches of training frames with labels, and where they come from."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.physics.instrument import Instrument


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

    def on(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(self.counts.to(device), self.amplitude.to(device), self.phase_rad.to(device))


def split_batches(
    arrays: tuple[NDArray[np.float32], ...], batch_size: int
) -> Generator[Batch, None, None]:
    """Counts, amplitudes and phases, (N, 1, H, W) each, in batches; the last may be smaller."""
    parts = (torch.split(torch.from_numpy(array), batch_size) for array in arrays)
    yield from (Batch(*part) for part in zip(*parts, strict=True))


def joined_batches(batches: Iterable[Batch]) -> Batch:
    """All frames of some batches as one."""
    parts = list(batches)
    return Batch(
        counts=torch.cat([part.counts for part in parts]),
        amplitude=torch.cat([part.amplitude for part in parts]),
        phase_rad=torch.cat([part.phase_rad for part in parts]),
    )


class FrameSupply(Protocol):
    """Where batches come from: simulation on the fly, or a file."""

    @property
    def instrument(self) -> Instrument:
        """What the frames belong to."""
        ...

    @property
    def frames_per_epoch(self) -> int:
        """Frames that `epoch` gives."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the frames are made of, as JSON values; the same for the same frames."""
        ...

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of one epoch, the same for the same epoch."""
        ...

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches that no epoch holds, the same at each call; `frames` at most."""
        ...
