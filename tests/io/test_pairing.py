"""Whose position is whose: by number where files carry numbers, by count where they do not."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
from array_scans import GEOMETRY_FLAGS, one_step_raster, refused

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan, open_scan

ALL = np.arange(12)


@pytest.fixture(scope="module")
def known():
    return one_step_raster()


def diffraction(path, known, numbers):
    """Assembled diffraction of Ptychodus, frame by frame as `numbers` say."""
    with h5py.File(path, "w") as file:
        file["indexes"] = np.asarray(numbers, np.int64)
        patterns = known.frames[np.maximum(numbers, 0)]
        patterns[np.asarray(numbers) < 0] = 0
        file["patterns"] = patterns
        for edge in ("height", "width"):
            file["patterns"].attrs[f"detector_pixel_{edge}_m"] = (
                known.geometry.detector_pixel_size_m
            )
    return path


def product(path, known, numbers, written=None):
    with h5py.File(path, "w") as file:
        file.attrs["detector_object_distance_m"] = known.geometry.distance_m
        file.attrs["photon_energy_eV"] = known.geometry.energy_ev
        file["probe_position_indexes"] = numbers if written is None else written
        for axis, name in enumerate("yx"):
            file[f"probe_position_{name}_m"] = known.positions_m[numbers, axis]
    return path


def table(path, known, numbers, written=None, header="frame,x_m,y_m"):
    rows = [header]
    for number, name in zip(numbers, numbers if written is None else written, strict=True):
        y, x = known.positions_m[number].tolist()
        rows.append(f"{name},{x!r},{y!r}" if header.startswith("frame") else f"{x!r},{y!r}")
    path.write_text("\n".join(rows))
    return path


def single_tiffs(folder, known, numbers, name="frame_{}.tif"):
    folder.mkdir()
    for number in numbers:
        tifffile.imwrite(folder / name.format(number), known.frames[number])
    return folder


def numbers_of(scan, known):
    """Which frames of the known scan were read, each told by its counts."""
    frames = np.asarray(scan.frames[:])
    same = (frames[:, None] == known.frames[None]).all(axis=(2, 3))
    return [int(np.flatnonzero(row)[0]) if row.any() else -1 for row in same]


def assert_each_has_its_own(scan, known):
    """Every frame that is used lies where the known scan has it."""
    numbers = np.array(numbers_of(scan, known))
    used = ~scan.left_out
    assert (numbers[used] >= 0).all()
    np.testing.assert_allclose(scan.positions_m[used], known.positions_m[numbers[used]], atol=0)


SHUFFLED = np.random.default_rng(3).permutation(12)
EACH_ONE = {
    "shuffled frames": (SHUFFLED, ALL),
    "shuffled positions": (ALL, SHUFFLED),
    "files in another order": (np.roll(ALL, 6), ALL),
    "reversed": (ALL[::-1], ALL),
    "first frames dropped": (ALL[3:], ALL),
    "first frames and positions dropped": (ALL[3:], ALL[3:]),
    "every third dropped": (ALL[ALL % 3 != 0], ALL),
    "other frames, as many": (ALL[2:], ALL[:-2]),
    "last position dropped": (ALL, ALL[:-1]),
    "half the positions": (ALL, ALL[:6]),
    "never filled": (np.where(ALL < 11, ALL, -1), ALL),
    "more positions than frames": (ALL[:8], ALL),
}


@pytest.mark.parametrize("way", EACH_ONE)
def test_ptychodus_frames_and_positions_pair_by_number(tmp_path, known, way):
    frames, positions = EACH_ONE[way]
    options = ReadOptions(positions=str(product(tmp_path / "product.h5", known, positions)))
    scan = open_scan(diffraction(tmp_path / "diffraction.h5", known, frames), options)
    assert_each_has_its_own(scan, known)
    filled = set(frames.tolist()) - {-1}
    assert np.count_nonzero(~scan.left_out) == len(filled & set(positions.tolist()))
    used = scan.frame_numbers[~scan.left_out]
    assert used.tolist() == [n for n in numbers_of(scan, known) if n in positions][: len(used)]


@pytest.mark.parametrize(
    "way", ["shuffled positions", "last position dropped", "half the positions"]
)
def test_frames_without_numbers_are_numbered_by_their_places(tmp_path, known, way):
    _, positions = EACH_ONE[way]
    np.save(tmp_path / "frames.npy", known.frames)
    for path in (
        product(tmp_path / "product.h5", known, positions),
        table(tmp_path / "table.csv", known, positions),
    ):
        options = replace(GEOMETRY_FLAGS, positions=str(path))
        scan = open_scan(tmp_path / "frames.npy", options)
        assert_each_has_its_own(scan, known)
        assert np.count_nonzero(~scan.left_out) == len(positions)


@pytest.mark.parametrize("kind", [product, table])
def test_numbers_from_one_are_noted(tmp_path, known, kind):
    np.save(tmp_path / "frames.npy", known.frames)
    path = kind(tmp_path / "positions", known, ALL, written=ALL + 1)
    scan = open_scan(tmp_path / "frames.npy", replace(GEOMETRY_FLAGS, positions=str(path)))
    np.testing.assert_array_equal(scan.positions_m, known.positions_m)
    assert any("1 is taken for frame 0" in note for note in scan.notes)


def test_a_table_without_numbers_is_of_the_whole_scan(tmp_path, known):
    """Frames that were dropped, or lie in another order, still find their own row."""
    path = table(tmp_path / "table.csv", known, ALL, header="x_m,y_m")
    for name, frames in (("some", ALL[ALL % 4 != 1]), ("shuffled", SHUFFLED), ("late", ALL[4:])):
        file = diffraction(tmp_path / f"{name}.h5", known, frames)
        scan = open_scan(file, replace(GEOMETRY_FLAGS, positions=str(path)))
        assert_each_has_its_own(scan, known)
        assert not scan.left_out.any()


def test_a_table_of_the_frames_that_are_there_goes_in_their_order(tmp_path, known):
    some = ALL[[1, 2, 4, 7, 8]]
    path = table(tmp_path / "table.csv", known, some, header="x_m,y_m")
    file = diffraction(tmp_path / "d.h5", known, some)
    assert_each_has_its_own(open_scan(file, replace(GEOMETRY_FLAGS, positions=str(path))), known)


@pytest.mark.parametrize(
    ("frames", "positions", "written", "words"),
    [
        (ALL, ALL, np.zeros(12, int), "holds frame number 0 12 times"),
        (ALL, ALL, ALL - 1, "holds -1, which is not within 0"),
        (ALL, ALL, ALL + 0.5, "holds 0.5, which is not a frame number"),
        (ALL, ALL, ALL + 100, "none of its frames is one that"),
    ],
)
def test_numbers_that_are_none(tmp_path, known, frames, positions, written, words):
    path = product(tmp_path / "product.h5", known, positions, written)
    file = diffraction(tmp_path / "diffraction.h5", known, frames)
    assert words in refused(file, ReadOptions(positions=str(path)))


@pytest.mark.parametrize(
    ("numbers", "written", "words"),
    [
        (ALL[:9], ALL[:9] + 2, "it is not known from where it counts"),
        (ALL, np.zeros(12, int), "column frame holds frame number 0 12 times"),
        (ALL, [*range(11), 5.5], "column frame holds 5.5, which is not a frame number"),
    ],
)
def test_tables_whose_numbers_say_nothing(tmp_path, known, numbers, written, words):
    np.save(tmp_path / "frames.npy", known.frames)
    path = table(tmp_path / "table.csv", known, numbers, written)
    assert words in refused(tmp_path / "frames.npy", replace(GEOMETRY_FLAGS, positions=str(path)))


def test_disordered_frames_and_a_table_of_some_rows_are_refused(tmp_path, known):
    """Rows may be in the order of the file, or of the scan."""
    path = table(tmp_path / "table.csv", known, ALL[:5], header="x_m,y_m")
    file = diffraction(tmp_path / "d.h5", known, [1, 4, 2, 9, 7])
    message = refused(file, replace(GEOMETRY_FLAGS, positions=str(path)))
    assert "write a column of frame numbers" in message


def test_a_range_of_frames(tmp_path, known):
    np.save(tmp_path / "frames.npy", known.frames)
    for path in (
        table(tmp_path / "all.csv", known, ALL, header="x_m,y_m"),
        table(tmp_path / "part.csv", known, ALL[2:7], header="x_m,y_m"),
        table(tmp_path / "numbers.csv", known, SHUFFLED),
        product(tmp_path / "product.h5", known, ALL),
    ):
        options = replace(GEOMETRY_FLAGS, positions=str(path), frames_range=(2, 7))
        scan = open_scan(tmp_path / "frames.npy", options)
        assert numbers_of(scan, known) == [2, 3, 4, 5, 6]
        np.testing.assert_array_equal(scan.positions_m, known.positions_m[2:7])
        assert scan.frame_numbers.tolist() == [2, 3, 4, 5, 6]
        np.testing.assert_array_equal(scan.frames[1:3, 4:9, 3:5], known.frames[3:5, 4:9, 3:5])


@pytest.mark.parametrize("part", [(0, 13), (5, 5), (-1, 4), (7, 3)])
def test_a_range_that_is_none(tmp_path, known, part):
    np.save(tmp_path / "frames.npy", known.frames)
    options = replace(GEOMETRY_FLAGS, raster=(3, 4), step_m=1e-7, frames_range=part)
    with pytest.raises(ScanError, match="give --frames-range within 0:12"):
        find_scan(tmp_path / "frames.npy", options)


def test_a_scan_that_ended_early_names_the_range(tmp_path, known):
    np.save(tmp_path / "frames.npy", known.frames)
    lines = [f"{x},{y}" for y, x in known.positions_m.tolist()]
    lines[7:] = ["nan,nan"] * 5
    (tmp_path / "table.csv").write_text("\n".join(["x_m,y_m", *lines]))
    options = replace(GEOMETRY_FLAGS, positions=str(tmp_path / "table.csv"))
    assert "give --frames-range 0:7" in refused(tmp_path / "frames.npy", options)
    scan = open_scan(tmp_path / "frames.npy", replace(options, frames_range=(0, 7)))
    assert scan.frame_count == 7
    assert not scan.left_out.any()


def test_files_pair_by_the_numbers_in_their_names(tmp_path, known):
    """The natural order, and a missing file does not shift the others."""
    folder = single_tiffs(tmp_path / "scan", known, [n for n in ALL if n != 4])
    for header in ("frame,x_m,y_m", "x_m,y_m"):
        path = table(tmp_path / "table.csv", known, ALL, header=header)
        scan = open_scan(folder, replace(GEOMETRY_FLAGS, positions=str(path)))
        assert numbers_of(scan, known) == [n for n in range(12) if n != 4]
        assert_each_has_its_own(scan, known)


def test_files_numbered_from_one(tmp_path, known):
    folder = tmp_path / "scan"
    folder.mkdir()
    for number in ALL:
        tifffile.imwrite(folder / f"f{number + 1}.tif", known.frames[number])
    for written, header in ((ALL, "x_m,y_m"), (ALL, "frame,x_m,y_m"), (ALL + 1, "frame,x_m,y_m")):
        path = table(tmp_path / "table.csv", known, ALL, written, header)
        scan = open_scan(folder, replace(GEOMETRY_FLAGS, positions=str(path)))
        assert_each_has_its_own(scan, known)
        assert not scan.left_out.any()


def test_npz_product_that_ptychodus_writes(tmp_path, known):
    plugin = pytest.importorskip("ptychodus.plugins.npz_product_file")
    from ptychodus.api.geometry import PixelGeometry
    from ptychodus.api.object import Object, ObjectCenter
    from ptychodus.api.probe import ProbeSequence
    from ptychodus.api.probe_positions import ProbePosition, ProbePositionSequence
    from ptychodus.api.product import Product, ProductMetadata

    pixel = PixelGeometry(known.object_pixel_size_m, known.object_pixel_size_m)
    metadata = ProductMetadata(
        "s", "", known.geometry.distance_m, known.geometry.energy_ev, 0, 0, 0, 0
    )
    positions = [
        ProbePosition(int(n), known.positions_m[n, 1], known.positions_m[n, 0])
        for n in SHUFFLED[:11]
    ]
    content = Product(
        metadata,
        ProbePositionSequence(positions),
        ProbeSequence(known.probe[None], None, pixel),
        Object(np.ones((1, 99, 99), complex), pixel, ObjectCenter(0, 0), []),
        [],
    )
    plugin.NPZProductFileIO().write(tmp_path / "product.npz", content)
    found = find_scan(tmp_path / "product.npz")
    assert found.format == "Ptychodus product"
    assert found.energy_ev.value == known.geometry.energy_ev
    assert found.probe_pixel_size_m == known.object_pixel_size_m
    file = diffraction(tmp_path / "d.h5", known, ALL[::-1])
    path = str(tmp_path / "product.npz")
    scan = open_scan(file, ReadOptions(positions=path, probe=path))
    assert_each_has_its_own(scan, known)
    np.testing.assert_array_equal(scan.probe, known.probe)
    assert np.count_nonzero(scan.left_out) == 1
