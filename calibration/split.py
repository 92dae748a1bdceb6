"""Split of a scan into selection, report and calibration frames, by region.

Neighbouring frames share object pixels, so that a split by frame would leak: the scan is cut into
three strips along its longer side, with unused gaps of a network window between them. Reported
figures come from the widest strip, in the middle.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError

_SHARES = (0.25, 0.5, 0.25)
"""Fractions of the scan's length without the gaps: selection, report, calibration."""


class Region(str, Enum):
    """Purpose of the frames of a strip."""

    SELECTION = "selection"
    REPORT = "report"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class RegionSplit:
    """Frame numbers of each strip, (n,) int64, ascending; frames in the gaps are in none."""

    selection: NDArray[np.int64]
    report: NDArray[np.int64]
    calibration: NDArray[np.int64]

    def frames(self, region: Region) -> NDArray[np.int64]:
        """Frame numbers of one strip."""
        frames: NDArray[np.int64] = getattr(self, region.value)
        return frames


def split_by_region(positions_px: NDArray[np.float64], window_px: int) -> RegionSplit:
    """Split positions (N, 2) so that network windows of different strips share no object pixel.

    With a binned detector, the faint rim of the probe outside the network's window may overlap.

    Raises:
        ScanError: if the scan is too small to leave frames in every strip.
    """
    extent = np.ptp(positions_px, axis=0)
    along = positions_px[:, int(np.argmax(extent))]
    start, length = float(along.min()), float(extent.max()) - 2 * window_px
    ends = start + max(length, 0) * np.cumsum(_SHARES) + window_px * np.arange(len(_SHARES))
    ends[-1] = max(ends[-1], along.max())  # against rounding
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
