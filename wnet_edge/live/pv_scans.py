"""What the updates of a detector's PV mean: scans that begin and end, their frames, their losses.

Each published frame becomes one `Frame` or is counted in one `Lost`. Runs in one thread.
"""

import math
import re
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.live import ndarray
from wnet_edge.live.frame_numbers import LATEST, Arrival, FrameNumbers
from wnet_edge.live.pairing import Match, Pairing, Position, pairing
from wnet_edge.live.source import Begin, End, Event, Frame, Loss, Lost

_UNSAFE = re.compile(r"[^\w-]")
_MOST_NOTES = 4
"""Of one kind of loss in a scan: some say by how much."""


@dataclass(frozen=True)
class PositionNames:
    """Where a structure holds its frame's position.

    Attributes:
        row: name of the attribute or field of the vertical position.
        column: of the horizontal one.
        metres: a unit of theirs, in metres.
    """

    row: str = "PositionRow"
    column: str = "PositionColumn"
    metres: float = 1.0


@dataclass(frozen=True)
class ScanRules:
    """How the scans of a PV begin and end, and where their positions come from.

    Attributes:
        first_number: `uniqueId` of a scan's first frame, `Frame.number` 0. None: frames bear their
            `uniqueId` as number, and those before the first that is received are not known of.
        frame_count: frames of a scan; it ends with them. None if unknown.
        idle_s: a scan ends when no frame comes for so long, unless a PV says that it runs.
        positions: where a frame, or an update of the position PV, holds the position. None:
            positions go by the frames' numbers (`Begin.positions_m`).
        position_match: how updates of a position PV find their frames; None: no such PV.
        tolerance_s: largest difference in time between a frame and its position.
        wait_s: how long a frame waits for its position, and a scan for frames before its last.
        most_held: frames, and positions, that wait.
    """

    first_number: int | None = None
    frame_count: int | None = None
    idle_s: float = 10.0
    positions: PositionNames | None = None
    position_match: Match | None = None
    tolerance_s: float = 1e-3
    wait_s: float = 2.0
    most_held: int = 2000


class PvScans:
    """Turns updates of a PV into events.

    Args:
        name: of the PV; scans are called after it.
        rules: how they begin and end.
        emit: takes an event; may wait until there is room.
        clock: seconds, `time.perf_counter`'s by default.
    """

    def __init__(
        self,
        name: str,
        rules: ScanRules,
        emit: Callable[[Event], None],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._name = name
        self._rules = rules
        self._emit_event = emit
        self._clock = clock
        self._pairing: Pairing | None = None
        if rules.position_match is not None:
            self._pairing = pairing(
                rules.position_match, rules.wait_s, rules.most_held, rules.tolerance_s
            )
        self._numbers: FrameNumbers | None = None  # of the scan that runs
        self._before: FrameNumbers | None = None  # of the last one
        self._format: tuple[tuple[int, ...], np.dtype[Any]] | None = None
        self._frame_is_state = True
        self._position_is_state = True
        self._frame_state: tuple[Any, float] | None = None
        self._position_state: tuple[Position, int] | None = None
        self._active_s = 0.0
        self._first = 0
        self._unheard = False  # since the last scan: frames may have come and gone
        self._notes: defaultdict[Loss, set[str]] = defaultdict(set)
        self._scan_name = ""
        self._in_this_second = 0
        self._running: bool | None = None
        self._ending_s: float | None = None

    def disconnected(self) -> None:
        """The next update of the frames' PV is what it holds, not something that happened."""
        self._frame_is_state = True
        self._unheard = True

    def position_disconnected(self) -> None:
        """Likewise for the position PV."""
        self._position_is_state = True

    def frame(self, value: Any) -> None:  # noqa: ANN401 - p4p has no types
        """Take an update of the frames' PV; outside scans, where a PV tells of them, none."""
        if self._running is False and self._numbers is None:
            return
        is_state, self._frame_is_state = self._frame_is_state, False
        if is_state and ("value" not in value or value["value"] is None):
            return
        if is_state and self._numbers is None:
            self._frame_state = value, self._clock()  # perhaps the last one of a past scan
            return
        if self._frame_state is not None:
            held, since_s = self._frame_state
            self._frame_state = None
            if self._goes_on(held, value) and self._clock() - since_s <= self._rules.idle_s:
                self._take(held, since_s)
        self._take(value, self._clock(), is_state)
        self._active_s = self._clock()

    def position(self, value: Any) -> None:  # noqa: ANN401
        """Take an update of the position PV."""
        is_state, self._position_is_state = self._position_is_state, False
        by_number = self._rules.position_match is Match.NUMBER
        position = _position(value, self._rules.positions)
        key = _own_number(value) if by_number else ndarray.stamp_ns(value)
        if position is None or key is None or self._pairing is None:
            return
        if is_state and by_number:
            self._position_state = position, key
            return
        if self._position_state is not None:
            held, held_key = self._position_state
            self._position_state = None
            if 0 < key - held_key <= LATEST:
                self._emit(self._pairing.position(held, held_key, self._clock()))
        self._emit(self._pairing.position(position, key, self._clock()))

    def running(self, value: Any) -> None:  # noqa: ANN401
        """Take an update of the PV that is other than 0 while a scan runs."""
        was, self._running = self._running, _truth(value)
        if self._running and self._ending_s is not None:
            self._end("the scan PV has begun the next scan")
        elif was and not self._running and self._numbers is not None:
            self._ending_s = self._clock()  # its last frames are on their way

    def tick(self) -> None:
        """See what has become late; called a few times a second, between the updates."""
        now_s = self._clock()
        if self._pairing is not None:
            self._emit(self._pairing.expire(now_s))
        if self._numbers is None:
            return
        if self._is_complete():
            self._end(f"the last of its {self._rules.frame_count} frames has come")
        elif self._ending_s is not None:
            if now_s - max(self._ending_s, self._active_s) > self._rules.wait_s:
                self._end("the scan PV has ended it")
        elif not self._running and now_s - self._active_s > self._rules.idle_s:
            self._end(f"no frame has come for {self._rules.idle_s:g} s")

    def finish(self, reason: str) -> None:
        """End the scan that runs, if one does."""
        if self._numbers is not None:
            self._end(reason)

    def _goes_on(self, held: Any, value: Any) -> bool:  # noqa: ANN401
        """Whether `held`, the PV's state as it was connected, is of the scan of `value`."""
        try:
            step = ndarray.frame_number(value) - ndarray.frame_number(held)
        except ScanError:
            return False
        before_ns, after_ns = ndarray.stamp_ns(held), ndarray.stamp_ns(value)
        if before_ns is not None and after_ns is not None:
            return 0 < step <= LATEST and after_ns - before_ns <= self._rules.idle_s * 1e9
        return 0 < step <= LATEST

    def _take(self, value: Any, received_s: float, is_state: bool = False) -> None:  # noqa: ANN401
        try:
            number = ndarray.frame_number(value)
        except ScanError as error:
            if self._numbers is None:
                raise
            self._lose(Loss.UNREADABLE, note=str(error))
            return
        stamp_ns = ndarray.stamp_ns(value)
        if self._is_past(number, stamp_ns):
            return
        if self._numbers is None:
            self._begin(number)
        elif self._rules.frame_count is not None and number >= self._end_number():
            self._end(f"uniqueId {number} is beyond its {self._rules.frame_count} frames")
            self._begin(number)
        if number < (self._rules.first_number or 0):
            note = f"uniqueId {number} is below a scan's first, {self._rules.first_number or 0}"
            self._lose(Loss.WITHOUT_POSITION, note=note)
            return
        arrival = self._arrive(number, stamp_ns)
        if arrival is Arrival.RESET:
            self._end(f"uniqueId has begun anew, at {number}")
            self._begin(number)
            arrival = self._arrive(number, stamp_ns)
        if arrival is Arrival.NEW:
            self._read(value, number, stamp_ns, received_s)
        elif not is_state:
            self._lose(Loss.DUPLICATE)

    def _is_past(self, number: int, stamp_ns: int | None) -> bool:
        """Whether a frame is late or comes again, of a scan that has given its account."""
        if self._before is None or (self._numbers is not None and number >= self._first):
            return False
        return self._before.holds(number, stamp_ns)

    def _end_number(self) -> int:
        """The first `uniqueId` beyond the scan that runs, where its frames were counted."""
        return self._first + (self._rules.frame_count or 0)

    def _arrive(self, number: int, stamp_ns: int | None) -> Arrival:
        assert self._numbers is not None  # noqa: S101 - a scan runs
        arrival, given_up = self._numbers.arrive(number, stamp_ns)
        if given_up:
            self._lose(Loss.NEVER_RECEIVED, given_up)
        return arrival

    def _read(
        self,
        value: Any,  # noqa: ANN401
        number: int,
        stamp_ns: int | None,
        received_s: float,
    ) -> None:
        """Give a new frame on, with its position, or lose it."""
        try:
            counts = self._counts(value)
        except ScanError as error:
            self._lose(Loss.UNREADABLE, note=str(error))
            return
        names = self._rules.positions
        position = None
        if names is not None and self._pairing is None:
            position = _position(value, names)
            if position is None:
                note = f"a frame lacks {names.row} or {names.column}, as a finite number"
                self._lose(Loss.WITHOUT_POSITION, note=note)
                return
        first = 0 if self._rules.first_number is None else self._first
        published_s = None if stamp_ns is None else stamp_ns / 1e9
        frame = Frame(number - first, counts, received_s, position, published_s)
        if self._pairing is None:
            self._emit([frame])
        else:
            key = number if self._rules.position_match is Match.NUMBER else stamp_ns
            self._emit(self._pairing.frame(frame, key, received_s))

    def _counts(self, value: Any) -> NDArray[Any]:  # noqa: ANN401
        counts = ndarray.counts(value)
        found = counts.shape, counts.dtype
        if self._format is None:
            self._format = found
        if found != self._format:
            (rows, columns), dtype = self._format
            raise ScanError(
                f"a frame is {counts.shape[0]} × {counts.shape[1]} {counts.dtype}, "
                f"the scan's first {rows} × {columns} {dtype}"
            )
        return counts

    def _is_complete(self) -> bool:
        """Whether the last frame came, and those that lack or their positions were waited for."""
        count = self._rules.frame_count
        if self._numbers is None or count is None or not self._numbers.has_last(count):
            return False
        waiting = self._numbers.missing + (0 if self._pairing is None else self._pairing.held)
        return not waiting or self._clock() - self._active_s > self._rules.wait_s

    def _begin(self, number: int) -> None:
        """Begin a scan with a frame of this number."""
        before = None if self._before is None else self._before.highest
        goes_on = before is not None and number > before
        if before is not None and not goes_on and self._pairing is not None:
            self._pairing.begin_anew()
        known = self._rules.first_number
        count = self._rules.frame_count
        if not goes_on:
            self._first = number if known is None else known
        elif count is not None:
            self._first += (number - self._first) // count * count
        self._numbers = FrameNumbers(self._expected(number, before if goes_on else None))
        self._unheard = False
        self._format = None
        self._notes.clear()
        self._emit_event(Begin(self._next_scan_name(), frame_count=count))

    def _next_scan_name(self) -> str:
        """After the PV and the time; numbered where several begin in a second."""
        name = f"{_UNSAFE.sub('_', self._name)}_{time.strftime('%Y%m%d-%H%M%S')}"
        self._in_this_second = self._in_this_second + 1 if name == self._scan_name else 1
        self._scan_name = name
        return name if self._in_this_second == 1 else f"{name}-{self._in_this_second}"

    def _expected(self, number: int, before: int | None) -> int:
        """The number that should come first, given the one that came, and the last scan's last."""
        if before is None or self._first > before:
            return self._first
        return number if self._unheard or self._rules.frame_count is not None else before + 1

    def _end(self, reason: str) -> None:
        assert self._numbers is not None  # noqa: S101 - a scan runs
        if lost := self._numbers.finish(self._rules.frame_count):
            self._lose(Loss.NEVER_RECEIVED, lost)
        if self._pairing is not None:
            self._emit(self._pairing.finish())
        self._before, self._numbers = self._numbers, None
        self._ending_s = None
        self._emit_event(End(reason))

    def _emit(self, events: list[Frame | Lost]) -> None:
        for event in events:
            if isinstance(event, Lost):
                self._lose(event.reason, event.frames, event.note)
            else:
                self._emit_event(event)

    def _lose(self, reason: Loss, frames: int = 1, note: str = "") -> None:
        """Tell a loss; what was said of one of its kind is not said again."""
        said = self._notes[reason]
        new = note if note not in said and len(said) < _MOST_NOTES else ""
        said.add(new)
        self._emit_event(Lost(reason, frames, new))


def _position(value: Any, names: PositionNames | None) -> Position | None:  # noqa: ANN401
    """Row, column in metres, from named fields or attributes, else from an array of the two."""
    names = names or PositionNames()
    both = (names.row, names.column)
    if all(name in value for name in both):
        found = {name: value[name] for name in both}
    else:
        found = ndarray.attributes(value, both)
    pair: list[Any] = [found[name] for name in both if name in found]
    if not pair and "value" in value and np.size(value["value"]) == 2:
        pair = list(value["value"])
    try:
        row, column = (float(one) * names.metres for one in pair)
    except (TypeError, ValueError):
        return None
    return (row, column) if math.isfinite(row) and math.isfinite(column) else None


def _truth(value: Any) -> bool:  # noqa: ANN401
    if "value" not in value:
        raise ScanError("the PV holds no value that says whether a scan runs")
    one = value["value"]
    return bool(one["index"] if hasattr(one, "getID") else one)  # an NTEnum has an index


def _own_number(value: Any) -> int | None:  # noqa: ANN401
    return int(value["uniqueId"]) if "uniqueId" in value else None
