"""Flags and files together: what replaces what, what is in whose pixels, what is refused."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from known_data import small
from layouts_arrays import LAYOUTS as ARRAYS
from layouts_hdf5 import LAYOUTS as HDF5
from tiny import KnownScan

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture(scope="module")
def known():
    return small()


def test_object_pixels_are_those_of_the_stored_frames(tmp_path, known):
    """Not those of a window that is cut from them later."""
    wide = np.pad(known.frames, ((0, 0), (16, 16), (16, 16)))
    wider = replace(known, frames=wide, mask=np.pad(known.mask, 16))
    path, options = ARRAYS["npz_ptychonn"](tmp_path, wider)
    scan = open_scan(path, replace(options, probe="none"))
    span_m = np.ptp(scan.positions_m, axis=0)
    np.testing.assert_allclose(span_m, np.ptp(known.positions_m, axis=0), rtol=1e-9)


def test_cxi_takes_the_detector_whose_frames_these_are(tmp_path):
    path = KnownScan().write(tmp_path / "s.cxi")
    with h5py.File(path, "a") as file:
        instrument = file["entry_1/instrument_1"]
        instrument.move("detector_1", "detector_2")
        monitor = instrument.create_group("detector_1")
        monitor["data"] = np.ones((36, 4, 4))
        monitor["distance"] = 0.1
        monitor["x_pixel_size"] = monitor["y_pixel_size"] = 1e-3
        del file["entry_1/data_1/data"]
        file["entry_1/data_1/data"] = h5py.SoftLink("/entry_1/instrument_1/detector_2/data")
    found = find_scan(path)
    assert found.distance_m.value == 0.9
    assert found.frames.value.shape == (36, 32, 32)


BROKEN = {
    "mask": ("/entry_1/instrument_1/detector_1/mask", ReadOptions(mask="none")),
    "probe": ("/entry_1/instrument_1/source_1/illumination", ReadOptions(probe="none")),
    "distance_m": ("/entry_1/instrument_1/detector_1/distance", ReadOptions(distance_m=0.9)),
    "energy_ev": ("/entry_1/instrument_1/source_1/energy", ReadOptions(energy_ev=1e4)),
}


@pytest.mark.parametrize("part", BROKEN)
@pytest.mark.parametrize("link", [h5py.SoftLink("/gone"), h5py.ExternalLink("gone.h5", "/x")])
def test_a_flag_stands_in_for_what_is_broken(tmp_path, part, link):
    path = KnownScan().write(tmp_path / "s.cxi")
    name, options = BROKEN[part]
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = link
    with pytest.raises(ScanError, match="which is not there"):
        _ = getattr(find_scan(path), part).value
    assert open_scan(path, options).frame_count == 36


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (ReadOptions(positions="p.npy", step_m=1e-7), "either --positions or --step-m"),
        (ReadOptions(positions_unit="ell"), "--positions-unit ell is not a unit of length"),
        (ReadOptions(entry="entry_3"), "has no entry entry_3; give --entry one of entry_1"),
        (ReadOptions(raster=(6, 6)), "--raster goes with --step-m"),
        (ReadOptions(positions="/nowhere"), "has no dataset /nowhere, nor is there a file"),
        (ReadOptions(positions="x" * 300), "nor is there a file of that name"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(tmp_path, options, words):
    path = KnownScan().write(tmp_path / "s.cxi")
    with pytest.raises(ScanError, match=words):
        find_scan(path, options)


def test_huge_claims_are_refused_before_memory_is_taken(tmp_path, known):
    path, _ = HDF5["nexus-cxi-ptycho"](tmp_path, known)
    with h5py.File(path, "a") as file:
        names = []
        file.visit(lambda name: names.append(name) if name.endswith("translation") else None)
        for name in names:
            del file[name]
            file.create_dataset(name, (10**7, 10**7, 3), "f8", chunks=(100, 100, 3))
    with pytest.raises(ScanError, match="claims"):
        _ = find_scan(path).positions.value


def test_chunks_too_large_to_unpack_are_refused(tmp_path, known):
    path, options = HDF5["hdf5"](tmp_path, known)
    with h5py.File(path, "a") as file:
        del file[options.frames]
        shape = (400, 1024, 1024)
        file.create_dataset(options.frames, shape, "u2", chunks=shape)
    with pytest.raises(ScanError, match=r"chunks of 839 MB, .* h5repack"):
        find_scan(path, options)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_a_mask_of_good_pixels_is_turned_when_asked(tmp_path, kind):
    path = KnownScan().write(tmp_path / "s.cxi")
    good = np.ones((32, 32), kind)
    good[4:6, 7] = 0
    np.save(tmp_path / "good.npy", good)
    named = ReadOptions(mask=str(tmp_path / "good.npy"), mask_good="1")
    np.testing.assert_array_equal(find_scan(path, named).mask.value, good == 0)
    as_told = find_scan(path, replace(named, mask_good="0")).mask.value
    np.testing.assert_array_equal(as_told, good != 0)
    with h5py.File(path, "a") as file:
        detector = file["entry_1/instrument_1/detector_1"]
        del detector["mask"]
        detector["mask"] = good
    inside = find_scan(path, ReadOptions(mask_good="1")).mask
    np.testing.assert_array_equal(inside.value, good == 0)
    assert inside.where == "/entry_1/instrument_1/detector_1/mask, --mask-good 1,"
