"""A home that can't be entered or is not there, a current folder that was removed: work goes on."""

import subprocess

import pytest
from bad_case import PROGRAM, as_anybody

from wnet_edge.runner.graph.cache import cache_folder

INFER = ("infer", "scan.cxi", "--package", "known.wnet", "--provider", "cpu")


@pytest.fixture
def closed_home(tmp_path_factory, monkeypatch):
    home = tmp_path_factory.mktemp("home") / "closed"
    home.mkdir(mode=0)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(home))
    yield home
    home.chmod(0o700)


def test_a_home_that_cannot_be_entered_is_told_and_the_image_is_made(here, closed_home):
    done = as_anybody(here, INFER)
    assert done.code == 0, done.err
    assert (here / "scan.wnet.h5").exists()
    assert done.err.splitlines()[0] == (
        f"Warning: scan.cxi: {closed_home}/.cache/wnet-edge/tune: can't be looked into "
        "(permission denied); set XDG_CACHE_HOME to a folder of yours"
    )
    doctor = as_anybody(here, ("doctor", "--package", "ptychonn"))
    assert doctor.code == 0, doctor.err
    assert "Traceback" not in doctor.out + doctor.err
    tune = as_anybody(here, ("tune", "ptychonn"))
    assert tune.code == 1
    (line,) = tune.err.splitlines()
    assert line.endswith("set XDG_CACHE_HOME to a folder that can be written")


def test_a_user_without_a_home_has_no_cache_in_the_current_folder(here, call, monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as it is for an unknown user
    monkeypatch.delenv("HOME", raising=False)
    assert cache_folder().is_absolute()
    assert call(*INFER)[0] == 0
    code, _, err = call("tune", "ptychonn")
    assert code == 1
    assert "set XDG_CACHE_HOME" in err
    assert not (here / "~").exists()


def in_removed_folder(tmp_path, *words):
    folder = tmp_path / "gone"
    folder.mkdir()
    done = subprocess.run(
        ["bash", "-c", 'rmdir "$PWD"; exec "$@"', "bash", PROGRAM, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


def test_in_a_folder_that_was_removed_whole_paths_work(here):
    whole = ("infer", here / "scan.cxi", "--package", here / "known.wnet", "--provider", "cpu")
    outputs = ("-o", here / "o.h5", "--image", here / "o.png")
    gone = "Error: the current folder is no longer there; go to another\n"
    assert in_removed_folder(here, *whole) == (1, gone)
    code, err = in_removed_folder(here, *whole, *outputs)
    assert code == 0, err
    assert (here / "o.h5").exists()
    train = ("train", "--model", "w3", "--probe", here / "scan.cxi", "-o", here / "c")
    assert in_removed_folder(here, *train) == (1, gone)
    assert in_removed_folder(here, "inspect", here / "scan.cxi") == (0, "")
