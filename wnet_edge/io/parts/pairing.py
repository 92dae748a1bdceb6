"""Pairing of frames and positions.

Between the parts found in files and `wnet_edge.io.parts.complete_scan`. If both have frame numbers,
these decide; if one has, the other is numbered from 0 in its own order; if none has, their counts
must agree. Ambiguous cases are refused, or noted if only one interpretation makes sense.
"""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.faults import BEING_WRITTEN
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.io.found import (
    NEVER_FILLED,
    Found,
    FoundScan,
    FrameNumbers,
    Positions,
    Unreadable,
    required,
)
from wnet_edge.scan.frame_source import SelectedFrames

FEW_FRAMES = 0.1
"""Largest fraction of frames without position that stay in the scan, marked as left out."""

_CURE = "write each frame's own number, counted from 0"
_ONE_EACH = "write one position per frame, or name others with --positions"


def as_frame_numbers(where: str, values: NDArray[np.generic], lowest: int = 0) -> NDArray[np.int64]:
    """Validate numbers (N,) of a file as frame numbers, (N,) int64.

    Args:
        where: file and dataset, for messages.
        values: integers, or whole floats.
        lowest: `NEVER_FILLED` if that may occur, any number of times.

    Raises:
        ScanError: if one is not whole, negative, beyond any scan, or occurs twice.
    """
    numbers = np.asarray(values, dtype=np.float64)
    whole = np.isfinite(numbers) & (numbers == np.rint(numbers))
    if not whole.all():
        odd = numbers[~whole][0]
        raise ScanError(f"{where} holds {odd:g}, which is not a frame number; {_CURE}")
    outside = (numbers < lowest) | (numbers >= MAX_FRAMES)
    if outside.any():
        raise ScanError(
            f"{where} holds {numbers[outside][0]:.0f}, which is not within 0 … {MAX_FRAMES - 1}; "
            f"{_CURE}"
        )
    taken = numbers[numbers != NEVER_FILLED].astype(np.int64)
    unique, times = np.unique(taken, return_counts=True)
    if len(unique) < len(taken):
        twice = int(unique[np.argmax(times)])
        raise ScanError(f"{where} holds frame number {twice} {times.max()} times; {_CURE}")
    return numbers.astype(np.int64)


def paired(found: FoundScan, part: tuple[int, int] | None = None) -> FoundScan:
    """The scan with one position per frame, NaN for frames without one.

    Args:
        found: frames and positions, each with or without numbers.
        part: first and end (exclusive) of the frames to take; None for all.

    Returns:
        If more than a few frames have no position, only those with one are kept. If frames and
        positions can't be paired, the positions are a placeholder that raises the error.

    Raises:
        ScanError: if there are fewer frames than `part` requires.
    """
    if found.frames is None or isinstance(found.frames, Unreadable):
        return found
    if part is not None:
        found = _only(found, part)
    if found.positions is None or isinstance(found.positions, Unreadable):
        return found
    try:
        pairs = _pairs(found)
    except ScanError as error:
        return replace(found, positions=cast("Found[Positions]", Unreadable(error)))
    return _with_positions(found, pairs)


@dataclass(frozen=True)
class _Pairs:
    """Pairing of frames with positions.

    Attributes:
        position: (N,) int64, index of each frame's position, -1 for none.
        numbers: (N,) int64 frame numbers, None if neither frames nor positions have any.
        note: assumption that was made, or empty.
    """

    position: NDArray[np.int64]
    numbers: NDArray[np.int64] | None = None
    note: str = ""


def _only(found: FoundScan, part: tuple[int, int]) -> FoundScan:
    """The frames of a range, by their numbers, or else by their indices."""
    frames = required(found.frames)
    count, (first, end) = frames.value.shape[0], part
    if not 0 <= first < end <= count:
        raise ScanError(
            f"{found.path}: has no frames {first}:{end}, it has {count}; give --frames-range "
            f"within 0:{count}"
        )
    numbers = found.frame_numbers
    told = FrameNumbers(np.arange(count)) if numbers is None else numbers.value
    return replace(
        found,
        frames=Found(
            SelectedFrames(frames.value, np.arange(first, end)), frames.where, notes=frames.notes
        ),
        frame_numbers=Found(replace(told, values=told.values[first:end]), "--frames-range"),
    )


def _pairs(found: FoundScan) -> _Pairs:
    frames, positions = required(found.frames), required(found.positions)
    frame_count, position_count = frames.value.shape[0], len(positions.value.values)
    given = None if found.frame_numbers is None else found.frame_numbers.value
    if given is not None and len(given.values) != frame_count:
        raise ScanError(
            f"{found.path}: {required(found.frame_numbers).where} holds {len(given.values)} "
            f"numbers for {frame_count} frames; {_CURE}"
        )
    named = positions.value.numbers
    if named is not None:
        pairs = _by_number(positions.where, frame_count, given, named)
    elif given is not None:
        pairs = _by_place(positions.where, position_count, given.values)
    elif position_count != frame_count:
        cure = (
            f"it {BEING_WRITTEN.what}: {BEING_WRITTEN.cure}" if found.being_written else _ONE_EACH
        )
        raise ScanError(
            f"{found.path}: {positions.where} holds {position_count} positions for {frame_count} "
            f"frames; {cure}"
        )
    else:
        pairs = _Pairs(np.arange(frame_count))
    if (pairs.position < 0).all():
        raise ScanError(
            f"{found.path}: none of its frames is one that {positions.where} has a position of; "
            "name the positions of this scan with --positions"
        )
    return pairs


def _by_number(
    where: str, frame_count: int, given: FrameNumbers | None, named: FrameNumbers
) -> _Pairs:
    """Pair positions with numbers with frames with numbers, or with frames numbered from 0."""
    if given is None:
        numbers = np.arange(frame_count)
        shift = _shift_for_unnumbered(where, frame_count, named)
    else:
        numbers = given.values
        shift = _shift_between(where, given, named)
    note = ""
    if shift:
        note = (
            f"{where} numbers its frames {named.values.min()} … {named.values.max()}: "
            f"{named.values.min()} is taken for frame {named.values.min() + shift}"
        )
    position = _found_among(numbers, named.values + shift)
    over = len(named.values) - np.count_nonzero(position >= 0)
    if over:
        note = "; ".join(filter(None, (note, f"{over} positions are of frames that are not here")))
    return _Pairs(position, numbers, note)


def _shift_for_unnumbered(where: str, frame_count: int, named: FrameNumbers) -> int:
    """Offset from the positions' numbers to indices of frames without numbers."""
    first, last = int(named.values.min()), int(named.values.max())
    if len(named.values) == frame_count == last - first + 1:  # one per frame, from any first number
        return -first
    if first == 1 and last == frame_count:
        return -1
    if first == 0 or (named.from_zero and last < frame_count):
        return 0
    raise ScanError(
        f"{where} numbers frames {first} … {last} of {frame_count} that carry no numbers, so it is "
        "not known from where it counts; write numbers from 0, with a row for frame 0 (nan for "
        "what has no position)"
    )


def _shift_between(where: str, given: FrameNumbers, named: FrameNumbers) -> int:
    """Offset between both numberings: 0 if both count from 0, else that of -1, 0, 1 that fits."""
    frames = given.values[given.values != NEVER_FILLED]
    if given.from_zero and named.from_zero:
        count = len(frames)
        from_one = np.array_equal(np.sort(named.values), np.arange(1, count + 1))
        return -1 if from_one and np.array_equal(np.sort(frames), np.arange(count)) else 0

    def fits(shift: int) -> bool:
        moved = named.values + shift
        return bool(np.isin(moved, frames).all() or np.isin(frames, moved).all())

    fitting = [shift for shift in (0, -1, 1) if fits(shift)]
    if fitting[:1] == [0] or len(fitting) == 1:
        return fitting[0]
    raise ScanError(
        f"{where} numbers frames {named.values.min()} … {named.values.max()}, but the frames are "
        f"{frames.min()} … {frames.max()}; write the same numbers for both"
    )


def _by_place(where: str, position_count: int, numbers: NDArray[np.int64]) -> _Pairs:
    """Pair positions without numbers, in scan order, with frames with numbers."""
    filled = numbers != NEVER_FILLED
    some = numbers[filled]
    if not len(some):
        raise ScanError(f"{where}: no frame was ever filled; record the scan again")
    first, last = int(some.min()), int(some.max())
    position = np.full(len(numbers), -1)
    if position_count == last - first + 1:
        position[filled] = some - first
    elif position_count == len(some) and (np.diff(some) > 0).all():
        position[filled] = np.arange(position_count)
    elif last < position_count:
        position[filled] = some
    elif first >= 1 and last == position_count:
        position[filled] = some - 1
    else:
        raise ScanError(
            f"{where} holds {position_count} positions for {len(some)} frames of numbers {first} … "
            f"{last}; write a column of frame numbers next to the positions"
        )
    return _Pairs(position, numbers)


def _found_among(numbers: NDArray[np.int64], named: NDArray[np.int64]) -> NDArray[np.int64]:
    """Index in `named` (M,) of each of `numbers` (N,), -1 if absent."""
    order = np.argsort(named)
    places = np.minimum(np.searchsorted(named[order], numbers), len(named) - 1)
    found: NDArray[np.int64] = np.where(named[order][places] == numbers, order[places], -1)
    return np.where(numbers == NEVER_FILLED, -1, found)


def _with_positions(found: FoundScan, pairs: _Pairs) -> FoundScan:
    frames, positions = required(found.frames), required(found.positions)
    values = np.full((len(pairs.position), 2), np.nan)
    has = pairs.position >= 0
    values[has] = positions.value.values[pairs.position[has]]
    numbers = pairs.numbers
    notes = [pairs.note] if pairs.note else []
    if numbers is not None and (empty := np.count_nonzero(numbers == NEVER_FILLED)):
        notes.append(f"{empty} of {len(has)} frames were never filled (number {NEVER_FILLED})")
    if numbers is not None and np.count_nonzero(~has) > FEW_FRAMES * len(has):
        notes.append(f"{np.count_nonzero(~has)} of {len(has)} frames have no position: left out")
        frames = Found(
            SelectedFrames(frames.value, np.flatnonzero(has)), frames.where, notes=frames.notes
        )
        values, numbers = values[has], numbers[has]
    where = "places" if found.frame_numbers is None else found.frame_numbers.where
    return replace(
        found,
        frames=frames,
        frame_numbers=None if numbers is None else Found(FrameNumbers(numbers), where),
        positions=replace(positions, value=replace(positions.value, values=values, numbers=None)),
        notes=(*found.notes, *notes),
    )
