"""Outputs that are whole or absent, several together too, whatever comes in between."""

import signal

import pytest

from wnet_edge.errors import ResultError
from wnet_edge.host import outputs
from wnet_edge.host.interrupts import temporary_paths
from wnet_edge.host.outputs import check_apart, replacing, together


def write_both(folder, *, force=True):
    with together():
        for name in ("a", "b"):
            with replacing(folder / name, ResultError, force=force) as temporary:
                temporary.write_text("new")


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def old(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text("old")
    return tmp_path


def test_files_that_belong_together_appear_together(tmp_path):
    with together():
        with replacing(tmp_path / "a", ResultError, force=False) as temporary:
            temporary.write_text("new")
        assert not (tmp_path / "a").exists()
        with together(), replacing(tmp_path / "b", ResultError, force=False) as temporary:
            temporary.write_text("new")
        assert not (tmp_path / "b").exists()
    assert contents(tmp_path) == {"a": "new", "b": "new"}
    assert not temporary_paths


@pytest.mark.parametrize("error", [KeyboardInterrupt, ResultError])
def test_what_stops_the_second_leaves_the_first_as_it_was(old, error):
    def write():
        with together():
            with replacing(old / "a", ResultError, force=True) as temporary:
                temporary.write_text("new")
            with replacing(old / "b", ResultError, force=True) as temporary:
                temporary.write_text("half")
                raise error

    with pytest.raises(error):
        write()
    assert contents(old) == {"a": "old", "b": "old"}
    with replacing(old / "a", ResultError, force=True) as temporary:
        temporary.write_text("alone")
    assert contents(old) == {"a": "alone", "b": "old"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_between_two_renames_waits_for_the_second(old, number, monkeypatch):
    def interrupted(_number, _frame):
        raise KeyboardInterrupt

    rename = outputs.Path.replace

    def renamed(self, target):
        done = rename(self, target)
        signal.raise_signal(number)
        return done

    monkeypatch.setattr(outputs.Path, "replace", renamed)
    before = signal.signal(number, interrupted)
    try:
        with pytest.raises(KeyboardInterrupt):
            write_both(old)
        assert signal.getsignal(number) is interrupted
    finally:
        signal.signal(number, before)
    assert contents(old) == {"a": "new", "b": "new"}


def test_a_second_name_that_the_disk_refuses_takes_the_first_back(tmp_path, monkeypatch):
    rename = outputs.Path.replace

    def renamed(self, target):
        if target.name == "b":
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(outputs.Path, "replace", renamed)
    with pytest.raises(ResultError, match=r"b: can't be written \(No space left on device\)"):
        write_both(tmp_path, force=False)
    assert contents(tmp_path) == {}


def test_one_file_by_two_names_is_written_twice(old):
    (old / "link").symlink_to("a")
    for other in (old / "a", old / "." / "a", old / "link"):
        with pytest.raises(ResultError, match="would be written twice; name the outputs apart"):
            check_apart([old / "a", old / "b", other], ResultError)
    check_apart([old / "a", old / "b", old / "c"], ResultError)


def test_a_relative_output_in_a_folder_that_was_removed(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with (
        pytest.raises(ResultError, match="the current folder is no longer there; go to another"),
        replacing(outputs.Path("a"), ResultError, force=False),
    ):
        pass
    with replacing(tmp_path / "a", ResultError, force=False) as temporary:
        temporary.write_text("elsewhere")
    assert contents(tmp_path) == {"a": "elsewhere"}
