"""What a user asks of refinement."""

from dataclasses import dataclass
from enum import Enum

_MOST_PASSES = 30


class PositionCorrection(str, Enum):
    """What of the positions is corrected."""

    EACH = "each"  # each frame's own error; the stage's scale, rotation and shear are kept
    AFFINE = "affine"  # these, too


@dataclass(frozen=True)
class RefineOptions:
    """How far to refine, and what beside the object.

    Attributes:
        passes: over all frames; None: as long as they pay.
        threads: that share the work; None: one per core.
        positions: what of them is corrected below a pixel; None: nothing.
        probe: whether it is improved, too.
    """

    passes: int | None
    threads: int | None = None
    positions: PositionCorrection | None = None
    probe: bool = False

    @property
    def most_passes(self) -> int:
        """Passes at most."""
        return _MOST_PASSES if self.passes is None else self.passes
