"""NeXus: classes, defaults, signals and axes, old and new; what is refused and why."""

import h5py
import numpy as np
import pytest
from known_data import small
from layout_parts import nx_group, put, translation_of
from reader_checks import assert_same_positions, assert_same_scan, refusal, swap, write

from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture(scope="module")
def known():
    return small()


def raster_file(path, known, *, axes, rows, columns, slow_x=False):
    """A plain NXdata (3, 4, H, W) with two axes named `axes`."""
    with h5py.File(path, "w") as file:
        data = nx_group(nx_group(file, "entry", "NXentry"), "data", "NXdata")
        data.attrs["signal"] = "frames"
        data.attrs["axes"] = [*axes, ".", "."]
        put(data, "frames", known.frames.reshape(3, 4, 32, 32))
        lengths = (columns, rows) if slow_x else (rows, columns)
        for name, values in zip(axes, lengths, strict=True):
            put(data, name, values, "m")
    return path


@pytest.mark.parametrize("axes", [("y", "x"), ("sample_y", "sample_x"), ("slow", "fast")])
def test_nexus_raster_has_positions_from_its_axes(tmp_path, known, axes):
    rows, columns = known.positions_m[::4, 0], known.positions_m[:4, 1]
    path = raster_file(tmp_path / "s.nxs", known, axes=axes, rows=rows, columns=columns)
    found = find_scan(path)
    assert found.raster == (3, 4)
    scan = open_scan(path)
    assert_same_positions(scan.positions_m, known)
    np.testing.assert_array_equal(scan.frames[:], known.frames)
    np.testing.assert_array_equal(scan.frames[7], known.frames[7])
    np.testing.assert_array_equal(scan.frames[2:11:3], known.frames[2:11:3])
    np.testing.assert_array_equal(scan.frames[3:9, 4:20, 5:7], known.frames[3:9, 4:20, 5:7])


def test_nexus_raster_may_be_slow_along_columns(tmp_path, known):
    path = raster_file(
        tmp_path / "s.nxs",
        known,
        axes=("samx", "samy"),
        rows=np.arange(4.0),
        columns=np.arange(3.0) * 10,
        slow_x=True,
    )
    values = find_scan(path).positions.value.values
    np.testing.assert_array_equal(values[:5], [[0, 0], [1, 0], [2, 0], [3, 0], [0, 10]])


def test_nexus_raster_without_axes_takes_its_motors_or_waits_for_a_step(tmp_path, known):
    rows, columns = known.positions_m[::4, 0], known.positions_m[:4, 1]
    path = raster_file(tmp_path / "s.nxs", known, axes=("y", "x"), rows=rows, columns=columns)
    with h5py.File(path, "a") as file:
        del file["entry/data"].attrs["axes"]
    assert_same_positions(open_scan(path).positions_m, known)
    with h5py.File(path, "a") as file:
        del file["entry/data/x"], file["entry/data/y"]
    assert refusal(path) == "NeXus without positions; give --step-m"
    assert open_scan(path, ReadOptions(step_m=1e-7)).positions_m[5].tolist() == [1e-7, 1e-7]


def test_nexus_before_2014_marks_signal_and_axes_on_the_dataset(tmp_path, known):
    path = tmp_path / "old.nxs"
    with h5py.File(path, "w") as file:
        nx_group(file, "about", "NXnote")
        entry = nx_group(file, "entry1", "NXentry")
        data = nx_group(entry, "plot", "NXdata")
        put(data, "I0", np.ones(12))
        frames = put(data, "det", known.frames.reshape(3, 4, 32, 32))
        frames.attrs["signal"] = np.int32(1)
        frames.attrs["axes"] = "[sy,sx]"
        put(data, "sy", known.positions_m[::4, 0])
        put(data, "sx", known.positions_m[:4, 1])
    scan = open_scan(path)
    np.testing.assert_array_equal(scan.frames[:], known.frames)
    assert_same_positions(scan.positions_m, known)


def test_nexus_follows_the_chain_of_defaults(tmp_path, known):
    path = tmp_path / "s.nxs"
    with h5py.File(path, "w") as file:
        nx_group(file, "a", "NXentry")
        entry = nx_group(file, "b", "NXentry")
        put(nx_group(entry, "a_sum", "NXdata"), "data", np.zeros((5, 8, 8)))
        process = nx_group(entry, "process", "NXprocess")
        put(nx_group(process, "plot", "NXdata"), "counts", known.frames)
        process["plot"].attrs["signal"] = "counts"
        file.attrs["default"], entry.attrs["default"], process.attrs["default"] = (
            "b",
            "process",
            "plot",
        )
    assert find_scan(path).frames.where == "/b/process/plot/counts"


def test_nexus_axes_of_the_detector_are_no_positions(tmp_path, known):
    path = tmp_path / "s.nxs"
    with h5py.File(path, "w") as file:
        data = nx_group(nx_group(file, "entry", "NXentry"), "data", "NXdata")
        data.attrs["signal"] = "data"
        data.attrs["axes"] = ["point", "y", "x"]
        put(data, "data", known.frames)
        put(data, "point", np.arange(12))
        for name in "yx":
            put(data, name, np.arange(32))
    assert refusal(path) == "NeXus without positions; name them with --positions"


def test_nexus_result_of_ours_has_no_frames(tmp_path):
    path = tmp_path / "s.nxs"
    with h5py.File(path, "w") as file:
        data = nx_group(nx_group(file, "entry", "NXentry"), "reconstruction", "NXdata")
        data.attrs["signal"] = "phase"
        put(data, "phase", np.zeros((40, 50), np.float32))
    assert refusal(path).startswith("NeXus without frames; name the dataset with --frames")


@pytest.mark.parametrize(
    ("units", "centre_px"),
    [("pixels", (14.5, 17)), (None, (14.5, 17)), ("mm", (14.5, 17)), ("parsec", None)],
)
def test_nexus_beam_centre(tmp_path, known, units, centre_px):
    scale = known.geometry.detector_pixel_size_m * 1e3 if units == "mm" else 1

    def change(file):
        for axis, value in (("y", 14.5), ("x", 17.0)):
            name = f"pty/i13/excalibur/beam_center_{axis}"
            swap(file, name, value * scale, units)

    path, _ = write("nexus-ptycho", tmp_path, known, change)
    centre = find_scan(path).beam_centre_px
    assert (None if centre is None else centre.value) == (
        None if centre_px is None else pytest.approx(centre_px)
    )


def test_nexus_energy_without_a_unit_is_in_electronvolts(tmp_path, known):
    def change(file):
        swap(file, "pty/i13/coherent/incident_beam_energy", 9_000.0)

    path, _ = write("nexus-ptycho", tmp_path, known, change)
    assert open_scan(path).known_geometry.energy_ev == 9_000


def test_nexus_energy_of_the_ring_is_not_the_photons(tmp_path, known):
    def change(file):
        del file["pty/i13/coherent/incident_beam_energy"]

    path, _ = write("nexus-ptycho", tmp_path, known, change)
    assert find_scan(path).energy_ev is None


def test_nexus_entry_may_lie_in_another_file(tmp_path, known):
    path, _ = write("nexus-plain", tmp_path, known)
    master = tmp_path / "master.h5"
    with h5py.File(master, "w") as file:
        file["1.1"] = h5py.ExternalLink(path.name, "/entry")
    assert_same_scan(open_scan(master), known)
    path.unlink()
    assert "HDF5 without frames" in refusal(master)


@pytest.mark.parametrize(
    ("name", "value", "units", "words"),
    [
        ("stage/x", np.zeros(12), "furlong", "/stage/x: in 'furlong', which is not a known unit"),
        ("stage/x", np.zeros(11), "um", "/pty/etched/stage/x: 11 for 12 frames"),
        ("excalibur/distance", 1.0, "s", "/distance is in 's', which is not a known unit"),
        ("excalibur/distance", [1.0, 2.0], "m", "/distance is not one number"),
        ("excalibur/x_pixel_size", 1e-5, "m", "bin frames to square pixels"),
        ("excalibur/pixel_mask", np.zeros((2, 32, 32), int), None, "is int64 (2, 32, 32)"),
        ("excalibur/pixel_mask", np.zeros((31, 32), int), None, "is (31, 32), but frames are"),
        ("coherent/illumination", np.ones((2, 9, 9), complex), None, "not (modes, 32, 32)"),
    ],
)
def test_nexus_refusals(tmp_path, known, name, value, units, words):
    at = "pty/etched/" if name.startswith("stage") else "pty/i13/"
    path, _ = write(
        "nexus-ptycho", tmp_path, known, lambda file: swap(file, at + name, value, units)
    )
    assert words in refusal(path)


def test_missing_part_of_a_virtual_dataset_is_named(tmp_path, known):
    path = tmp_path / "s.nxs"
    with h5py.File(tmp_path / "one.h5", "w") as part:
        part["data"] = known.frames[:6]
    with h5py.File(path, "w") as file:
        data = nx_group(nx_group(file, "entry", "NXentry"), "data", "NXdata")
        layout = h5py.VirtualLayout((12, 32, 32), np.uint32)
        layout[:6] = h5py.VirtualSource("one.h5", "data", (6, 32, 32))
        layout[6:] = h5py.VirtualSource("two.h5", "data", (6, 32, 32))
        data.create_virtual_dataset("data", layout)
    assert refusal(path) == (
        "/entry/data/data is assembled from two.h5, which is not there; "
        "copy that file next to this one"
    )


def test_raster_of_translations(tmp_path, known):
    """NXcxi_ptycho allows (rows, columns, 3) beside (rows, columns, H, W)."""

    def change(file):
        entry = file["entry_1"]
        del entry["data_1/data"], entry["instrument_1/detector_1/translation"]
        frames = known.frames.reshape(3, 4, 32, 32)
        swap(file, "entry_1/instrument_1/detector_1/data", frames)
        put(entry, "instrument_1/detector_1/translation", translation_of(known).reshape(3, 4, 3))

    path, options = write("nexus-cxi-ptycho", tmp_path, known, change)
    assert_same_scan(open_scan(path, options), known)
