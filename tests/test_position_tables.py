"""Positions in tables of text, however beamlines write them."""

from dataclasses import replace

import numpy as np
import pytest
from array_scans import GEOMETRY_FLAGS, one_step_raster, refused

from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan


@pytest.fixture(scope="module")
def known():
    return one_step_raster()


TABLES = {
    "comma": ("0.5,1.5\n2.5,3.5\n", "um", False),
    "semicolon": ("0.5;1.5\n2.5;3.5\n", "um", False),
    "decimal comma": ("0,5;1,5\r\n2,5;3,5\r\n", "um", False),
    "tab": ("0.5\t1.5\n2.5\t3.5\n", "um", False),
    "blanks": ("  0.5   1.5\n  2.5   3.5  \n", "um", False),
    "three columns": ("1.5,0.5,9\n3.5,2.5,9\n", "um", False),
    "trailing commas": ("0.5,1.5,\n2.5,3.5,\n", "um", False),
    "comments": ("# of scan 12, 2024\n\n0.5,1.5\n# half way\n2.5,3.5\n", "um", False),
    "x_m": ("x_m,y_m\n1.5e-6,0.5e-6\n3.5e-6,2.5e-6\n", None, False),
    "x (um)": ("frame,x (um),y (um)\n0,1.5,0.5\n1,3.5,2.5\n", None, False),
    "y/um": ("y/um;x/um;time\n0.5;1.5;12:00:01\n2.5;3.5;12:00:02\n", None, False),
    "quoted": ('"X [µm]","Y [µm]"\n1.5,0.5\n3.5,2.5\n', None, False),
    "latin-1": ("x/µm,y/µm\n1.5,0.5\n3.5,2.5\n".encode("latin-1"), None, False),
    "byte order mark": ("\ufeffx_um,y_um\n1.5,0.5\n3.5,2.5\n", None, False),
    "savetxt": ("# x_um y_um\n1.5e+00 0.5e+00\n3.5e+00 2.5e+00\n", None, False),
    "commented, other marks": ("# x (um), y (um), i0\n1.5 0.5 7\n3.5 2.5 8\n", None, False),
    "blanks in names": ("x (um)  y (um)\n1.5 0.5\n3.5 2.5\n", None, False),
    "long names": ("Position X_um\tPosition Y_um\n1.5\t0.5\n3.5\t2.5\n", None, False),
    "row, column": ("column,row\n1.5,0.5\n3.5,2.5\n", "um", False),
    "indices beside": ("row,column,x_um,y_um\n0,0,1.5,0.5\n0,1,3.5,2.5\n", None, False),
    "pixels": ("row_px,col_px\n0.5,1.5\n2.5,3.5\n", None, True),
    "flag before header": ("x_m,y_m\n1.5,0.5\n3.5,2.5\n", "um", False),
}


@pytest.mark.parametrize("table", TABLES)
def test_tables_of_positions(tmp_path, known, table):
    text, unit, pixels = TABLES[table]
    path = tmp_path / "positions"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    np.save(tmp_path / "f.npy", known.frames[:2])
    options = ReadOptions(positions=str(path), positions_unit=unit)
    positions = find_scan(tmp_path / "f.npy", options).positions
    assert positions.where == str(path)
    assert positions.value.unit.value == ("px" if pixels else "m")
    scale = 1.0 if pixels else 1e-6
    np.testing.assert_allclose(
        positions.value.values, np.array([[0.5, 1.5], [2.5, 3.5]]) * scale, rtol=1e-12
    )


def test_missing_positions_stay_missing(tmp_path, known):
    path = tmp_path / "positions.csv"
    lines = [f"{row},{column}" for row, column in known.positions_m.tolist()]
    lines[4], lines[6] = "nan,NaN", "1e-7,"
    path.write_text("\n".join(lines))
    np.save(tmp_path / "f.npy", known.frames)
    options = replace(GEOMETRY_FLAGS, positions=str(path), positions_unit="m")
    values = find_scan(tmp_path / "f.npy", options).positions.value.values
    assert np.isnan(values[4]).all()
    assert np.isnan(values[6]).tolist() == [False, True]
    assert not np.isnan(np.delete(values, [4, 6], axis=0)).any()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("# nothing\n", "has no line of numbers"),
        ("a,b\n1,2\n", "line 1 names a, b, not x and y"),
        ("x_m,y_um\n1,2\n", "line 1 gives y in um and x in m"),
        ("x_steps,y_steps\n1,2\n", "has no unit"),
        ("x/steps,y/steps\n1,2\n", "'steps', which is no unit of length"),
        ("1,2\n3\n", "line 2 has 1 columns, not 2"),
        ("1,2\n3,here\n", "line 2 is no position"),
        ("1,2\nx,y\n", "line 2 is no position"),
        ("1\n2\n", "has 1 columns without names (line 1: 1)"),
        ("1,2,3,4\n", "has 4 columns without names (line 1: 1, 2, 3, 4)"),
        ("1,2\n3,4\n", "has no unit; give --positions-unit"),
        ("\x001\x00\x00\x002", "is no text"),
        ("x_um,y_um\n1,2\n", "holds 1 positions for 12 frames"),
    ],
)
def test_tables_that_are_none(tmp_path, known, text, words):
    np.save(tmp_path / "f.npy", known.frames)
    path = tmp_path / "table.csv"
    path.write_text(text)
    message = refused(tmp_path / "f.npy", replace(GEOMETRY_FLAGS, positions=str(path)))
    assert words in message
    assert str(path) in message


def test_a_table_of_many_megabytes_is_refused(tmp_path, known):
    np.save(tmp_path / "f.npy", known.frames)
    with (tmp_path / "t.csv").open("wb") as file:
        file.truncate(300 * 2**20)
    assert "300 MB" in refused(
        tmp_path / "f.npy", ReadOptions(positions=str(tmp_path / "t.csv"), positions_unit="m")
    )
