"""What tests of readers share: writing a changed layout, comparing scans, catching a refusal."""

import h5py
import numpy as np
import pytest
from layouts_hdf5 import LAYOUTS

from wnet_edge.errors import ScanError
from wnet_edge.io.scan_file import open_scan


def assert_same_scan(scan, known):
    np.testing.assert_array_equal(np.concatenate(list(scan.batches(5))), known.frames)
    np.testing.assert_array_equal(scan.mask, known.mask)
    np.testing.assert_array_equal(scan.probe, known.probe)
    assert_same_positions(scan.positions_m, known)
    geometry = scan.known_geometry
    assert geometry.energy_ev == pytest.approx(known.geometry.energy_ev)
    assert geometry.distance_m == pytest.approx(known.geometry.distance_m)
    assert geometry.detector_pixel_size_m == pytest.approx(known.geometry.detector_pixel_size_m)


def assert_same_positions(positions_m, known):
    """Up to a constant."""
    shift = positions_m - known.positions_m
    np.testing.assert_allclose(shift, np.broadcast_to(shift[0], shift.shape), atol=1e-14)


def write(layout, folder, known, change=None):
    """A scan in that layout, changed in place."""
    path, options = LAYOUTS[layout](folder, known)
    if change is not None:
        with h5py.File(path, "a") as file:
            change(file)
    return path, options


def swap(file, name, value, units=None):
    """Another value, or link, in the place of a dataset."""
    del file[name]
    file[name] = value
    if units is not None:
        file[name].attrs["units"] = units


def refusal(path, options=None):
    """The one line with which a file is refused, after its path."""
    with pytest.raises(ScanError) as caught:
        list(open_scan(path, options).batches(4))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert ";" in message
    return message.removeprefix(f"{path}: ")
