"""Where the labels of stored frames come from: the file itself, or a reconstruction."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.readers.cxi import Labels
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.scan.frame_source import SelectedFrames


class LabelSource(Protocol):
    """Labels of a scan's frames, scale and gauge fixed, by the frames' numbers."""

    @property
    def window_px(self) -> int:
        """Edge h of a label."""
        ...

    @property
    def binning(self) -> int:
        """Detector pixels along an edge that the network's frames sum."""
        ...

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(N,), True for frames that have a label."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the labels are from, as JSON values; the same for the same labels."""
        ...

    def read(self, numbers: NDArray[np.int64]) -> PatchLabels:
        """Labels of the frames `numbers`, ascending."""
        ...


class SimulatedLabels:
    """The labels that `wnet-edge simulate` wrote beside the frames."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels

    @property
    def window_px(self) -> int:
        """Edge of a label."""
        return self._labels.window_px

    @property
    def binning(self) -> int:
        """Detector pixels along an edge that the network's frames sum."""
        return self._labels.binning

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Every frame has one."""
        return np.ones(self._labels.phase.shape[0], dtype=np.bool_)

    def describe(self) -> dict[str, Any]:
        """Nothing: the frames' own file tells."""
        return {}

    def read(self, numbers: NDArray[np.int64]) -> PatchLabels:
        """Labels of the frames `numbers`, ascending."""
        amplitude, phase_rad = (
            np.asarray(SelectedFrames(label, numbers)[:], dtype=np.float32)
            for label in (self._labels.amplitude, self._labels.phase)
        )
        return PatchLabels(amplitude, phase_rad)
