"""Progress report of a training: a progress bar, and the validation errors per epoch."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Step = TypeVar("Step")


class Progress:
    """Progress bar on stderr if it is a terminal, and one line per epoch in any case.

    Args:
        epochs: number of epochs of the whole training.
        batches: number of batches per epoch.
        shown: False for all ranks but 0.

    Attributes:
        epochs_written: number of epochs of this run that are in the checkpoint.
    """

    def __init__(self, epochs: int, batches: int, *, shown: bool = True) -> None:
        self._epochs = epochs
        self._batches = batches
        self._shown = shown
        self.epochs_written = 0

    def steps(self, steps: Iterable[Step], epoch: int) -> Iterator[Step]:
        """Pass batches or the like on, advancing the progress bar."""
        yield from tqdm(
            steps,
            total=self._batches,
            desc=f"epoch {epoch + 1}/{self._epochs}",
            unit="batch",
            leave=False,
            disable=not (self._shown and sys.stderr.isatty()),
        )

    def epoch(self, epoch: int, errors: dict[str, float]) -> None:
        """Report the errors of a finished epoch in one line."""
        self.epochs_written += 1
        self._say(
            f"epoch {epoch}/{self._epochs}: loss {errors['training_loss']:.4f}, validation phase "
            f"{errors['validation_phase_mae_rad']:.4f} rad, amplitude "
            f"{errors['validation_amplitude_mae']:.4f}, {errors['seconds']:.0f} s"
        )

    def held_out(self, frames: int, r_factor: float) -> None:
        """Report how well held-out frames are explained before a self-supervised training."""
        self._say(f"R-factor of {frames} held-out frames before: {r_factor:.4f}")

    def fit(self, epoch: int, values: dict[str, float]) -> None:
        """Report a finished epoch of a self-supervised training in one line."""
        self.epochs_written += 1
        self._say(
            f"epoch {epoch}/{self._epochs}: loss {values['training_loss']:.5f}, R-factor of "
            f"held-out frames {values['held_out_r_factor']:.4f}, {values['seconds']:.0f} s"
        )

    def moved(self, before: str, now: str) -> None:
        """Report that training resumes on another kind of device."""
        self._say(
            f"Warning: trained on {before} so far, continues on {now}: the weights will differ by "
            "rounding from those of a training on one device"
        )

    def nothing_left(self) -> None:
        """Report that a training to resume is already complete."""
        self._say(f"all {self._epochs} epochs are trained already; nothing to do")

    def _say(self, line: str) -> None:
        if self._shown:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
