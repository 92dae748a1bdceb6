"""Frames and positions that come apart, paired by number or by time where they enter.

A frame is held until its position comes, for so long and so many; then it is lost, and said to be.
Positions may come before their frames or after them.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import replace
from enum import Enum
from typing import Protocol

from wnet_edge.live.frame_numbers import LATEST
from wnet_edge.live.source import Frame, Loss, Lost

Position = tuple[float, float]
"""Row, column on the object, metres."""

_SWAPPED = 16
"""The first positions of a scan may come in another order; so far below the newest they begin."""


class Match(str, Enum):
    """What a frame and its position have in common."""

    NUMBER = "number"
    TIME = "time"


class Pairing(Protocol):
    """Frames in and positions in; frames with positions, and losses, out."""

    def frame(self, frame: Frame, key: int | None, now_s: float) -> list[Frame | Lost]:
        """Take a frame with its number or time stamp in nanoseconds."""
        ...

    def position(self, position: Position, key: int, now_s: float) -> list[Frame | Lost]:
        """Take a position with its number or time stamp in nanoseconds."""
        ...

    def expire(self, now_s: float) -> list[Frame | Lost]:
        """Give up the frames that have waited for too long."""
        ...

    def finish(self) -> list[Frame | Lost]:
        """Give up all frames that wait: their scan has ended."""
        ...

    def begin_anew(self) -> None:
        """The frames' numbers have begun anew."""
        ...

    @property
    def held(self) -> int:
        """Frames that wait."""
        ...


def pairing(match: Match, wait_s: float, most: int, tolerance_s: float) -> Pairing:
    """Pairing by `match`.

    Args:
        match: number or time.
        wait_s: how long a frame waits for its position.
        most: frames, and positions, held at a time.
        tolerance_s: largest difference in time between a frame and its position.
    """
    if match is Match.NUMBER:
        return PairingByNumber(wait_s, most)
    return PairingByTime(wait_s, most, tolerance_s)


class PairingByNumber:
    """A frame's position is the one of the same number, in the same scan.

    Numbers begin anew with each scan, those of the frames and those of the positions, one before
    the other: a position of the next scan must not go to a frame of this one, nor the reverse.
    """

    def __init__(self, wait_s: float, most: int) -> None:
        self._wait_s = wait_s
        self._most = most
        self._held: dict[int, tuple[Frame, float]] = {}
        self._positions: dict[int, dict[int, Position]] = {}  # by scan, then by number
        self._frames_scan = 0
        self._positions_scan = 0
        self._lowest: int | None = None
        self._newest = 0

    @property
    def held(self) -> int:
        """Frames that wait."""
        return len(self._held)

    def frame(self, frame: Frame, key: int | None, now_s: float) -> list[Frame | Lost]:
        """Take a frame with its number."""
        if key is None:
            return [_without("it has no number")]
        position = self._positions.get(self._frames_scan, {}).pop(key, None)
        if position is not None:
            return [replace(frame, position_m=position)]
        self._held[key] = frame, now_s + self._wait_s
        if len(self._held) <= self._most:
            return []
        del self._held[next(iter(self._held))]
        return [_without(f"{self._most} frames already wait for theirs")]

    def position(self, position: Position, key: int, now_s: float) -> list[Frame | Lost]:  # noqa: ARG002
        """Take a position with its number."""
        self._follow(key)
        if self._positions_scan == self._frames_scan and key in self._held:
            frame, _ = self._held.pop(key)
            return [replace(frame, position_m=position)]
        positions = self._positions.setdefault(self._positions_scan, {})
        positions[key] = position
        if len(positions) > self._most:
            del positions[next(iter(positions))]
        return []

    def expire(self, now_s: float) -> list[Frame | Lost]:
        """Give up the frames that have waited for too long."""
        late = [key for key, (_, until_s) in self._held.items() if until_s < now_s]
        for key in late:
            del self._held[key]
        return _lost(len(late))

    def finish(self) -> list[Frame | Lost]:
        """Give up all frames that wait."""
        late = len(self._held)
        self._held.clear()
        return _lost(late)

    def begin_anew(self) -> None:
        """The frames' numbers have begun anew."""
        self._frames_scan += 1
        self._positions_scan = max(self._positions_scan, self._frames_scan - 1)
        self._forget()

    def _follow(self, key: int) -> None:
        """See whether this position's number begins the next scan."""
        if self._lowest is None:
            self._positions_scan = self._frames_scan
            self._lowest = self._newest = key
        elif self._begins(key, self._lowest):
            self._positions_scan = min(self._positions_scan, self._frames_scan) + 1
            self._positions.pop(self._positions_scan, None)
            self._lowest = self._newest = key
            self._forget()
        else:
            self._lowest = min(self._lowest, key)
            self._newest = max(self._newest, key)

    def _begins(self, key: int, lowest: int) -> bool:
        behind_frames = self._positions_scan < self._frames_scan
        return (
            key == lowest
            or self._newest - key >= LATEST
            or (key < lowest and self._newest - lowest > _SWAPPED)
            or (key < self._newest and behind_frames)
        )

    def _forget(self) -> None:
        """Let positions of past scans go."""
        for scan in [scan for scan in self._positions if scan < self._frames_scan]:
            del self._positions[scan]


class PairingByTime:
    """A frame's position is that of its time, between the ones before and after it in proportion.

    Positions further away than the tolerance do not count; if the other one does, it is taken.
    """

    def __init__(self, wait_s: float, most: int, tolerance_s: float) -> None:
        self._wait_s = wait_s
        self._wait_ns = round(wait_s * 1e9)
        self._most = most
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._held: deque[tuple[int, Frame, float]] = deque()
        self._positions: list[tuple[int, Position]] = []

    @property
    def held(self) -> int:
        """Frames that wait."""
        return len(self._held)

    def frame(self, frame: Frame, key: int | None, now_s: float) -> list[Frame | Lost]:
        """Take a frame with its time stamp in nanoseconds."""
        if key is None:
            return [_without("it has no time stamp")]
        if self._positions and self._positions[-1][0] >= key:
            found = self._placed(frame, key)
            if isinstance(found, Frame):
                return [found]
        self._held.append((key, frame, now_s + self._wait_s))
        return self._settle([self._held[0]]) if len(self._held) > self._most else []

    def position(self, position: Position, key: int, now_s: float) -> list[Frame | Lost]:  # noqa: ARG002
        """Take a position with its time stamp in nanoseconds."""
        events = self._set_back(key)
        before = self._positions[-1][0] if self._positions else 0
        insort(self._positions, (key, position))
        del self._positions[: -self._most]
        newest = self._positions[-1][0]
        concerned = [
            entry
            for entry in self._held
            if entry[0] <= newest
            and (entry[0] > before or abs(entry[0] - key) <= self._tolerance_ns)
        ]
        near = [e for e in concerned if isinstance(self._placed(e[1], e[0]), Frame)]
        return events + self._settle(near)

    def expire(self, now_s: float) -> list[Frame | Lost]:
        """Settle the frames that have waited for too long, by what positions there are."""
        return self._settle([entry for entry in self._held if entry[2] < now_s])

    def finish(self) -> list[Frame | Lost]:
        """Settle all frames that wait."""
        return self._settle(list(self._held))

    def begin_anew(self) -> None:
        """Time goes on."""

    def _set_back(self, key: int) -> list[Frame | Lost]:
        """If the clock was set back, forget what it said before, which would seem to be to come."""
        latest = key + self._wait_ns
        if not self._positions or self._positions[-1][0] <= latest:
            return []
        events = self._settle([entry for entry in self._held if entry[0] > latest])
        del self._positions[bisect_left(self._positions, latest, key=lambda entry: entry[0]) :]
        return events

    def _settle(self, entries: list[tuple[int, Frame, float]]) -> list[Frame | Lost]:
        for entry in entries:
            self._held.remove(entry)
        return [self._placed(frame, key) for key, frame, _ in entries]

    def _placed(self, frame: Frame, key: int) -> Frame | Lost:
        after = bisect_left(self._positions, key, key=lambda entry: entry[0])
        around = self._positions[max(after - 1, 0) : after + 1]
        near = [entry for entry in around if abs(entry[0] - key) <= self._tolerance_ns]
        if near:
            return replace(frame, position_m=_between(near[0], near[-1], key))
        if not around:
            return _without()
        apart_ms = min(abs(stamp - key) for stamp, _ in around) / 1e6
        return _without(f"the nearest position in time is {apart_ms:.3g} ms away")


def _between(before: tuple[int, Position], after: tuple[int, Position], key: int) -> Position:
    """The position at `key`, if it changes evenly in between."""
    (first, (row, column)), (last, (next_row, next_column)) = before, after
    share = (key - first) / (last - first) if last > first else 0.0
    return (1 - share) * row + share * next_row, (1 - share) * column + share * next_column


def _without(note: str = "") -> Lost:
    return Lost(Loss.WITHOUT_POSITION, note=note)


def _lost(frames: int) -> list[Frame | Lost]:
    return [Lost(Loss.WITHOUT_POSITION, frames)] if frames else []
