"""What a training tells the person who waits for it: a bar and the validation error an epoch."""

import sys
from collections.abc import Iterable, Iterator

from tqdm import tqdm

from wnet_edge.training.batch import Batch


class Progress:
    """A bar on stderr when it is a terminal, and a line an epoch in any case.

    Args:
        epochs: of the whole training.
        batches: of one epoch.
        shown: False for all but the first of several processes.

    Attributes:
        epochs_written: epochs that ended and are in the checkpoint, of those it was told of.
    """

    def __init__(self, epochs: int, batches: int, *, shown: bool = True) -> None:
        self._epochs = epochs
        self._batches = batches
        self._shown = shown
        self.epochs_written = 0

    def batches(self, batches: Iterable[Batch], epoch: int) -> Iterator[Batch]:
        """The batches, counted."""
        yield from tqdm(
            batches,
            total=self._batches,
            desc=f"epoch {epoch + 1}/{self._epochs}",
            unit="batch",
            leave=False,
            disable=not (self._shown and sys.stderr.isatty()),
        )

    def epoch(self, epoch: int, errors: dict[str, float]) -> None:
        """One line with the errors of the epoch that ended."""
        self.epochs_written += 1
        self._say(
            f"epoch {epoch}/{self._epochs}: loss {errors['training_loss']:.4f}, validation phase "
            f"{errors['validation_phase_mae_rad']:.4f} rad, amplitude "
            f"{errors['validation_amplitude_mae']:.4f}, {errors['seconds']:.0f} s"
        )

    def moved(self, before: str, now: str) -> None:
        """A training goes on on another kind of device than it was on."""
        self._say(
            f"Warning: trained on {before} so far, continues on {now}: the weights will differ by "
            "rounding from those of a training on one device"
        )

    def nothing_left(self) -> None:
        """A training that was to go on is complete."""
        self._say(f"all {self._epochs} epochs are trained already; nothing to do")

    def _say(self, line: str) -> None:
        if self._shown:
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
