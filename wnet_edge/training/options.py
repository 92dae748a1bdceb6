"""How to train: everything that changes the weights, in one place, and the recipes by name."""

import json
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

from wnet_edge.errors import TrainingError
from wnet_edge.models.registry import NetworkSpec


class Schedule(str, Enum):
    """Of the learning rate."""

    ONE_CYCLE = "one-cycle"
    CONSTANT = "constant"


class Weighting(str, Enum):
    """Of the pixels in the loss."""

    ILLUMINATION = "illumination"
    UNIFORM = "uniform"


class PhaseError(str, Enum):
    """Of the phase in the loss."""

    CHORD = "chord"
    ABSOLUTE = "absolute"


class RecipeName(str, Enum):
    """Recipes that can be asked for."""

    FAST = "fast"
    PAPER = "paper"


@dataclass(frozen=True)
class Recipe:
    """Optimiser and loss.

    Attributes:
        name: for the records.
        learning_rate: peak of the schedule.
        schedule: of the learning rate.
        weight_decay: AdamW's, on weights of layers alone; with 0 AdamW is Adam.
        clip_norm: longest gradient; infinite for none.
        weighting: of the pixels in the loss.
        phase_error: of the phase in the loss; that of the amplitude is absolute.
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
"""Where none are asked for; 60 are the paper's."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        network: which network.
        recipe: optimiser and loss.
        epochs: passes over `frames_per_epoch` frames.
        batch_size: frames a step.
        validation_frames: frames held out to measure the error after each epoch.
        seed: of the weights and of the order of everything random.
        freeze_norm: batch norms use their running statistics, as in fine-tuning, and leave them.
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
        """What resuming must find unchanged, as JSON values; `freeze_norm` only where it is on."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        if not self.freeze_norm:
            del values["freeze_norm"]
        return values
