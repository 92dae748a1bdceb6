"""A detector's PV over the loopback: publisher to source, bit for bit, faults accounted for."""

import threading
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from loopback import LOOPBACK

pytest.importorskip("p4p")
from p4p.client.thread import Context
from p4p.nt import NTScalar
from p4p.server import Server
from p4p.server.thread import SharedPV

from wnet_edge.errors import ScanError
from wnet_edge.live.bounded_queue import WhenBehind
from wnet_edge.live.pairing import Match
from wnet_edge.live.pv_publisher import PvPublisher
from wnet_edge.live.pv_scans import PositionNames, ScanRules
from wnet_edge.live.pv_source import PvSource
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost

PV = "test:Pva1:Image"
RANDOM = np.random.default_rng(11)
FRAMES = RANDOM.poisson(30, (300, 32, 24)).astype("u4")
POSITIONS_M = RANDOM.normal(scale=1e-6, size=(300, 2))
BY_ATTRIBUTES = ScanRules(positions=PositionNames(), idle_s=3.0)


@pytest.fixture
def published():
    """A publisher and a source that listens to it; closed at the end."""
    opened = []

    def start(rules=BY_ATTRIBUTES, position_pv=None, **options):
        publisher = PvPublisher(PV, position_pv, conf=LOOPBACK)
        opened.append(publisher)
        source = PvSource(PV, rules, position_pv, conf=publisher.conf, **options)
        opened.append(source)
        wait_until(lambda: source.connected)
        return publisher, source

    yield start
    for one in reversed(opened):
        one.close()


def wait_until(true, within_s=10.0):
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.01)


def until_end(source, scans=1, within_s=30.0):
    """Events up to the end of so many scans."""
    events = []
    until_s = time.monotonic() + within_s
    while sum(isinstance(event, End) for event in events) < scans:
        assert time.monotonic() < until_s, Counter(type(event) for event in events)
        event = source.next(0.1)
        if event is not None:
            events.append(event)
    return events


def account(events):
    lost = Counter()
    for event in events:
        if isinstance(event, Lost):
            lost[event.reason] += event.frames
    return [event for event in events if isinstance(event, Frame)], lost


def in_background(call, *arguments):
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    return thread


def test_frames_and_positions_come_through_bit_for_bit(published):
    publisher, source = published(replace(BY_ATTRIBUTES, frame_count=300))
    work = in_background(publisher.publish, FRAMES, POSITIONS_M, 500.0)
    events = until_end(source)
    work.join()
    frames, lost = account(events)
    assert isinstance(events[0], Begin)
    assert [frame.number for frame in frames] == list(range(1, 301))
    np.testing.assert_array_equal([frame.counts for frame in frames], FRAMES)
    assert frames[0].counts.dtype == FRAMES.dtype
    np.testing.assert_array_equal([frame.position_m for frame in frames], POSITIONS_M)
    assert not lost
    assert all(abs(frame.published_s - time.time()) < 60 for frame in frames)


@pytest.mark.parametrize("match", Match)
def test_positions_from_another_pv(published, match):
    rules = ScanRules(
        first_number=1, frame_count=300, positions=PositionNames(), position_match=match
    )
    publisher, source = published(rules, "test:Positions")
    work = in_background(publisher.publish, FRAMES, POSITIONS_M, 500.0)
    frames, lost = account(until_end(source))
    work.join()
    assert not lost
    frames.sort(key=lambda frame: frame.number)
    np.testing.assert_array_equal([frame.counts for frame in frames], FRAMES)
    np.testing.assert_array_equal([frame.position_m for frame in frames], POSITIONS_M)


def test_the_publisher_keeps_its_rate(published):
    publisher, source = published(replace(BY_ATTRIBUTES, frame_count=60))
    began_s = time.perf_counter()
    rate_hz = publisher.publish(FRAMES[:60], POSITIONS_M[:60], 100.0)
    assert time.perf_counter() - began_s >= 0.59
    assert rate_hz <= 102
    assert len(account(until_end(source))[0]) == 60


def test_the_publisher_waits_for_somebody_who_listens():
    publisher = PvPublisher(PV, conf=LOOPBACK)
    assert not publisher.wait_for_client(0.05)
    source = PvSource(PV, replace(BY_ATTRIBUTES, frame_count=5), conf=publisher.conf)
    assert publisher.wait_for_client(10)
    publisher.publish(FRAMES[:5], POSITIONS_M[:5], 1000.0)
    assert [frame.number for frame in account(until_end(source))[0]] == [1, 2, 3, 4, 5]
    source.close()
    publisher.close()


def test_scans_in_a_row(published):
    publisher, source = published()
    for _ in range(3):
        publisher.publish(FRAMES[:40], POSITIONS_M[:40], 1000.0)
    events = until_end(source, scans=3)
    assert len(account(events)[0]) == 120
    assert not account(events)[1]
    assert sum(isinstance(event, Begin) for event in events) == 3


def test_gaps_duplicates_and_disorder(published):
    publisher, source = published()
    order = [1, 2, 5, 4, 4, 7, 8, 8, 3, 10]
    for number in order:
        place = tuple(POSITIONS_M[number])
        publisher.publish_frame(FRAMES[number], number, place, stamp_s=1.8e9 + number)
    frames, lost = account(until_end(source))
    assert [frame.number for frame in frames] == [1, 2, 5, 4, 7, 8, 3, 10]
    for frame in frames:
        np.testing.assert_array_equal(frame.counts, FRAMES[frame.number])
        assert frame.position_m == tuple(POSITIONS_M[frame.number])
    assert lost == {Loss.DUPLICATE: 2, Loss.NEVER_RECEIVED: 2}  # 6, 9


def test_a_position_pv_that_falls_silent(published):
    """Frames wait for a bounded time, then are said to be lost."""
    rules = ScanRules(
        positions=PositionNames(), position_match=Match.NUMBER, wait_s=1.0, idle_s=3.0
    )
    publisher, source = published(rules, "test:Positions")
    publisher.publish(FRAMES[:20], POSITIONS_M[:20], 1000.0)
    publisher._has_position_pv = False
    publisher.publish(FRAMES[20:50], POSITIONS_M[20:50], 1000.0, first_number=21)
    frames, lost = account(until_end(source))
    assert len(frames) == 20
    assert lost == {Loss.WITHOUT_POSITION: 30}


def test_a_scan_pv_ends_a_scan():
    acquire = SharedPV(nt=NTScalar("i"), initial=1)
    publisher = PvPublisher(PV, conf=LOOPBACK)
    with Server(providers=[{"test:Acquire": acquire}], conf=LOOPBACK, useenv=False) as server:
        ports = (
            publisher.conf["EPICS_PVAS_BROADCAST_PORT"],
            server.conf()["EPICS_PVAS_BROADCAST_PORT"],
        )
        places = " ".join(f"127.0.0.1:{port}" for port in ports)
        rules = ScanRules(positions=PositionNames(), idle_s=60, wait_s=0.3)
        conf = {**LOOPBACK, "EPICS_PVA_ADDR_LIST": places}
        source = PvSource(PV, rules, scan_pv="test:Acquire", conf=conf)
        wait_until(lambda: source.connected)
        publisher.publish(FRAMES[:30], POSITIONS_M[:30], 1000.0)
        acquire.post(0)
        events = until_end(source, within_s=10)
        assert len(account(events)[0]) == 30
        assert events[-1] == End("the scan PV has ended it")
        source.close()
    publisher.close()


@pytest.mark.parametrize("when_behind", WhenBehind)
def test_what_a_slow_network_loses_is_counted(published, when_behind):
    """Nobody takes frames while they are published: received and lost are what was sent."""
    rules = ScanRules(first_number=1, frame_count=300, positions=PositionNames())
    publisher, source = published(rules, queued_frames=50, when_behind=when_behind)
    publisher.publish(FRAMES, POSITIONS_M, 2000.0)
    wait_until(lambda: source.depth == 50)
    if when_behind is not WhenBehind.BLOCK:
        wait_until(lambda: source._scans._numbers is None)  # the scan has ended
    frames, lost = account(until_end(source))
    assert len(frames) + sum(lost.values()) == 300
    numbers = [frame.number for frame in frames]
    if when_behind is WhenBehind.DROP_OLDEST:
        assert numbers == list(range(250, 300))
    elif when_behind is WhenBehind.DROP_NEWEST:
        assert numbers == list(range(50))
    else:  # the server's queue of 2000 held the rest
        assert numbers == list(range(300))
    for frame in frames:
        np.testing.assert_array_equal(frame.counts, FRAMES[frame.number])
        assert frame.position_m == tuple(POSITIONS_M[frame.number])


def test_what_the_server_squashes_is_counted(published):
    """More frames than server and client queue while nobody takes any."""
    count = 6000
    rules = ScanRules(first_number=1, frame_count=count, positions=PositionNames(), idle_s=2.0)
    publisher, source = published(rules, queued_frames=10, when_behind=WhenBehind.BLOCK)
    for number in range(1, count + 1):
        publisher.publish_frame(FRAMES[number % 300], number, (0.0, float(number)))
    frames, lost = account(until_end(source))
    assert lost[Loss.NEVER_RECEIVED] > 0
    assert len(frames) + sum(lost.values()) == count
    for frame in frames:
        assert frame.position_m == (0.0, frame.number + 1.0)
        np.testing.assert_array_equal(frame.counts, FRAMES[(frame.number + 1) % 300])


def test_a_server_that_is_restarted_in_the_middle_of_a_scan():
    rules = ScanRules(first_number=1, frame_count=40, positions=PositionNames(), idle_s=20.0)
    publisher = PvPublisher(PV, conf=LOOPBACK)
    conf = publisher.conf
    source = PvSource(PV, rules, conf=conf)
    wait_until(lambda: source.connected)
    publisher.publish(FRAMES[:20], POSITIONS_M[:20], 500.0)
    events = []
    while len(account(events)[0]) < 20:
        events.append(source.next(5.0))
    publisher.close()
    publisher = PvPublisher(
        PV, conf={**conf, "EPICS_PVA_SERVER_PORT": conf["EPICS_PVAS_SERVER_PORT"]}
    )
    assert publisher.wait_for_client(30)
    publisher.publish(FRAMES[25:40], POSITIONS_M[25:40], 500.0, first_number=26)
    events += until_end(source)
    source.close()
    publisher.close()
    frames, lost = account(events)
    assert [frame.number for frame in frames] == [*range(20), *range(25, 40)]
    assert lost == {Loss.NEVER_RECEIVED: 5}


def test_a_source_that_is_killed_and_started_again(published):
    """The second one takes up the scan where it is; what came before is counted as lost."""
    rules = replace(BY_ATTRIBUTES, first_number=1, frame_count=40)
    publisher, source = published(rules)
    publisher.publish(FRAMES[:20], POSITIONS_M[:20], 500.0)
    source.close()
    source = PvSource(PV, rules, conf=publisher.conf)
    wait_until(lambda: source.connected)
    publisher.publish(FRAMES[20:40], POSITIONS_M[20:40], 500.0, first_number=21)
    events = until_end(source)
    source.close()
    frames, lost = account(events)
    assert [frame.number for frame in frames] == list(range(19, 40))  # the PV still held 19
    assert lost == {Loss.NEVER_RECEIVED: 19}


def test_a_pv_that_nobody_serves():
    source = PvSource("test:Nobody", BY_ATTRIBUTES, connect_s=0.3, conf=LOOPBACK)
    with pytest.raises(ScanError, match=r"test:Nobody: no such PV answers; .* EPICS_PVA_ADDR_LIST"):
        until_end(source)
    source.close()


def test_a_pv_that_is_no_detectors():
    pv = SharedPV(nt=NTScalar("d"), initial=1.0)
    with Server(providers=[{PV: pv}], conf=LOOPBACK, useenv=False) as server:
        source = PvSource(PV, BY_ATTRIBUTES, conf=server.conf())
        wait_until(lambda: source.connected)
        pv.post(2.0)
        with pytest.raises(ScanError, match=f"{PV}: the PV holds epics:nt/NTScalar.*NTNDArray"):
            until_end(source)
        source.close()


def test_closing_while_the_queue_is_full(published):
    publisher, source = published(queued_frames=5, when_behind=WhenBehind.BLOCK)
    publisher.publish(FRAMES[:50], POSITIONS_M[:50], 2000.0)
    began_s = time.perf_counter()
    source.close()
    assert time.perf_counter() - began_s < 5


def test_other_clients_read_the_publishers_frames(published):
    """p4p's own reading of an NTNDArray agrees with ours."""
    publisher, _ = published()
    publisher.publish_frame(FRAMES[7], 7, (1e-6, -2e-6))
    with Context("pva", conf=publisher.conf, useenv=False) as client:
        image = client.get(PV)
        np.testing.assert_array_equal(image, FRAMES[7])
        assert image.attrib == {"ColorMode": 0, "PositionRow": 1e-6, "PositionColumn": -2e-6}
