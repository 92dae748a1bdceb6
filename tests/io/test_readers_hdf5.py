"""HDF5 layouts: each gives the scan that was written, and no damage to one goes unnamed."""

from dataclasses import replace
from itertools import islice

import h5py
import numpy as np
import pytest
from known_data import small
from layout_parts import put
from layouts_hdf5 import LAYOUTS
from reader_checks import assert_same_scan, write

from wnet_edge.errors import ScanError
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_the_same_scan(tmp_path, small_scan, name):
    path, options = write(name, tmp_path, small_scan)
    assert_same_scan(open_scan(path, options), small_scan)


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("cxi-detector_1", "CXI 1.6"),
        ("nexus-ptycho", "NXptycho"),
        ("nexus-cxi-ptycho", "NXcxi_ptycho"),
        ("nexus-plain", "NeXus"),
        ("eiger-master", "Eiger"),
        ("eiger-eh5", "Eiger"),
        ("eiger-data", "Eiger"),
        ("ptychodus-folder", "Ptychodus diffraction"),
        ("ptylab", "PtyLab"),
        ("ptypy", "ptypy"),
        ("hdf5", "HDF5"),
    ],
)
def test_layouts_are_told_by_content(tmp_path, small_scan, name, format_):
    path, options = write(name, tmp_path, small_scan)
    other = path.rename(tmp_path / "scan.bin")
    parts = ("frames", "positions", "positions_unit", "probe", "mask")
    found = find_scan(other, replace(options, **dict.fromkeys(parts)))
    assert found.format == format_


DAMAGE = {
    "group": lambda file, name: file.create_group(name),
    "texts": lambda file, name: put(file, name, ["a", "b"], dtype=h5py.string_dtype()),
    "reference": lambda file, name: put(file, name, file.ref, dtype=h5py.ref_dtype),
    "empty": lambda file, name: put(file, name, h5py.Empty("f4")),
    "no elements": lambda file, name: put(file, name, np.zeros(0)),
    "negative": lambda file, name: put(file, name, -7.5),
    "not a number": lambda file, name: put(file, name, [np.nan]),
    "five axes": lambda file, name: put(file, name, np.zeros((2, 2, 2, 2, 2))),
    "a plane": lambda file, name: put(file, name, np.zeros((2, 3))),
    "lost link": lambda file, name: file.update({name: h5py.SoftLink("/nowhere")}),
    "circle": lambda file, name: file.update({name: h5py.SoftLink(f"/{name}")}),
    "lost file": lambda file, name: file.update({name: h5py.ExternalLink("gone.h5", "/data")}),
    "absent": lambda *_: None,
    "strange unit": lambda file, name: put(file, name, 1.0, "furlong"),
}


_EVERY = 4
"""Of the kinds of damage, each dataset gets every fourth, or the tests would take a minute."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_damage_anywhere_is_refused_in_one_line_or_harmless(tmp_path, layout):
    path, options = write(layout, tmp_path, small(rows=2, columns=2, frame_px=8))
    whole = path.read_bytes()
    with h5py.File(path) as file:
        names = []
        file.visit(names.append)
    for number, name in enumerate(names):
        for kind, damage in islice(DAMAGE.items(), number % _EVERY, None, _EVERY):
            path.write_bytes(whole)
            with h5py.File(path, "a") as file:
                del file[name]
                damage(file, name)
            try:
                list(open_scan(path, options).batches(50))
            except ScanError as error:
                message = str(error)
                assert message.startswith(str(tmp_path)), (name, kind)
                assert "\n" not in message, (name, kind)
                assert ";" in message, (name, kind)
