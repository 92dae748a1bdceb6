"""Frames whose axes are in another order than (N, H, W): recognised, or refused with the flag."""

import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
from array_scans import GEOMETRY_FLAGS, one_step_raster, peak_bytes, refused

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.stacks import ArrangedFrames
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


@pytest.fixture
def options(tmp_path, small_scan):
    """Geometry, and positions without a raster."""
    x_y = small_scan.positions_m[:, ::-1]
    np.savetxt(tmp_path / "p.csv", x_y, header="x_m,y_m", delimiter=",", comments="")
    return replace(GEOMETRY_FLAGS, positions=str(tmp_path / "p.csv"))


def as_npy(folder, array):
    np.save(folder / "f.npy", array)
    return folder / "f.npy", {}


def as_fortran(folder, array):
    np.save(folder / "f.npy", np.asfortranarray(array))
    return folder / "f.npy", {}


def as_npz(folder, array):
    np.savez_compressed(folder / "f.npz", arr_0=array)
    return folder / "f.npz", {}


def as_fortran_npz(folder, array):
    np.savez(folder / "f.npz", arr_0=np.asfortranarray(array))
    return folder / "f.npz", {}


def as_hdf5(folder, array):
    with h5py.File(folder / "f.h5", "w") as file:
        file.create_dataset("dp", data=array, chunks=True, compression="gzip")
    return folder / "f.h5", {"frames": "dp"}


WRITERS = (as_npy, as_fortran, as_npz, as_fortran_npz, as_hdf5)
"""Small stacks of 12 frames of 32 × 32 px."""

ORDERS = {
    "NHW": lambda a: a,
    "HWN": lambda a: np.moveaxis(a, 0, -1),
    "HNW": lambda a: np.moveaxis(a, 0, 1),
    "NHW1": lambda a: a[..., None],
    "N1HW": lambda a: a[:, None],
    "1NHW": lambda a: a[None],
    "HW1N": lambda a: np.moveaxis(a, 0, -1)[:, :, None],
    "RCHW": lambda a: a.reshape(3, 4, 32, 32),
    "HWRC": lambda a: np.moveaxis(a, 0, -1).reshape(32, 32, 3, 4),
    "NHW11": lambda a: a[..., None, None],
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("order", ORDERS)
def test_the_number_of_positions_tells_the_axes(tmp_path, small_scan, options, writer, order):
    path, flags = writer(tmp_path, ORDERS[order](small_scan.frames))
    scan = open_scan(path, replace(options, **flags))
    np.testing.assert_array_equal(scan.frames[:], small_scan.frames)
    np.testing.assert_array_equal(scan.frames[3:9:2], small_scan.frames[3:9:2])
    np.testing.assert_array_equal(scan.frames[5], small_scan.frames[5])
    np.testing.assert_array_equal(scan.frames[2:9, 3:17, 5:8], small_scan.frames[2:9, 3:17, 5:8])
    np.testing.assert_array_equal(scan.positions_m, small_scan.positions_m)
    unusual = order in ("HWN", "HNW", "HW1N", "HWRC")
    assert unusual == any("are taken as" in note for note in scan.notes)


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("order", ["HWN", "NWH", "WHN", "HNW", "CRHW", "HWRC", "RCWH"])
def test_the_user_names_the_axes(tmp_path, writer, order):
    expected = one_step_raster()
    frames = expected.frames
    if "R" in order:
        frames = frames.reshape(3, 4, 32, 32)
    usual = "RCHW" if "R" in order else "NHW"
    path, flags = writer(tmp_path, frames.transpose([usual.index(axis) for axis in order]))
    options = replace(GEOMETRY_FLAGS, frames_axes=order.lower(), step_m=90e-9, **flags)
    if "R" not in order:
        options = replace(options, raster=(3, 4))
    scan = open_scan(path, options)
    positions = expected.positions_m.round(12)
    by_place = {tuple(p): f for p, f in zip(positions, expected.frames, strict=True)}
    read = np.asarray(scan.frames[:])
    assert len(read) == 12
    for position, frame in zip(scan.positions_m.round(12), read, strict=True):
        np.testing.assert_array_equal(frame, by_place[tuple(position)])


@pytest.mark.parametrize("axes", ["NH", "NHWX", "NNHW", "NHWN", "RHW", "HW", ""])
def test_axes_that_are_none(tmp_path, small_scan, axes):
    np.save(tmp_path / "f.npy", small_scan.frames)
    with pytest.raises(ScanError, match="in their order, 1 for one of length 1"):
        find_scan(tmp_path / "f.npy", ReadOptions(frames_axes=axes))


def test_a_tiff_has_no_axes_to_name(tmp_path, small_scan):
    tifffile = pytest.importorskip("tifffile")
    tifffile.imwrite(tmp_path / "f.tif", small_scan.frames)
    with pytest.raises(ScanError, match="leave out --frames-axes"):
        find_scan(tmp_path / "f.tif", ReadOptions(frames_axes="HWN"))


def cube():
    """As many frames as rows: (32, 32, 32), frames first, with one bright spot in the middle."""
    y, x = np.mgrid[-16:16, -16:16]
    spot = 1000 * np.exp(-(x**2 + y**2) / 20)
    frames = np.random.default_rng(0).poisson(spot, (32, 32, 32)).astype(np.uint16)
    positions = np.random.default_rng(1).uniform(0, 1e-6, (32, 2))
    return frames, positions


@pytest.mark.parametrize("writer", WRITERS)
def test_counts_tell_where_lengths_can_not(tmp_path, writer):
    frames, positions = cube()
    header = {"header": "x_m,y_m", "delimiter": ",", "comments": ""}
    np.savetxt(tmp_path / "p.csv", positions, **header)
    options = replace(GEOMETRY_FLAGS, positions=str(tmp_path / "p.csv"))
    path, flags = writer(tmp_path, frames)
    np.testing.assert_array_equal(open_scan(path, replace(options, **flags)).frames[:], frames)
    path, flags = writer(tmp_path, np.moveaxis(frames, 0, -1))
    options = replace(options, **flags)
    assert "give --frames-axes HWN or NHW" in refused(path, options)
    told = open_scan(path, replace(options, frames_axes="HWN"))
    np.testing.assert_array_equal(told.frames[:], frames)


def test_frames_too_large_one_way_are_read_the_other(tmp_path):
    """9000 frames of 4 × 4 px, frames last: no frames of 4 × 9000 px."""
    frames = np.arange(9000 * 16, dtype=np.int32).reshape(9000, 4, 4)
    np.save(tmp_path / "f.npy", np.moveaxis(frames, 0, -1))
    message = refused(tmp_path / "f.npy", replace(GEOMETRY_FLAGS, raster=(2, 2), step_m=1e-7))
    assert "frames of 4 × 9000 px" in message
    assert "--frames-axes HWN" in message
    np.savetxt(tmp_path / "p.csv", np.zeros((9000, 2)), header="x y", comments="")
    options = ReadOptions(positions=str(tmp_path / "p.csv"), positions_unit="m")
    found = find_scan(tmp_path / "f.npy", options)
    np.testing.assert_array_equal(found.frames.value[8990:], frames[8990:])


def test_interleaved_frames_are_read_in_slabs(tmp_path, monkeypatch):
    """Never whole, once each while they are asked for in turn, and handed to another process."""
    monkeypatch.setattr("wnet_edge.io.containers.stacks._SLAB_BYTES", 1 << 20)
    frames = np.random.default_rng(0).integers(0, 9, (2000, 32, 32)).astype(np.uint16)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["dp"] = np.moveaxis(frames, 0, -1)
    options = ReadOptions(frames="dp", frames_axes="HWN")
    source = find_scan(tmp_path / "f.h5", options).frames.value
    assert isinstance(source, ArrangedFrames)

    def all_in_turn():
        for start in range(0, 2000, 64):
            np.testing.assert_array_equal(source[start : start + 64], frames[start : start + 64])

    assert peak_bytes(all_in_turn) < frames.nbytes / 1.2
    np.testing.assert_array_equal(source[[1500, 3, 700]], frames[[1500, 3, 700]])
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    np.testing.assert_array_equal(copy[1999], frames[1999])


def matlab(path, **arrays):
    """As save -v7.3 writes: the last axis of MATLAB's array first, complex numbers as pairs."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            stored = np.asarray(array).T
            if stored.dtype.kind == "c":
                pairs = np.zeros(stored.shape, [("real", "<f8"), ("imag", "<f8")])
                pairs["real"], pairs["imag"] = stored.real, stored.imag
                stored = pairs
            file[name] = stored
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
    return path


def test_matlab_arrays_are_what_matlab_shows(tmp_path, small_scan):
    mask = np.zeros((32, 32), np.uint8)
    mask[3, 20:25] = 1
    path = matlab(
        tmp_path / "m.mat",
        data=np.moveaxis(small_scan.frames, 0, -1),  # (H, W, N) in MATLAB
        probe=np.moveaxis(small_scan.probe, 0, -1),
        positions=small_scan.positions_m,
        positions_xy=small_scan.positions_m[:, ::-1],
        mask=mask,
    )
    for name in ("positions", "positions_xy"):
        options = replace(
            GEOMETRY_FLAGS,
            frames="data",
            positions=name,
            positions_unit="m",
            probe="probe",
            mask="mask",
        )
        scan = open_scan(path, options)
        np.testing.assert_array_equal(scan.frames[:], small_scan.frames)
        np.testing.assert_array_equal(scan.positions_m, small_scan.positions_m)
        np.testing.assert_allclose(scan.probe, small_scan.probe, rtol=1e-6)
        np.testing.assert_array_equal(scan.mask, mask != 0)
        assert any("as MATLAB stores arrays" in note for note in scan.notes)
    stored = find_scan(path, ReadOptions(frames="data", frames_axes="NHW")).frames.value
    np.testing.assert_array_equal(stored[:], small_scan.frames.swapaxes(1, 2))


def test_a_raster_of_matlab_steps_as_it_was_scanned(tmp_path, small_scan):
    raster = small_scan.frames.reshape(3, 4, 32, 32).transpose(2, 3, 0, 1)  # (H, W, rows, columns)
    path = matlab(tmp_path / "m.mat", data=raster)
    scan = open_scan(path, replace(GEOMETRY_FLAGS, frames="data", step_m=90e-9))
    for position, frame in zip(scan.positions_m, np.asarray(scan.frames[:]), strict=True):
        row, column = np.rint(position / 90e-9).astype(int)
        np.testing.assert_array_equal(frame, small_scan.frames[4 * row + column])


@pytest.mark.parametrize("axes", [2, 3])
def test_positions_with_a_row_for_each_axis(tmp_path, small_scan, axes):
    np.save(tmp_path / "f.npy", small_scan.frames)
    rows = small_scan.positions_m.T
    if axes == 3:
        rows = np.stack([rows[1], rows[0], np.zeros(12)])
    np.save(tmp_path / "p.npy", rows)
    options = replace(GEOMETRY_FLAGS, positions=str(tmp_path / "p.npy"), positions_unit="m")
    np.testing.assert_array_equal(
        open_scan(tmp_path / "f.npy", options).positions_m, small_scan.positions_m
    )
