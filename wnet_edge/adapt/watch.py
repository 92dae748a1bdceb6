"""What is told while an adaptation runs: lines, steps, the plan, the training's progress."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from wnet_edge.adapt.plan import Plan
from wnet_edge.training.progress import Progress


@dataclass(frozen=True)
class Start:
    """A training that is about to begin, or to go on.

    Attributes:
        plan: what is trained.
        done_epochs: whole epochs of earlier runs.
    """

    plan: Plan
    done_epochs: int

    @property
    def text(self) -> str:
        """In a line, with the time of day at which all is ready."""
        plan, more = self.plan, "more " if self.done_epochs else ""
        left = timedelta(seconds=plan.training_s + plan.export_s)
        ready = (datetime.now().astimezone() + left).strftime("%H:%M:%S")
        return (
            f"plan: {plan.epochs - self.done_epochs} {more}epochs of {plan.frames} frames at "
            f"{plan.frames_per_s:.0f} frames/s, {plan.training_s:.0f} s, then {plan.export_s:.0f} "
            f"s for export and evaluation: ready at {ready}"
        )


@dataclass(frozen=True)
class Watch:
    """What is told on the way.

    Attributes:
        tell: called with lines for the user.
        step: called with a line at the start of each step that takes a while.
        planned: called with the plan.
        training: makes the progress report from epochs and batches per epoch.
    """

    tell: Callable[[str], None]
    step: Callable[[str], None]
    planned: Callable[[Start], None]
    training: Callable[[int, int], Progress]
