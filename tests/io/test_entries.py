"""Files with several entries: the one with the scan is read, the others are named."""

import h5py
import numpy as np
import pytest
from known_data import small
from layout_parts import nx_group, put
from nexus_scans import add_motors, nexus_scan
from reader_checks import assert_same_positions, refusal, swap
from tiny import KnownScan

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture(scope="module")
def known():
    return small()


@pytest.fixture
def cxi(tmp_path):
    """A CXI file with two scans, the second of other frames and another distance."""
    path = KnownScan().write(tmp_path / "s.cxi")
    with h5py.File(path, "a") as file:
        file.copy("entry_1", "entry_2")
        swap(file, "entry_2/data_1/data", h5py.SoftLink("/entry_2/instrument_1/detector_1/data"))
        file["entry_2/instrument_1/detector_1/data"][:] += 1
        file["entry_2/instrument_1/detector_1/distance"][()] = 0.8
    return path


def test_cxi_with_two_scans_says_so_and_reads_the_one_that_is_named(cxi):
    first, second = find_scan(cxi), find_scan(cxi, ReadOptions(entry="entry_2"))
    assert first.frames.notes == ("entry entry_1 is read; --entry selects another: entry_2",)
    assert second.frames.notes == ()
    np.testing.assert_array_equal(second.frames.value[:], first.frames.value[:] + 1)
    assert (first.distance_m.value, second.distance_m.value) == (0.9, 0.8)
    by_frames = find_scan(cxi, ReadOptions(frames="/entry_2/data_1/data"))
    assert (by_frames.entry, by_frames.distance_m.value) == ("entry_2", 0.8)
    with h5py.File(cxi, "a") as file:
        file.attrs["default"] = "entry_2"
    assert find_scan(cxi).entry == "entry_2"
    with pytest.raises(ScanError, match="no entry entry_3; give --entry one of entry_1, entry_2"):
        find_scan(cxi, ReadOptions(entry="entry_3"))


def test_cxi_passes_over_entries_without_frames(cxi):
    with h5py.File(cxi, "a") as file:
        del file["entry_1"]
        file["entry_1/note"] = "alignment"
    found = find_scan(cxi)
    assert (found.entry, found.frames.notes) == ("entry_2", ())
    assert open_scan(cxi).frame_count == 36


def test_cxi_entry_whose_frames_are_another_entrys_has_that_detector(cxi):
    with h5py.File(cxi, "a") as file:
        swap(file, "entry_2/data_1/data", h5py.SoftLink("/entry_1/instrument_1/detector_1/data"))
        del file["entry_2/instrument_1/detector_1"]
    assert find_scan(cxi, ReadOptions(entry="entry_2")).distance_m.value == 0.9


@pytest.fixture
def session(tmp_path, known):
    """A file of a beamline's session: an alignment, then two scans, numbered as BLISS does."""
    path = tmp_path / "s.h5"
    for name in ("2.1", "10.1"):
        with nexus_scan(path, known, entry=name) as entry:
            group = nx_group(entry, "measurement", "NXcollection")
            add_motors(group, known, "sampz", "sampy")
    with h5py.File(path, "a") as file:
        entry = nx_group(file, "1.1", "NXentry")
        group = nx_group(entry, "measurement", "NXcollection")
        put(group, "sampy", np.linspace(0, 1, 21), "mm")
        put(group, "mca", np.ones((21, 4, 1024), np.uint16))
    return path


def test_alignments_are_passed_over_and_other_scans_named(session, known):
    found = find_scan(session)
    assert found.entry == "2.1"
    assert found.frames.notes == ("entry 2.1 is read; --entry selects another: 10.1",)
    assert_same_positions(open_scan(session).positions_m, known)
    assert find_scan(session, ReadOptions(entry="/10.1/")).entry == "10.1"
    assert find_scan(session, ReadOptions(frames="/10.1/eiger/data")).entry == "10.1"
    with h5py.File(session, "a") as file:
        file.attrs["default"] = "1.1"
    assert find_scan(session).entry == "2.1"
    with h5py.File(session, "a") as file:
        file.attrs["default"] = "10.1"
    assert find_scan(session).entry == "10.1"


def test_entry_of_links_has_the_detector_of_the_other(session, known):
    with h5py.File(session, "a") as file:
        entry = nx_group(file, "3.1", "NXentry")
        entry["eiger"] = h5py.SoftLink("/2.1/eiger")
        entry["measurement"] = h5py.SoftLink("/2.1/measurement")
    found = find_scan(session, ReadOptions(entry="3.1"))
    assert found.distance_m.value == known.geometry.distance_m
    np.testing.assert_array_equal(found.mask.value, known.mask)


def test_formats_without_entries_refuse_the_flag(tmp_path, known):
    np.save(tmp_path / "f.npy", known.frames)
    assert refusal(tmp_path / "f.npy", ReadOptions(entry="entry")).endswith(
        "has no entries; leave out --entry"
    )


TRANSLATION = "/entry_1/sample_1/geometry_1/translation"


@pytest.mark.parametrize("columns", [2, 3])
@pytest.mark.parametrize("raster", [False, True])
def test_a_translation_means_the_same_axes_by_reader_and_by_flag(tmp_path, columns, raster):
    path = KnownScan().write(tmp_path / "s.cxi")
    expected = open_scan(path).positions_m
    with h5py.File(path, "a") as file:
        xyz = file[TRANSLATION][:, :columns] * 1e6
        swap(file, TRANSLATION, xyz.reshape(6, 6, columns) if raster else xyz)
        if raster:
            at = "/entry_1/instrument_1/detector_1/data"
            swap(file, at, file[at][:].reshape(6, 6, 32, 32))
    named = {"positions": TRANSLATION}
    cure = "--positions-unit"
    assert cure in refusal(path)
    for options in ({}, named):
        scan = open_scan(path, ReadOptions(positions_unit="um", **options))
        np.testing.assert_allclose(scan.positions_m, expected, atol=1e-12)
