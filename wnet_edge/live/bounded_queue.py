"""A queue between a source that can't wait and a network that may be behind."""

import time
from collections import Counter, deque
from enum import Enum
from threading import Condition

from wnet_edge.live.source import Event, Frame, Loss, Lost


class WhenBehind(str, Enum):
    """What happens to a frame for which the queue has no room."""

    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    BLOCK = "block"


_LINGER_S = 0.002
"""A reader that had to wait takes what comes in so much time in one go: waking up costs more than
taking a frame."""

_Losses = Counter[tuple[Loss, str]]
"""Frames lost, by reason and note."""


class BoundedQueue:
    """Holds up to `most` frames; other events always find room.

    Losses come out where the lost frames were, those of one kind together.

    Args:
        most: frames.
        when_behind: what happens to a frame beyond them.
    """

    def __init__(self, most: int, when_behind: WhenBehind) -> None:
        self._most = most
        self._when_behind = when_behind
        self._events: deque[tuple[Event, _Losses]] = deque()  # each with the losses after it
        self._lost: _Losses = Counter()  # before the first of them
        self._frames = 0
        self._changed = Condition()
        self._closed = False

    @property
    def depth(self) -> int:
        """Frames that wait."""
        return self._frames

    def put(self, event: Event) -> None:
        """Add an event, from any thread; waits for room where that is what was asked for."""
        with self._changed:
            if isinstance(event, Frame):
                if self._when_behind is WhenBehind.BLOCK:
                    self._changed.wait_for(lambda: self._frames < self._most or self._closed)
                elif self._frames >= self._most:
                    if self._when_behind is WhenBehind.DROP_NEWEST:
                        event = Lost(Loss.DROPPED)
                    else:
                        self._drop_oldest()
            if isinstance(event, Lost):
                self._losses_before(len(self._events))[event.reason, event.note] += event.frames
            else:
                self._frames += isinstance(event, Frame)
                self._events.append((event, Counter()))
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within `timeout_s`."""
        with self._changed:
            waits = not self._events and not self._lost and timeout_s > _LINGER_S
            came = self._changed.wait_for(lambda: self._events or self._lost, timeout_s)
        if waits and came:
            time.sleep(_LINGER_S)
        return self._next()

    def _next(self) -> Event | None:
        with self._changed:
            if self._lost:
                reason, note = next(iter(self._lost))
                return Lost(reason, self._lost.pop((reason, note)), note)
            if not self._events:
                return None
            event, self._lost = self._events.popleft()
            self._frames -= isinstance(event, Frame)
            self._changed.notify_all()
            return event

    def close(self) -> None:
        """Nobody gets any more: whoever waits to put goes on."""
        with self._changed:
            self._closed = True
            self._events.clear()
            self._frames = 0
            self._changed.notify_all()

    def _drop_oldest(self) -> None:
        events = enumerate(self._events)
        index = next(index for index, (event, _) in events if isinstance(event, Frame))
        lost = self._losses_before(index)
        lost[Loss.DROPPED, ""] += 1
        lost.update(self._events[index][1])
        del self._events[index]
        self._frames -= 1

    def _losses_before(self, index: int) -> _Losses:
        return self._events[index - 1][1] if index else self._lost
