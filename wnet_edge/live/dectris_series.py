"""Messages of a detector's stream to scans: where one ends, what is missing, what came twice."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from wnet_edge.live.detector_message import Message, Series
from wnet_edge.live.source import Begin, End, Event, Loss, Lost

OVERTAKEN_BY = 64
"""Images after a missing one until it is lost: a proxy or several senders may change the order."""

_STOLEN = (
    "images never arrived; ZeroMQ deals them out in turn, so any other client of the same address "
    "takes its share: connect one client, or a proxy between them"
)
_JOINED = (
    "the series had begun before its first message came, or its start went to another client: its "
    "energy, distance, mask and positions are not known but from options"
)
_STOPPED = "the series ended before its last images: it was stopped, or they never arrived"


class SeriesEvents:
    """Follows the series of one detector, message by message."""

    def __init__(self) -> None:
        self._series: Series | None = None
        self._ended: Series | None = None
        self._begun: Counter[str] = Counter()
        self._frame_count: int | None = None
        self._next = 0
        self._missing: set[int] = set()
        self._unnumbered = 0
        self._note = _STOLEN

    def take(self, message: Message) -> Iterator[Event]:
        """The events that a message makes, in order; a series without a start is begun too."""
        event, series = message.event, message.series
        if isinstance(event, Begin) and series is not None:
            yield from self._close("a new series has begun")
            self._unnumbered = 0  # what was damaged before belongs to no image of this series
            yield self._open(series, event)
        elif isinstance(event, End):
            if series == self._series:
                yield from self._close(event.reason)
        elif series is None or message.number is None:
            if isinstance(event, Lost):
                self._unnumbered += event.frames
            yield event
        elif series == self._ended and series != self._series:  # a restarted detector's is both
            yield Lost(Loss.UNREADABLE, 1, f"{series.name}: an image came after the end")
        else:
            yield from self._take_image(event, series, message.number)

    def end(self, reason: str) -> Iterator[Event]:
        """End the series that is open, if one is: its end message will not come."""
        yield from self._close(reason)

    def _take_image(self, event: Event, series: Series, number: int) -> Iterator[Event]:
        if series != self._series:
            yield from self._close("images of another series have begun")
            yield self._open(series, Begin(series.name))
            yield Lost(Loss.NEVER_RECEIVED, 0, _JOINED)
        if self._frame_count is not None and number >= self._frame_count:
            yield Lost(Loss.UNREADABLE, 1, f"{series.name}: an image is numbered beyond the last")
        elif number >= self._next:
            overtaken = max(number - OVERTAKEN_BY, 0)
            lost = max(overtaken - self._next, 0)
            self._missing.update(range(self._next + lost, number))
            self._next = number + 1
            yield from self._lose(lost + self._forget(overtaken))
            yield event
        elif number in self._missing:
            self._missing.remove(number)
            yield event
        else:
            yield Lost(Loss.DUPLICATE)

    def _open(self, series: Series, begin: Begin) -> Begin:
        """The scan begins, by a name of its own: a restarted detector repeats its numbers."""
        self._series, self._frame_count, self._next = series, begin.frame_count, 0
        self._note = _STOLEN
        self._begun[begin.name] += 1
        times = self._begun[begin.name]
        return begin if times == 1 else replace(begin, name=f"{begin.name}_{times}")

    def _close(self, reason: str) -> Iterator[Event]:
        """End the series that is open; what was announced and has not come is lost."""
        if self._series is None:
            return
        last = self._next if self._frame_count is None else self._frame_count
        yield from self._lose(self._forget(last))
        self._note = _STOPPED
        yield from self._lose(last - self._next)
        self._series, self._ended, self._unnumbered = None, self._series, 0
        yield End(reason)

    def _forget(self, number: int) -> int:
        """How many images before `number` are missing; they are waited for no longer."""
        gone = {missing for missing in self._missing if missing < number}
        self._missing -= gone
        return len(gone)

    def _lose(self, count: int) -> Iterator[Lost]:
        """Images that have not come; some came damaged, without a number, and are counted."""
        damaged = min(count, self._unnumbered)
        self._unnumbered -= damaged
        if count > damaged:
            yield Lost(Loss.NEVER_RECEIVED, count - damaged, self._note)
            self._note = ""
