"""Updates of a PV become scans: what begins and ends one, and that each frame is accounted for."""

import random
import re
from collections import Counter

import numpy as np
import pytest

from wnet_edge.errors import ScanError
from wnet_edge.live.ndarray import ndarray_fields
from wnet_edge.live.pairing import Match
from wnet_edge.live.pv_scans import PositionNames, PvScans, ScanRules
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost

p4p = pytest.importorskip("p4p")
from p4p.nt import NTEnum, NTNDArray, NTScalar  # noqa: E402

FRAMES = np.random.default_rng(5).poisson(9, (400, 6, 8)).astype("u2")
START_S = 1.8e9
NAMES = PositionNames("Row", "Column", metres=1e-6)
POSITION = NTScalar.buildType("ad", extra=[("uniqueId", "i")])


def update(number, stamp_s=None, frame=None, **named):
    frame = FRAMES[number % len(FRAMES)] if frame is None else frame
    stamp_s = START_S + number / 100 if stamp_s is None else stamp_s
    return p4p.Value(NTNDArray.buildType(), ndarray_fields(frame, number, stamp_s, named))


def placed(number, **other):
    return update(number, Row=number * 0.5, Column=-1.0 * number, **other)


def position(number, row, column):
    stamp = {"secondsPastEpoch": int(START_S), "nanoseconds": number * 10_000_000}
    fields = {"value": [row, column], "uniqueId": number, "timeStamp": stamp}
    return p4p.Value(POSITION, fields)


class Watched:
    """Scans of a PV with a clock that is set by hand."""

    def __init__(self, **rules):
        self.events = []
        self.now_s = 100.0
        self.scans = PvScans("X:Pva1", ScanRules(**rules), self.events.append, lambda: self.now_s)
        self.scans.frame(p4p.Value(NTNDArray.buildType(), {}))  # what an idle PV holds

    def take(self, *updates):
        for one in updates:
            self.scans.frame(one)
        return self

    def idle(self, seconds):
        self.now_s += seconds
        self.scans.tick()
        return self

    @property
    def kinds(self):
        return [type(event).__name__ for event in self.events]

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def numbers(self):
        return [frame.number for frame in self.of(Frame)]

    @property
    def lost(self):
        found = Counter()
        for loss in self.of(Lost):
            found[loss.reason] += loss.frames
        return found


def test_a_scan_begins_with_a_frame_and_ends_when_idle():
    seen = Watched(idle_s=5).take(*map(update, (1, 2, 3)))
    seen.idle(4.9)
    assert seen.kinds == ["Begin", "Frame", "Frame", "Frame"]
    seen.idle(0.2)
    assert seen.of(End) == [End("no frame has come for 5 s")]
    assert seen.of(Begin)[0].name.startswith("X_Pva1_20")
    for event, number in zip(seen.of(Frame), (1, 2, 3), strict=True):
        assert event.number == number
        np.testing.assert_array_equal(event.counts, FRAMES[number])
        assert event.published_s == pytest.approx(START_S + number / 100, abs=1e-6)


def test_positions_are_read_from_attributes_in_their_unit():
    seen = Watched(positions=NAMES).take(placed(1), placed(3))
    assert [frame.position_m for frame in seen.of(Frame)] == [(0.5e-6, -1e-6), (1.5e-6, -3e-6)]
    assert seen.lost == {}
    seen.scans.finish("stopped")
    assert seen.lost == {Loss.NEVER_RECEIVED: 1}


@pytest.mark.parametrize("bad", [{"Row": 1.0}, {"Row": 1.0, "Column": float("nan")}, {"Row": "a"}])
def test_a_frame_without_a_position_is_lost_and_said_once(bad):
    seen = Watched(positions=NAMES).take(placed(1), update(2, **bad), update(3, **bad))
    note = "a frame lacks Row or Column, as a finite number"
    assert seen.of(Lost) == [
        Lost(Loss.WITHOUT_POSITION, note=note),
        Lost(Loss.WITHOUT_POSITION),
    ]
    assert seen.numbers == [1]


def test_a_reset_of_the_number_ends_a_scan():
    seen = Watched().take(*map(update, (1, 2, 3)), *(update(n, START_S + 9 + n) for n in (1, 2)))
    assert seen.kinds == ["Begin"] + ["Frame"] * 3 + ["End", "Begin"] + ["Frame"] * 2
    assert seen.of(End) == [End("uniqueId has begun anew, at 1")]


def test_a_scan_of_known_length_ends_with_its_frames():
    seen = Watched(first_number=1, frame_count=3, positions=NAMES)
    seen.take(placed(1), placed(3), placed(2)).idle(0.1)
    assert seen.of(End) == [End("the last of its 3 frames has come")]
    assert seen.numbers == [0, 2, 1]
    seen.take(placed(3)).idle(0.1)  # once more: the scan has given its account
    assert seen.kinds.count("Begin") == 1


def test_a_counter_that_goes_on_begins_the_next_scan():
    seen = Watched(first_number=1, frame_count=3)
    seen.take(*map(update, (1, 2, 3, 4))).idle(0.1).take(*map(update, (6, 7, 9))).idle(60)
    assert seen.numbers == [0, 1, 2, 0, 2, 0, 2]
    assert [one.reason for one in seen.of(End)] == [
        "uniqueId 4 is beyond its 3 frames",
        "uniqueId 7 is beyond its 3 frames",
        "the last of its 3 frames has come",
    ]
    assert seen.lost == {Loss.NEVER_RECEIVED: 2}  # 5 and 8


def test_a_late_frame_of_a_past_scan_is_not_taken_for_one_of_the_next():
    seen = Watched(first_number=1, frame_count=3)
    seen.take(*map(update, (1, 3, 4, 2, 5, 3))).idle(60)
    assert seen.numbers == [0, 2, 0, 1]
    assert seen.lost == {Loss.NEVER_RECEIVED: 2}  # 2 was given up with its scan; 6


def test_a_frame_below_the_first_is_no_frame_of_the_scan():
    seen = Watched(first_number=1, frame_count=3).take(*map(update, (0, 1, 2, 3))).idle(60)
    assert seen.numbers == [0, 1, 2]
    note = "uniqueId 0 is below a scan's first, 1"
    assert seen.of(Lost) == [Lost(Loss.WITHOUT_POSITION, note=note)]


def test_a_gap_between_two_scans_is_counted():
    seen = Watched(idle_s=5).take(*map(update, (1, 2))).idle(6)
    seen.take(update(5, START_S + 20)).idle(6)
    assert seen.lost == {Loss.NEVER_RECEIVED: 2}
    seen.scans.disconnected()
    seen.take(*(update(n, START_S + 900 + n) for n in (4000, 4001))).idle(6)
    assert seen.lost == {Loss.NEVER_RECEIVED: 2}  # nobody listened to those between


def test_losses_at_both_ends_of_a_scan_of_known_length():
    seen = Watched(first_number=1, frame_count=10).take(*map(update, (3, 4, 7))).idle(60)
    assert seen.numbers == [2, 3, 6]
    assert seen.lost == {Loss.NEVER_RECEIVED: 7}


def test_a_scan_that_pauses_goes_on_under_its_numbers():
    seen = Watched(first_number=1, frame_count=10, idle_s=5).take(update(1)).idle(6)
    seen.take(update(2, START_S + 30), update(3, START_S + 31)).idle(6)
    assert seen.numbers == [0, 1, 2]


def test_what_a_pv_holds_when_it_is_connected_may_be_of_a_past_scan():
    seen = Watched()
    seen.scans.disconnected()
    seen.take(update(300, START_S), update(1, START_S + 500), update(2, START_S + 500.1))
    assert seen.numbers == [1, 2]
    seen = Watched()
    seen.scans.disconnected()
    seen.take(update(300, START_S), update(301, START_S + 500))
    assert seen.numbers == [301]


def test_or_of_the_scan_that_has_just_begun():
    seen = Watched()
    seen.scans.disconnected()
    seen.take(update(1), update(2))
    assert seen.numbers == [1, 2]


def test_a_server_that_comes_back_repeats_what_it_holds():
    seen = Watched().take(update(1), update(2))
    seen.scans.disconnected()
    seen.take(update(2), update(5)).idle(60)
    assert seen.numbers == [1, 2, 5]
    assert seen.lost == {Loss.NEVER_RECEIVED: 2}
    seen.scans.disconnected()
    seen.take(update(5))
    assert seen.kinds.count("Begin") == 1


def test_frames_of_another_shape_or_type_are_lost_with_a_note():
    seen = Watched().take(update(1), update(2, frame=FRAMES[0].T), update(3, frame=FRAMES[0] / 2))
    damaged = update(4)
    damaged["codec.name"] = "jpeg"
    seen.take(damaged, NTScalar("d").wrap(1.0), update(5)).idle(60)
    assert seen.numbers == [1, 5]
    assert seen.lost == {Loss.UNREADABLE: 4}
    notes = [one.note for one in seen.of(Lost)]
    assert notes[0] == "a frame is 8 × 6 uint16, the scan's first 6 × 8 uint16"
    assert "6 × 8 float64, the scan's first 6 × 8 uint16" in notes[1]
    assert "codec 'jpeg'" in notes[2]
    assert "not an NTNDArray" in notes[3]


def test_a_pv_that_is_no_detectors_is_refused():
    with pytest.raises(ScanError, match="not an NTNDArray"):
        Watched().take(NTScalar("d").wrap(1.0))


def test_the_clock_may_jump():
    stamps = [START_S, START_S + 1, START_S - 3600, START_S - 3599, START_S + 7200]
    seen = Watched().take(*(update(n + 1, stamp) for n, stamp in enumerate(stamps))).idle(60)
    assert seen.numbers == [1, 2, 3, 4, 5]
    assert seen.lost == {}


def test_a_scan_pv_begins_and_ends_scans():
    running, idle = NTScalar("i").wrap(1), NTScalar("i").wrap(0)
    seen = Watched(idle_s=5, wait_s=1)
    seen.scans.running(idle)
    seen.take(update(1), update(2))  # a look at the beam
    seen.scans.running(running)
    seen.take(update(3), update(4)).idle(60)  # a pause is no end
    seen.take(update(5, START_S + 70))
    seen.scans.running(idle)
    seen.idle(0.5).take(update(6, START_S + 70.1)).idle(0.8)
    assert seen.of(End) == []
    seen.idle(0.3).take(update(7, START_S + 80))
    assert seen.numbers == [3, 4, 5, 6]
    assert seen.of(End) == [End("the scan PV has ended it")]
    seen.scans.running(running)
    seen.take(update(1, START_S + 90))
    seen.scans.running(idle)
    seen.scans.running(running)
    seen.take(update(2, START_S + 91))
    assert seen.of(End)[1:] == [End("the scan PV has begun the next scan")]
    assert seen.numbers == [3, 4, 5, 6, 1, 2]
    assert seen.lost == {}


def test_a_scan_pv_may_be_a_choice():
    choices = NTEnum()
    seen = Watched()
    seen.scans.running(choices.wrap({"index": 0, "choices": ["Done", "Acquire"]}))
    seen.take(update(1))
    seen.scans.running(choices.wrap({"index": 1, "choices": ["Done", "Acquire"]}))
    seen.take(update(2))
    assert seen.numbers == [2]


def test_scans_of_one_second_have_names_of_their_own():
    seen = Watched(first_number=1, frame_count=1)
    seen.take(*map(update, range(1, 30)))
    names = [begin.name for begin in seen.of(Begin)]
    assert len(set(names)) == 29
    assert all(re.fullmatch(r"X_Pva1_[\d-]+", name) for name in names)


@pytest.mark.parametrize("match", Match)
def test_positions_of_another_pv(match):
    seen = Watched(position_match=match, wait_s=2.0, positions=NAMES, idle_s=5)
    seen.scans.position(position(0, 0, 0))  # what the PV holds when it is connected
    for number in (1, 2, 3, 4):
        if number != 3:
            seen.scans.position(position(number, 0.5, number))
        seen.take(update(number))
    seen.scans.position(position(5, 0.5, 5))
    seen.idle(3).idle(3)
    assert {frame.number: frame.position_m for frame in seen.of(Frame)} == {
        number: (0.5e-6, number * 1e-6) for number in (1, 2, 4)
    }
    assert seen.lost == {Loss.WITHOUT_POSITION: 1}
    assert seen.kinds[-1] == "End"


def test_a_position_that_the_pv_held_before_the_scan_is_not_used():
    seen = Watched(position_match=Match.NUMBER, positions=NAMES)
    seen.scans.position(position(2, 7.0, 7.0))
    for number in (1, 3):
        seen.scans.position(position(number, 0.0, number))
    seen.take(*map(update, (1, 2, 3))).idle(60)
    assert seen.numbers == [1, 3]
    assert seen.lost == {Loss.WITHOUT_POSITION: 1}


def test_two_scans_with_positions_of_another_pv():
    """Frames without a position of their own never get one of the other scan."""
    seen = Watched(position_match=Match.NUMBER, positions=PositionNames(), wait_s=1.0)
    seen.scans.position(position(0, 0.0, 0.0))
    sent = 0
    for scan in range(3):
        for number in range(1, 21):
            if number % (scan + 5):
                seen.scans.position(position(number, scan, number))
            seen.take(update(number, START_S + scan * 100 + number))
            sent += 1
    seen.idle(60)
    scan = -1
    for event in seen.events:
        scan += isinstance(event, Begin)
        if isinstance(event, Frame):
            assert event.position_m == (scan, event.number)
    assert scan == 2
    assert len(seen.of(Frame)) + sum(seen.lost.values()) == sent


@pytest.mark.parametrize("seed", range(12))
def test_received_and_lost_are_sent(seed):
    """Faults of every kind at once, three scans in a row: the sums hold for each of them."""
    chance = random.Random(seed)
    seen = Watched(first_number=1, frame_count=300, positions=NAMES, idle_s=5)
    repeats = 0
    for scan in range(3):
        sent = []
        for number in range(1, 301):
            if chance.random() < 0.1:
                continue
            stamp_s = START_S + 100 * scan + number / 100
            value = placed(number, stamp_s=stamp_s)
            if chance.random() < 0.05:
                value = update(number, stamp_s)
            if chance.random() < 0.05:
                value["dimension"] = [{"size": 3}]
            sent.append((number + chance.uniform(0, 50), value))
            if chance.random() < 0.05 and number > 100:
                sent.append((number + chance.uniform(0, 50), value))
                repeats += 1
        for _, value in sorted(sent, key=lambda one: one[0]):
            seen.take(value)
        if scan == 1:
            seen.idle(6)
    seen.idle(60)
    assert seen.kinds.count("Begin") == seen.kinds.count("End") == 3
    assert len(seen.numbers) + sum(seen.lost.values()) == 900 + repeats
    assert seen.lost[Loss.DUPLICATE] == repeats
