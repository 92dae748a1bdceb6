"""Faults of a detector's PVs, from the PV to the result file: sent = in the image + lost."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from live_faults import FEW, GEOMETRY, LOOKS, ROWS, Taken, alike, meanwhile, stored
from loopback import LOOPBACK

pytest.importorskip("p4p")
from p4p import Value
from p4p.client.thread import Context
from p4p.nt import NTScalar
from p4p.server import Server
from p4p.server.thread import SharedPV

from wnet_edge.io.images.result_file import read_result
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.live.ndarray import ndarray_fields
from wnet_edge.live.pv_outputs import PvOutputs
from wnet_edge.live.pv_publisher import PvPublisher
from wnet_edge.live.pv_scans import PositionNames, ScanRules
from wnet_edge.live.pv_source import PvSource
from wnet_edge.live.run import RunOptions, run
from wnet_edge.live.session import LiveOptions
from wnet_edge.pictures import object_picture

pytestmark = pytest.mark.slow

PV, POSITIONS_PV = "test:Pva1:Image", "test:Positions"
PROGRAM = Path(sys.executable).with_name("wnet-edge")
HOURS_S = 5 * 3600.0
BY_ATTRIBUTES = ("--position-names", "PositionRow,PositionColumn")
ALL = range(FEW)
RATE_HZ = 500.0


class Detector:
    """A detector's PV that does as it should, or not; numbers count from 0."""

    def __init__(self, conf=LOOPBACK):
        self.publisher = PvPublisher(PV, conf=conf)
        self.port = self.publisher.conf["EPICS_PVAS_BROADCAST_PORT"]

    def send(self, number, frame=None, position=None, stamp_s=None, unique_id=None):
        frames, positions_m = stored()
        self.publisher.publish_frame(
            frames[number] if frame is None else frame,
            number + 1 if unique_id is None else unique_id,
            tuple(positions_m[number]) if position is None else position,
            stamp_s,
        )

    def post(self, number, **fields):
        """A frame whose structure is wrong somewhere."""
        whole = ndarray_fields(stored()[0][number], number + 1, time.time(), {})
        self.publisher._frames.post(Value(self.publisher._type, whole | fields))

    def send_all(self, numbers, rate_hz=RATE_HZ):
        for number in numbers:
            self.send(number)
            time.sleep(1 / rate_hz)

    def restart(self):
        """Stop serving, and serve anew at the same port."""
        time.sleep(0.3)  # what was posted is on its way
        conf = self.publisher.conf
        self.publisher.close()
        again = {**conf, "EPICS_PVA_SERVER_PORT": conf["EPICS_PVAS_SERVER_PORT"]}
        self.publisher = PvPublisher(PV, conf=again)
        assert self.publisher.wait_for_client(60)


class PositionPv:
    """Serves positions, of frames that count from 0."""

    def __init__(self):
        self._type = NTScalar.buildType("ad", extra=[("uniqueId", "i")])
        self._pv = SharedPV(initial=Value(self._type, {}))
        self._server = Server(providers=[{POSITIONS_PV: self._pv}], conf=LOOPBACK, useenv=False)
        self.port = self._server.conf()["EPICS_PVAS_BROADCAST_PORT"]

    def send(self, number, stamp_s):
        seconds = int(stamp_s)
        stamp = {"secondsPastEpoch": seconds, "nanoseconds": round((stamp_s - seconds) * 1e9)}
        fields = {"value": stored()[1][number], "uniqueId": number + 1, "timeStamp": stamp}
        self._pv.post(Value(self._type, fields))

    def close(self):
        self._server.stop()


@pytest.fixture
def detector():
    detector = Detector()
    yield detector
    detector.publisher.close()


@pytest.fixture
def positions():
    positions = PositionPv()
    yield positions
    positions.close()


@pytest.fixture
def stream(call, detector, tmp_path, monkeypatch):
    """`wnet-edge stream` beside what a detector does; gives the scans, or what was said."""
    monkeypatch.chdir(tmp_path)
    at_servers(monkeypatch, detector)

    def run(play, *words, raw=False, idle_s=2.0, scans=1, looks=LOOKS):
        def published():
            assert detector.publisher.wait_for_client(60)
            play()

        words = ("stream", "--input-pv", PV, *GEOMETRY, *looks, "--idle-s", idle_s, *words)
        with meanwhile(published):
            code, out, err = call(*words, "--scans", scans)
        if raw:
            return code, out, err
        assert code == 0, err
        return Taken.of(out)

    return run


def at_servers(monkeypatch, *servers):
    """Clients of the environment find these servers."""
    for name, value in LOOPBACK.items():
        monkeypatch.setenv(name, value)
    found = " ".join(f"127.0.0.1:{server.port}" for server in servers)
    monkeypatch.setenv("EPICS_PVA_ADDR_LIST", found)


def image_without(*gone):
    return [number for number in ALL if number not in gone]


def test_gaps(stream, detector):
    gone = (20, 21, 90)
    (taken,) = stream(lambda: detector.send_all(image_without(*gone)), *BY_ATTRIBUTES)
    taken.holds(ROWS["gaps"], FEW, image_without(*gone))


def test_disorder(stream, detector):
    order = np.random.default_rng(3).permutation(FEW)
    (taken,) = stream(lambda: detector.send_all(order.tolist()), *BY_ATTRIBUTES)
    taken.holds(ROWS["disorder"], FEW, ALL)


def test_duplicates(stream, detector):
    def play():
        for number in ALL:
            stamp_s = time.time()
            for _ in range(2 if number in (3, 70, 71, 159) else 1):
                detector.send(number, stamp_s=stamp_s)

    (taken,) = stream(play, *BY_ATTRIBUTES)
    taken.holds(ROWS["duplicates"], FEW + 4, ALL)


@pytest.mark.parametrize("fault", ["shape", "type"])
def test_frames_of_another_shape_or_type(stream, detector, fault):
    bad = (10, 50, 51, 120, 159)

    def play():
        for number in ALL:
            frame = stored()[0][number]
            if number not in bad:
                detector.send(number)
            elif fault == "shape":
                detector.send(number, frame[:32])
            elif number % 2:
                detector.send(number, frame.astype(np.float32))
            else:
                detector.post(number, codec={"name": "jpeg"})

    (taken,) = stream(play, *BY_ATTRIBUTES)
    taken.holds(ROWS[fault], FEW, image_without(*bad))
    if fault == "shape":
        taken.warns_of("a frame is 32 × 64 uint32, the scan's first 64 × 64 uint32")
    else:
        taken.warns_of("64 × 64 float32")
        taken.warns_of("codec 'jpeg' is not one of lz4")


@pytest.mark.parametrize("fault", ["nan pixels", "nan frames"])
def test_nan(stream, detector, fault):
    bad = (0, 60, 159)
    part = np.s_[10:12, 10:12] if fault == "nan pixels" else np.s_[:]

    def play():
        for number in ALL:
            frame = stored()[0][number].astype(np.float32)
            if number in bad:
                frame[part] = np.nan
            detector.send(number, frame)

    (taken,) = stream(play, *BY_ATTRIBUTES)
    numbers = ALL if fault == "nan pixels" else image_without(*bad)
    taken.holds(ROWS[fault], FEW, numbers)
    if fault == "nan pixels":
        taken.warns_of("12 values are no counts (NaN, gaps) and are left out")
    else:
        taken.warns_of("3 frames have no counts")


def test_no_position(stream, detector):
    def play():
        for number in ALL:
            if number in (5, 80, 81):
                detector.post(number)
            elif number in (6, 82, 159):
                detector.send(number, position=(0.0, np.nan))
            else:
                detector.send(number)

    (taken,) = stream(play, *BY_ATTRIBUTES)
    taken.holds(ROWS["no position"], FEW, image_without(5, 6, 80, 81, 82, 159))
    taken.warns_of("a frame lacks PositionRow or PositionColumn, as a finite number")


def test_late_positions(stream, detector, positions, monkeypatch):
    at_servers(monkeypatch, detector, positions)

    def play():
        for number in range(FEW + 40):
            if number < FEW:
                detector.send(number)
            if number >= 40:
                positions.send(number - 40, time.time())
            time.sleep(1 / RATE_HZ)

    (taken,) = stream(play, "--position-pv", POSITIONS_PV)
    taken.holds(ROWS["late positions"], FEW, ALL)


@pytest.mark.parametrize("match", ["number", "time"])
def test_a_position_pv_that_dies(stream, detector, positions, monkeypatch, match):
    at_servers(monkeypatch, detector, positions)

    def play():
        for number in ALL:
            now_s = time.time()
            if number < 80:
                positions.send(number, now_s)
            elif number == 80:
                time.sleep(0.3)
                positions.close()
            detector.send(number, stamp_s=now_s + (1.0 if number >= 80 else 0.0))
            time.sleep(1 / RATE_HZ)

    words = ("--position-pv", POSITIONS_PV, "--position-match", match)
    (taken,) = stream(play, *words)
    row = ROWS["dead position PV" if match == "number" else "dead position PV by time"]
    taken.holds(row, FEW, range(80))
    if match == "time":
        taken.warns_of("the nearest position in time is")


def test_a_server_that_is_restarted(stream, detector, tmp_path):
    np.save(tmp_path / "positions.npy", stored()[1][:FEW])

    def play():
        detector.send_all(range(80))
        detector.restart()
        detector.send_all(range(90, FEW))

    (taken,) = stream(play, "--positions", "positions.npy", "--positions-unit", "m", idle_s=60.0)
    taken.holds(ROWS["restart"], FEW, image_without(*range(80, 90)))


def test_a_detector_that_begins_anew(stream, detector):
    def play():
        detector.send_all(range(80))
        detector.restart()
        detector.send_all(ALL)
        detector.send_all(range(3))  # the third scan ends the second

    first, second = stream(play, *BY_ATTRIBUTES, idle_s=60.0, scans=2)
    first.holds(ROWS["restarted detector"], 80, range(80))
    second.holds(ROWS["restarted detector"], FEW, ALL)
    assert first.look["result"] != second.look["result"]


@pytest.mark.parametrize("by", ["attributes", "time"])
def test_a_clock_that_jumps(stream, detector, positions, monkeypatch, by):
    at_servers(monkeypatch, detector, positions)

    def play():
        for number in ALL:
            jump_s = (0.0, HOURS_S, -HOURS_S)[number // 54]
            stamp_s = time.time() + jump_s
            positions.send(number, stamp_s)
            detector.send(number, stamp_s=stamp_s)
            time.sleep(1 / RATE_HZ)

    time_match = ("--position-pv", POSITIONS_PV, "--position-match", "time")
    (taken,) = stream(play, *(BY_ATTRIBUTES if by == "attributes" else time_match))
    taken.holds(ROWS["clock"], FEW, ALL)
    assert 0 <= taken.look["latency_p50_s"] <= taken.look["latency_p99_s"] < 60


@pytest.mark.parametrize("fault", ["behind, drop-oldest", "behind, drop-newest", "behind, block"])
def test_a_network_that_is_behind(stream, detector, monkeypatch, fault):
    captions = []
    write = object_picture.write_picture

    def kept(*arguments, **options):
        captions.append(arguments[5].caption)
        write(*arguments, **options)

    monkeypatch.setattr("wnet_edge.runner.image.scan_image.write_picture", kept)
    policy = fault.removeprefix("behind, ")
    words = (*BY_ATTRIBUTES, "--queue-frames", 5)
    if policy != "drop-oldest":  # the default
        words = (*words, "--when-behind", policy)
    (taken,) = stream(lambda: detector.send_all(range(481), 1e6), *words)
    taken.holds(ROWS[fault], 481, range(481) if policy == "block" else None)
    assert f"{taken.look['processed']} of 481 frames" in captions[-1]


def test_the_terminal_tells_what_is_lost(stream, detector):
    gone = (20, 21, 90)
    words = (*BY_ATTRIBUTES, "--queue-frames", 5, "--when-behind", "drop-newest")
    numbers = [number for number in range(481) if number not in gone]
    play = partial(detector.send_all, numbers, 1e6)
    code, out, err = stream(play, *words, raw=True, looks=LOOKS[1:])
    assert code == 0
    assert "Warning: test_Pva1_Image_" in err
    assert ": 3 frames never received\n" in err
    assert "frames dropped, as the network was behind\n" in err
    assert "(no frame has come for 2 s)" in out


def started(stdout=subprocess.PIPE):
    words = ("stream", "--input-pv", PV, *GEOMETRY, *LOOKS, *BY_ATTRIBUTES, "--idle-s", 2)
    return subprocess.Popen(
        [PROGRAM, *map(str, words), "--scans", "1"],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(true, within_s=60.0):
    until_s = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_killed_and_started_again(detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    at_servers(monkeypatch, detector)

    with started() as first:
        assert detector.publisher.wait_for_client(60)
        detector.send_all(range(200))
        wait_for(lambda: list(tmp_path.glob("*.wnet.h5")))
        first.send_signal(signal.SIGKILL)
        first.communicate()
    (output,) = tmp_path.glob("*.wnet.h5")
    kept = output.read_bytes()
    detector.publisher._client.clear()
    detector.send_all(range(200, 240))
    with started() as second:
        assert detector.publisher.wait_for_client(60)
        detector.send_all(range(240, 481))
        out, err = second.communicate()
    assert second.returncode == 0, err
    early = read_result(output).process
    assert early.frames_received == early.frames_processed > 0
    assert early.warnings[0].startswith("the scan was still running, after ")
    assert alike(output, tuple(range(early.frames_processed))) >= 0.98
    assert output.read_bytes() == kept
    (taken,) = Taken.of(out)
    assert Path(taken.look["result"]).name != output.name
    taken.holds(ROWS["killed"], 481, range(taken.look["lost"]["never_received"], 481))


class Disk:
    """May be full; counts the files that it took and refused."""

    def __init__(self):
        self.is_full = False
        self.taken = self.refused = 0


@pytest.fixture
def disk(monkeypatch):
    disk = Disk()
    write = Path.write_bytes

    def written(path, data):
        if disk.is_full:
            disk.refused += 1
            raise OSError(errno.ENOSPC, "No space left on device")
        disk.taken += 1
        return write(path, data)

    monkeypatch.setattr(Path, "write_bytes", written)
    return disk


def test_a_disk_that_is_full_for_a_while(stream, detector, disk):
    def play():
        detector.send_all(range(100))
        wait_for(lambda: disk.taken)
        disk.is_full = True
        wait_for(lambda: disk.refused >= 2)
        detector.send_all(range(100, 130))
        disk.is_full, taken = False, disk.taken
        wait_for(lambda: disk.taken > taken)
        detector.send_all(range(130, FEW))

    code, out, err = stream(play, *BY_ATTRIBUTES, raw=True, idle_s=4.0)
    assert code == 0, err
    told = [line for line in err.splitlines() if "No space left on device" in line]
    assert len(told) == 1
    assert "the scan goes on" in told[0]
    assert "is written again" in err
    (taken,) = Taken.of(out)
    taken.holds(ROWS["disk full"], FEW, ALL)


def test_a_disk_that_is_full_at_the_end(stream, detector, disk, tmp_path):
    def play():
        detector.send_all(range(100))
        wait_for(lambda: disk.taken)
        disk.is_full = True
        detector.send_all(range(100, FEW))

    code, out, err = stream(play, *BY_ATTRIBUTES, raw=True, idle_s=4.0)
    assert code == 1
    assert "can't be written (No space left on device)" in err.splitlines()[-1]
    last = [line for line in map(json.loads, out.splitlines()) if "processed" in line][-1]
    assert ROWS["disk full at the end"].says(FEW, last["processed"], {})
    (output,) = tmp_path.glob("*.wnet.h5")
    assert 0 < read_result(output).process.frames_processed <= FEW


@pytest.mark.parametrize("is_full", [True, False], ids=["full", "closed"])
def test_a_standard_output_that_takes_nothing(detector, tmp_path, monkeypatch, is_full):
    monkeypatch.chdir(tmp_path)
    at_servers(monkeypatch, detector)
    reading, writing = (None, os.open("/dev/full", os.O_WRONLY)) if is_full else os.pipe()
    with started(writing) as program:
        os.close(writing)
        if reading is not None:
            os.close(reading)
        assert detector.publisher.wait_for_client(60)
        detector.send_all(ALL, 100.0)
        _, err = program.communicate()
    assert program.returncode == 1
    assert err.count("the scan goes on") == 1
    (output,) = tmp_path.glob("*.wnet.h5")
    process = read_result(output).process
    assert ROWS["unheard"].says(process.frames_received, process.frames_processed, {})
    assert alike(output, tuple(ALL)) >= 0.999


READER = """
import sys
from p4p.client.thread import Context
with Context("pva") as client:
    with client.monitor("test:wnet:Phase", lambda value: print("one", flush=True)):
        sys.stdin.read()
"""


def test_a_viewer_that_stops_reading(opened, detector, monkeypatch):
    """It is stopped, so that nothing takes what is sent to it."""
    outputs = PvOutputs("test:wnet", conf=LOOPBACK)
    outputs.port = outputs.conf["EPICS_PVAS_BROADCAST_PORT"]
    at_servers(monkeypatch, detector, outputs)
    rules = ScanRules(1, positions=PositionNames(), idle_s=2.0)
    source = PvSource(PV, rules)
    saved = []
    watcher = type(
        "Watcher",
        (),
        {
            "began": lambda *_: None,
            "looked": lambda *_: None,
            "save": lambda _, image, *, ended: saved.append((image.inference, ended)),
        },
    )()
    energy_ev, distance_m, pixel_size_m = GEOMETRY[1::2]
    reading = ReadOptions(energy_ev=energy_ev, distance_m=distance_m, pixel_size_m=pixel_size_m)
    options = RunOptions(LiveOptions(reading=reading), look_s=0.01, save_s=60.0, scans=1)

    def play():
        assert detector.publisher.wait_for_client(60)
        detector.send_all(ALL, 60.0)

    with subprocess.Popen(
        [sys.executable, "-c", READER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as viewer:
        viewer.stdout.readline()
        viewer.send_signal(signal.SIGSTOP)
        with meanwhile(play):
            run(source, opened, options, watcher, viewers=[outputs.show])
        with Context("pva") as client:
            assert client.get("test:wnet:Processed") == FEW
            assert client.get("test:wnet:Phase").attrib["Scan"]
        viewer.kill()
    ((image, ended),) = saved
    assert ended
    lost = image.frames_lost
    assert ROWS["viewer"].says(FEW, image.frames_processed, {"lost": lost} if lost else {})
    source.close()
    outputs.close()


def test_an_end_while_frames_wait(stream, detector):
    words = (*BY_ATTRIBUTES, "--first-frames", 64, "--batch-wait-ms", 60_000)
    (taken,) = stream(lambda: detector.send_all(range(40)), *words)
    taken.holds(ROWS["end while waiting"], 40, range(40))


def test_a_second_scan_that_is_damaged(stream, detector):
    def play():
        detector.send_all(range(40))
        for number in range(40):
            detector.post(number, codec={"name": "jpeg"})
        detector.send_all(range(40))

    code, out, err = stream(play, *BY_ATTRIBUTES, raw=True, scans=3)
    assert code == 1
    assert "codec 'jpeg' is not one of" in err.splitlines()[-1]
    row = ROWS["second scan damaged"]
    failures = [line["error"] for line in map(json.loads, out.splitlines()) if "error" in line]
    assert len(failures) == 1
    lost = "of another shape or type, or damaged"
    assert f"; 40 frames {lost};" in failures[0]
    assert row.says(40, 0, {lost: 40})
    first, third = Taken.of(out)
    for taken in (first, third):
        taken.holds(row, 40, range(40))
