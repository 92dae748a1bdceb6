"""A detector's ZeroMQ stream: frames come whole with positions, and every other is accounted for.

Everywhere: frames received + frames reported lost = images sent.
"""

import threading
import time
from collections import Counter

import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from test_dectris_stream import COUNTS, messages_of
from test_dectris_stream_v1 import header
from test_dectris_stream_v1 import image as old_image

from wnet_edge.errors import ScanError
from wnet_edge.live.bounded_queue import WhenBehind
from wnet_edge.live.dectris_series import OVERTAKEN_BY, SeriesEvents
from wnet_edge.live.dectris_stream import decode
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost
from wnet_edge.live.zmq_publisher import (
    ZmqPublisher,
    end_message,
    image_message,
    start_message,
)
from wnet_edge.live.zmq_source import ZmqSource

ANYWHERE = "tcp://127.0.0.1:*"
PATIENCE_S = 10.0


@pytest.fixture
def detector():
    with ZmqPublisher(ANYWHERE) as publisher:
        yield publisher


@pytest.fixture
def source(detector):
    source = ZmqSource(detector.address, 1000, WhenBehind.BLOCK)
    yield source
    source.close()


@pytest.fixture
def known_begin(small_scan):
    geometry = small_scan.geometry
    return Begin(
        "series_5",
        energy_ev=geometry.energy_ev,
        distance_m=geometry.distance_m,
        pixel_size_m=geometry.detector_pixel_size_m,
        mask=small_scan.mask,
        beam_centre_px=(15.5, 16.25),
        positions_m=small_scan.positions_m,
        frame_count=len(small_scan.frames),
    )


def until_end(source, ends=1):
    """The events up to the last of so many `End`."""
    events, give_up_s = [], time.monotonic() + PATIENCE_S
    while sum(isinstance(event, End) for event in events) < ends:
        assert time.monotonic() < give_up_s, events
        event = source.next(0.1)
        events += [] if event is None else [event]
    return events


def frames_of(events):
    return [event for event in events if isinstance(event, Frame)]


def lost_of(events):
    lost = Counter()
    for event in events:
        if isinstance(event, Lost):
            lost[event.reason] += event.frames
    return +lost


def image(number, series=1):
    return image_message(np.full((2, 3), number % 1000, np.uint16), number, series)


def start(count, series=1):
    return start_message(Begin(""), (count, 2, 3), series)


def events_of(messages):
    series = SeriesEvents()
    return [event for message in messages for event in series.take(decode(message, 0.0))]


def numbers_of(events):
    return [frame.number for frame in frames_of(events)]


def test_a_real_series_comes_over_loopback(data_dir, detector, source):
    messages = messages_of(data_dir)
    for message in messages:
        detector.send(message)
    begin, *frames, end = until_end(source)
    assert isinstance(begin, Begin)
    assert isinstance(end, End)
    assert [frame.number for frame in frames] == list(range(10))
    for frame, message in zip(frames, messages[1:], strict=False):
        np.testing.assert_array_equal(frame.counts, decode(message, 0.0).event.counts)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float32])
def test_what_is_published_comes_back_bit_for_bit(detector, source, small_scan, known_begin, dtype):
    frames = small_scan.frames.astype(dtype)
    before_s = time.time()
    detector.publish(known_begin, frames, 500.0, series=5)
    begin, *got, _ = until_end(source)
    for name in ("name", "energy_ev", "distance_m", "pixel_size_m", "frame_count"):
        assert getattr(begin, name) == getattr(known_begin, name)
    assert begin.beam_centre_px == (15.5, 16.25)
    np.testing.assert_array_equal(begin.mask, known_begin.mask)
    np.testing.assert_array_equal([frame.counts for frame in got], frames)
    assert {frame.counts.dtype for frame in got} == {np.dtype(dtype)}
    np.testing.assert_array_equal([frame.position_m for frame in got], known_begin.positions_m)
    published_s = [frame.published_s for frame in got]
    assert before_s - 1e-3 < min(published_s) < max(published_s) < time.time() + 1e-3
    assert published_s == sorted(published_s)


def test_frames_are_published_at_the_rate_that_is_asked_for(detector, source, small_scan):
    began_s = time.perf_counter()
    detector.publish(Begin(""), small_scan.frames, 100.0)
    assert time.perf_counter() - began_s >= 11 / 100.0
    assert len(frames_of(until_end(source))) == 12


def test_a_frame_without_a_position_is_published_without_one(detector, source, small_scan):
    positions_m = small_scan.positions_m.copy()
    positions_m[4] = np.nan
    detector.publish(Begin("", positions_m=positions_m), small_scan.frames)
    without = [frame.number for frame in frames_of(until_end(source)) if frame.position_m is None]
    assert without == [4]


def test_several_series_come_one_after_the_other(detector, source, small_scan):
    for series in (1, 2):
        detector.publish(Begin(""), small_scan.frames, series=series)
    names = [event.name for event in until_end(source, 2) if isinstance(event, Begin)]
    assert names == ["series_1", "series_2"]


def test_a_detector_that_starts_anew_ends_the_old_series(small_scan):
    with ZmqPublisher(ANYWHERE) as first:
        address = first.address
        source = ZmqSource(address, 1000, WhenBehind.BLOCK)
        for message in (start(12), image(0), image(1)):
            first.send(message)
        while not isinstance(source.next(PATIENCE_S), Frame):
            pass
    with ZmqPublisher(address) as second:  # the client finds it again by itself
        second.publish(Begin(""), small_scan.frames)
        events = until_end(source, 2)
    source.close()
    assert len(frames_of(events)) == 13  # and one before
    assert lost_of(events) == {Loss.NEVER_RECEIVED: 10}
    # By another name, since its result must not replace the first one's.
    assert [event.name for event in events if isinstance(event, Begin)] == ["series_1_2"]
    assert [event.reason for event in events if isinstance(event, End)] == [
        "a new series has begun",
        "the detector has ended the series",
    ]


def test_a_late_client_begins_with_what_it_gets(detector):
    early = ZmqSource(detector.address, 1000, WhenBehind.BLOCK)
    for message in (start(12), image(0), image(1), image(2)):
        detector.send(message)
    while not isinstance(event := early.next(PATIENCE_S), Frame) or event.number < 2:
        pass
    early.close()
    time.sleep(0.5)  # until the detector knows; what is on its way to a client that goes is lost
    late = ZmqSource(detector.address, 1000, WhenBehind.BLOCK)
    for number in range(3, 12):
        detector.send(image(number))
    detector.send(end_message(1))
    events = until_end(late)
    late.close()
    assert (events[0].name, events[0].frame_count) == ("series_1", None)
    assert sorted(numbers_of(events)) == list(range(3, 12))
    assert lost_of(events) == {Loss.NEVER_RECEIVED: 3}


def test_a_second_client_takes_its_share_and_that_is_said(detector):
    sources = [ZmqSource(detector.address, 1000, WhenBehind.BLOCK) for _ in range(2)]
    taken = [[], []]
    sent = 0
    while not all(map(frames_of, taken)):  # until both are connected
        detector.send(image(sent))
        sent += 1
        for source, events in zip(sources, taken, strict=True):
            if (event := source.next(0.01)) is not None:
                events.append(event)
    for number in range(sent, sent + 200):
        detector.send(image(number))
    for _ in sources:
        detector.send(end_message(1))
    for source, events in zip(sources, taken, strict=True):
        events.extend(until_end(source))
        source.close()
        joined, lost = [event.note for event in events if isinstance(event, Lost)][:2]
        assert "its start went to another client" in joined
        assert "any other client of the same address takes its share" in lost
        numbers = numbers_of(events)
        assert sum(lost_of(events).values()) == max(numbers) + 1 - len(numbers)
    assert sorted(numbers_of(taken[0]) + numbers_of(taken[1])) == list(range(sent + 200))


@pytest.mark.parametrize("when_behind", WhenBehind)
def test_a_queue_that_is_full_does_as_it_is_told(detector, when_behind):
    source = ZmqSource(detector.address, 5, when_behind)
    sent = 300
    sending = threading.Thread(
        target=detector.publish, args=(Begin(""), np.zeros((sent, 200, 300), np.uint32))
    )
    sending.start()
    while source.depth < 5:
        time.sleep(0.01)
    if when_behind is WhenBehind.BLOCK:
        time.sleep(0.3)
        assert sending.is_alive()  # the detector waits
    else:
        sending.join(PATIENCE_S)
    assert source.depth == 5
    events = until_end(source)
    sending.join(PATIENCE_S)
    source.close()
    numbers, lost = numbers_of(events), lost_of(events)
    assert len(numbers) + sum(lost.values()) == sent
    assert numbers == sorted(numbers)
    if when_behind is WhenBehind.BLOCK:
        assert not lost
    else:
        assert set(lost) == {Loss.DROPPED}
        kept = sent - 1 if when_behind is WhenBehind.DROP_OLDEST else 0
        assert kept in numbers


def test_a_source_that_is_behind_can_be_closed(detector):
    source = ZmqSource(detector.address, 1, WhenBehind.BLOCK)
    for number in range(20):
        detector.send(image(number))
    time.sleep(0.2)
    source.close()
    assert "zmq" not in {thread.name for thread in threading.enumerate()}


def test_messages_that_are_no_stream_are_counted(detector, source):
    detector.send(start(4))
    detector.send(b"\xff\x00 no message")
    detector.send(image(0)[:60])
    for number in (1, 2, 3):
        detector.send(image(number))
    detector.send(end_message(1))
    events = until_end(source)
    assert numbers_of(events) == [1, 2, 3]
    assert lost_of(events) == {Loss.UNREADABLE: 2}  # image 0 among them, so that none is missing


@pytest.mark.parametrize("channel", [None, "threshold_2"])
def test_the_old_stream_of_many_parts_is_taken_too(channel):
    with zmq.Context() as context, context.socket(zmq.PUSH) as old:
        port = old.bind_to_random_port("tcp://127.0.0.1")
        source = ZmqSource(f"tcp://127.0.0.1:{port}", 10, WhenBehind.BLOCK, channel)
        old.send_multipart(header(series=4))
        for number in range(3):
            old.send_multipart(old_image(COUNTS + number, series=4, frame=number))
        old.send_multipart([b'{"htype": "dseries_end-1.0", "series": 4}'])
        if channel is None:
            begin, *events = until_end(source)
            assert begin.name == "series_4"
            frames = frames_of(events)
            np.testing.assert_array_equal(
                [frame.counts for frame in frames], [COUNTS, COUNTS + 1, COUNTS + 2]
            )
            assert lost_of(events) == {Loss.NEVER_RECEIVED: 397}
        else:
            assert "Stream V1 has no channel 'threshold_2'" in source.next(PATIENCE_S).note
        source.close()


@pytest.mark.parametrize("address", ["", "somewhere", "tcp://127.0.0.1", "udp://x:1"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ScanError, match=r"is no address of ZeroMQ .* such as tcp://HOST:31001"):
        ZmqSource(address, 10, WhenBehind.BLOCK)


def test_an_address_in_use_is_refused(detector):
    with pytest.raises(ScanError, match=r"can't be published at .*in use"):
        ZmqPublisher(detector.address)


def test_an_image_that_was_only_overtaken_is_not_lost():
    order = [1, 0, 4, 3, 2, *range(6, 6 + OVERTAKEN_BY), 5]
    events = events_of([start(len(order)), *map(image, order), end_message(1)])
    assert numbers_of(events) == order
    assert not lost_of(events)


def test_a_gap_is_reported_while_the_scan_runs():
    events = events_of([start(1000), image(0), *map(image, range(10, 100))])
    assert lost_of(events) == {Loss.NEVER_RECEIVED: 9}


def test_images_that_were_announced_and_never_came_are_lost():
    *_, lost, _ = events_of([start(10), *map(image, range(7)), end_message(1)])
    assert (lost.reason, lost.frames) == (Loss.NEVER_RECEIVED, 3)
    assert lost.note == (
        "the series ended before its last images: it was stopped, or they never arrived"
    )


def test_an_image_numbered_beyond_the_series_is_not_taken():
    events = events_of([start(2), image(0), image(2**62), image(1), end_message(1)])
    assert numbers_of(events) == [0, 1]
    assert lost_of(events) == {Loss.UNREADABLE: 1}


def test_a_number_far_ahead_takes_no_memory():
    events = events_of([image(0), image(2**62), end_message(1)])
    assert lost_of(events) == {Loss.NEVER_RECEIVED: 2**62 - 1}


def test_images_of_another_series_begin_it():
    events = events_of([start(2), image(0), image(1), image(0, 2), image(1), end_message(2)])
    kinds = [type(event) for event in events]
    assert kinds == [Begin, Frame, Frame, End, Begin, Lost, Frame, Lost, End]
    assert [event.name for event in events if isinstance(event, Begin)] == ["series_1", "series_2"]


def test_a_series_whose_end_never_comes_ends_when_nothing_does(detector):
    source = ZmqSource(detector.address, 1000, WhenBehind.BLOCK, idle_s=0.3)
    for message in (start(4), image(0), image(2)):
        detector.send(message)
    events = until_end(source)
    assert numbers_of(events) == [0, 2]
    assert lost_of(events) == {Loss.NEVER_RECEIVED: 2}
    assert events[-1] == End("no message has come for 0.3 s")
    source.close()


def test_the_end_of_a_series_that_is_not_open_says_nothing():
    assert events_of([end_message(3)]) == []


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 200), st.booleans(), st.booleans())
def test_whatever_happens_on_the_way_all_images_are_accounted_for(chance, count, started, ended):
    """Lost, repeated, damaged with and without their number, and overtaken a little."""
    messages, copies = [], 0
    for number in range(count):
        fate = chance.choice(["fine"] * 6 + ["lost", "twice", "damaged", "cut", "late"])
        message = image(number)
        if fate == "damaged":
            message = message.replace(b"threshold_1", b"threshold_\xff")
        messages += [] if fate == "lost" else [(number, message[:40] if fate == "cut" else message)]
        if fate == "twice":
            messages.append((number + chance.randrange(30), message))
            copies += 1
        if fate == "late":
            messages[-1] = (number + chance.randrange(OVERTAKEN_BY // 2), message)
    messages = [message for _, message in sorted(messages, key=lambda pair: pair[0])]
    sent = ([start(count)] if started else []) + messages
    sent += [end_message(1)] if ended or started else [image(count), end_message(1)]
    events = events_of(sent)
    numbers, lost = numbers_of(events), lost_of(events)
    assert len(set(numbers)) == len(numbers)
    if started:
        assert len(numbers) + sum(lost.values()) == count + copies
