"""Faults of a detector's ZeroMQ stream, from the socket to the result file: sent = image + lost."""

import json
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from live_faults import FEW, LOOKS, ROWS, Taken, meanwhile, stored

pytest.importorskip("zmq")
pytest.importorskip("dectris.compression")
import zmq

from wnet_edge.live.source import Begin
from wnet_edge.live.zmq_publisher import (
    ZmqPublisher,
    end_message,
    image_message,
    start_message,
)

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("wnet-edge")
HOURS = timedelta(hours=5)
ALL = range(FEW)
BAD = (10, 50, 51, 120, 159)


@pytest.fixture
def detector():
    with ZmqPublisher("tcp://127.0.0.1:*") as publisher:
        yield publisher


@pytest.fixture
def stream(call, detector, tmp_path, monkeypatch):
    """`wnet-edge stream` beside what a detector sends; gives the scans, or what was said."""
    monkeypatch.chdir(tmp_path)

    def run(messages, *words, raw=False, scans=1):
        def send():
            for message in messages:
                detector.send(message)

        with meanwhile(send):
            code, out, err = call(
                "stream", "--input-zmq", detector.address, *LOOKS, *words, "--scans", scans
            )
        if raw:
            return code, out, err
        assert code == 0, err
        return Taken.of(out)

    return run


def start(count=FEW, series=1):
    begin = Begin("", energy_ev=10_000, distance_m=0.9, pixel_size_m=110e-6)
    return start_message(begin, (count, 64, 64), series)


def image(number, frame=None, series=1, position=True, since=None):
    frames, positions_m = stored()
    row_m, column_m = positions_m[number].tolist()
    return image_message(
        frames[number] if frame is None else frame,
        number,
        series,
        (row_m, column_m) if position else None,
        since,
    )


def series(numbers, count=FEW, name=1):
    """A whole series of images, some of which may lack."""
    yield start(count, name)
    for number in numbers:
        yield image(number, series=name)
    yield end_message(name)


def image_without(*gone):
    return [number for number in ALL if number not in gone]


def test_gaps(stream):
    gone = (20, 21, 90)
    (taken,) = stream(series(image_without(*gone)))
    taken.holds(ROWS["gaps"], FEW, image_without(*gone))
    taken.warns_of("any other client of the same address takes its share")


def test_disorder(stream):
    order = sorted(ALL, key=lambda n: n + np.random.default_rng(n).uniform(0, 60))
    (taken,) = stream(series(order))
    taken.holds(ROWS["disorder"], FEW, ALL)


def test_duplicates(stream):
    numbers = sorted([*ALL, 3, 70, 71, 159])
    (taken,) = stream(series(numbers))
    taken.holds(ROWS["duplicates"], FEW + 4, ALL)


@pytest.mark.parametrize("fault", ["shape", "type"])
def test_frames_of_another_shape_or_type(stream, fault):
    def messages():
        yield start()
        for number in ALL:
            frame = stored()[0][number]
            if number not in BAD:
                yield image(number)
            elif fault == "shape":
                yield image(number, frame[:32])
            elif number % 2:
                yield image(number).replace(b"\xd8\x46", b"\xd8\x57")  # 128-bit floats
            else:
                yield image(number)[:-900]
        yield end_message(1)

    (taken,) = stream(messages())
    taken.holds(ROWS[fault], FEW, image_without(*BAD))
    if fault == "shape":
        taken.warns_of("a frame is of shape (32, 64), the first of (64, 64)")
    else:
        taken.warns_of("is of an unknown type")
        taken.warns_of("a message is cut off, or no CBOR")


@pytest.mark.parametrize("fault", ["nan pixels", "nan frames"])
def test_nan(stream, fault):
    bad = (0, 60, 159)
    part = np.s_[10:12, 10:12] if fault == "nan pixels" else np.s_[:]

    def messages():
        yield start()
        for number in ALL:
            frame = stored()[0][number].astype(np.float32)
            if number in bad:
                frame[part] = np.nan
            yield image(number, frame)
        yield end_message(1)

    (taken,) = stream(messages())
    numbers = ALL if fault == "nan pixels" else image_without(*bad)
    taken.holds(ROWS[fault], FEW, numbers)


def test_no_position(stream):
    gone = (5, 6, 80, 81, 82, 159)

    def messages():
        yield start()
        for number in ALL:
            yield image(number, position=number not in gone)
        yield end_message(1)

    (taken,) = stream(messages())
    taken.holds(ROWS["no position"], FEW, image_without(*gone))


def test_a_detector_that_begins_anew(stream):
    def messages():
        yield from [*series(range(80))][:-1]
        yield from series(ALL)

    first, second = stream(messages(), scans=2)
    first.holds(ROWS["restarted detector"], FEW, range(80))
    second.holds(ROWS["restarted detector"], FEW, ALL)
    assert first.look["ended"] == "a new series has begun"
    assert first.look["result"] != second.look["result"]


def test_a_clock_that_jumps(stream):
    def messages():
        yield start()
        for number in ALL:
            jump = (timedelta(0), HOURS, -HOURS)[number // 54]
            yield image(number, since=datetime.now(timezone.utc) + jump)
        yield end_message(1)

    (taken,) = stream(messages())
    taken.holds(ROWS["clock"], FEW, ALL)
    assert 0 <= taken.look["latency_p50_s"] <= taken.look["latency_p99_s"] < 60


@pytest.mark.parametrize("fault", ["behind, drop-oldest", "behind, drop-newest", "behind, block"])
def test_a_network_that_is_behind(stream, fault):
    policy = fault.removeprefix("behind, ")
    words = () if policy == "block" else ("--when-behind", policy)  # the default here
    (taken,) = stream(series(range(481), 481), "--queue-frames", 5, *words)
    taken.holds(ROWS[fault], 481, range(481) if policy == "block" else None)


def test_a_second_client(stream, detector):
    theirs = []

    def messages():
        yield start()
        with zmq.Context() as context, context.socket(zmq.PULL) as other:
            other.setsockopt(zmq.LINGER, 0)
            other.connect(detector.address)
            time.sleep(0.5)
            for number in ALL:
                yield image(number)
            yield end_message(1)
            while other.poll(500):
                theirs.append(other.recv())

    (taken,) = stream(messages(), "--idle-s", 1)
    images = [message for message in theirs if b"image_id" in message]
    assert taken.look["lost"] == {"never_received": len(images)}
    taken.holds(ROWS["second client"], FEW, None)
    taken.warns_of("any other client of the same address takes its share")


def started(address):
    words = ("stream", "--input-zmq", address, *LOOKS, "--scans", 1, "--queue-frames", 50)
    return subprocess.Popen(
        [PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_killed_and_started_again(detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "series_1.wnet.h5"

    def send():
        for message in series(range(481), 481):
            detector.send(message)
            time.sleep(1 / 150)

    with meanwhile(send) as sending:
        with started(detector.address) as first:
            while not output.exists():
                assert first.poll() is None
                assert not sending.done()
                time.sleep(0.05)
            first.send_signal(signal.SIGKILL)
            first.communicate()
        kept = output.read_bytes()
        with started(detector.address) as second:
            out, err = second.communicate()
    assert second.returncode == 0, err
    assert output.read_bytes() == kept
    assert "series_1.wnet.h5: exists already; this scan goes to series_1_2.wnet.h5" in err
    (taken,) = Taken.of(out)
    taken.holds(ROWS["killed"], 481, range(taken.look["lost"]["never_received"], 481))
    taken.warns_of("the series had begun before its first message came")


def test_an_end_while_frames_wait(stream):
    words = ("--first-frames", 64, "--batch-wait-ms", 60_000)
    (taken,) = stream(series(range(40), 40), *words)
    taken.holds(ROWS["end while waiting"], 40, range(40))


def test_a_second_scan_that_is_damaged(stream):
    def messages():
        yield from series(range(40), 40)
        yield start(40, 2)
        for number in range(40):
            yield image(number, series=2).replace(b"\xd8\x46", b"\xd8\x57")
        yield end_message(2)
        yield from series(range(40), 40, 3)

    code, out, err = stream(messages(), raw=True, scans=3)
    assert code == 1
    assert "is of an unknown type" in err.splitlines()[-1]
    row = ROWS["second scan damaged"]
    lines = [json.loads(line) for line in out.splitlines()]
    (failure,) = [line["error"] for line in lines if "error" in line]
    lost = "of another shape or type, or damaged"
    assert f"; 40 frames {lost};" in failure
    assert row.says(40, 0, {lost: 40})
    first, third = Taken.of(out)
    for taken in (first, third):
        taken.holds(row, 40, range(40))
