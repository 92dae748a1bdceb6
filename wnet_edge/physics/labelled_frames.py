"""Frames and their ground-truth patches, in simulation, training and evaluation."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class PatchLabels(NamedTuple):
    """Ground-truth patches of some frames.

    Attributes:
        amplitude: (N, h, h) float32, relative to the patch's illumination-weighted RMS.
        phase_rad: (N, h, h) float32, gauge-fixed.
    """

    amplitude: NDArray[np.float32]
    phase_rad: NDArray[np.float32]


@dataclass(frozen=True)
class LabelledFrames:
    """Frames in scan order, with ground-truth patches if they are known.

    Attributes:
        frames: (n, H, W) counts.
        labels: labels of these frames, or None.
    """

    frames: NDArray[Any]
    labels: PatchLabels | None = None
