"""Results in the formats of other programs: Ptychodus, CXI, TIFF, each read by one of those."""

import resource
import subprocess
import sys
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from wnet_edge.comparing.comparison import compare
from wnet_edge.errors import ResultError
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.images.result_file import Provenance, Result, read_result
from wnet_edge.io.images.result_format import ResultFormat, default_paths, paths_from
from wnet_edge.io.writers.result_formats import check_image, write_image
from wnet_edge.physics.forward import expected_counts

PIXEL_M = 1.585e-8
FULL_PX = 16
SHAPE = (40, 52)
ORIGIN_PX = np.array([-3, 7])
PROCESS = Provenance(
    package_name="w3",
    package_sha256="ab" * 32,
    precision="int8",
    command_line="wnet-edge infer scan.h5 --format cxi",
    date="2025-01-02T03:04:05+00:00",
    source="scan.h5",
    amplitude_scale="probe",
    versions={"wnet-edge": "0.1.0"},
)
LEFT_OUT = np.zeros(5, bool)
WINDOWS_PX = np.array([[-3, 7], [0, 20], [9, 8], [20, 43], [13, 30]])
"""Full windows that lie on the image: top-left pixels, counted like `ORIGIN_PX`."""


def complex_noise(*shape):
    rng = np.random.default_rng(5)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


@pytest.fixture
def result():
    image = complex_noise(*SHAPE)
    coverage = np.full(SHAPE, 2, np.float32)
    return Result.of_image(image, coverage, -ORIGIN_PX, ORIGIN_PX, PIXEL_M, PROCESS)


@pytest.fixture
def context():
    probe = complex_noise(2, FULL_PX, FULL_PX)
    return ImageContext(
        probe,
        WINDOWS_PX * PIXEL_M,
        LEFT_OUT,
        np.arange(len(WINDOWS_PX)),
        FULL_PX,
        9500.0,
        1.25,
        "scan 7, étalon",
    )


def written(folder, image_format, result, context, stem="scan"):
    paths = default_paths(image_format, folder, stem)
    write_image(image_format, paths, result, context)
    return paths


def patch(result, window_px):
    """The patch of our image under the full window that begins at `window_px`."""
    row, column = window_px - result.origin_px
    return result.image[row : row + FULL_PX, column : column + FULL_PX]


@pytest.fixture
def load_product():
    pytest.importorskip("ptychodus")
    from ptychodus.api.io import load_product

    return load_product


def test_ptychodus_reads_what_was_written(tmp_path, load_product, result, context):
    (path,) = written(tmp_path, ResultFormat.PTYCHODUS, result, context)
    product = load_product(path)
    metadata = product.metadata
    assert metadata.name == context.title
    assert metadata.photon_energy_eV == 9500
    assert metadata.detector_distance_m == 1.25
    assert metadata.far_field
    assert metadata.probe_photon_count == pytest.approx(np.sum(np.abs(context.probe) ** 2))
    assert "w3, int8" in metadata.comments
    np.testing.assert_array_equal(product.probes.get_array(), context.probe[None])
    for part in (product.probes, product.object_):
        pixel = part.get_pixel_geometry()
        assert (pixel.width_m, pixel.height_m) == (PIXEL_M, PIXEL_M)
    positions = product.probe_positions
    np.testing.assert_array_equal(positions.get_indexes(), np.arange(len(WINDOWS_PX)))
    np.testing.assert_array_equal(positions.get_coordinates_y_m(), context.positions_m[:, 0])
    np.testing.assert_array_equal(positions.get_coordinates_x_m(), context.positions_m[:, 1])


def test_ptychodus_cuts_our_patches(tmp_path, load_product, result, context):
    from ptychodus.api.interpolate import BarycentricArrayInterpolator

    (path,) = written(tmp_path, ResultFormat.PTYCHODUS, result, context)
    product = load_product(path)
    geometry = product.object_.get_geometry()
    cutter = BarycentricArrayInterpolator(product.object_.get_layer(0))
    for window_px, position in zip(WINDOWS_PX, product.probe_positions, strict=True):
        centre = geometry.map_coordinates_probe_to_object(position)
        cut = cutter.get_patch(centre.x_px, centre.y_px, FULL_PX, FULL_PX)
        np.testing.assert_allclose(cut, patch(result, window_px), atol=1e-5)


def test_ptychodus_finds_a_marked_pixel_between_pixels(tmp_path, load_product, result, context):
    marked = np.array([12, 31])  # of the object
    image = np.ones(SHAPE, np.complex64)
    image[tuple(marked - ORIGIN_PX)] = 5
    result = replace(result, amplitude=np.abs(image), phase=np.angle(image))
    window_px = np.array([[4.25, 22.6]])
    context = replace(
        context, positions_m=window_px * PIXEL_M, left_out=np.zeros(len(window_px), bool)
    )
    (path,) = written(tmp_path, ResultFormat.PTYCHODUS, result, context)
    product = load_product(path)
    found = np.argwhere(np.abs(product.object_.get_layer(0)) == 5)
    centre = product.object_.get_geometry().map_coordinates_probe_to_object(
        product.probe_positions[0]
    )
    from_window = found[0] - (np.array([centre.y_px, centre.x_px]) - (FULL_PX - 1) / 2)
    np.testing.assert_allclose(from_window, marked - window_px[0], atol=1e-6)


def test_ptychodus_predicts_our_diffraction(tmp_path, load_product, result, context):
    """Its forward model on our product gives the frames that ours gives: no sign is turned."""
    from ptychodus.api.simulate.diffraction import generate_diffraction_data

    # Dark at its rim, since Ptychodus shifts the probe by fractions of a pixel, periodically.
    y, x = np.mgrid[:FULL_PX, :FULL_PX] - FULL_PX / 2
    probe = np.exp(-((x - 1) ** 2) / 4 - (y + 0.5) ** 2 / 3 + 1j * (0.5 * x + 0.2 * x * y))
    context = replace(context, probe=probe[None].astype(np.complex64))
    (path,) = written(tmp_path, ResultFormat.PTYCHODUS, result, context)
    theirs = np.asarray(generate_diffraction_data(load_product(path)).get_patterns())
    patches = np.stack([patch(result, window_px) for window_px in WINDOWS_PX])
    ours = expected_counts(patches, context.probe)
    np.testing.assert_allclose(theirs / theirs.max(), ours / ours.max(), atol=1e-3)


def test_object_of_a_product_holds_every_full_window(tmp_path, load_product, result, context):
    """An image of the windows' central halves, with a hole: nothing of the object is zero."""
    coverage = result.coverage.copy()
    coverage[:4] = 0
    result = replace(result, coverage=coverage, origin_px=ORIGIN_PX + 4)
    result.amplitude[:4] = result.phase[:4] = 0
    (path,) = written(tmp_path, ResultFormat.PTYCHODUS, result, context)
    product = load_product(path)
    array, geometry = product.object_.get_layer(0), product.object_.get_geometry()
    assert np.abs(array).min() > 0
    for position in product.probe_positions:
        centre = geometry.map_coordinates_probe_to_object(position)
        for at, size in ((centre.y_px, array.shape[0]), (centre.x_px, array.shape[1])):
            assert FULL_PX / 2 <= at <= size - FULL_PX / 2
    unseen = array[0, 0]
    assert abs(unseen) == pytest.approx(result.amplitude[4:].mean(), rel=1e-5)
    np.testing.assert_array_equal(np.count_nonzero(array != unseen), result.phase[4:].size)


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        ({"energy_ev": None}, "--energy-ev"),
        ({"distance_m": None}, "--distance-m"),
        ({"energy_ev": None, "distance_m": None}, "--energy-ev, --distance-m"),
        ({"pixel_size_m": None}, "--pixel-size-m"),
    ],
)
def test_a_product_of_unknown_geometry_is_refused(tmp_path, result, context, unknown, named):
    if "pixel_size_m" in unknown:
        result = replace(result, **unknown)
    else:
        context = replace(context, **unknown)
    paths = default_paths(ResultFormat.PTYCHODUS, tmp_path, "scan")
    with pytest.raises(ResultError, match=f"give {named}$") as error:
        write_image(ResultFormat.PTYCHODUS, paths, result, context)
    assert str(paths[0]) in str(error.value)
    with pytest.raises(ResultError, match=f"give {named}$"):
        check_image(ResultFormat.PTYCHODUS, paths, result.pixel_size_m, context)
    assert not list(tmp_path.iterdir())


def test_cxi_follows_the_format(tmp_path, result, context):
    result.coverage[:, :5] = 0
    (path,) = written(tmp_path, ResultFormat.CXI, result, context)
    with h5py.File(path) as file:
        assert file["cxi_version"][()] == 160
        assert file["entry_1/title"].asstr()[()] == context.title
        image = file["entry_1/image_1"]
        np.testing.assert_array_equal(image["data"], result.image)
        assert image["data_type"].asstr()[()] == "amplitude"
        assert image["data_space"].asstr()[()] == "real"
        assert image["dimensionality"][()] == 2
        assert image["is_fft_shifted"][()] == 0
        np.testing.assert_array_equal(image["image_center"], [26, 20, 0])
        np.testing.assert_allclose(image["image_size"], [52 * PIXEL_M, 40 * PIXEL_M, 0])
        assert image["x_pixel_size"][()] == image["y_pixel_size"][()] == PIXEL_M
        assert image["mask"].dtype == np.uint32
        np.testing.assert_array_equal(image["mask"][()] != 0, result.coverage == 0)
        np.testing.assert_array_equal(image["coverage"], result.coverage)
        np.testing.assert_allclose(image["source_1/energy"][()], 9500 * 1.602176634e-19)
        np.testing.assert_array_equal(image["source_1/illumination"], context.probe)
        assert image["detector_1/distance"][()] == 1.25
        assert image["process_1/command"].asstr()[()] == PROCESS.command_line
        np.testing.assert_array_equal(file["entry_1/data_1/data"], result.image)
        x, y, z = file["entry_1/sample_1/geometry_1/translation"][()].T
        np.testing.assert_allclose(np.stack([y, x], axis=1) / PIXEL_M, WINDOWS_PX)
        assert not z.any()
        row, column = WINDOWS_PX[2] - image["data"].attrs["origin_px"]
        np.testing.assert_array_equal(
            image["data"][row : row + FULL_PX, column : column + FULL_PX],
            patch(result, WINDOWS_PX[2]),
        )


def test_cxi_leaves_out_what_is_unknown(tmp_path, result, context):
    result = replace(result, pixel_size_m=None)
    context = replace(context, energy_ev=None, distance_m=None)
    (path,) = written(tmp_path, ResultFormat.CXI, result, context)
    with h5py.File(path) as file:
        image = file["entry_1/image_1"]
        assert not {"image_size", "x_pixel_size", "y_pixel_size", "detector_1"} & set(image)
        assert "energy" not in image["source_1"]


@pytest.mark.parametrize("pixel_size_m", [PIXEL_M, 1e-8, 3.7e-12, 2.345678e-6, 0.1])
def test_tiff_pair_is_read_to_scale(tmp_path, result, context, pixel_size_m):
    result = replace(result, pixel_size_m=pixel_size_m)
    paths = written(tmp_path, ResultFormat.TIFF, result, context)
    for path, image in zip(paths, (result.phase, result.amplitude), strict=True):
        with tifffile.TiffFile(path) as file:
            (page,) = file.pages
            assert page.dtype == np.float32
            np.testing.assert_array_equal(page.asarray(), image)
            assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
            np.testing.assert_allclose([0.01 / r for r in page.resolution], pixel_size_m, rtol=1e-6)
            assert file.imagej_metadata["unit"] == "um"
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(picture), image)
            assert picture.tag_v2[296] == 3
            for tag in (282, 283):
                np.testing.assert_allclose(
                    0.01 / float(picture.tag_v2[tag]), pixel_size_m, rtol=1e-6
                )


def test_tiff_of_unknown_pixel_size_has_no_scale(tmp_path, result, context):
    path, _ = written(tmp_path, ResultFormat.TIFF, replace(result, pixel_size_m=None), context)
    with tifffile.TiffFile(path) as file:
        assert file.pages[0].resolutionunit == tifffile.RESUNIT.NONE
        assert "unit" not in file.imagej_metadata


def test_tiff_refuses_a_pixel_that_its_tags_can_not_hold(tmp_path, result, context):
    with pytest.raises(ResultError, match=r"1e-15 m does not fit .* --format nexus$"):
        written(tmp_path, ResultFormat.TIFF, replace(result, pixel_size_m=1e-15), context)


def test_missing_tifffile_names_its_cure(tmp_path, result, context, monkeypatch):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    paths = default_paths(ResultFormat.TIFF, tmp_path, "scan")
    with pytest.raises(ResultError, match=r"pip install 'wnet-edge\[tiff\]'$"):
        write_image(ResultFormat.TIFF, paths, result, context)
    with pytest.raises(ResultError, match=r"pip install 'wnet-edge\[tiff\]'$"):
        check_image(ResultFormat.TIFF, paths, PIXEL_M, context)


def test_default_paths(tmp_path):
    names = {f: [p.name for p in default_paths(f, tmp_path, "a.b")] for f in ResultFormat}
    assert names == {
        ResultFormat.NEXUS: ["a.b.wnet.h5"],
        ResultFormat.PTYCHODUS: ["a.b.ptychodus.h5"],
        ResultFormat.CXI: ["a.b.wnet.cxi"],
        ResultFormat.TIFF: ["a.b.wnet.phase.tif", "a.b.wnet.amplitude.tif"],
    }
    assert default_paths(ResultFormat.CXI, tmp_path, "a")[0].parent == tmp_path


@pytest.mark.parametrize(
    ("image_format", "output", "names"),
    [
        (ResultFormat.NEXUS, "out.h5", ["out.h5"]),
        (ResultFormat.PTYCHODUS, "out", ["out"]),
        (ResultFormat.TIFF, "out.tif", ["out.phase.tif", "out.amplitude.tif"]),
        (ResultFormat.TIFF, "out.TIFF", ["out.phase.TIFF", "out.amplitude.TIFF"]),
        (ResultFormat.TIFF, "out.v2", ["out.v2.phase.tif", "out.v2.amplitude.tif"]),
    ],
)
def test_paths_from_an_output(tmp_path, image_format, output, names):
    paths = paths_from(image_format, tmp_path / output)
    assert [path.name for path in paths] == names
    assert {path.parent for path in paths} == {tmp_path}


def test_nexus_is_the_result_file(tmp_path, result, context):
    (path,) = written(tmp_path, ResultFormat.NEXUS, result, context)
    np.testing.assert_array_equal(read_result(path).phase, result.phase)


def test_nexus_has_object_probe_positions_and_energy(tmp_path, result, context):
    left_out = np.arange(5) == 2
    coverage = result.coverage.copy()
    coverage[:4] = 0
    result, context = replace(result, coverage=coverage), replace(context, left_out=left_out)
    (path,) = written(tmp_path, ResultFormat.NEXUS, result, context)
    with h5py.File(path) as file:
        entry = file["entry"]
        assert entry["instrument/beam/incident_energy"][()] == 9500.0
        assert entry["instrument/beam/incident_energy"].attrs["units"] == "eV"
        assert entry["instrument/detector/distance"][()] == 1.25
        np.testing.assert_array_equal(entry["instrument/beam/illumination"][()], context.probe)
        positions = np.stack([entry[f"sample/positions/{axis}"][()] for axis in "yx"], axis=1)
        np.testing.assert_array_equal(positions[~left_out], context.positions_m[~left_out])
        assert np.isnan(positions[left_out]).all()
        data = entry["reconstruction"]
        seen = data["object"][4:]
        np.testing.assert_allclose(seen, data["amplitude"][4:] * np.exp(1j * data["phase"][4:]))
        assert all(np.isnan(data[name][:4]).all() for name in ("object", "phase", "amplitude"))
        assert np.isfinite(data["coverage"][()]).all()


def test_what_no_frame_saw_is_nan_in_the_file_and_zero_in_memory(tmp_path, result, context):
    coverage = result.coverage.copy()
    coverage[:, :9] = 0
    (path,) = written(tmp_path, ResultFormat.NEXUS, replace(result, coverage=coverage), context)
    again = read_object_image(path)
    assert (again.image[:, :9] == 0).all()
    np.testing.assert_array_equal(read_result(path).phase[:, 9:], result.phase[:, 9:])
    assert compare(again, again).phase_correlation == pytest.approx(1)


@pytest.mark.parametrize("whole", [False, True])
def test_nexus_validates(tmp_path, result, context, whole):
    """As nexusformat's nxcheck does, against the definitions that come with it."""
    if not whole:
        result = replace(result, pixel_size_m=None)
        context = replace(context, energy_ev=None, distance_m=None)
    (path,) = written(tmp_path, ResultFormat.NEXUS, result, context)
    code = "import sys; from nexusformat.scripts.nxcheck import main; sys.exit(main())"
    said = subprocess.run(
        [sys.executable, "-c", code, "-e", str(path)], capture_output=True, text=True, check=True
    )
    assert "Total number of errors: 0" in said.stdout, said.stdout


@pytest.mark.parametrize("image_format", ResultFormat)
def test_same_image_same_bytes(tmp_path, result, context, image_format):
    first = written(tmp_path, image_format, result, context, "first")
    again = written(tmp_path, image_format, result, context, "again")
    for one, other in zip(first, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("image_format", ResultFormat)
def test_existing_files_are_replaced_only_by_force(tmp_path, result, context, image_format):
    paths = default_paths(image_format, tmp_path, "scan")
    for existing in paths:
        existing.write_text("mine")
        with pytest.raises(ResultError, match="exists already"):
            write_image(image_format, paths, result, context)
        with pytest.raises(ResultError, match="exists already"):
            check_image(image_format, paths, PIXEL_M, context)
        assert list(tmp_path.iterdir()) == [existing]
        assert existing.read_text() == "mine"
        check_image(image_format, paths, PIXEL_M, context, force=True)
        write_image(image_format, paths, result, context, force=True)
        assert sorted(tmp_path.iterdir()) == sorted(paths)
        for path in paths:
            assert path.read_bytes()[:4] != b"mine"
            path.unlink()


@pytest.mark.parametrize("limit_bytes", [0, 3000, 8000])
@pytest.mark.parametrize("image_format", ResultFormat)
def test_full_disk_leaves_nothing(tmp_path, result, context, image_format, limit_bytes):
    paths = default_paths(image_format, tmp_path, "scan")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, before[1]))
    try:
        with pytest.raises(ResultError, match="can't be written") as error:
            write_image(image_format, paths, result, context)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())


def test_tiff_pair_is_whole_or_absent(tmp_path, result, context, monkeypatch):
    """The phase is renamed last; if that fails, no amplitude stays behind."""
    path_type = type(tmp_path)
    rename = path_type.replace

    def refuse_phase(self, target):
        if "phase" in str(target):
            raise PermissionError(13, "Permission denied")
        return rename(self, target)

    monkeypatch.setattr(path_type, "replace", refuse_phase)
    with pytest.raises(ResultError, match=r"phase\.tif: can't be written"):
        written(tmp_path, ResultFormat.TIFF, result, context)
    assert not list(tmp_path.iterdir())


def test_context_refuses_what_does_not_fit(context):
    with pytest.raises(ValueError, match=r"not \(modes, 32, 32\)"):
        replace(context, full_window_px=32)
    with pytest.raises(ValueError, match=r"not \(N, 2\)"):
        replace(context, positions_m=np.zeros((4, 3)))


def test_frames_without_a_position_get_none(tmp_path, result, context):
    left_out = np.array([False, True, False, False, True])
    some = replace(context, left_out=left_out, frame_numbers=np.array([7, 5, 3, 1, 0]))
    (product,) = written(tmp_path, ResultFormat.PTYCHODUS, result, some)
    with h5py.File(product) as file:
        np.testing.assert_array_equal(file["probe_position_indexes"], [7, 3, 1])
        y_m = file["probe_position_y_m"][()]
    np.testing.assert_allclose(y_m, context.positions_m[[0, 2, 3], 0])
    (cxi,) = written(tmp_path, ResultFormat.CXI, result, some)
    with h5py.File(cxi) as file:
        translation = file["entry_1/sample_1/geometry_1/translation"][()]
    np.testing.assert_array_equal(np.isnan(translation).any(axis=1), left_out)
