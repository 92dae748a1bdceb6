"""The errors of every epoch for other programs to draw: a CSV beside the checkpoint, TensorBoard.

Both are written from a training's whole history, so that one that was resumed leaves what an
unbroken one does.
"""

import csv
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wnet_edge.errors import TrainingError
from wnet_edge.host.outputs import replacing

_CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class EpochErrors:
    """One epoch: a row of the CSV, a step of TensorBoard.

    Attributes:
        epoch: from 1.
        training_loss: mean over the epoch's frames, amplitude and phase together.
        validation_amplitude_mae: over frames that are not trained on.
        validation_phase_mae_rad: likewise.
        learning_rate: of the epoch's last step.
        seconds: that it took.
    """

    epoch: int
    training_loss: float
    validation_amplitude_mae: float
    validation_phase_mae_rad: float
    learning_rate: float
    seconds: float


def curve_path(checkpoint: Path) -> Path:
    """The CSV of a checkpoint: NAME.csv beside NAME.safetensors."""
    return checkpoint.with_name(checkpoint.name.removesuffix(_CHECKPOINT_SUFFIX) + ".csv")


def write_curve(path: Path, rows: list[EpochErrors]) -> None:
    """Write the CSV whole or not at all, in place of what is there.

    Raises:
        TrainingError: if the disk refuses it.
    """
    with (
        replacing(path, TrainingError, force=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [f.name for f in fields(EpochErrors)], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


class TensorBoard:
    """Event files in a folder, in which TensorBoard sees the curves grow.

    Args:
        folder: of the event files; made if it is not there.
        rows: epochs so far. They take the place of whatever the folder showed before.

    Raises:
        TrainingError: if tensorboardX is not installed, or the folder can't be written to.
    """

    def __init__(self, folder: Path, rows: list[EpochErrors]) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError as error:
            raise TrainingError(
                "--tensorboard needs tensorboardX: pip install 'wnet-edge[tensorboard]'"
            ) from error
        try:
            self._writer: Any = SummaryWriter(str(folder), purge_step=1)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise TrainingError(
                f"{folder}: can't be written to ({reason}); name another --tensorboard folder"
            ) from error
        for row in rows:
            self.add(row)

    def add(self, row: EpochErrors) -> None:
        """Everything of one epoch, on the disk at once."""
        values = asdict(row)
        step = values.pop("epoch")
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """The last event is on the disk."""
        self._writer.close()
