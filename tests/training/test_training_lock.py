"""Two trainings into one checkpoint: the second is refused, unless the first one has died."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import wnet_edge
from wnet_edge.errors import CheckpointError
from wnet_edge.training import lock
from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.lock import lock_path, locked

PROGRAM = Path(sys.executable).with_name("wnet-edge")
EXAMPLES = Path(wnet_edge.__file__).parent / "examples"
TRAIN = (
    *("train", "--model", "ptychonn", "--epochs", "99"),
    *("--data", str(EXAMPLES / "cnm26id_scan247_64px.cxi")),
    *("--labels", str(EXAMPLES / "cnm26id_scan247_reference.npz")),
)


@pytest.fixture
def checkpoint(tmp_path):
    return tmp_path / "c.safetensors"


def left_by(checkpoint, **changes):
    """A lock of another process, like this one but for the changes."""
    with locked(checkpoint):
        values = json.loads(lock_path(checkpoint).read_text())
    lock_path(checkpoint).write_text(json.dumps(values | changes))


def a_dead_process():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


def test_the_second_is_refused_and_told_who_has_it(checkpoint):
    with locked(checkpoint) as warning:
        assert warning is None
        with pytest.raises(CheckpointError) as refused, locked(checkpoint):
            pass
        host = json.loads(lock_path(checkpoint).read_text())["host"]
        assert str(refused.value) == (
            f"{checkpoint}: is being written by process {os.getpid()} on {host}; name another -o, "
            f"or, if that has ended, delete {checkpoint}.lock"
        )
    assert list(checkpoint.parent.iterdir()) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"pid": a_dead_process()},
        {"started": "1"},
        {"namespace": "another-boot pid:[1]"},
    ],
    ids=["dead", "number given anew", "before the machine was started"],
)
def test_what_a_dead_process_has_left_is_taken_over(checkpoint, changes):
    left_by(checkpoint, **changes)
    with locked(checkpoint) as warning:
        assert "was left by process" in warning
        assert json.loads(lock_path(checkpoint).read_text())["pid"] == os.getpid()
    assert list(checkpoint.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "who"),
    [
        ({"host": "node17", "pid": 4}, "process 4 on node17"),
        ({"namespace": lock._this_process().namespace.partition(" ")[0] + " pid:[1]"}, "process"),
        ({"pid": "x"}, "another process"),
    ],
    ids=["another machine", "another container", "no lock of ours"],
)
def test_what_may_live_is_never_taken_over(checkpoint, content, who):
    left_by(checkpoint, **content)
    before = lock_path(checkpoint).read_bytes()
    with pytest.raises(CheckpointError, match=f"is being written by {who}"), locked(checkpoint):
        pass
    assert lock_path(checkpoint).read_bytes() == before


def test_a_zombie_is_dead(checkpoint):
    process = subprocess.Popen([sys.executable, "-c", ""])
    try:
        deadline = time.monotonic() + 10
        while lock._started(process.pid) and time.monotonic() < deadline:
            time.sleep(0.02)
        left_by(checkpoint, pid=process.pid)
        with locked(checkpoint) as warning:
            assert warning
    finally:
        process.wait()


def test_a_lock_that_was_deleted_and_made_anew_stays(checkpoint):
    with locked(checkpoint):
        lock_path(checkpoint).write_text("somebody else's")
    assert lock_path(checkpoint).read_text() == "somebody else's"


def test_of_two_who_take_over_one_has_it(checkpoint, monkeypatch):
    left_by(checkpoint, started="1")
    stale = lock_path(checkpoint).read_bytes()
    other = json.dumps({**json.loads(stale), "host": "quicker"}).encode()
    take_away = lock._take_away

    def too_late(path, content):
        path.write_bytes(other)
        take_away(path, content)

    monkeypatch.setattr(lock, "_take_away", too_late)
    with pytest.raises(CheckpointError, match="on quicker"), locked(checkpoint):
        pass
    assert lock_path(checkpoint).read_bytes() == other
    assert [path.name for path in checkpoint.parent.iterdir()] == ["c.safetensors.lock"]


def test_a_pipe_or_a_folder_in_its_place_hangs_nobody(checkpoint):
    os.mkfifo(lock_path(checkpoint))
    with pytest.raises(CheckpointError, match="another process"), locked(checkpoint):
        pass


def test_processes_are_told_apart():
    here = lock._this_process()
    assert not here.is_dead
    assert not replace(here, host="elsewhere", pid=2**22 + 1).is_dead
    assert here.started


def test_trainings_into_one_file_and_a_batch_system_that_ends_one(checkpoint, tmp_path):
    words = [PROGRAM, *TRAIN, "-o", checkpoint]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    environment = os.environ | {"TMPDIR": str(temporary)}
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, env=environment) as first:
        lines = iter(first.stderr)
        next(lines)
        for flag in ("--force", "--resume"):
            second = subprocess.run([*words, flag], capture_output=True, text=True, check=False)
            assert second.returncode == 1
            (line,) = second.stderr.splitlines()
            assert line.startswith(f"Error: {checkpoint}: is being written by process {first.pid} ")
        assert any(line.startswith("epoch 1/99") for line in lines)
        first.send_signal(signal.SIGTERM)
        last = [line for line in lines if not line.startswith("epoch ")]
    assert first.returncode == 128 + signal.SIGTERM
    (line,) = last
    assert line.startswith(
        f"Error: interrupted, {checkpoint} holds all completed epochs; continue: "
    )
    assert read_checkpoint(checkpoint).record.epoch >= 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.csv", "c.safetensors", "tmp"]
    assert list(temporary.iterdir()) == []  # PyTorch leaves no folder of a compiler's cache
