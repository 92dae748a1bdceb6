"""Scans in arrays of every layout: the same frames, positions, mask and probe, read lazily."""

import pickle
import threading
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from array_scans import GEOMETRY_FLAGS, one_step_raster, peak_bytes
from known_data import scan_247
from layouts_arrays import LAYOUTS

from wnet_edge.errors import ScanError
from wnet_edge.io.found import PositionUnit, ZeroFrequency
from wnet_edge.io.read_options import RasterOrder, ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan


def without_origin(positions):
    return positions - positions.mean(axis=0)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_scan(tmp_path, layout):
    gives_the_same(tmp_path, one_step_raster(), layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_real_scan(tmp_path, data_dir, layout):
    gives_the_same(tmp_path, scan_247(data_dir), layout)


def gives_the_same(folder, known, layout):
    path, options = LAYOUTS[layout](folder, known)
    scan = open_scan(path, options)
    np.testing.assert_allclose(scan.frames[:], known.frames, rtol=1e-6)
    np.testing.assert_allclose(
        without_origin(scan.positions_m), without_origin(known.positions_m), atol=1e-15
    )
    assert scan.geometry == known.geometry
    np.testing.assert_array_equal(scan.mask, known.mask)
    np.testing.assert_array_equal(scan.probe, known.probe)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_slice_of_frames(tmp_path, layout):
    path, options = LAYOUTS[layout](tmp_path, one_step_raster())
    frames = find_scan(path, options).frames.value
    whole = frames[:]
    assert frames.shape == whole.shape
    assert frames.dtype == whole.dtype
    backwards = np.arange(len(whole))[::-5]
    for key in (
        3, -1, np.int64(2), slice(2, 9, 3), slice(9, 2), slice(None, None, -1), [5, 1, 5],
        backwards, np.arange(len(whole)) % 3 == 0, (slice(4), slice(2, 6), slice(None, 4)),
        (7, slice(3), 5), (), ..., 0,
    ):  # fmt: skip
        np.testing.assert_array_equal(frames[key], whole[key])
    copy = pickle.loads(pickle.dumps(frames))  # noqa: S301 - ours
    np.testing.assert_array_equal(copy[2:4], whole[2:4])


def test_real_frames_of_ptychonn(data_dir):
    found = find_scan(data_dir / "ptychonn_20191008_39_four_frames.npy")
    assert found.raster == (2, 2)
    assert found.frames.value.shape == (4, 256, 256)
    stored = np.load(found.path)
    np.testing.assert_array_equal(found.frames.value[2], stored[1, 0])
    scan = open_scan(found.path, replace(GEOMETRY_FLAGS, step_m=30e-9))
    np.testing.assert_allclose(scan.positions_m, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * 3e-8)
    with pytest.raises(ScanError, match="without positions; give --step-m"):
        open_scan(found.path)


@pytest.mark.parametrize(
    ("axes", "snake"),
    [
        (None, [[0, 0], [0, 1], [0, 2], [1, 2], [1, 1], [1, 0]]),
        ("CRHW", [[0, 0], [1, 0], [1, 1], [0, 1], [0, 2], [1, 2]]),
    ],
)
def test_every_second_line_of_a_snake_runs_backwards(tmp_path, small_scan, axes, snake):
    frames = small_scan.frames[:6].reshape(*((2, 3) if axes is None else (3, 2)), 32, 32)
    np.save(tmp_path / "f.npy", frames)
    options = replace(GEOMETRY_FLAGS, frames_axes=axes, step_m=1e-7)
    scan = open_scan(tmp_path / "f.npy", replace(options, raster_order=RasterOrder.SNAKE))
    np.testing.assert_allclose(scan.positions_m, np.array(snake) * 1e-7)
    rows = open_scan(tmp_path / "f.npy", replace(options, raster_order=RasterOrder.ROWS))
    plain = open_scan(tmp_path / "f.npy", options)
    np.testing.assert_array_equal(rows.positions_m, plain.positions_m)


def test_one_scan_of_tike_is_no_raster(tmp_path, small_scan):
    path, _ = LAYOUTS["npz_tike"](tmp_path, small_scan)
    found = find_scan(path)
    assert found.format == "tike NPZ"
    assert found.raster is None
    assert found.zero_frequency.value is ZeroFrequency.CORNER
    assert found.positions.value.unit is PositionUnit.OBJECT_PIXEL


def test_ptychonn_scan_in_metres_is_told_from_object_pixels(tmp_path, small_scan):
    for scale, unit in ((1.0, "m"), (1 / small_scan.object_pixel_size_m, "px")):
        np.savez(
            tmp_path / "s.npz",
            reciprocal=small_scan.frames,
            scan=small_scan.positions_m * scale,
            real=1.0,
        )
        assert find_scan(tmp_path / "s.npz").positions.value.unit.value == unit
    named = find_scan(
        tmp_path / "s.npz", ReadOptions(positions="scan", positions_unit="um")
    ).positions
    np.testing.assert_allclose(
        named.value.values, small_scan.positions_m / small_scan.object_pixel_size_m * 1e-6
    )


@pytest.mark.parametrize(
    ("frames", "amplitudes"),
    [
        (lambda counts: np.sqrt(counts).astype(np.float32), True),
        (lambda counts: (np.sqrt(counts) / 40).astype(np.float16), True),
        (lambda counts: counts.astype(np.uint16), False),
        (lambda counts: counts.astype(np.float32), False),
        (lambda counts: (counts > 3).astype(np.float32), True),
    ],
)
def test_ptychopinn_holds_amplitudes_or_counts(tmp_path, small_scan, frames, amplitudes):
    stored = frames(small_scan.frames)
    rows, columns = small_scan.positions_m.T / small_scan.object_pixel_size_m
    np.savez(tmp_path / "p.npz", diff3d=stored, xcoords=columns, ycoords=rows)
    found = find_scan(tmp_path / "p.npz")
    assert found.format == f"PtychoPINN NPZ of {'amplitudes' if amplitudes else 'counts'}"
    expected = np.square(stored.astype(np.float32)) if amplitudes else stored
    np.testing.assert_array_equal(found.frames.value[:], expected)
    np.testing.assert_allclose(
        found.positions.value.values * small_scan.object_pixel_size_m, small_scan.positions_m
    )


def test_old_ptychopinn_has_frames_last(tmp_path, small_scan):
    rows, columns = small_scan.positions_m.T
    amplitudes = np.sqrt(small_scan.frames)
    np.savez(
        tmp_path / "p.npz", diffraction=np.moveaxis(amplitudes, 0, 2), xcoords=columns, ycoords=rows
    )
    frames = find_scan(tmp_path / "p.npz").frames.value
    np.testing.assert_allclose(frames[:], small_scan.frames, rtol=1e-6)


def test_frames_and_parts_by_name(tmp_path, small_scan):
    path = tmp_path / "ours.npz"
    np.savez(
        path,
        counts=small_scan.frames.reshape(3, 4, 32, 32),
        where=small_scan.positions_m,
        p=small_scan.probe,
        bad=small_scan.mask,
    )
    with pytest.raises(ScanError, match="NPZ of bad, counts, p, where without frames; name the"):
        open_scan(path)
    options = replace(
        GEOMETRY_FLAGS, frames="counts", positions=f"{path}:where", positions_unit="m", probe="p",
        mask="bad",
    )  # fmt: skip
    found, scan = find_scan(path, options), open_scan(path, options)
    assert found.raster == (3, 4)
    np.testing.assert_array_equal(scan.frames[:], small_scan.frames)
    np.testing.assert_array_equal(scan.positions_m, small_scan.positions_m)
    np.testing.assert_array_equal(scan.probe, small_scan.probe)
    np.testing.assert_array_equal(scan.mask, small_scan.mask)


def test_positions_and_probe_of_another_scan_file(tmp_path, small_scan):
    np.save(tmp_path / "frames.npy", small_scan.frames)
    tike, _ = LAYOUTS["npz_tike"](tmp_path, small_scan)
    scan = open_scan(
        tmp_path / "frames.npy", replace(GEOMETRY_FLAGS, positions=str(tike), probe=str(tike))
    )
    np.testing.assert_allclose(scan.positions_m, small_scan.positions_m, atol=1e-15)
    np.testing.assert_array_equal(scan.probe, small_scan.probe)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", ">f4", "|u1", "<f8", "<i8"])
@pytest.mark.parametrize("save", ["npy", "npz", "deflated"])
def test_orders_and_number_types(tmp_path, small_scan, order, dtype, save):
    stored = np.array(np.minimum(small_scan.frames, 255), dtype=dtype, order=order)
    path = tmp_path / "frames"
    with path.open("wb") as file:
        {"npy": np.save, "npz": np.savez, "deflated": np.savez_compressed}[save](file, stored)
    frames = find_scan(path).frames.value
    assert frames.dtype == stored.dtype.newbyteorder("=")
    assert frames[3:5].dtype.isnative
    np.testing.assert_array_equal(frames[3:5], stored[3:5])


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_versions_of_the_header(tmp_path, small_scan, version):
    with (tmp_path / "f.npy").open("wb") as file:
        np.lib.format.write_array(file, small_scan.frames, version=version)
    np.testing.assert_array_equal(find_scan(tmp_path / "f.npy").frames.value[:], small_scan.frames)


def test_a_large_archive_never_lies_in_memory(tmp_path):
    path = tmp_path / "large.npz"
    count, edge = 600, 256  # 157 MB
    shape = (count, edge, edge)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("reciprocal.npy", "w", force_zip64=True) as file,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        frame = np.zeros(shape[1:], np.float32)
        for number in range(count):
            frame[number % edge] = number
            file.write(frame.tobytes())
    assert path.stat().st_size < 20_000_000
    frames = find_scan(path).frames.value

    def read():
        for start in range(0, count, 16):
            assert frames[start : start + 16][0, start % edge, 0] == start
        assert frames[5][5, 0] == 5  # begins again
        assert frames[count - 1][(count - 1) % edge, 3] == count - 1

    assert peak_bytes(read) < 40_000_000
    assert peak_bytes(lambda: find_scan(path)) < 1_000_000


def test_threads_take_turns(tmp_path, small_scan):
    path, options = LAYOUTS["npz_ptychonn"](tmp_path, small_scan)
    frames = find_scan(path, options).frames.value
    wrong = []

    def read(seed):
        for number in np.random.default_rng(seed).integers(0, len(small_scan.frames), 40):
            if not np.array_equal(frames[int(number)], small_scan.frames[number]):
                wrong.append(number)

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_archive_that_changes_is_noticed(tmp_path, small_scan):
    path = tmp_path / "s.npz"
    np.savez(path, reciprocal=small_scan.frames)
    frames = find_scan(path).frames.value
    np.savez(path, reciprocal=small_scan.frames[:5])
    with pytest.raises(ScanError, match="has changed since it was opened"):
        frames[0]
    path.unlink()
    with pytest.raises(ScanError, match="can't be read"):
        frames[0]
