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
    "R, write.table": ('"x" "y"\n"1" 1.5 0.5\n"2" 3.5 2.5\n', "um", False),
    "R, commas": ("x,y\n1,1.5,0.5\n2,3.5,2.5\n", "um", False),
    "R, named rows": ('"x" "y"\n"a" 1.5 0.5\n"b c" 3.5 2.5\n', "um", False),
    "pandas": (",x,y\n0,1.5,0.5\n1,3.5,2.5\n", "um", False),
    "a last column without a name": ("x,y\n1.5,0.5,7\n3.5,2.5,8\n", "um", False),
    "quoted decimal commas": ('"x","y"\n"1,5","0,5"\n"3,5","2,5"\n', "um", False),
    "decimal commas, blanks": ("x y\n1,5  0,5\n3,5  2,5\n", "um", False),
    "decimal commas, tabs": ("x\ty\n1,5\t0,5\n3,5\t2,5\n", "um", False),
    "samx samy": ("# samx samy\n1.5 0.5\n3.5 2.5\n", "um", False),
    "samy samx": ("samy samx\n0.5 1.5\n2.5 3.5\n", "um", False),
    "frame samx samy": ("# frame samx samy\n0 1.5 0.5\n1 3.5 2.5\n", "um", False),
    "stage": ("stage_x;stage_y\n1.5;0.5\n3.5;2.5\n", "um", False),
    "horizontal": ("vertical,horizontal\n0.5,1.5\n2.5,3.5\n", "um", False),
    "long units": ("Time (s),Sample X (um),Sample Y (um)\n9,1.5,0.5\n9,3.5,2.5\n", None, False),
    "EPICS": ("26idc:X.RBV 26idc:Y.RBV\n1.5 0.5\n3.5 2.5\n", "um", False),
    "read-backs": ("x_set,y_set,x_rbv,y_rbv\n9,8,1.5,0.5\n7,6,3.5,2.5\n", "um", False),
    "angles beside": ("theta_x,theta_y,sx,sy\n9,8,1.5,0.5\n7,6,3.5,2.5\n", "um", False),
    "SPEC": ("#S 1 mesh samx\n#N 3\n#L Sam X  Sam Y  Epoch\n1.5 0.5 9\n3.5 2.5 9\n", "um", False),
    "MATLAB": ("% x y\n1.5 0.5\n3.5 2.5\n", "um", False),
    "units below": ("x,y\num,um\n1.5,0.5\n3.5,2.5\n", None, False),
    "units below, commented": ("# x y\n# (um) (um)\n1.5 0.5\n3.5 2.5\n", None, False),
    "said to be columns": ("# columns = i0, x [um], y [um]\n9 1.5 0.5\n9 3.5 2.5\n", None, False),
    "titles above": ("Scan 12, 2024\nPoints: 2\n\nx,y\n1.5,0.5\n3.5,2.5\n", "um", False),
    "UTF-16": ("x,y\r\n1.5,0.5\r\n3.5,2.5\r\n".encode("utf-16"), "um", False),
    "UTF-16 without a mark": ("x,y\n1.5,0.5\n3.5,2.5\n".encode("utf-16-le"), "um", False),
    "remark of x and y": ("# x is horizontal, y is vertical\n0.5 1.5\n2.5 3.5\n", "um", False),
    "old Macintosh": ("x,y\r1.5,0.5\r3.5,2.5\r", "um", False),
    "Fortran": ("x y\n1.5D+00 0.5D+00\n3.5d0 25.0D-01\n", "um", False),
    "Excel": ("sep=;\nx;y\n1,5;0,5\n3,5;2,5\n", "um", False),
    "thousands": ("x;y;n\n1,500.0;500.0;1\n3,500.0;2,500.0;1\n", "nm", False),
    "thousands, decimal commas": ("x;y\n1.500,0;500,0\n3.500,0;2.500,0\n", "nm", False),
    "mixed blanks": ("x,\ty\n1.5,\t0.5\n3.5, 2.5\n", "um", False),
    "times": ("date time x y\n2024-01-01 12:00 1.5 0.5\n2024-01-01 12:01 3.5 2.5\n", "um", False),
    "text beside": ("name,x,y,state\np1,1.5,0.5,OK\np2,3.5,2.5,OK\n", "um", False),
    "remarks behind": ("x y\n1.5 0.5 # ok\n3.5 2.5 # ok\n", "um", False),
    "typeset minus": ("x,y\n15e−1,0.5\n3.5,2.5\n", "um", False),
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


@pytest.mark.parametrize("columns", ["samx,samy", "2,1", "SAMX, samy"])
def test_columns_can_be_named(tmp_path, known, columns):
    path = tmp_path / "positions.csv"
    path.write_text("samy,samx,fx,fy\n0.5,1.5,9,9\n2.5,3.5,8,8\n")
    np.save(tmp_path / "f.npy", known.frames[:2])
    options = ReadOptions(positions=f"{path}:{columns}", positions_unit="um")
    positions = find_scan(tmp_path / "f.npy", options).positions.value
    np.testing.assert_allclose(positions.values, np.array([[0.5, 1.5], [2.5, 3.5]]) * 1e-6)


def test_columns_without_names_can_be_counted(tmp_path, known):
    path = tmp_path / "positions.txt"
    path.write_text("0 1.5 0.5\n1 3.5 2.5\n")
    np.save(tmp_path / "f.npy", known.frames[:2])
    options = ReadOptions(positions=f"{path}:2,3", positions_unit="um")
    positions = find_scan(tmp_path / "f.npy", options).positions.value
    np.testing.assert_allclose(positions.values, np.array([[0.5, 1.5], [2.5, 3.5]]) * 1e-6)


@pytest.mark.parametrize(
    ("text", "unit", "words"),
    [
        ("0.5 1.5\n2.5 3.5\n", "um", "are taken as row, column (y, x)"),
        ("x_um,y_um\n1.5,0.5\n3.5,2.5\n", "nm", "says um, but --positions-unit nm is taken"),
        ("x_set,y_set\n1.5,0.5\n3.5,2.5\n", "um", "has set points only (x_set, y_set)"),
    ],
)
def test_what_is_taken_for_granted_is_noted(tmp_path, known, text, unit, words):
    path = tmp_path / "positions.csv"
    path.write_text(text)
    np.save(tmp_path / "f.npy", known.frames[:2])
    options = ReadOptions(positions=str(path), positions_unit=unit)
    assert any(words in note for note in find_scan(tmp_path / "f.npy", options).notes)


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
        ("x/steps,y/steps\n1,2\n", "'steps', which is not a unit of length"),
        ("1,2\n3\n", "line 2 has 1 columns, not 2"),
        ("1,2\n3,here\n", "line 2 is not a position"),
        ("1,2\nx,y\n", "line 2 is not a position"),
        ("1\n2\n", "has 1 columns without names (line 1: 1)"),
        ("1,2,3,4\n", "has 4 columns without names (line 1: 1, 2, 3, 4)"),
        ("1,2\n3,4\n", "has no unit; give --positions-unit"),
        ("\x001\x00\x00\x002", "is not text"),
        ("x_um,y_um\n1,2\n", "holds 1 positions for 12 frames"),
        ("# motor1 motor2\n1 2\n3 4\n", "line 1 names motor1, motor2, not x and y"),
        ("x,y\n1,5,0,5\n3,5,2,5\n", "if its commas are decimal marks, write points"),
        ("x,y\n3,1.5,0.5\n7,3.5,2.5\n", "has 2 names (x, y), but line 2 has 3 fields"),
        ("x,y,z\n1,2\n3,4\n", "has 3 names (x, y, z), but line 2 has 2 fields"),
        ("0 1.5 0.5\n1 3.5 2.5\n", "say which columns are x and y, e.g. --positions"),
        ("0.1 1 5\n0.2 3 2\n0.4 2 7\n", "has 3 columns without names (line 1: 0.1, 1, 5)"),
        ("samx,samy,fx,fy\n1,2,3,4\n", "names several positions (samx, samy; fx, fy)"),
        ("x;y\n1,001;2,002\n3,003;4,004\n", "is a decimal comma, or a thousand and more"),
        ("max,may\n1,2\n3,4\n", "names max, may, not x and y"),
        ("x,y\num,nm\n1,2\n", "gives y in nm and x in um"),
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
