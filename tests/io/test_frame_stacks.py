"""Files with several stacks of frames: which is the diffraction, and what comes along with it."""

import h5py
import numpy as np
import pytest
from known_data import small
from layout_parts import nx_group, put
from nexus_scans import add_detector, add_motors, nexus_scan
from reader_checks import assert_same_positions, refusal, swap
from tiny import KnownScan

from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan

RNG = np.random.default_rng(3)


@pytest.fixture(scope="module")
def known():
    return small()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.nxs"


def stack(*frame, dtype=np.uint16, count=12):
    """A stack of other numbers than the known scan's."""
    return RNG.poisson(50, (count, *frame)).astype(dtype)


def assert_is_the_diffraction(path, known, options=None):
    """The known frames with their own mask, geometry and positions."""
    scan = open_scan(path, options)
    np.testing.assert_array_equal(scan.frames[:], known.frames)
    np.testing.assert_array_equal(scan.mask, known.mask)
    assert_same_positions(scan.positions_m, known)
    assert scan.known_geometry.distance_m == known.geometry.distance_m


OTHERS = {
    "fluorescence": stack(4, 1024),
    "one element": stack(1, 2048),
    "a camera": stack(200, 300),
    "a camera of the same size": stack(32, 32),
    "averages of a camera": stack(32, 32, dtype=np.float32),
    "a volume": stack(32, 32, dtype=np.float32, count=32),
    "dark frames": stack(32, 32, count=5),
    "one image": stack(32, 32, count=1),
    "a mask per frame": np.zeros((12, 32, 32), np.uint8),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", ["aaa", "zzz"])
@pytest.mark.parametrize("is_default", [False, True])
def test_the_diffraction_is_found_among_others(path, known, other, name, is_default):
    with nexus_scan(path, known) as entry:
        add_detector(entry, name, OTHERS[other])
        for group in ("eiger", name):
            add_motors(entry[group], known, "y", "x")
        if is_default:
            entry.attrs["default"] = name
    assert_is_the_diffraction(path, known)
    (note,) = find_scan(path).frames.notes
    assert "frames are /entry/eiger/data" in note
    assert f"--frames selects another: /entry/{name}/data" in note


def test_default_decides_between_detectors_that_could_both_be_it(path, known):
    with nexus_scan(path, known) as entry:
        add_detector(entry, "aaa", stack(32, 32), distance_m=0.1)
        for name in ("eiger", "aaa"):
            add_motors(entry[name], known, "y", "x")
    message = refusal(path)
    assert "/entry/aaa/data (12 × 32 × 32), /entry/eiger/data (12 × 32 × 32)" in message
    assert message.endswith("name one with --frames")
    assert_is_the_diffraction(path, known, ReadOptions(frames="/entry/eiger/data"))
    other = open_scan(path, ReadOptions(frames="/entry/instrument/aaa/data"))
    assert other.known_geometry.distance_m == 0.1
    assert not other.mask.any()
    with h5py.File(path, "a") as file:
        file["entry"].attrs["default"] = "eiger"
    assert_is_the_diffraction(path, known)


def test_what_lies_beside_the_frames_is_not_the_frames(path, known):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "y", "x")
        detector = entry["instrument/eiger"]
        put(detector, "data_errors", np.sqrt(known.frames))
        put(detector, "dark", stack(32, 32, count=5))
        put(detector, "flatfield", np.ones((1, 32, 32)))
        put(nx_group(entry, "a_reconstruction", "NXdata"), "data", stack(32, 32, count=12))
    assert_is_the_diffraction(path, known)


def test_a_virtual_dataset_of_the_frames_is_no_second_stack(path, known):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "y", "x")
        frames = entry["instrument/eiger/data"]
        layout = h5py.VirtualLayout(frames.shape, frames.dtype)
        layout[:] = h5py.VirtualSource(".", frames.name, frames.shape)
        nx_group(entry, "view", "NXdata").create_virtual_dataset("data", layout)
    assert_is_the_diffraction(path, known)
    assert find_scan(path).frames.notes == ()


@pytest.mark.parametrize("behind_soft_link", [False, True])
def test_frames_of_another_file_are_read_through_links(tmp_path, path, known, behind_soft_link):
    with h5py.File(tmp_path / "raw.h5", "w") as raw:
        put(raw, "a/b", known.frames)
    link = h5py.ExternalLink("raw.h5", "/a/b")
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "y", "x")
        del entry["instrument/eiger/data"]
        entry["instrument/eiger/data"] = link
        if not behind_soft_link:
            del entry["eiger/data"]
            entry["eiger/data"] = link
    assert_is_the_diffraction(path, known)


def test_a_broken_link_matters_only_where_it_may_be_the_diffraction(path, known):
    gone = h5py.ExternalLink("gone.h5", "/data")
    with nexus_scan(path, known) as entry:
        add_detector(entry, "aaa", stack(4, 1024))
        add_motors(entry["eiger"], known, "y", "x")
        swap(entry["instrument/aaa"], "data", gone)
    assert_is_the_diffraction(path, known)
    with h5py.File(path, "a") as file:
        add_detector(file["entry"], "camera", stack(32, 32))
        swap(file["entry/instrument/eiger"], "data", gone)
    assert "/data links to gone.h5:/data, which is not there" in refusal(path)


def test_files_without_classes_are_read_by_names(path, known):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "y", "x")
        entry.visititems(lambda _, item: item.attrs.pop("NX_class", None))
        del entry.attrs["NX_class"]
    assert_is_the_diffraction(path, known)


def test_cxi_takes_another_group_of_data_where_the_first_is_no_far_field(tmp_path):
    path = KnownScan().write(tmp_path / "s.cxi")
    with h5py.File(path, "a") as file:
        entry = file["entry_1"]
        entry["instrument_1"].move("detector_1", "detector_2")
        swap(entry, "data_1/data", stack(4, 1024, count=36))
        entry["data_2/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_2/data")
    found = find_scan(path)
    assert found.frames.where == "/entry_1/data_2/data"
    assert found.distance_m.value == 0.9
    assert "/entry_1/data_1/data (36 × 4 × 1024)" in found.frames.notes[0]


def test_eiger_passes_over_numbered_data_that_are_no_far_field(tmp_path, known):
    path = tmp_path / "s.h5"
    with h5py.File(path, "w") as file:
        put(file, "entry/data/data_01", stack(4, 1024))
        put(file, "entry/data/data_02", known.frames)
    found = find_scan(path)
    np.testing.assert_array_equal(found.frames.value[:], known.frames)
    assert "/entry/data/data_01 (12 × 4 × 1024)" in found.frames.notes[0]
