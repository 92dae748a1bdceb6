"""What infer writes in any format, and Ptychodus' products, as images to compare with."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from bad_case import in_process

import wnet_edge
from wnet_edge.comparing.comparison import compare
from wnet_edge.errors import ResultError
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.object_image_file import read_located_image, read_object_image
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.images.result_file import Process, Result
from wnet_edge.io.images.result_format import ResultFormat, default_paths
from wnet_edge.io.scan_file import open_scan
from wnet_edge.io.writers.result_formats import write_image

FORMATS = {
    "cxi": "scan.wnet.cxi",
    "ptychodus": "scan.ptychodus.h5",
    "tiff": "scan.wnet.phase.tif",
}


def names(image_format, folder):
    return default_paths(ResultFormat(image_format), folder, "scan")


@pytest.fixture(scope="module")
def inferred(tmp_path_factory):
    """The embedded scan through the embedded package, in every format."""
    folder = tmp_path_factory.mktemp("inferred")
    scan = Path(wnet_edge.__file__).parent / "examples" / "cnm26id_scan247_64px.cxi"
    (folder / "scan.cxi").symlink_to(scan)
    for kind in ResultFormat:
        flags = ("--package", "w3", "--provider", "cpu", "--format", kind.value, "--force")
        outcome = in_process(folder, ("infer", "scan.cxi", *flags))
        assert outcome.code == 0, outcome.err
    return folder


@pytest.mark.parametrize("image_format", FORMATS)
def test_every_format_compares_as_the_result_file_does(inferred, image_format):
    arguments = ("compare", FORMATS[image_format], "scan.wnet.h5", "--json")
    outcome = in_process(inferred, arguments)
    assert outcome.code == 0, outcome.err
    values = json.loads(outcome.out)
    assert values["phase_correlation"] == pytest.approx(1, abs=1e-4)
    assert values["amplitude_correlation"] == pytest.approx(1, abs=1e-3)
    assert values["phase_slope"] == pytest.approx(1, abs=1e-3)
    assert values["resolution_m"] > 0


@pytest.mark.parametrize("image_format", ["nexus", *FORMATS])
def test_frames_are_found_on_every_format(inferred, image_format):
    path = names(image_format, inferred)[0]
    scan = open_scan(inferred / "scan.cxi")
    placed, located = read_placed_image(path, scan), read_located_image(path)
    np.testing.assert_allclose(
        placed.corner_px,
        scan.positions_m / scan.object_pixel_size_m - located.origin_px,
        atol=1e-3,
    )
    assert located.image.pixel_size_m == pytest.approx(scan.object_pixel_size_m, rel=1e-5)


@pytest.mark.parametrize("image_format", FORMATS)
def test_evaluate_takes_every_format_for_its_reference(inferred, image_format):
    arguments = ("evaluate", "w3", "--data", "scan.cxi", "--precision", "fp32", "--provider", "cpu")
    path = names(image_format, inferred)[0]
    outcome = in_process(inferred, (*arguments, "--reference", str(path), "--json"))
    assert outcome.code == 0, outcome.err
    measured = json.loads(outcome.out)["precisions"]["fp32"]
    assert measured["stitched_phase_correlation"] > 0.99


def written(folder, image_format, **changes):
    """An image of 90 × 100 px, some of it, and windows of 32 px on it."""
    rng = np.random.default_rng(5)
    rows, columns = np.indices((90, 100))
    phase = 0.5 * np.sin(rows**1.3 / 20) * np.cos(columns**1.2 / 15)
    image = ((1 + 0.1 * np.cos(rows / 5)) * np.exp(1j * phase)).astype(np.complex64)
    windows = rng.uniform(0, (90 - 32, 100 - 32), (60, 2)) + np.array([7, -3])
    probe = rng.normal(size=(1, 32, 32)) + 1j * rng.normal(size=(1, 32, 32))
    context = ImageContext(
        probe=probe.astype(np.complex64),
        positions_m=windows * 1e-8,
        left_out=np.zeros(60, bool),
        frame_numbers=np.arange(60),
        full_window_px=32,
        energy_ev=8000.0,
        distance_m=1.0,
        title="scan",
    )
    origin = np.array([7, -3])
    coverage = np.ones((90, 100), np.float32)
    result = Result.of_image(image, coverage, -origin.astype(float), origin, 1e-8, Process())
    paths = names(image_format, folder)
    write_image(ResultFormat(image_format), paths, replace(result, **changes), context)
    return paths, result, windows


@pytest.mark.parametrize("image_format", FORMATS)
def test_images_lie_where_they_did(tmp_path, image_format):
    (path, *_), result, windows = written(tmp_path, image_format)
    located = read_located_image(path)
    row, column = np.rint(result.origin_px - located.origin_px).astype(int)
    inside = located.image.image[row : row + 90, column : column + 100]
    np.testing.assert_allclose(inside, result.image, atol=1e-5)
    if located.windows_px is not None:
        np.testing.assert_allclose(located.windows_px + located.origin_px, windows, atol=1e-6)
        assert located.image.coverage.max() > 0


def test_either_file_of_a_tiff_pair_or_its_name_will_do(tmp_path):
    (phase, amplitude), *_ = written(tmp_path, "tiff")
    images = [read_object_image(path).image for path in (phase, amplitude)]
    images.append(read_object_image(tmp_path / "scan.wnet.tif").image)
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])
    amplitude.unlink()
    with pytest.raises(ResultError, match=r"scan.wnet.amplitude.tif is not next to it"):
        read_object_image(phase)


def test_a_tiff_that_is_no_pair(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((9, 9), np.float32))
    with pytest.raises(ResultError, match=r"is not a phase or amplitude of a pair; name NAME"):
        read_object_image(tmp_path / "a.tif")
    for part in ("phase", "amplitude"):
        tifffile.imwrite(tmp_path / f"b.{part}.tif", np.ones((9, 9), np.uint8))
    with pytest.raises(ResultError, match=r"is uint8 \(9, 9\), not a float32 image"):
        read_object_image(tmp_path / "b.phase.tif")


def test_the_real_product(data_dir):
    located = read_located_image(data_dir / "ptychodus_product_w250.h5")
    with h5py.File(data_dir / "ptychodus_product_w250.h5") as file:
        assert located.image.image.shape == file["object"].shape[-2:]
        pixel = file["object"].attrs["pixel_width_m"]
    assert located.image.pixel_size_m == pixel
    assert located.windows_px.shape == (961, 2)


def test_a_product_of_ptychodus_and_its_layers(tmp_path):
    io = pytest.importorskip("ptychodus.api.io")
    plugin = pytest.importorskip("ptychodus.plugins.npz_product_file")
    (path,), result, _ = written(tmp_path, "ptychodus")
    product = io.load_product(path)
    plugin.NPZProductFileIO().write(tmp_path / "p.npz", product)
    with h5py.File(path, "r+") as file:  # two layers that multiply to the image
        image = file["object"][0]
        attributes = dict(file["object"].attrs)
        del file["object"]
        file["object"] = np.stack([np.sqrt(image), np.sqrt(image)])
        file["object"].attrs.update(attributes)
    for name in (path, tmp_path / "p.npz"):
        located = read_located_image(name)
        row, column = np.rint(result.origin_px - located.origin_px).astype(int)
        inside = located.image.image[row : row + 90, column : column + 100]
        np.testing.assert_allclose(inside, result.image, atol=1e-5)
        assert located.image.pixel_size_m == 1e-8
        assert located.frame_numbers.tolist() == list(range(60))
    (other, *_), *_ = written(tmp_path, "cxi")
    compared = compare(read_object_image(path), read_object_image(other))
    assert compared.phase_correlation > 0.9999


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.__delitem__("object"), "not a result file"),
        (lambda f: f["object"].attrs.__setitem__("pixel_width_m", 0.0), "pixel width of 0.0"),
        (lambda f: f["object"].attrs.__setitem__("pixel_height_m", 2e-8), "make them square"),
        (lambda f: f["probe_position_x_m"].__setitem__(0, np.nan), "positions are damaged"),
    ],
)
def test_products_that_are_none(tmp_path, spoil, words):
    (path,), *_ = written(tmp_path, "ptychodus")
    with h5py.File(path, "r+") as file:
        spoil(file)
    with pytest.raises(ResultError, match=words) as error:
        read_object_image(path)
    assert "\n" not in str(error.value)


def test_the_product_of_another_scan_places_nothing(inferred, tmp_path):
    here = Path(shutil.copytree(inferred, tmp_path / "here"))
    scan = open_scan(here / "scan.cxi")
    with h5py.File(here / "scan.ptychodus.h5", "r+") as file:
        file["probe_position_x_m"][...] = file["probe_position_x_m"][()][::-1]
    with pytest.raises(ResultError, match="give the product of this scan"):
        read_placed_image(here / "scan.ptychodus.h5", scan)
    with h5py.File(here / "scan.ptychodus.h5", "r+") as file:
        file["probe_position_indexes"][0] = 9999
    with pytest.raises(ResultError, match="has no window for 1 of"):
        read_placed_image(here / "scan.ptychodus.h5", scan)
