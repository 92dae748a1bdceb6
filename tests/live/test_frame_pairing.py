"""Frames and positions that come apart find each other by number or time, or are said lost."""

import random

import numpy as np
import pytest

from wnet_edge.live.pairing import Match, PairingByNumber, PairingByTime, pairing
from wnet_edge.live.source import Frame, Loss, Lost

COUNTS = np.zeros((2, 2), "u2")


def frame(number):
    return Frame(number, COUNTS, received_s=0.0)


def place(number):
    return (number * 1e-9, number * -2e-9)


def paired(events):
    return [event.number for event in events if isinstance(event, Frame)]


def lost(events):
    assert all(e.reason is Loss.WITHOUT_POSITION for e in events if isinstance(e, Lost))
    return sum(event.frames for event in events if isinstance(event, Lost))


@pytest.mark.parametrize("match", Match)
@pytest.mark.parametrize("ahead", ["frames", "positions", "mixed"])
def test_each_frame_gets_its_own_position(match, ahead):
    pairs = pairing(match, wait_s=10, most=100, tolerance_s=1e-4)
    lag = {"frames": 40, "positions": -40, "mixed": 0}[ahead]
    chance = random.Random(1)
    things = [(n, "frame", n) for n in range(500)]
    things += [(n + lag + chance.uniform(-9, 9), "position", n) for n in range(500)]
    events = []
    for _, kind, n in sorted(things):
        key = n if match is Match.NUMBER else n * 1_000_000
        if kind == "frame":
            events += pairs.frame(frame(n), key, 0.0)
        else:
            events += pairs.position(place(n), key, 0.0)
    events += pairs.finish()
    assert sorted(paired(events)) == list(range(500))
    assert all(event.position_m == place(event.number) for event in events)


def test_a_position_that_comes_too_late():
    pairs = PairingByNumber(wait_s=2.0, most=100)
    assert pairs.frame(frame(1), 1, now_s=0.0) == []
    assert pairs.frame(frame(2), 2, now_s=1.0) == []
    assert lost(pairs.expire(now_s=1.9)) == 0
    assert lost(pairs.expire(now_s=2.1)) == 1
    assert paired(pairs.position(place(1), 1, 2.2)) == []
    assert paired(pairs.position(place(2), 2, 2.2)) == [2]


@pytest.mark.parametrize("match", Match)
def test_no_more_frames_are_held_than_said(match):
    pairs = pairing(match, wait_s=2.0, most=10, tolerance_s=1.0)
    events = [event for n in range(25) for event in pairs.frame(frame(n), n, 0.0)]
    assert lost(events) == 15
    assert pairs.held == 10
    assert lost(pairs.finish()) == 10
    assert pairs.held == 0


def test_no_more_positions_are_held_than_said():
    pairs = PairingByNumber(wait_s=2.0, most=10)
    for n in range(25):
        pairs.position(place(n), n, 0.0)
    assert paired(pairs.frame(frame(14), 14, 0.0)) == []
    assert paired(pairs.frame(frame(15), 15, 0.0)) == [15]


@pytest.mark.parametrize("first", ["frames", "positions"])
def test_a_position_of_one_scan_never_goes_to_a_frame_of_another(first):
    """The position of frame 2 was never used; the next scan's frame 2 must wait for its own."""
    pairs = PairingByNumber(wait_s=2.0, most=100)
    events = []
    for n in (1, 2, 3):
        pairs.position((n, 0.0), n, 0.0)
        if n != 2:
            events += pairs.frame(frame(n), n, 0.0)
    if first == "positions":
        for n in (1, 2, 3):
            pairs.position((n, 1.0), n, 0.0)
        assert pairs.frame(frame(4), 4, 0.0) == []  # still of the first scan
    events += pairs.finish()
    pairs.begin_anew()
    for n in (1, 2, 3):
        events += pairs.frame(frame(n), n, 0.0)
    if first == "frames":
        for n in (1, 2, 3):
            events += pairs.position((n, 1.0), n, 0.0)
    events += pairs.finish()
    positions = [event.position_m for event in events if isinstance(event, Frame)]
    assert positions == [(1, 0.0), (3, 0.0), (1, 1.0), (2, 1.0), (3, 1.0)]
    assert lost(events) == (1 if first == "positions" else 0)


def test_the_next_scans_positions_though_their_first_was_lost():
    pairs = PairingByNumber(wait_s=2.0, most=100)
    for n in range(1, 6):
        pairs.position((n, 0.0), n, 0.0)
        pairs.frame(frame(n), n, 0.0)
    pairs.begin_anew()
    events = [event for n in range(1, 6) for event in pairs.frame(frame(n), n, 0.0)]
    for n in (3, 4, 5):
        events += pairs.position((n, 1.0), n, 0.0)
    assert [event.position_m for event in events] == [(3, 1.0), (4, 1.0), (5, 1.0)]
    assert lost(pairs.finish()) == 2


def test_a_scan_without_positions_does_not_confuse_the_next():
    pairs = PairingByNumber(wait_s=2.0, most=100)
    for scan in range(4):
        events = []
        for n in range(1, 6):
            if scan != 1:
                events += pairs.position((n, scan), n, 0.0)
            events += pairs.frame(frame(n), n, 0.0)
        events += pairs.finish()
        pairs.begin_anew()
        assert lost(events) == (5 if scan == 1 else 0)
        assert all(event.position_m[1] == scan for event in events if isinstance(event, Frame))


def test_by_time_a_frame_lies_between_its_neighbours():
    pairs = PairingByTime(wait_s=2.0, most=100, tolerance_s=1e-3)
    pairs.position((1.0, 0.0), 1_000_000, 0.0)
    assert pairs.frame(frame(1), 1_400_000, 0.0) == []  # the one after it is not known yet
    (event,) = pairs.position((2.0, -1.0), 2_000_000, 0.0)
    assert event.position_m == pytest.approx((1.4, -0.4))
    (event,) = pairs.frame(frame(2), 1_750_000, 0.0)
    assert event.position_m == pytest.approx((1.75, -0.75))
    (event,) = pairs.frame(frame(3), 2_000_000, 0.0)
    assert event.position_m == (2.0, -1.0)


def test_by_time_a_neighbour_that_is_too_far_does_not_count():
    pairs = PairingByTime(wait_s=2.0, most=100, tolerance_s=1e-3)
    pairs.position((1.0, 0.0), 1_000_000, 0.0)
    pairs.position((2.0, 0.0), 5_000_000, 0.0)
    (event,) = pairs.frame(frame(1), 1_500_000, 0.0)
    assert event.position_m == (1.0, 0.0)
    (event,) = pairs.frame(frame(2), 4_500_000, 0.0)
    assert event.position_m == (2.0, 0.0)


@pytest.mark.parametrize("hours", [-3, 3])
def test_by_time_a_clock_that_is_set_anew(hours):
    """However many positions were known before, frames find theirs afterwards."""
    pairs = PairingByTime(wait_s=2.0, most=10, tolerance_s=1e-4)
    events = []
    for n in range(60):
        key = 10**14 + n * 1_000_000 + (0 if n < 30 else hours * 3600 * 10**9)
        if n % 3:  # some frames come first
            events += pairs.frame(frame(n), key, 0.0)
            events += pairs.position(place(n), key, 0.0)
        else:
            events += pairs.position(place(n), key, 0.0)
            events += pairs.frame(frame(n), key, 0.0)
    assert sorted(paired(events)) == list(range(60))
    assert all(event.position_m == place(event.number) for event in events)


def test_by_time_the_tolerance_holds():
    pairs = PairingByTime(wait_s=2.0, most=100, tolerance_s=1e-3)
    pairs.position((1.0, 0.0), 1_000_000, 0.0)
    pairs.frame(frame(1), 3_000_000, 0.0)
    assert pairs.position((2.0, 0.0), 9_000_000, 0.0) == []
    (event,) = pairs.expire(now_s=2.1)
    assert event == Lost(Loss.WITHOUT_POSITION, note="the nearest position in time is 2 ms away")


def test_by_time_the_last_frame_takes_what_there_is():
    pairs = PairingByTime(wait_s=2.0, most=100, tolerance_s=1e-3)
    pairs.position((1.0, 0.0), 1_000_000, 0.0)
    pairs.frame(frame(1), 1_400_000, 0.0)
    (event,) = pairs.expire(now_s=2.1)
    assert event.position_m == (1.0, 0.0)


@pytest.mark.parametrize("match", Match)
def test_a_frame_without_the_key_is_lost(match):
    pairs = pairing(match, wait_s=2.0, most=10, tolerance_s=1.0)
    assert lost(pairs.frame(frame(1), None, 0.0)) == 1


@pytest.mark.parametrize("match", Match)
@pytest.mark.parametrize("seed", range(10))
def test_paired_and_lost_are_all(match, seed):
    """Positions missing, late, doubled: each frame comes out once, with its own or as lost."""
    chance = random.Random(seed)
    pairs = pairing(match, wait_s=0.05, most=30, tolerance_s=1e-4)
    things = [(n, "frame", n) for n in range(400)]
    things += [
        (n + chance.uniform(-90, 90), "position", n) for n in range(400) if chance.random() < 0.8
    ]
    events = []
    for when, kind, n in sorted(things):
        key = n if match is Match.NUMBER else n * 1_000_000
        now_s = when / 1000
        if kind == "frame":
            events += pairs.frame(frame(n), key, now_s)
        else:
            events += pairs.position(place(n), key, now_s)
        events += pairs.expire(now_s)
    events += pairs.finish()
    assert len(paired(events)) + lost(events) == 400
    assert len(set(paired(events))) == len(paired(events))
    assert all(e.position_m == place(e.number) for e in events if isinstance(e, Frame))
