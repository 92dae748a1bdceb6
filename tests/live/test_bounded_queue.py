"""The queue of a running scan: bounded, in order, and every frame it drops is told at its place."""

import threading

import numpy as np
import pytest

from wnet_edge.live.bounded_queue import BoundedQueue, WhenBehind
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost

DROPS = [WhenBehind.DROP_OLDEST, WhenBehind.DROP_NEWEST]


def frame(number):
    return Frame(number, np.zeros((1, 1)), 0.0)


def put(queue, *events):
    for event in events:
        queue.put(event)


def taken(queue):
    """What comes out, frames by their numbers, until nothing is left."""
    events = []
    while (event := queue.get(0.0)) is not None:
        events.append(event.number if isinstance(event, Frame) else event)
    return events


@pytest.mark.parametrize("when_behind", WhenBehind)
def test_events_come_out_in_their_order(when_behind):
    queue = BoundedQueue(3, when_behind)
    begin, lost, end = Begin("one"), Lost(Loss.DUPLICATE), End("done")
    put(queue, begin, frame(0), lost, frame(1), end)
    assert taken(queue) == [begin, 0, lost, 1, end]


def test_the_oldest_frames_give_way():
    queue = BoundedQueue(2, WhenBehind.DROP_OLDEST)
    begin, end = Begin("one"), End("done")
    put(queue, begin, *map(frame, range(6)), end)
    assert queue.depth == 2
    assert taken(queue) == [begin, Lost(Loss.DROPPED, 4), 4, 5, end]


def test_the_newest_frames_find_no_room():
    queue = BoundedQueue(2, WhenBehind.DROP_NEWEST)
    begin, end = Begin("one"), End("done")
    put(queue, begin, *map(frame, range(6)), end)
    assert taken(queue) == [begin, 0, 1, Lost(Loss.DROPPED, 4), end]


@pytest.mark.parametrize("when_behind", DROPS)
def test_each_scan_has_its_own_losses(when_behind):
    queue = BoundedQueue(1, when_behind)
    first, second, end = Begin("one"), Begin("two"), End("done")
    put(queue, first, frame(0), frame(1), end, second, *map(frame, range(3)), end)
    events = taken(queue)
    assert events.index(second) == events.index(end) + 1
    in_first, in_second = events[: events.index(second)], events[events.index(second) :]
    for events, sent in ((in_first, 2), (in_second, 3)):
        lost = sum(event.frames for event in events if isinstance(event, Lost))
        assert lost + sum(isinstance(event, int) for event in events) == sent


@pytest.mark.parametrize("when_behind", DROPS)
def test_losses_take_no_room_either(when_behind):
    queue = BoundedQueue(2, when_behind)
    for number in range(1000):
        put(queue, frame(number), Lost(Loss.DUPLICATE), Lost(Loss.UNREADABLE, 1, "why"))
    events = taken(queue)
    assert len(events) <= 2 + 3 * 3  # three kinds, before, between and after two frames
    lost = sum(event.frames for event in events if isinstance(event, Lost))
    assert lost == 998 + 2000


def test_whoever_must_wait_goes_on_when_there_is_room_or_nobody_listens():
    queue = BoundedQueue(1, WhenBehind.BLOCK)
    waiting = threading.Thread(target=put, args=(queue, *map(frame, range(3))))
    waiting.start()
    assert [queue.get(5.0).number for _ in range(2)] == [0, 1]
    put_more = threading.Thread(target=put, args=(queue, frame(3)))
    put_more.start()
    queue.close()
    for thread in (waiting, put_more):
        thread.join(5.0)
        assert not thread.is_alive()


def test_nothing_comes_in_time():
    assert BoundedQueue(1, WhenBehind.BLOCK).get(0.01) is None
