"""Faults of a growing file, from its writer to the result file: written = in the image + lost."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from growing_files import Writer
from live_faults import FEW, LOOKS, ROWS, Taken, meanwhile

from wnet_edge.io.images.result_file import read_result

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("wnet-edge")
ALL = range(FEW)
SCAN = "scan.cxi"


@pytest.fixture
def writer(tmp_path, monkeypatch):
    """A program that writes the embedded scan in the test's folder."""
    monkeypatch.chdir(tmp_path)
    program = Writer(tmp_path)
    program.do("from growing_scan247 import *")
    yield program
    program.kill()


@pytest.fixture
def follow(call, writer):
    """`wnet-edge follow` beside what a writer does; gives the scan."""

    def run(lines, *words, idle_s=20):
        def write():
            for line in lines:
                writer.do(line)
                time.sleep(0.2)

        with meanwhile(write):
            code, out, err = call("follow", SCAN, *LOOKS, "--idle-s", idle_s, *words)
        assert code == 0, err
        (taken,) = Taken.of(out)
        return taken

    return run


@pytest.mark.parametrize("fault", ["nan pixels", "nan frames"])
def test_nan(follow, fault):
    part = "np.s_[10:12, 10:12]" if fault == "nan pixels" else "np.s_[:]"
    taken = follow(
        [
            "file = begun('scan.cxi', 'f4')",
            "add_positions(file, 0, 160)",
            f"add_frames(file, 0, 70, (0, 60), {part})",
            f"add_frames(file, 70, 160, (159,), {part})",
            "file.close()",
        ]
    )
    bad = () if fault == "nan pixels" else (0, 60, 159)
    taken.holds(ROWS[fault], FEW, [number for number in ALL if number not in bad])


def test_no_position(follow):
    gone = (5, 6, 80, 81, 82, 159)
    taken = follow(
        [
            "file = begun('scan.cxi')",
            f"add_positions(file, 0, 160, {gone})",
            "add_frames(file, 0, 160)",
            "file.close()",
        ]
    )
    taken.holds(ROWS["no position"], FEW, [number for number in ALL if number not in gone])


def test_late_positions(follow):
    taken = follow(
        [
            "file = begun('scan.cxi')",
            "add_frames(file, 0, 100)",
            "add_positions(file, 0, 70)",
            "add_frames(file, 100, 160)",
            "add_positions(file, 70, 160)",
            "file.close()",
        ]
    )
    taken.holds(ROWS["late positions"], FEW, ALL)


def test_a_writer_that_dies(follow, writer):
    def lines():
        yield "file = begun('scan.cxi')"
        yield "add(file, 0, 90)"
        writer.kill()

    taken = follow(lines(), idle_s=1)
    taken.holds(ROWS["dead writer"], 90, range(90))
    assert taken.look["ended"].endswith("though the file is marked as being written")


def test_an_end_while_frames_wait(follow):
    lines = ["file = begun('scan.cxi')", "add(file, 0, 40)", "file.close()"]
    taken = follow(lines, "--first-frames", 64, "--batch-wait-ms", 60_000)
    taken.holds(ROWS["end while waiting"], 40, range(40))


def started():
    words = [PROGRAM, "follow", SCAN, *map(str, LOOKS)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_killed_and_started_again(call, writer, tmp_path):
    output = tmp_path / "scan.wnet.h5"
    writer.do("file = begun('scan.cxi')")
    writer.do("add(file, 0, 100)")
    with started() as first:
        while not output.exists():
            assert first.poll() is None
            time.sleep(0.05)
        first.send_signal(signal.SIGKILL)
        first.communicate()
    early = read_result(output).process
    assert early.frames_received == early.frames_processed > 0
    assert early.warnings[0].startswith("the scan was still running, after ")
    writer.do("add(file, 100, 481)")
    writer.do("file.close()")
    code, _, err = call("follow", SCAN, *LOOKS)
    assert code == 1
    assert "scan.wnet.h5: exists already; replace it with --force" in err
    assert read_result(output).process == early
    code, out, err = call("follow", SCAN, *LOOKS, "--force", "--idle-s", 1)
    assert code == 0, err
    (taken,) = Taken.of(out)
    taken.holds(ROWS["killed, file"], 481, range(481))
