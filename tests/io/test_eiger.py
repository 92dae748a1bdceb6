"""Eiger detectors: many data files as one stack, missing ones named, unset numbers not believed."""

import h5py
import numpy as np
import pytest
from known_data import small
from reader_checks import refusal, swap, write

from wnet_edge.errors import ScanError
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture(scope="module")
def known():
    return small()


def test_eiger_frames_of_several_files_are_one_stack(tmp_path, known):
    path, options = write("eiger-master", tmp_path, known)
    frames = open_scan(path, options).frames
    assert (frames.shape, frames.dtype) == ((12, 32, 32), np.uint32)
    for key in (3, -1, np.int64(6), slice(4, 9), slice(None, None, 5), slice(8, 2, -2), [7, 2, 7]):
        np.testing.assert_array_equal(frames[key], known.frames[key])
    assert frames[12:].shape == (0, 32, 32)
    np.testing.assert_array_equal(frames[5:8, 1:4, 2:3], known.frames[5:8, 1:4, 2:3])
    np.testing.assert_array_equal(frames[5, 1:4, 2:3], known.frames[5, 1:4, 2:3])


def test_eiger_knows_its_beam_centre(tmp_path, known):
    path, options = write("eiger-master", tmp_path, known)
    found = find_scan(path, options)
    assert found.beam_centre_px.value == (16, 16)


def test_eiger_data_file_that_is_missing_is_named(tmp_path, known):
    path, options = write("eiger-master", tmp_path, known)
    (tmp_path / "scan_data_000002.h5").rename(tmp_path / "elsewhere.h5")
    assert refusal(path, options) == (
        "/entry/data/data_000002 links to scan_data_000002.h5:/entry/data/data, which is not "
        "there; copy that file next to this one"
    )


def test_eiger_data_file_that_goes_is_named(tmp_path, known):
    path, options = write("eiger-master", tmp_path, known)
    scan = open_scan(path, options)
    (tmp_path / "scan_data_000001.h5").unlink()
    with pytest.raises(ScanError, match=r"scan_data_000001.h5: no such file"):
        scan.frames[0]


def test_eiger_numbers_that_were_never_set_are_not_known(tmp_path, known):
    def change(file):
        for name in (
            "detector/detector_distance",
            "detector/beam_center_x",
            "detector/beam_center_y",
        ):
            swap(file, f"entry/instrument/{name}", 0.0)
        swap(file, "entry/instrument/beam/incident_wavelength", 0.0)
        file["entry/instrument/beam/incident_energy"] = 8500.0

    path, options = write("eiger-master", tmp_path, known, change)
    found = find_scan(path, options)
    assert (found.distance_m, found.beam_centre_px) == (None, None)
    assert found.energy_ev.value == 8500


def test_eiger_data_files_that_differ_are_refused(tmp_path, known):
    path, options = write("eiger-master", tmp_path, known)
    with h5py.File(tmp_path / "scan_data_000002.h5", "a") as file:
        swap(file, "entry/data/data", known.frames[6:, :30])
    assert "holds uint32 (30, 32) a frame" in refusal(path, options)
