"""Which frames of a scan came, by their `uniqueId`: gaps, late ones, duplicates, a new scan."""

from enum import Enum

LATEST = 256
"""A frame is waited for until so many later ones have come; beyond, numbers have begun anew."""


class Arrival(Enum):
    """What a frame's number says."""

    NEW = "new"
    DUPLICATE = "duplicate"
    RESET = "reset"


class FrameNumbers:
    """The numbers of one scan.

    A number that came before is a duplicate if it bears the time stamp of then, else the first sign
    of a new scan: detectors stamp a frame once. Their clock may be set back between two scans.

    Args:
        first: number of the first frame; None: the first that comes.
    """

    def __init__(self, first: int | None = None) -> None:
        self._first = first
        self._lowest = 0
        self._highest: int | None = None
        self._stamps: dict[int, int | None] = {}
        self._missing: set[int] = set()

    @property
    def highest(self) -> int | None:
        """Largest number so far; None before the first."""
        return self._highest

    def arrive(self, number: int, stamp_ns: int | None) -> tuple[Arrival, int]:
        """Take a frame's number; gives what it is, and how many frames are now given up."""
        if self._highest is None:
            self._lowest = number if self._first is None else self._first
            self._highest = self._lowest - 1
        if number > self._highest:
            given_up = self._advance(number)
            self._stamps[number] = stamp_ns
            return Arrival.NEW, given_up
        arrival = self._of_known(number, stamp_ns)
        if arrival is Arrival.NEW:
            self._missing.discard(number)
            self._stamps[number] = stamp_ns
        return arrival, 0

    @property
    def missing(self) -> int:
        """Frames that are waited for, as later ones came."""
        return len(self._missing)

    def holds(self, number: int, stamp_ns: int | None) -> bool:
        """Whether this scan, now past, is the one that a frame belongs to."""
        if self._highest is None or number > self._highest:
            return False
        return self._of_known(number, stamp_ns) is not Arrival.RESET

    def has_last(self, frame_count: int) -> bool:
        """Whether the last of `frame_count` frames came."""
        return self._highest is not None and self._highest >= self._lowest + frame_count - 1

    def finish(self, frame_count: int | None = None) -> int:
        """Frames that never came: nothing more is waited for."""
        lost = len(self._missing)
        self._missing.clear()
        if frame_count is not None and self._highest is not None:
            lost += max(0, self._lowest + frame_count - 1 - self._highest)
        return lost

    def _advance(self, number: int) -> int:
        """Go on to a higher number: what was passed over is missing, then given up."""
        assert self._highest is not None  # noqa: S101 - `arrive` has set it
        oldest = number - LATEST  # the last that is no longer waited for
        given_up = max(0, oldest - self._highest)
        for one in range(self._highest - LATEST + 1, min(oldest, self._highest) + 1):
            self._stamps.pop(one, None)
            if one in self._missing:
                self._missing.remove(one)
                given_up += 1
        self._missing.update(range(max(self._highest, oldest) + 1, number))
        self._highest = number
        return given_up

    def _of_known(self, number: int, stamp_ns: int | None) -> Arrival:
        """What a number is that is not above all others."""
        assert self._highest is not None  # noqa: S101
        newest = self._stamps.get(self._highest)
        younger = stamp_ns > newest if stamp_ns is not None and newest is not None else None
        if self._highest - number >= LATEST:
            return Arrival.RESET
        if number in self._missing:
            return Arrival.NEW
        if number not in self._stamps:  # below the first that came
            return Arrival.NEW if younger is False else Arrival.RESET
        if number == self._highest:
            return Arrival.DUPLICATE
        before = self._stamps[number]
        unknown = stamp_ns is None or before is None
        began_anew = number == self._lowest if unknown else stamp_ns != before
        return Arrival.RESET if began_anew else Arrival.DUPLICATE
