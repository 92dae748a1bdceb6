"""Positions in NeXus: which of many per-frame numbers are where the sample was, and which never."""

import h5py
import numpy as np
import pytest
from known_data import small
from layout_parts import nx_group, put
from nexus_scans import add_motors, nexus_scan, um
from reader_checks import assert_same_positions, refusal

from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture(scope="module")
def known():
    return small()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "s.nxs"


def where(path, options=None):
    """Names of the datasets that were taken for rows and columns."""
    return find_scan(path, options).positions.where.replace("/entry/", "").split(", ")


NAMES = [
    ("y", "x"),
    ("samy", "samx"),
    ("SAMY", "SAMX"),
    ("SampleY", "SampleX"),
    ("sample_y_position", "sample_x_position"),
    ("zpssy", "zpssx"),
    ("lsamy", "lsamx"),
    ("stage y", "stage x"),
    ("sam.y", "sam.x"),
    ("yPos", "xPos"),
    ("y1", "x1"),
    ("samv", "samh"),
    ("samz", "samy"),
    ("Achse_Y", "Achse_X"),
    ("Zeile", "Spalte"),
    ("position_verticale", "position_horizontale"),
    ("垂直", "水平"),
    ("slow_axis", "fast_axis"),
]


@pytest.mark.parametrize(("rows", "columns"), NAMES)
@pytest.mark.parametrize("declared", [True, False])
def test_motors_are_told_by_names_with_a_counterpart(path, known, rows, columns, declared):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, rows, columns)
        if declared:
            entry["eiger"].attrs["axes"] = [columns, ".", "."]
    assert_same_positions(open_scan(path).positions_m, known)
    assert where(path) == [f"eiger/{rows}", f"eiger/{columns}"]


COUNT = 12
OTHERS = {
    "index": (np.arange(COUNT), ""),
    "index ": (np.arange(COUNT) * 0.1, "um"),
    "y_index": (np.arange(COUNT) // 4, ""),
    "x_index": (np.arange(COUNT) % 4, ""),
    "frame": (np.arange(COUNT), ""),
    "energy": (np.full(COUNT, 8500.0), "eV"),
    "energy ": (np.full(COUNT, 8500.0), ""),
    "delay": (np.arange(COUNT) * 1e-12, ""),
    "theta_y": (np.linspace(0, 1e-6, COUNT), ""),
    "theta_x": (np.linspace(0, 1e-6, COUNT), "deg"),
    "max": (np.full(COUNT, 3e-6), ""),
    "intensity": (np.linspace(1, 2, COUNT), ""),
    "ic_overflow": (np.zeros(COUNT), ""),
    "row_overflow": (np.arange(COUNT) % 5, ""),
    "I0": (np.linspace(1, 2, COUNT), "A"),
    "det_x": (np.linspace(0, 9, COUNT), "um"),
    "det_y": (np.linspace(0, 9, COUNT), "um"),
    "osa_x": (np.linspace(0, 9, COUNT), "um"),
    "osa_y": (np.linspace(0, 9, COUNT), "um"),
    "beam_center_x": (np.linspace(0, 9, COUNT), "um"),
    "beam_center_y": (np.linspace(0, 9, COUNT), "um"),
    "x_errors": (np.linspace(0, 9, COUNT), "um"),
    "y_errors": (np.linspace(0, 9, COUNT), "um"),
}


@pytest.mark.parametrize("first", OTHERS)
def test_what_else_is_recorded_per_frame_is_no_position(path, known, first):
    with nexus_scan(path, known) as entry:
        data = entry["eiger"]
        for name, (values, unit) in OTHERS.items():
            put(data, name.replace(" ", "_"), values, unit)
            data.attrs[f"{name.replace(' ', '_')}_indices"] = 0
        add_motors(data, known, "y", "x")
        data.attrs["axes"] = [first.replace(" ", "_"), ".", "."]
        data.attrs["x_indices"] = data.attrs["y_indices"] = 0
    assert where(path) == ["eiger/y", "eiger/x"]
    with h5py.File(path, "a") as file:
        del file["entry/eiger/y"], file["entry/eiger/x"]
    assert "without positions; name them with --positions" in refusal(path)


def test_axes_along_a_frame_are_no_positions_even_where_lengths_agree(path):
    known = small(rows=4, columns=8)
    with nexus_scan(path, known) as entry:
        data = entry["eiger"]
        for name in "yx":
            put(data, name, np.arange(32) * 75.0, "um")
        data.attrs["axes"] = ["frame", "y", "x"]
        add_motors(data, known, "samy", "samx")
    assert where(path) == ["eiger/samy", "eiger/samx"]


@pytest.mark.parametrize(
    ("rows", "columns", "set_rows", "set_columns"),
    [
        ("y_rbv", "x_rbv", "y", "x"),
        ("y", "x", "y_set", "x_set"),
        ("SampleY", "SampleX", "SampleY_value_set", "SampleX_value_set"),
        ("y_encoder", "x_encoder", "y_demand", "x_demand"),
        ("readback/y", "readback/x", "setpoint/y", "setpoint/x"),
        ("fly/Average_y", "fly/Average_x", "plan/Target_y", "plan/Target_x"),
        ("samy/value", "samx/value", "samy/target_value", "samx/target_value"),
    ],
)
@pytest.mark.parametrize("set_first", [True, False])
def test_what_was_read_back_goes_before_set_points(
    path, known, rows, columns, set_rows, set_columns, set_first
):
    with nexus_scan(path, known) as entry:
        data = entry["eiger"]
        both = [(rows, columns, 0.0), (set_rows, set_columns, 0.01)]
        for names in reversed(both) if set_first else both:
            add_motors(data, known, *names)
        data.attrs["axes"] = [set_columns.replace("/", "_"), ".", "."]
    found = find_scan(path)
    assert_same_positions(open_scan(path).positions_m, known)
    assert where(path) == [f"eiger/{rows}", f"eiger/{columns}"]
    (note,) = found.positions.notes
    assert f"/entry/eiger/{set_rows}" in note
    assert f"/entry/eiger/{set_columns}" in note


def test_set_points_stand_in_for_an_encoder_that_is_dead(path, known):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "y_set", "x_set")
        for name in ("y_rbv", "x_rbv"):
            put(entry["eiger"], name, np.zeros(COUNT), "um")
    assert_same_positions(open_scan(path).positions_m, known)
    assert "are set points" in find_scan(path).positions.notes[0]


def test_read_backs_of_other_motors_are_not_taken_for_these_set_points(path, known):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "y_set", "x_set")
        add_motors(entry.create_group("table"), known, "y_rbv", "x_rbv", off_um=5.0)
    assert where(path) == ["eiger/y_set", "eiger/x_set"]


def test_the_motor_that_moves_is_meant(path, known):
    with nexus_scan(path, known) as entry:
        group = nx_group(entry, "measurement", "NXcollection")
        for axis in "xy":
            put(group, f"coarse_{axis}", 3 + np.linspace(0, 1e-6, COUNT), "mm")
        add_motors(group, known, "piezo_y", "piezo_x")
    assert where(path) == ["measurement/piezo_y", "measurement/piezo_x"]
    assert "coarse_x hardly move by comparison" in find_scan(path).positions.notes[0]


def test_two_pairs_that_move_are_refused_and_the_cure_works(path, known):
    with nexus_scan(path, known) as entry:
        group = nx_group(entry, "measurement", "NXcollection")
        add_motors(group, known, "zpy", "zpx", off_um=0.2)
        add_motors(group, known, "piezo_y", "piezo_x")
    at = "/entry/measurement"
    message = refusal(path)
    assert f"{at}/piezo_y,{at}/piezo_x" in message
    for pair in (f"{at}/piezo_y,{at}/piezo_x", f"{at}/piezo_x,{at}/piezo_y"):
        assert pair.split(",")[0] in message
        scan = open_scan(path, ReadOptions(positions=pair))
        assert_same_positions(scan.positions_m, known)


def test_motors_whose_names_say_no_direction_are_listed(path, known):
    with nexus_scan(path, known) as entry:
        add_motors(entry["eiger"], known, "nnp3", "nnp2")
    assert refusal(path).startswith(
        "has no positions that fit (/entry/eiger/nnp2, /entry/eiger/nnp3: rows or columns, their "
        "names don't say); give --positions ROWS,COLUMNS"
    )
    scan = open_scan(path, ReadOptions(positions="/entry/eiger/nnp3,/entry/eiger/nnp2"))
    assert_same_positions(scan.positions_m, known)


@pytest.mark.parametrize("unit", ["deg", "counts", "mrad", "s", "px", "furlong"])
def test_what_is_no_length_is_refused_unless_the_user_says_its_unit(path, known, unit):
    with nexus_scan(path, known) as entry:
        for name, values in zip("yx", um(known), strict=True):
            put(entry["eiger"], name, values, unit)
    assert f"in '{unit}', which is not a known unit of length" in refusal(path)
    scan = open_scan(path, ReadOptions(positions_unit="um"))
    assert_same_positions(scan.positions_m, known)


def test_numbers_without_a_unit_are_metres_with_a_note_where_nothing_else_is(path, known):
    with nexus_scan(path, known) as entry:
        for name, values in zip("yx", known.positions_m.T, strict=True):
            put(entry["eiger"], name, values)
    found = find_scan(path)
    assert_same_positions(open_scan(path).positions_m, known)
    assert "have no unit and are taken as metres" in found.positions.notes[0]
    with h5py.File(path, "a") as file:
        add_motors(file["entry"].create_group("measurement"), known, "samy", "samx")
    assert where(path) == ["measurement/samy", "measurement/samx"]


def test_a_scan_along_a_line_is_one_if_the_other_axis_is_there(path, known):
    with nexus_scan(path, known) as entry:
        put(entry["eiger"], "x", np.linspace(0, 1, COUNT), "um")
    assert "/entry/eiger/x: without its counterpart" in refusal(path)
    with h5py.File(path, "a") as file:
        put(file["entry/eiger"], "y", 3.0, "um")
    assert np.ptp(open_scan(path).positions_m, axis=0) == pytest.approx([0, 1e-6])
    assert "a scan along a line" in find_scan(path).positions.notes[0]


@pytest.mark.parametrize("backwards", [False, True])
def test_transformations_run_along_their_vectors(path, known, backwards):
    sign = -1 if backwards else 1
    with nexus_scan(path, known) as entry:
        moving = nx_group(nx_group(entry, "sample", "NXsample"), "moving", "NXtransformations")
        names = (("a", [0, sign, 0]), ("b", [1, 0, 0]), ("c", [0, 1, 0]))
        numbers = (um(known)[0] * sign, um(known)[1], np.linspace(0, 9, COUNT))
        for (name, vector), values in zip(names, numbers, strict=True):
            motor = put(moving, name, values, "deg" if name == "c" else "um")
            kind = "rotation" if name == "c" else "translation"
            motor.attrs.update(vector=np.array(vector, float), transformation_type=kind)
    assert_same_positions(open_scan(path).positions_m, known)


def test_rasters_read_back_as_maps_go_before_lines_of_set_points(path, known):
    with nexus_scan(path, known) as entry:
        data = entry["eiger"]
        del entry["instrument/eiger/data"]
        put(entry["instrument/eiger"], "data", known.frames.reshape(3, 4, 32, 32))
        rows, columns = um(known)
        put(data, "y_set", rows[::4] + 0.01, "um")
        put(data, "x_set", columns[:4], "um")
        data.attrs["axes"] = ["y_set", "x_set", ".", "."]
        for name, values in (("y", rows), ("x", columns)):
            put(data, name, values.reshape(3, 4), "um")
            data.attrs[f"{name}_indices"] = [0, 1]
    assert_same_positions(open_scan(path).positions_m, known)
    assert where(path) == ["eiger/y", "eiger/x"]


def test_a_table_of_positions_is_named(path, known):
    with nexus_scan(path, known) as entry:
        put(entry, "motor_positions", known.positions_m, "m")
    assert refusal(path).endswith(
        "give --positions /entry/motor_positions if its columns are row, column or x, y, z"
    )
    scan = open_scan(path, ReadOptions(positions="/entry/motor_positions"))
    assert_same_positions(scan.positions_m, known)


@pytest.mark.parametrize(
    ("value", "unit", "energy_ev"),
    [
        (8500.0, None, 8500),
        (8.5, None, 8500),
        (8.5, "", 8500),
        (8.5, "keV", 8500),
        (1.36184e-15, None, 8500),
        (np.full(COUNT, 8.5), "keV", 8500),
        (8500 + np.linspace(0, 0.5, COUNT), "eV", 8500.25),
    ],
)
def test_photon_energy_of_any_writer(path, known, value, unit, energy_ev):
    with nexus_scan(path, known) as entry:
        del entry["instrument/beam/incident_energy"]
        put(entry["instrument/beam"], "incident_energy", value, unit)
    found = find_scan(path).energy_ev
    assert found.value == pytest.approx(energy_ev, rel=1e-4)
    told = np.size(value) == 1 and not unit and value != 8500
    assert bool(found.notes) == told


def test_an_energy_scan_has_no_one_energy(path, known):
    with nexus_scan(path, known) as entry:
        del entry["instrument/beam/incident_energy"]
        put(entry["instrument/beam"], "incident_energy", np.linspace(8e3, 9e3, COUNT), "eV")
        add_motors(entry["eiger"], known, "y", "x")
    assert "is not one number but 8000 … 9000" in refusal(path)
    assert open_scan(path, ReadOptions(energy_ev=8500.0)).known_geometry.energy_ev == 8500
