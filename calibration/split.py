"""Split of a scan into selection, report and calibration frames, by region.

Neighbouring frames share object pixels, so that a split by frame would leak: the scan is cut into
three strips along its longer side, with unused gaps of a network window between them. Reported
figures come from the widest strip, in the middle. Of a small scan the gaps are narrower, or the
strips are blocks of neighbouring frames without any.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError

_SHARES = (0.25, 0.5, 0.25)
"""Fractions of the scan's length without the gaps: selection, report, calibration."""

_Three = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]

LEAST_FRAMES = 8
"""Frames that every strip needs: one batch of the calibrators."""

_NARROWER = (1.0, 0.5, 0.25, 0.0)
"""Widths of the gaps that are tried where a window's is too wide, in diameters of the beam."""


class Region(str, Enum):
    """Purpose of the frames of a strip."""

    SELECTION = "selection"
    REPORT = "report"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class RegionSplit:
    """Frame numbers of each strip, (n,) int64, ascending; frames in the gaps are in none.

    Attributes:
        selection: frames that candidates are compared on.
        report: frames of the reported figures.
        calibration: frames of the quantiser's ranges.
        gap_px: width of the gaps; 0 for blocks of neighbouring frames.
    """

    selection: NDArray[np.int64]
    report: NDArray[np.int64]
    calibration: NDArray[np.int64]
    gap_px: float

    def frames(self, region: Region) -> NDArray[np.int64]:
        """Frame numbers of one strip."""
        frames: NDArray[np.int64] = getattr(self, region.value)
        return frames


def split_by_region(
    positions_px: NDArray[np.float64], window_px: int, lit_px: int | None = None
) -> RegionSplit:
    """Split positions (N, 2) so that network windows of different strips share no object pixel.

    Where the scan is too small for that, gaps are as wide as the illuminated part of the window
    (`lit_px`; None: all of it), then half and a quarter of that, then there are none. With a binned
    detector, the faint rim of the probe outside the network's window may overlap in any case.

    Raises:
        ScanError: if the frames are too few.
    """
    lit_px = window_px if lit_px is None else lit_px
    gaps = [window_px, *(share * lit_px for share in _NARROWER)]
    for gap_px in gaps:
        strips = _strips(positions_px, gap_px)
        if strips is not None and min(map(len, strips)) >= LEAST_FRAMES:
            return RegionSplit(*strips, gap_px)
    blocks = _blocks(positions_px)
    if min(map(len, blocks)) < LEAST_FRAMES:
        raise ScanError(
            f"{len(positions_px)} frames are too few to be split into three blocks of at least "
            f"{LEAST_FRAMES} frames"
        )
    return RegionSplit(*blocks, 0.0)


def _strips(positions_px: NDArray[np.float64], gap_px: float) -> _Three | None:
    """Three strips along the longer side of the scan; None if the gaps are wider than the scan."""
    extent = np.ptp(positions_px, axis=0)
    along = positions_px[:, int(np.argmax(extent))]
    start, length = float(along.min()), float(extent.max()) - 2 * gap_px
    if length <= 0:
        return None
    ends = start + length * np.cumsum(_SHARES) + gap_px * np.arange(len(_SHARES))
    ends[-1] = max(ends[-1], along.max())  # against rounding
    strips: list[NDArray[np.int64]] = []
    for end in ends:
        # Without gaps, a frame on the border belongs to the strip before it.
        free = along >= start if gap_px or not strips else along > start
        strips.append(np.flatnonzero(free & (along <= end)))
        start = float(end) + gap_px
    return strips[0], strips[1], strips[2]


def _blocks(positions_px: NDArray[np.float64]) -> _Three:
    """Three blocks of neighbouring frames by their order along the longer side of the scan."""
    order = np.argsort(positions_px[:, int(np.argmax(np.ptp(positions_px, axis=0)))], kind="stable")
    first, second = np.rint(np.cumsum(_SHARES[:-1]) * len(order)).astype(np.int64)
    return np.sort(order[:first]), np.sort(order[first:second]), np.sort(order[second:])
