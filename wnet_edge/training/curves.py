"""Training curves for other programs: a CSV file beside the checkpoint, and TensorBoard.

Both are written from the whole history, so that a resumed training gives the same as an
uninterrupted one.
"""

import csv
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from wnet_edge.errors import TrainingError
from wnet_edge.host.outputs import replacing

_CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class EpochErrors:
    """Errors of one epoch: a row of the CSV, a step of TensorBoard.

    Attributes:
        epoch: number of the epoch, from 1.
        frames: trained on in the epoch.
        training_loss: mean over them, amplitude and phase together.
        validation_amplitude_mae: weighted mean absolute error over the validation frames.
        validation_phase_mae_rad: likewise, of the phase.
        learning_rate: at the epoch's last step.
        seconds: duration of the epoch.
    """

    epoch: int
    frames: float
    training_loss: float
    validation_amplitude_mae: float
    validation_phase_mae_rad: float
    learning_rate: float
    seconds: float


@dataclass(frozen=True)
class EpochFit:
    """One epoch of a self-supervised training: a row of its CSV.

    Attributes:
        epoch: number of the epoch, from 1.
        training_loss: mean over the epoch's steps.
        held_out_r_factor: of the held-out frames in their own image.
        learning_rate: in the epoch.
        seconds: duration of the epoch.
    """

    epoch: int
    training_loss: float
    held_out_r_factor: float
    learning_rate: float
    seconds: float


def curve_path(checkpoint: Path) -> Path:
    """Path of a checkpoint's CSV file: NAME.csv beside NAME.safetensors."""
    return checkpoint.with_name(checkpoint.name.removesuffix(_CHECKPOINT_SUFFIX) + ".csv")


def write_curve(path: Path, rows: Sequence[EpochErrors | EpochFit]) -> None:
    """Write the CSV file of an epoch or more atomically, replacing an existing one.

    Raises:
        TrainingError: if it can't be written.
    """
    with (
        replacing(path, TrainingError, force=True) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.DictWriter(file, [f.name for f in fields(rows[0])], lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


class TensorBoard:
    """Writer of event files for TensorBoard, updated after every epoch.

    Args:
        folder: folder of the event files; created if missing.
        rows: epochs so far, which replace any earlier curves in the folder.

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
        """Write the values of one epoch and flush them to disk."""
        values = asdict(row)
        step = values.pop("epoch")
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        """Flush and close the event file."""
        self._writer.close()
