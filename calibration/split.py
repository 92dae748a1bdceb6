"""Which frames of a scan choose, which calibrate, and which report.

Neighbouring frames share object, so a split by frame leaks: the scan is cut into three strips along
its longer side, with a gap of a network window between them that nobody uses. The widest strip, in
the middle, reports.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError

_SHARES = (0.25, 0.5, 0.25)
"""Of the scan's length less the gaps: selection, report, calibration."""


class Region(str, Enum):
    """What the frames of a strip are for."""

    SELECTION = "selection"
    REPORT = "report"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class RegionSplit:
    """Frame numbers of each strip, ascending, (n,) int64 each; frames of the gaps are in none."""

    selection: NDArray[np.int64]
    report: NDArray[np.int64]
    calibration: NDArray[np.int64]

    def frames(self, region: Region) -> NDArray[np.int64]:
        """Frame numbers of one strip."""
        frames: NDArray[np.int64] = getattr(self, region.value)
        return frames


def split_by_region(positions_px: NDArray[np.float64], window_px: int) -> RegionSplit:
    """Split positions (N, 2) so that network windows of different strips share no object pixel.

    Where the detector is binned, the probe's faint rim beyond the network's window may reach over.

    Raises:
        ScanError: if the scan is too small to leave frames in every strip.
    """
    extent = np.ptp(positions_px, axis=0)
    along = positions_px[:, int(np.argmax(extent))]
    start, length = float(along.min()), float(extent.max()) - 2 * window_px
    ends = start + max(length, 0) * np.cumsum(_SHARES) + window_px * np.arange(len(_SHARES))
    ends[-1] = max(ends[-1], along.max())  # which rounding may miss
    strips = []
    for end in ends:
        strips.append(np.flatnonzero((along >= start) & (along <= end)))
        start = float(end) + window_px
    if length <= 0 or not all(len(strip) for strip in strips):
        raise ScanError(
            f"a scan of {extent[0]:.0f} × {extent[1]:.0f} px is too small to be split into three "
            f"strips with gaps of {window_px} px; take a larger scan"
        )
    return RegionSplit(selection=strips[0], report=strips[1], calibration=strips[2])
