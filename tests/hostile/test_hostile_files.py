"""Hostile scan files: refused in one line, in seconds, in little memory; nothing hangs or crashes.

`python benchmarks/hostile_files.py` prints the table of all, slow ones too, with what each took.
"""

from pathlib import Path

import h5py
import hdf5plugin
import hostile_arrays
import hostile_hdf5
import numpy as np
import pytest
from bad_case import FRAMES, LINK, SCAN, edited, in_process
from hostile_case import LIMIT_MB, measured

from wnet_edge.errors import ScanError
from wnet_edge.host.linked_files import linked_files
from wnet_edge.io.containers.hdf5.faults import links_refused
from wnet_edge.io.scan_file import find_scan, open_scan

pytestmark = pytest.mark.slow

PATIENCE_S = 60
CASES = [case for case in (*hostile_hdf5.CASES, *hostile_arrays.CASES) if not case.slow]
ANY_FRAMES = hostile_hdf5.LINKS[6:18]
"""Frames that are read from another file, whatever kind that is."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_hostile_files_are_refused(case, here):
    case.make(here)
    cost = measured(here, case.arguments)
    assert cost.code == 1, cost
    assert cost.err.startswith("Error: ")
    assert len(cost.err.splitlines()) == 1
    assert cost.peak_mb < LIMIT_MB
    assert cost.seconds < PATIENCE_S


@pytest.mark.parametrize("case", ANY_FRAMES, ids=lambda case: case.name)
def test_no_links_refuses_whatever_lies_behind_them(case, here):
    case.make(here)
    outcome = in_process(here, (*case.arguments, "--no-links"))
    assert outcome.code == 1
    assert "is refused by --no-links" in outcome.err


def _put(folder, name, frames):
    with h5py.File(folder / name, "w") as file:
        file["data"] = frames


def _good_frames(folder):
    with h5py.File(folder / SCAN) as file:
        return file[FRAMES][()]


@pytest.mark.parametrize(
    "link", [hostile_hdf5.frames_from, hostile_hdf5.frames_behind], ids=["virtual", "external"]
)
def test_links_to_good_files_are_followed_and_listed(link, here):
    frames = _good_frames(here)
    _put(here, "frames.h5", frames)
    link("frames.h5")(here)
    np.testing.assert_array_equal(open_scan(here / SCAN).frames[:], frames)
    assert set(linked_files(here / SCAN)) == {here / "frames.h5"}
    with links_refused(), pytest.raises(ScanError, match=r"frames.h5.* is refused by --no-links"):
        open_scan(here / SCAN)


def test_a_file_without_links_is_read_with_no_links(here):
    with links_refused():
        assert open_scan(here / SCAN).frames.shape == (36, 32, 32)
    assert set(linked_files(here / SCAN)) == set()


def test_virtual_frames_of_a_linked_file_list_both(here):
    frames = _good_frames(here)
    _put(here, "raw.h5", frames)
    with h5py.File(here / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout(frames.shape, frames.dtype)
        layout[:] = h5py.VirtualSource("raw.h5", "data", frames.shape)
        file.create_virtual_dataset("data", layout)
    hostile_hdf5.frames_behind("virtual.h5")(here)
    np.testing.assert_array_equal(open_scan(here / SCAN).frames[:], frames)
    assert set(linked_files(here / SCAN)) == {here / "virtual.h5", here / "raw.h5"}


@pytest.mark.parametrize("how", ["beside the real file", "beside the link", "in a folder named"])
def test_virtual_frames_are_looked_for_where_hdf5_does(how, here, tmp_path, monkeypatch):
    frames = _good_frames(here)
    hostile_hdf5.frames_from("frames.h5")(here)
    (tmp_path / "user").mkdir()
    link = tmp_path / "user" / "link.cxi"
    link.symlink_to(here / SCAN)
    places = {
        "beside the real file": here,
        "beside the link": link.parent,
        "in a folder named": tmp_path,
    }
    _put(places[how], "frames.h5", frames)
    monkeypatch.setenv("HDF5_VDS_PREFIX", str(tmp_path) if how == "in a folder named" else "")
    np.testing.assert_array_equal(open_scan(link).frames[:], frames)


def test_virtual_frames_whose_files_lack_some_are_counted(here):
    frames = _good_frames(here)
    hostile_hdf5.frames_from("frames.h5")(here)
    _put(here, "frames.h5", frames[:20])
    with pytest.raises(ScanError, match=r"files that hold 20 of 36 frames; wait until"):
        open_scan(here / SCAN)
    _put(here, "frames.h5", frames[:34])  # as many as may be bad for other reasons
    assert open_scan(here / SCAN).frames.shape == (36, 32, 32)


def test_a_source_without_the_dataset_is_no_dark_scan(here):
    hostile_hdf5.frames_from("frames.h5", "entry/data")(here)
    _put(here, "frames.h5", _good_frames(here) if (here / "frames.h5").exists() else [1])
    with pytest.raises(ScanError, match=r"from frames.h5:entry/data, which is not in that file"):
        open_scan(here / SCAN)


def test_a_source_that_goes_or_changes_while_reading_is_noticed(here):
    frames = _good_frames(here)
    _put(here, "frames.h5", frames)
    hostile_hdf5.frames_from("frames.h5")(here)
    scan = open_scan(here / SCAN)
    np.testing.assert_array_equal(scan.frames[3], frames[3])
    _put(here, "frames.h5", frames[::-1])  # whole again: what is there counts
    np.testing.assert_array_equal(scan.frames[3], frames[-4])
    (here / "frames.h5").unlink()
    with pytest.raises(ScanError, match=r"frames.h5, which is not there"):
        scan.frames[3]


def test_numbers_in_a_file_of_their_own_are_read(here, monkeypatch):
    frames = _good_frames(here)
    monkeypatch.chdir(here)
    frames.tofile("frames.raw")
    hostile_hdf5.frames_stored_in("frames.raw")(here)
    np.testing.assert_array_equal(open_scan(Path(SCAN)).frames[:], frames)
    assert set(linked_files(Path(SCAN))) == {Path("frames.raw").resolve()}
    Path("frames.raw").write_bytes(frames.tobytes()[:-1])
    with pytest.raises(ScanError, match=r"frames.raw, which is cut short, 147455 of 147456 bytes"):
        open_scan(Path(SCAN))


COMPRESSIONS = {
    "gzip": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf": {"compression": "lzf"},
    "bitshuffle": dict(hdf5plugin.Bitshuffle()),
    "bitshuffle without": dict(hdf5plugin.Bitshuffle(cname="none")),
    "lz4": dict(hdf5plugin.LZ4()),
    "zstd": dict(hdf5plugin.Zstd()),
    "blosc": dict(hdf5plugin.Blosc()),
    "blosc2": dict(hdf5plugin.Blosc2()),
    "bzip2": dict(hdf5plugin.BZip2()),
}


@pytest.mark.parametrize("name", COMPRESSIONS)
@pytest.mark.parametrize("chunk", [(1, 32, 32), (5, 16, 32)])
def test_honest_chunks_of_every_compression_are_read(name, chunk, here):
    frames = _good_frames(here)
    noise = np.random.default_rng(3).integers(0, 2**32 - 2, frames.shape, np.uint32)
    for values in (frames, noise, np.zeros_like(frames)):
        with edited(here) as file:
            for link in (LINK, FRAMES):
                if link in file:
                    del file[link]
            file.create_dataset(LINK, data=values, chunks=chunk, **COMPRESSIONS[name])
        source = find_scan(here / SCAN).frames.value
        for key in (slice(None), slice(3, 9), 7, slice(0, 0)):
            np.testing.assert_array_equal(source[key], values[key])
