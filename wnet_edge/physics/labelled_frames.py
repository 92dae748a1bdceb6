"""Frames, and what a network should say of them: in simulation and in judging."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class PatchLabels(NamedTuple):
    """What a network should say of some frames.

    Attributes:
        amplitude: (N, h, h) float32, relative to the patch's illumination-weighted RMS.
        phase_rad: (N, h, h) float32, gauge-fixed.
    """

    amplitude: NDArray[np.float32]
    phase_rad: NDArray[np.float32]


@dataclass(frozen=True)
class LabelledFrames:
    """Some frames of a scan, in its order.

    Attributes:
        frames: (n, H, W) counts.
        labels: of these frames; None where nobody knows them.
    """

    frames: NDArray[Any]
    labels: PatchLabels | None = None
