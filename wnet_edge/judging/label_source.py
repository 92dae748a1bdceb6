"""Sources of ground-truth labels for stored frames: the file itself, or a reconstruction."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.readers.cxi import Labels
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.scan.frame_source import SelectedFrames


class LabelSource(Protocol):
    """Ground-truth labels of a scan's frames by frame number, scale- and gauge-fixed."""

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
        """(N,) bool, True for frames that have a label."""
        ...

    def describe(self) -> dict[str, Any]:
        """Provenance of the labels as JSON values; identifies the labels."""
        ...

    def read(self, numbers: NDArray[np.int64]) -> PatchLabels:
        """Labels of the frames `numbers`, ascending."""
        ...


class SimulatedLabels:
    """Labels that `wnet-edge simulate` stored with the frames."""

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
        """(N,) bool, all True."""
        return np.ones(self._labels.phase.shape[0], dtype=np.bool_)

    def describe(self) -> dict[str, Any]:
        """Empty: the description of the frames' file covers the labels."""
        return {}

    def read(self, numbers: NDArray[np.int64]) -> PatchLabels:
        """Labels of the frames `numbers`, ascending."""
        amplitude, phase_rad = (
            np.asarray(SelectedFrames(label, numbers)[:], dtype=np.float32)
            for label in (self._labels.amplitude, self._labels.phase)
        )
        return PatchLabels(amplitude, phase_rad)
