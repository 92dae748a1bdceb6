"""Followed files: every frame once, bit for bit, with its position, whatever the writer does."""

import os
import time

import h5py
import numpy as np
import pytest
from growing_files import FRAMES, KNOWN, NAME, TRANSLATION, Writer, at, rewrite
from layout_parts import nx_group, put, translation_of
from layouts_hdf5 import LAYOUTS

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.live.file_publisher import Recording, publish_file
from wnet_edge.live.file_source import FollowedFile, FollowOptions
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost

POLL_S = 0.02
ALL = list(range(len(KNOWN.frames)))
CLOSED = "the writer has closed the file"


@pytest.fixture
def writer(tmp_path):
    """A program that writes files in the test's folder."""
    program = Writer(tmp_path)
    yield program
    program.kill()


@pytest.fixture
def follow(tmp_path):
    """Follows the file; gives what has come."""

    def start(name=NAME, **options):
        options = {"poll_s": POLL_S, "idle_timeout_s": 20.0} | options
        return Followed(FollowedFile(at(tmp_path, name), FollowOptions(**options)))

    return start


class Followed:
    """What a source has given, checked as it comes."""

    def __init__(self, source):
        self.source = source
        self.events = []
        self.numbers = []

    def take(self, event):
        self.events.append(event)
        if isinstance(event, Frame):
            assert isinstance(self.events[0], Begin)
            assert event.number not in self.numbers
            np.testing.assert_array_equal(event.counts, KNOWN.frames[event.number])
            assert event.position_m == pytest.approx(
                tuple(KNOWN.positions_m[event.number]), abs=1e-15
            )
            self.numbers.append(event.number)

    def until(self, count):
        """Take events until so many frames have come, and see that no more come."""
        until_s = time.monotonic() + 20
        while len(self.numbers) < count:
            assert time.monotonic() < until_s, (self.numbers, self.source.waiting_for)
            event = self.source.next(0.1)
            if event is not None:
                self.take(event)
        self.nothing_more()
        return self.numbers

    def nothing_more(self):
        assert self.source.next(8 * POLL_S) is None

    def to_end(self):
        """Take events until the end; gives its reason."""
        until_s = time.monotonic() + 30
        while not (self.events and isinstance(self.events[-1], End)):
            assert time.monotonic() < until_s, (self.numbers, self.source.waiting_for)
            event = self.source.next(0.5)
            if event is not None:
                self.take(event)
        assert self.source.next(0.05) is None
        return self.events[-1].reason

    @property
    def begin(self):
        return self.events[0]

    @property
    def lost(self):
        return {e.reason: e.frames for e in self.events if isinstance(e, Lost)}


def test_frames_of_a_swmr_writer_come_as_they_are_written(writer, follow):
    writer.do("file = started()")
    followed = follow()
    followed.nothing_more()
    for first, end in ((0, 1), (1, 7), (7, 40)):
        writer.do(f"add(file, {first}, {end})")
        assert followed.until(end) == ALL[:end]
    writer.do("file.close()")
    assert followed.to_end() == CLOSED
    assert followed.lost == {}
    begin = followed.begin
    assert begin.name == "scan"
    assert begin.energy_ev == pytest.approx(KNOWN.geometry.energy_ev)
    assert begin.distance_m == KNOWN.geometry.distance_m
    assert begin.pixel_size_m == KNOWN.geometry.detector_pixel_size_m
    np.testing.assert_array_equal(begin.mask, KNOWN.mask)
    assert begin.positions_m is None
    assert begin.frame_count is None


def test_a_published_scan_is_followed_while_it_is_written(writer, follow):
    followed = follow()
    writer.begin(
        "from pathlib import Path; from wnet_edge.live.file_publisher import *; publish_file("
        "Path(NAME), Recording(KNOWN.frames, KNOWN.positions_m, KNOWN.geometry), 100.0)"
    )
    assert followed.to_end() == CLOSED
    assert followed.numbers == ALL
    writer.wait()


def test_a_file_that_is_opened_for_each_frame_is_never_locked_by_its_reader(writer, follow):
    followed = follow(poll_s=0.001, frame_count=len(ALL))
    writer.begin("append_by_reopening(40, 0.005)")
    assert followed.to_end() == "all 40 frames are there"
    assert followed.numbers == ALL
    writer.wait()


def test_a_file_that_is_written_anew_each_time_gives_only_new_frames(writer, follow):
    followed = follow(idle_timeout_s=1.0)
    for count in (8, 16, 40):
        writer.do(f"rewrite({count})")
        assert followed.until(count) == ALL[:count]
    assert followed.to_end() == "nothing new has come for 1 s"


@pytest.mark.parametrize("first", ["frames", "positions"])
def test_a_frame_comes_when_its_position_is_written_too(first, writer, follow):
    then = {"frames": "positions", "positions": "frames"}[first]
    writer.do("file = started()")
    writer.do(f"add_{first}(file, 0, 40)")
    followed = follow()
    followed.nothing_more()
    for start, end in ((0, 3), (3, 40)):
        writer.do(f"add_{then}(file, {start}, {end})")
        assert followed.until(end) == ALL[:end]


@pytest.mark.parametrize(("room", "sure"), [("np.nan", 4), ("0.0", 3)])
def test_room_for_positions_is_no_position(room, sure, writer, follow):
    writer.do(f"file = started(positions={room})")
    writer.do("add_frames(file, 0, 40)")
    followed = follow()
    followed.nothing_more()
    writer.do("add_positions(file, 0, 4)")
    followed.until(sure)  # the row coordinate of frame 3 is 0, or not written yet
    writer.do("add_positions(file, 4, 20)")
    followed.until(20)
    writer.do("file.close()")
    assert followed.to_end() == CLOSED
    assert followed.numbers == ALL[:20]
    assert followed.lost == {Loss.WITHOUT_POSITION: 20}


def test_positions_that_are_all_there_at_first_are_told_at_the_beginning(writer, follow):
    writer.do("file = started(positions=0.0, frames=40, chunks=(1, 32, 32))")
    writer.do("add_positions(file, 0, 40)")
    followed = follow()
    followed.nothing_more()
    writer.do("add_frames(file, 0, 2)")
    followed.until(2)
    np.testing.assert_allclose(followed.begin.positions_m, KNOWN.positions_m, atol=1e-15)
    assert followed.begin.frame_count == len(ALL)


def test_room_for_frames_is_no_frame(writer, follow):
    writer.do("file = started(frames=40, chunks=(1, 16, 32))")
    writer.do("add_positions(file, 0, 40)")
    writer.do("add_frames(file, 10, 12)")
    writer.do("file[FRAMES][0, :16] = KNOWN.frames[0, :16]; file.flush()")  # half of one
    followed = follow()
    followed.until(2)
    assert followed.numbers == [10, 11]
    writer.do("add_frames(file, 0, 10)")
    followed.until(12)
    writer.do("add_frames(file, 12, 40)")
    assert followed.to_end() == "all 40 frames are there"
    assert sorted(followed.numbers) == ALL


@pytest.mark.parametrize("creation", ["chunks=(8, 32, 32)", ""], ids=["chunks", "contiguous"])
def test_room_for_frames_that_only_their_counts_tell(creation, writer, follow):
    writer.do(f"file = started(frames=40, {creation})")
    writer.do("add(file, 0, 13)")
    followed = follow()
    assert followed.until(13) == ALL[:13]
    writer.do("add(file, 13, 20)")
    assert followed.until(20) == ALL[:20]
    writer.do("file.close()")
    assert followed.to_end() == CLOSED
    assert followed.numbers == ALL[:20]
    assert followed.lost == {}


def test_a_dark_frame_is_a_frame(tmp_path):
    frames = KNOWN.frames.copy()
    frames[[3, 39]] = 0
    path = at(tmp_path)
    publish_file(path, Recording(frames, KNOWN.positions_m))
    source = FollowedFile(path, FollowOptions(poll_s=POLL_S, idle_timeout_s=0.2))
    events = iter(lambda: source.next(1.0), None)
    numbers = [event.number for event in events if isinstance(event, Frame)]
    assert numbers == ALL


def test_many_dark_frames_do_not_keep_later_ones_back(writer, tmp_path, monkeypatch):
    monkeypatch.setattr("wnet_edge.live.file_source._BLOCK_FRAMES", 4)
    writer.do("file = started(chunks=(2, 32, 32))")
    writer.do("add(file, 0, 40)")
    writer.do("file[FRAMES][5:18] = 0; file.flush()")
    source = FollowedFile(at(tmp_path), FollowOptions(poll_s=POLL_S))
    events = iter(lambda: source.next(1.0), None)
    assert [event.number for event in events if isinstance(event, Frame)] == ALL


def test_a_writer_that_is_killed_leaves_its_frames(writer, follow):
    writer.do("file = started()")
    writer.do("add(file, 0, 17)")
    followed = follow(idle_timeout_s=1.0)
    followed.until(17)
    writer.do("add(file, 17, 23)")
    writer.kill()
    said = "nothing new has come for 1 s, though the file is marked as being written"
    assert followed.to_end() == said
    assert followed.numbers == ALL[:23]


def test_frames_end_at_the_number_that_was_asked_for(writer, follow):
    writer.do("file = started()")
    writer.do("add(file, 0, 30)")
    followed = follow(frame_count=25)
    assert followed.to_end() == "all 25 frames are there"
    assert followed.numbers == ALL[:25]
    assert followed.begin.frame_count == 25


def test_only_frames_of_the_range_that_was_asked_for(writer, follow):
    writer.do("file = started()")
    writer.do("add(file, 0, 30)")
    followed = follow(read=ReadOptions(frames_range=(5, 35)))
    followed.until(25)
    writer.do("add(file, 30, 40)")
    assert followed.to_end() == "all 30 frames are there"
    assert followed.numbers == ALL[5:35]


def test_a_finished_file_is_read_to_its_end(writer, follow):
    writer.do("rewrite(40)")
    followed = follow(idle_timeout_s=0.3)
    assert followed.to_end() == "nothing new has come for 0.3 s"
    assert followed.numbers == ALL


def test_a_file_that_is_not_there_is_waited_for(writer, follow):
    followed = follow(idle_timeout_s=0.1)
    followed.nothing_more()
    assert "no such file" in followed.source.waiting_for
    writer.do("file = created()")  # nobody can read it yet
    followed.nothing_more()
    assert "being written by another program" in followed.source.waiting_for
    writer.do("file.swmr_mode = True")
    followed.nothing_more()
    writer.do("add(file, 0, 5)")
    followed.to_end()
    assert followed.numbers == ALL[:5]


def refusal(followed):
    with pytest.raises(ScanError) as caught:
        followed.to_end()
    message = str(caught.value)
    assert "\n" not in message
    assert ";" in message
    return message.rpartition(f"{NAME}: ")[2]


def test_a_file_that_never_comes_is_told(follow):
    assert refusal(follow(start_timeout_s=0.1)) == "no such file; check the path"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no scan at all", "is not a scan file"), (b"\x89HDF\r\n\x1a\n", "can't be read as HDF5")],
)
def test_what_is_no_scan_is_told(content, words, follow, tmp_path):
    at(tmp_path).write_bytes(content)
    assert words in refusal(follow(idle_timeout_s=0.1))


def test_frames_that_never_get_a_position_are_told(writer, follow):
    writer.do("file = started()")
    writer.do("add_frames(file, 0, 5)")
    writer.do("file.close()")
    said = refusal(follow(idle_timeout_s=0.2))
    assert said == "none of its frames has a position; name them with --positions"


def test_a_file_that_is_cut_short_is_told(writer, follow, tmp_path):
    writer.do("file = started()")
    writer.do("add(file, 0, 30)")
    followed = follow()
    followed.until(30)
    os.truncate(at(tmp_path), 2000)
    said = refusal(followed)
    assert said.startswith("was cut short or replaced while it was followed, 2000 of ")


def test_a_file_that_is_deleted_is_told(writer, follow, tmp_path):
    writer.do("rewrite(8)")
    followed = follow(idle_timeout_s=0.3)
    followed.until(8)
    at(tmp_path).unlink()
    assert refusal(followed).startswith("no such file")


@pytest.mark.parametrize(
    ("replace", "words"),
    [
        ("rewrite(5)", "it has 5 frames, fewer than the 16 before"),
        ("KNOWN.frames[:] = KNOWN.frames[::-1]; rewrite(20)", "frame 15 is another one now"),
        (
            "rewrite(20); file = h5py.File(NAME, 'r+'); del file[FRAMES]; "
            "file[FRAMES] = np.ones((20, 64, 64), 'u2'); file.close()",
            "its frames are uint16 (64, 64) now",
        ),
    ],
    ids=["shorter", "other frames", "other shape"],
)
def test_another_scan_in_place_of_the_file_is_told(replace, words, writer, follow):
    writer.do("rewrite(16)")
    followed = follow()
    followed.until(16)
    writer.do(replace)
    assert refusal(followed) == (
        f"was replaced by another scan while it was followed ({words}); "
        "follow each scan from its beginning"
    )


def test_data_files_of_an_eiger_come_one_after_another(follow, tmp_path):
    master, options = LAYOUTS["eiger-master"](tmp_path, KNOWN)
    second = tmp_path / "scan_data_000002.h5"
    whole = second.read_bytes()
    second.unlink()
    followed = follow(master.name, read=options, idle_timeout_s=2.0)
    assert followed.until(20) == ALL[:20]
    second.write_bytes(whole[: len(whole) // 2])  # is being copied
    followed.nothing_more()
    second.write_bytes(whole)
    assert followed.until(40) == ALL
    assert followed.to_end() == "nothing new has come for 2 s"


def test_motors_of_a_nexus_file_may_be_ahead_or_behind(follow, tmp_path):
    path = tmp_path / "scan.nxs"
    with h5py.File(path, "w") as file:
        data = nx_group(nx_group(file, "entry", "NXentry"), "data", "NXdata")
        data.attrs["signal"] = "counts"
        size = KNOWN.frames.shape[1:]
        data.create_dataset("counts", (0, *size), "u4", maxshape=(None, *size))
        for name in ("sample_y", "sample_x"):
            data.create_dataset(name, (0,), "f8", maxshape=(None,)).attrs["units"] = "um"

    def write(frames, motors):
        with h5py.File(path, "r+") as file:
            data = file["entry/data"]
            data["counts"].resize(frames, axis=0)
            data["counts"][:] = KNOWN.frames[:frames]
            for axis, name in enumerate(("sample_y", "sample_x")):
                data[name].resize(motors, axis=0)
                data[name][:] = KNOWN.positions_m[:motors, axis] * 1e6

    followed = follow(path.name)
    write(12, 9)
    followed.until(9)
    write(20, 30)
    followed.until(20)
    write(40, 40)
    assert followed.until(40) == ALL


def test_positions_from_a_flag_go_with_a_file_that_has_none(writer, follow, tmp_path):
    with h5py.File(tmp_path / "positions.h5", "w") as file:
        put(file, "positions", KNOWN.positions_m * 1e6, "um")
    writer.do("file = started()")
    writer.do("add_frames(file, 0, 10)")
    read = ReadOptions(positions=f"{tmp_path / 'positions.h5'}:positions")
    followed = follow(read=read)
    followed.until(10)
    np.testing.assert_allclose(followed.begin.positions_m, KNOWN.positions_m, atol=1e-15)


def test_a_published_file_is_not_replaced_unless_asked(tmp_path):
    recording = Recording(KNOWN.frames, KNOWN.positions_m, KNOWN.geometry, KNOWN.mask, KNOWN.probe)
    path = at(tmp_path)
    assert publish_file(path, recording) == len(ALL)
    with pytest.raises(ScanError, match="exists already; replace it with --force"):
        publish_file(path, recording)
    assert publish_file(path, recording, force=True) == len(ALL)
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file[FRAMES], KNOWN.frames)
        np.testing.assert_array_equal(file[TRANSLATION][()], translation_of(KNOWN))


def test_a_source_that_is_closed_gives_nothing_more(follow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rewrite(40)
    source = follow().source
    assert isinstance(source.next(5.0), Begin)
    source.close()
    assert source.next(5.0) is None
