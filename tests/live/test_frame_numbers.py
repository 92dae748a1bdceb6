"""Numbers tell which frames were lost, came late, came twice, or begin another scan."""

import random

import pytest

from wnet_edge.live.frame_numbers import LATEST, Arrival, FrameNumbers

NEW, DUPLICATE, RESET = Arrival.NEW, Arrival.DUPLICATE, Arrival.RESET


def arrivals(numbers, stamps=None, first=None):
    """What each number is taken for; and frames lost, the end's included."""
    scan = FrameNumbers(first)
    stamps = stamps or [1000 + number for number in numbers]
    taken = [scan.arrive(number, stamp) for number, stamp in zip(numbers, stamps, strict=True)]
    return [arrival for arrival, _ in taken], sum(lost for _, lost in taken) + scan.finish()


def test_in_order():
    assert arrivals(range(5, 2000)) == ([NEW] * 1995, 0)


def test_a_gap_is_lost():
    assert arrivals([1, 2, 5, 6, 9]) == ([NEW] * 5, 4)


def test_the_first_are_lost_where_the_first_is_known():
    assert arrivals([4, 5], first=1) == ([NEW] * 2, 3)


def test_out_of_order_is_no_loss():
    numbers = list(range(1, 4000))
    shuffled = sorted(numbers, key=lambda n: n + random.Random(n).uniform(0, 60))
    assert arrivals(shuffled, first=1) == ([NEW] * 3999, 0)


def test_a_late_frame_without_stamps():
    assert arrivals([1, 3, 2, 4], [None] * 4) == ([NEW] * 4, 0)


def test_duplicates():
    assert arrivals([1, 2, 2, 3, 1]) == ([NEW, NEW, DUPLICATE, NEW, DUPLICATE], 0)
    assert arrivals([1, 2, 2, 3, 2], [None] * 5)[0] == [NEW, NEW, DUPLICATE, NEW, DUPLICATE]


def test_a_new_scan_after_a_short_one():
    """Its frames bear old numbers and new stamps."""
    assert arrivals([1, 2, 3, 1], [10, 20, 30, 40])[0] == [NEW] * 3 + [RESET]
    assert arrivals([1, 2, 3, 2], [10, 20, 30, 40])[0] == [NEW] * 3 + [RESET]
    assert arrivals([1, 2, 3, 1], [None] * 4)[0] == [NEW] * 3 + [RESET]
    assert arrivals([5, 6, 7, 1], [10, 20, 30, 40])[0] == [NEW] * 3 + [RESET]


def test_a_new_scan_after_the_clock_was_set_back():
    assert arrivals([1, 2, 3, 1, 2], [10, 20, 30, 4, 5])[0][3:] == [RESET, RESET]
    assert arrivals([1, 2, 3, 2], [10, 20, 30, 20])[0][3] is DUPLICATE


def test_a_new_scan_after_a_long_one_whatever_the_clock_says():
    numbers = [*range(1, LATEST + 3), 2]
    assert arrivals(numbers, [9] * len(numbers))[0][-1] is RESET


@pytest.mark.parametrize("jump", [1, LATEST - 1, LATEST, LATEST + 1, 10 * LATEST, 10**9])
def test_a_jump_of_any_size_is_counted_once(jump):
    assert arrivals([1, 2, 2 + jump, 3 + jump]) == ([NEW] * 4, jump - 1)


def test_what_waits_is_bounded():
    scan = FrameNumbers()
    for number in range(0, 100_000, 3):
        scan.arrive(number, number)
    assert len(scan._missing) <= LATEST
    assert len(scan._stamps) <= LATEST


@pytest.mark.parametrize("seed", range(20))
def test_received_and_lost_are_sent(seed):
    """Any mixture of losses, delays and repeats: each frame sent is accounted for."""
    chance = random.Random(seed)
    sent = [n for n in range(1, 3000) if chance.random() < 0.9]
    sent += [n for n in sent if chance.random() < 0.1]
    sent.sort(key=lambda n: n + chance.uniform(0, 100))
    taken, lost = arrivals(sent, first=1)
    assert RESET not in taken
    assert taken.count(NEW) == len(set(sent))
    assert taken.count(DUPLICATE) == len(sent) - len(set(sent))
    assert taken.count(NEW) + lost == max(sent)


def test_the_end_of_a_scan_of_known_length():
    scan = FrameNumbers(1)
    for number in (1, 2, 4):
        scan.arrive(number, None)
    assert scan.has_last(4)
    assert not scan.has_last(5)
    assert scan.missing == 1
    assert scan.finish(6) == 3  # 3, 5, 6
    scan = FrameNumbers(1)
    for number in (1, 3, 2):
        scan.arrive(number, None)
    assert scan.has_last(3)
    assert scan.missing == 0
    assert scan.finish(3) == 0


def test_a_past_scan_knows_its_frames():
    scan = FrameNumbers(1)
    for number in (1, 2, 4):
        scan.arrive(number, number)
    scan.finish()
    assert scan.holds(4, 4)
    assert scan.holds(3, 3)
    assert not scan.holds(5, 5)
    assert not scan.holds(1, 50)
