"""The result file: what viewers see, what comes back, and what is refused."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from nexusformat.nexus import nxload

from wnet_edge.errors import ResultError
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.images.result_file import Process, Result, read_result, write_result

PROCESS = Process(
    package_name="w3",
    package_sha256="ab" * 32,
    precision="int8",
    provider="CPUExecutionProvider",
    command_line="wnet-edge infer scan.h5",
    date="2025-01-02T03:04:05+00:00",
    source="scan.h5",
    amplitude_scale="probe",
    frames_received=12,
    frames_processed=11,
    frames_lost=1,
    versions={"wnet-edge": "0.1.0", "numpy": "2.0"},
    timing_s={"network": 0.25, "stitch": 0.5},
)


@pytest.fixture
def result():
    rng = np.random.default_rng(1)
    image = rng.normal(size=(20, 30)) + 1j * rng.normal(size=(20, 30))
    coverage = rng.random((20, 30)).astype(np.float32)
    offset, origin = np.array([8.0, 5.0]), np.array([-3, 7])
    return Result.of_image(image.astype(np.complex64), coverage, offset, origin, 2e-8, PROCESS)


@pytest.fixture
def path(tmp_path, result):
    path = tmp_path / "scan.wnet.h5"
    write_result(path, result)
    return path


def test_result_comes_back_as_it_was_written(path, result):
    again = read_result(path)
    for name in ("phase", "amplitude", "coverage", "window_offset_px", "origin_px"):
        np.testing.assert_array_equal(getattr(again, name), getattr(result, name))
    assert again.phase.dtype == again.amplitude.dtype == again.coverage.dtype == np.float32
    assert again.pixel_size_m == result.pixel_size_m
    assert again.process == PROCESS
    np.testing.assert_allclose(again.image, result.image)


def test_viewers_are_led_to_the_phase(path, result):
    plotted = nxload(path).plottable_data
    assert plotted.nxpath == "/entry/reconstruction"
    assert plotted.nxsignal.nxname == "phase"
    np.testing.assert_array_equal(plotted.nxsignal.nxvalue, result.phase)
    y, x = plotted.nxaxes
    assert (y.nxname, x.nxname) == ("y", "x")
    assert y.units == x.units == "m"
    np.testing.assert_allclose(y.nxvalue, (np.arange(20) - 3) * 2e-8)
    np.testing.assert_allclose(x.nxvalue, (np.arange(30) + 7) * 2e-8)


def test_the_file_says_what_the_design_says(path):
    with h5py.File(path) as file:
        data = file["entry/reconstruction"]
        assert file.attrs["default"] == "entry"
        assert file["entry"].attrs["default"] == "reconstruction"
        assert data.attrs["NX_class"] == "NXdata"
        assert list(data.attrs["auxiliary_signals"]) == ["amplitude", "coverage"]
        np.testing.assert_array_equal(data.attrs["window_offset_px"], [8, 5])
        assert data["phase"].attrs["interpretation"] == "image"
        assert data["phase"].attrs["units"] == "rad"
        assert file["entry/process"].attrs["NX_class"] == "NXprocess"
        assert file["entry/process/package_name"].asstr()[()] == "w3"


def test_axes_are_in_pixels_where_the_pixel_size_is_unknown(tmp_path, result):
    path = tmp_path / "out.h5"
    write_result(path, replace(result, pixel_size_m=None))
    with h5py.File(path) as file:
        y = file["entry/reconstruction/y"]
        assert y.attrs["units"] == "pixel"
        np.testing.assert_array_equal(y[:3], [-3, -2, -1])
    assert read_result(path).pixel_size_m is None


def test_existing_file_is_replaced_only_by_force(path, result):
    before = path.read_bytes()
    with pytest.raises(ResultError, match="exists already"):
        write_result(path, result)
    assert path.read_bytes() == before
    write_result(path, replace(result, pixel_size_m=1e-8), force=True)
    assert read_result(path).pixel_size_m == 1e-8


def test_failed_writing_leaves_nothing_half_written(path, result):
    before = path.read_bytes()
    broken = replace(result, process=replace(PROCESS, versions={"a": object()}))
    with pytest.raises(TypeError):
        write_result(path, broken, force=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def truncated(path):
    path.write_bytes(path.read_bytes()[:3000])


def empty(path):
    path.write_bytes(b"")


def unequal(path):
    with h5py.File(path, "a") as file:
        del file["entry/reconstruction/coverage"]
        file["entry/reconstruction/coverage"] = np.ones((3, 3), np.float32)


def no_image(path):
    with h5py.File(path, "a") as file:
        del file["entry/reconstruction/phase"]


def huge(path):
    with h5py.File(path, "a") as file:
        group = file["entry/reconstruction"]
        for name in ("phase", "amplitude", "coverage"):
            del group[name]
            group.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000))


def groups_for_datasets(path):
    with h5py.File(path, "a") as file:
        del file["entry/reconstruction/phase"]
        file.create_group("entry/reconstruction/phase")


def number_for_text(path):
    with h5py.File(path, "a") as file:
        del file["entry/process/precision"]
        file["entry/process/precision"] = 3.5


def impossible_pixel(path):
    with h5py.File(path, "a") as file:
        file["entry/reconstruction"].attrs["pixel_size_m"] = -1.0


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "damaged"),
        (empty, "empty"),
        (unequal, "differ in shape"),
        (no_image, "not a result file, it has no /entry/reconstruction"),
        (huge, "too many to read"),
        (groups_for_datasets, "not a result file"),
        (number_for_text, "damaged"),
        (impossible_pixel, "pixel size"),
    ],
)
def test_damaged_files_are_refused_in_one_line(path, damage, message):
    damage(path)
    with pytest.raises(ResultError, match=message) as error:
        read_object_image(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
