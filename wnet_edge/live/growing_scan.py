"""One look at a scan in a file that is being written: which frames and positions are there so far.

Used by `wnet_edge.live.file_source`, which looks again and again. A frame counts once it has been
written whole, a position likewise: room that a writer has made in advance (fill values, NaN, zeros)
is neither.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.beside_writer import is_locked_by_writer
from wnet_edge.io.containers.hdf5.faults import superblock
from wnet_edge.io.found import Found, FoundScan, Positions
from wnet_edge.io.parts.complete_scan import (
    in_metres,
    known_geometry,
    required_frames,
    stored_object_pixel_m,
)
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_growing_scan
from wnet_edge.live.source import Begin, begin_of
from wnet_edge.scan.frame_source import FrameSource, GrowingFrames

_LOOK_BACK = 64
"""Frames read at a time in search of the last one that has been written."""


class OtherScanError(ScanError):
    """The file holds a scan that can't be followed, or another one than at first."""


@dataclass(frozen=True, eq=False)
class GrowingScan:
    """What a file holds so far.

    Attributes:
        found: its parts.
        frames: (N, H, W) counts, some of which may not have been written.
        written: (N,) bool, frames that have been written; None if the file can't tell while it is
            written to, then they are assumed to be written in order.
        planned_m: (M, 2) row, column by frame number, NaN where none has been written.
    """

    found: FoundScan
    frames: FrameSource
    written: NDArray[np.bool_] | None
    planned_m: NDArray[np.float64]

    @property
    def frame_count(self) -> int:
        """Frames that there is room for so far."""
        return int(self.frames.shape[0])

    @property
    def positions_m(self) -> NDArray[np.float64]:
        """(N, 2) row, column of the frames, NaN for those without a position so far."""
        positions_m = np.full((self.frame_count, 2), np.nan)
        both = min(len(self.planned_m), self.frame_count)
        positions_m[:both] = self.planned_m[:both]
        return positions_m

    @property
    def may_grow(self) -> bool:
        """Whether the writer adds frames; if not, it has made room for all from the start."""
        return not isinstance(self.frames, GrowingFrames) or self.frames.may_grow

    def has_room_left(self) -> bool:
        """Whether there is room for all frames of the scan, and not all have been written.

        Raises:
            ScanError: if they can't be read.
        """
        if self.may_grow:
            return False
        if self.written is not None:
            return not self.written.all()
        return bool(is_constant(np.asarray(self.frames[self.frame_count - 1 :]))[0])

    @property
    def positions_where(self) -> str:
        """Where the positions are from; empty without any."""
        return "" if self.found.positions is None else self.found.positions.where

    def begin(self, name: str, frame_count: int | None) -> Begin:
        """The scan's beginning, with `frame_count` frames if that is known.

        Raises:
            ScanError: if a part makes no sense.
        """
        has_room_left = self.has_room_left()
        return begin_of(
            self.found,
            name,
            self._all_positions_m(has_room_left),
            frame_count or (self.frame_count if has_room_left else None),
        )

    def _all_positions_m(self, has_room_left: bool) -> NDArray[np.float64] | None:
        """Those of all frames to come, more than there are frames; None if they are not known."""
        positions, planned = self.found.positions, len(self.planned_m)
        if positions is None or positions.value.may_grow or not np.isfinite(self.planned_m).all():
            return None
        ahead = planned > self.frame_count or (has_room_left and planned == self.frame_count)
        return self.planned_m if ahead else None


def look_at(
    path: Path, options: ReadOptions, *, since: int = 0, is_last: bool = False
) -> GrowingScan:
    """What the file holds so far.

    Args:
        path: of the file.
        options: of the user.
        since: number of frames, from the first on, that are known to have been written.
        is_last: whether the writer has ended, so that nothing is still on its way.

    Raises:
        OtherScanError: if it can't be followed at all.
        ScanError: if there is no scan in it yet, or it can't be read just now.
    """
    found = find_growing_scan(path, options)
    if found.near_field is not None:
        raise OtherScanError(f"{path}: is near-field ({found.near_field}); give a far field")
    if found.frame_numbers is not None:
        raise OtherScanError(
            f"{path}: {found.format} numbers its frames, and is written when the scan is over; "
            "use wnet-edge infer"
        )
    frames = required_frames(found).value
    known_geometry(found)
    written = frames.written(since) if isinstance(frames, GrowingFrames) else None
    if written is None and is_last:
        written = np.arange(frames.shape[0]) < _end_of_written(frames)
    return GrowingScan(found, frames, written, _settled(found, is_last))


def _end_of_written(frames: FrameSource) -> int:
    """End (exclusive) of the frames that have been written in order, by their counts."""
    frame_count = int(frames.shape[0])
    if not isinstance(frames, GrowingFrames) or frames.may_grow:
        return frame_count
    for end in range(frame_count, 0, -_LOOK_BACK):
        first = max(0, end - _LOOK_BACK)
        filled = np.flatnonzero(~is_constant(np.asarray(frames[first:end])))
        if len(filled):
            return first + int(filled[-1]) + 1
    return 0


def _settled(found: FoundScan, is_last: bool) -> NDArray[np.float64]:
    """Positions (M, 2) in metres by frame number, NaN where none has been written."""
    positions = found.positions
    if positions is None:
        return np.empty((0, 2))
    values = in_metres(found, positions, stored_object_pixel_m(found))
    values = np.where(_is_settled(values, is_last)[:, None], values, np.nan)
    return _by_number(found.path, positions, values)


def _is_settled(values: NDArray[np.float64], is_last: bool) -> NDArray[np.bool_]:
    """Which positions (M, 2) have been written: neither NaN nor zeros up to the end.

    Zeros at the end may be room for more. So may be one coordinate of the last position before
    them. At the very end of a scan a single 0, 0 is a position, if it lies among the others.
    """
    settled = np.asarray(np.isfinite(values).all(axis=1))
    nonzero = np.flatnonzero((values != 0).any(axis=1))
    end = int(nonzero[-1]) + 1 if len(nonzero) else 0
    settled[end:] = False
    room = len(values) - end
    if room and end and not is_last and (values[end - 1] == 0).any():
        settled[end - 1] = False
    if room == 1 and is_last:
        others = values[settled]
        inside = (others.min(axis=0) <= 0) & (others.max(axis=0) >= 0) if len(others) else True
        settled[end] = np.all(inside)
    return settled


def _by_number(
    path: Path, positions: Found[Positions], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    numbers = positions.value.numbers
    if numbers is None or not len(numbers.values):
        return values
    first = int(numbers.values.min())
    if first not in (0, 1):
        raise OtherScanError(
            f"{path}: {positions.where} numbers its frames from {first}; write numbers from 0"
        )
    placed = np.full((int(numbers.values.max()) + 1 - first, 2), np.nan)
    placed[numbers.values - first] = values
    return placed


def is_constant(frames: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Whether all pixels of each of the frames (N, H, W) are the same, as before it is written."""
    flat = frames.reshape(len(frames), -1)
    return np.asarray((flat == flat[:, :1]).all(axis=1))


def is_being_written(path: Path) -> bool:
    """Whether a program has the file open for writing, or had when it died."""
    block = superblock(path)
    marked = block is not None and (block.has_writer or block.has_swmr_writer)
    return marked or is_locked_by_writer(path)


def has_swmr_writer(path: Path) -> bool:
    """Whether the file is marked as being written in a way that others can read (SWMR)."""
    block = superblock(path)
    return block is not None and block.has_swmr_writer
