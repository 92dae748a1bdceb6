"""A queue between a source that can't wait and a network that may be behind."""

from collections import Counter, deque
from enum import Enum
from threading import Condition

from wnet_edge.live.source import Event, Frame, Loss, Lost


class WhenBehind(str, Enum):
    """What happens to a frame for which the queue has no room."""

    DROP_OLDEST = "drop-oldest"
    DROP_NEWEST = "drop-newest"
    BLOCK = "block"


class BoundedQueue:
    """Holds up to `most` frames; other events always find room. Losses come out as events.

    Args:
        most: frames.
        when_behind: what happens to a frame beyond them.
    """

    def __init__(self, most: int, when_behind: WhenBehind) -> None:
        self._most = most
        self._when_behind = when_behind
        self._events: deque[Event] = deque()
        self._frames = 0
        self._lost: Counter[Loss] = Counter()
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
                while self._frames >= self._most and not self._closed:
                    if self._when_behind is WhenBehind.BLOCK:
                        self._changed.wait()
                        continue
                    self._lost[Loss.DROPPED] += 1
                    if self._when_behind is WhenBehind.DROP_NEWEST:
                        self._changed.notify_all()
                        return
                    self._drop_oldest()
                self._frames += 1
            self._events.append(event)
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within `timeout_s`."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._lost, timeout_s)
            if self._lost:
                reason, frames = self._lost.popitem()
                return Lost(reason, frames)
            if not self._events:
                return None
            event = self._events.popleft()
            if isinstance(event, Frame):
                self._frames -= 1
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
        for index, event in enumerate(self._events):
            if isinstance(event, Frame):
                del self._events[index]
                self._frames -= 1
                return
