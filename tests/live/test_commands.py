"""`replay` beside `follow` and `stream`: a rehearsed scan ends in the image of `infer`."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import wnet_edge

PROGRAM = Path(sys.executable).with_name("wnet-edge")
GEOMETRY = ("--pixel-size-m", "110e-6")


@pytest.fixture(scope="module")
def recorded():
    with wnet_edge.open(provider="cpu") as runner:
        return runner.infer("example:scan247")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def beside(*words):
    """The command, in a process of its own."""
    return subprocess.Popen(
        [PROGRAM, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def assert_as_recorded(result, recorded):
    assert wnet_edge.compare(result, recorded).phase_correlation >= 0.9999


def test_a_file_is_followed_while_it_grows(call, recorded):
    with beside("replay", "example:scan247", "--file", "grow.cxi", "--rate", 400) as writer:
        code, out, err = call("follow", "grow.cxi", "--json", "--look-s", 0.2, "--save-s", 0.5)
        writer.communicate()
    assert writer.returncode == 0
    assert code == 0, err
    looks = [json.loads(line) for line in out.splitlines()]
    assert looks[-1]["processed"] == 481
    assert not any(looks[-1]["lost"].values())
    assert looks[-1]["ended"] == "the writer has closed the file"
    assert looks[-1]["trusted"]
    assert_as_recorded("grow.wnet.h5", recorded)
    assert Path("grow.wnet.png").is_file()


def test_a_stream_is_taken_as_it_comes(call, recorded):
    pytest.importorskip("zmq")
    pytest.importorskip("dectris.compression")
    words = ("replay", "example:scan247", "--zmq", "tcp://127.0.0.1:*", "--rate", 500)
    with beside(*words) as publisher:
        address = publisher.stderr.readline().split()[-1]
        code, out, err = call("stream", "--input-zmq", address, "--scans", 1, *GEOMETRY, "--json")
        publisher.communicate()
    assert publisher.returncode == 0
    assert code == 0, err
    last = json.loads(out.splitlines()[-1])
    assert (last["processed"], last["expected"]) == (481, 481)
    assert_as_recorded("series_1.wnet.h5", recorded)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("stream",), 2, "give either --input-pv or --input-zmq"),
        (("stream", "--input-pv", "A", "--input-zmq", "tcp://b:1"), 2, "give either --input-pv"),
        (("stream", "--input-pv", "A"), 2, "positions are missing: give --position-names"),
        (("stream", "--input-zmq", "tcp://b:1", "--scan-pv", "C"), 2, "goes with --input-pv"),
        (("stream", "--input-pv", "A", "--position-names", "x"), 2, "is not ROW,COLUMN"),
        (("stream", "--input-zmq", "nowhere"), 1, "nowhere: is no address of ZeroMQ"),
        (("follow", "a.cxi", "-o", "gone"), 1, "gone: no such folder; create it"),
        (("follow", "a.cxi", "-o", "out.h5"), 1, "-o names a folder, in which results are named"),
        (("follow", "a.cxi", "-o", PROGRAM), 1, "wnet-edge: is a file; -o names a folder"),
        (("follow", "a.cxi", "--package", "w9"), 1, "w9: no embedded package of that name"),
        (("replay", "example:scan247"), 2, "give one of --pv, --zmq and --file"),
        (("replay", "gone.cxi", "--file", "b.cxi"), 1, "gone.cxi: "),
    ],
)
def test_wrong_usage_is_one_line(call, words, code, message):
    exit_code, _, err = call(*words)
    assert exit_code == code
    assert message in err


def test_a_result_of_before_is_not_replaced_unasked(call):
    Path("grow.wnet.h5").write_bytes(b"mine")
    with beside("replay", "example:scan247", "--file", "grow.cxi", "--rate", 2000) as writer:
        code, _, err = call("follow", "grow.cxi")
        writer.communicate()
    assert writer.returncode == 0
    assert code == 1
    assert "Error: grow.wnet.h5: exists already" in err
    assert Path("grow.wnet.h5").read_bytes() == b"mine"
