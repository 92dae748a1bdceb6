"""Training options: everything that affects the weights, and the named recipes."""

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from wnet_edge.errors import TrainingError
from wnet_edge.models.registry import NetworkSpec


class Schedule(str, Enum):
    """Schedule of the learning rate."""

    ONE_CYCLE = "one-cycle"
    CONSTANT = "constant"


class Weighting(str, Enum):
    """Weighting of the pixels in the loss."""

    ILLUMINATION = "illumination"
    UNIFORM = "uniform"


class PhaseError(str, Enum):
    """Phase term of the loss."""

    CHORD = "chord"
    ABSOLUTE = "absolute"


class RecipeName(str, Enum):
    """Names of the training recipes."""

    FAST = "fast"
    PAPER = "paper"


@dataclass(frozen=True)
class Recipe:
    """Training recipe: optimiser and loss.

    Attributes:
        name: name of the recipe, recorded in checkpoint and package.
        learning_rate: peak of the schedule.
        schedule: schedule of the learning rate.
        weight_decay: AdamW's weight decay, on layer weights only; with 0 AdamW is Adam.
        clip_norm: norm to which gradients are clipped; infinite for no clipping.
        weighting: weighting of the pixels in the loss.
        phase_error: phase term of the loss; the amplitude term is the absolute error.
    """

    name: RecipeName = RecipeName.FAST
    learning_rate: float = 3e-3
    schedule: Schedule = Schedule.ONE_CYCLE
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    weighting: Weighting = Weighting.ILLUMINATION
    phase_error: PhaseError = PhaseError.CHORD

    def __post_init__(self) -> None:
        """Refuse what can't train."""
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"a learning rate is between 0 and 1, not {self.learning_rate:g}")


RECIPES = {
    RecipeName.FAST: Recipe(),
    RecipeName.PAPER: Recipe(
        name=RecipeName.PAPER,
        learning_rate=1e-3,
        schedule=Schedule.CONSTANT,
        weight_decay=0.0,
        clip_norm=float("inf"),
        weighting=Weighting.UNIFORM,
        phase_error=PhaseError.ABSOLUTE,
    ),
}
"""`paper`: Adam at 1e-3 and plain MAE (Xing et al. 2024)."""

DEFAULT_EPOCHS = {RecipeName.FAST: 8, RecipeName.PAPER: 60}
"""Default number of epochs by recipe; 60 are the paper's."""


@dataclass(frozen=True)
class TrainingOptions:
    """Options of a training.

    Attributes:
        network: network to train.
        recipe: optimiser and loss.
        epochs: number of epochs.
        batch_size: frames per step.
        validation_frames: held-out frames on which the error is measured after each epoch.
        seed: seed of the initial weights and of all random orders.
        freeze_norm: batch norms use and keep their running statistics, as in fine-tuning.
    """

    network: NetworkSpec
    recipe: Recipe = field(default_factory=Recipe)
    epochs: int = 8
    batch_size: int = 32
    validation_frames: int = 512
    seed: int = 0
    freeze_norm: bool = False

    def __post_init__(self) -> None:
        """Refuse what can't train."""
        if self.epochs < 1 or self.batch_size < 2 or self.validation_frames < 1:
            raise TrainingError("training needs 1 epoch, 2 frames per batch and 1 validation frame")

    def settings(self) -> dict[str, Any]:
        """Settings that must be unchanged to resume, as JSON values; `freeze_norm` only if True."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.freeze_norm:
            del values["freeze_norm"]
        return values
