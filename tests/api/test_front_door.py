"""`import wnet_edge`: what it offers, what it costs, and that it does what the commands do."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image as PillowImage
from tiny import GEOMETRY

import wnet_edge
from wnet_edge.errors import OptionError, PackageError, ProviderError, ResultError, ScanError
from wnet_edge.io.images.object_image_file import read_object_image

OFFERED = {
    "Comparison": "the measures of a comparison",
    "Image": "an image of the object",
    "Patches": "patches of single frames",
    "Runner": "an opened package",
    "Scan": "the parts of a scan",
    "WNetEdgeError": "the base of all errors",
    "adapt": "a scan to a package for its instrument",
    "compare": "two images",
    "export": "a network to a package",
    "open": "a package",
    "read_scan": "a file, or arrays",
    "simulate": "a scan with labels",
    "train": "a network to a checkpoint",
}

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture
def runner():
    with wnet_edge.open("known.wnet", provider="cpu", threads=1) as opened:
        yield opened


def positions_m(known):
    return known.corners * GEOMETRY.object_pixel_size_m(known.full_px)


def test_an_image_is_refined_as_asked(runner):
    pytest.importorskip("scipy")
    plain = runner.infer("scan.cxi")
    refined = runner.infer("scan.cxi", refine=2, refine_probe=True)
    assert refined.scan_image.inference.refinement.passes == 2
    assert not np.array_equal(plain.phase, refined.phase)
    for wrong in (
        {"refine": 0},
        {"refine": "many"},
        {"refine_probe": True},
        {"refine_positions": "all"},
    ):
        with pytest.raises(OptionError, match="refine"):
            runner.infer("scan.cxi", **wrong)


def test_the_offer_is_what_it_was():
    assert wnet_edge.__all__ == sorted(OFFERED)
    for name in OFFERED:
        assert getattr(wnet_edge, name).__doc__
    assert set(OFFERED) <= set(dir(wnet_edge))
    with pytest.raises(AttributeError, match="no attribute 'infer'"):
        wnet_edge.infer  # noqa: B018 - an attribute that is not there


def test_importing_it_loads_nothing_else():
    script = "import sys, wnet_edge; print({m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert not {"numpy", "h5py", "onnxruntime", "click", "torch"} & eval(done.stdout)  # noqa: S307


def test_an_image_is_that_of_the_command(call, runner):
    assert call("infer", "scan.cxi", "--package", "known.wnet", "-o", "command.h5")[0] == 0
    image = runner.infer("scan.cxi")
    assert image.save("python.h5") == (Path("python.h5"),)
    with h5py.File("command.h5") as theirs, h5py.File("python.h5") as ours:
        for name in ("phase", "amplitude", "coverage"):
            expected = theirs[f"entry/reconstruction/{name}"][()]
            np.testing.assert_array_equal(ours[f"entry/reconstruction/{name}"][()], expected)
            np.testing.assert_array_equal(getattr(image, name), expected)
    assert image.pixel_size_m == pytest.approx(GEOMETRY.object_pixel_size_m(32))
    assert image.frames_received == image.frames_processed == 36
    assert image.trusted is None
    assert image.r_factor is None or image.r_factor > 0
    assert image.warnings[-1].startswith(image.verdict)
    assert repr(image).startswith("<Image of scan.cxi: ")


def test_a_notebook_shows_the_picture(runner, here):
    image = runner.infer("scan.cxi")
    (here / "shown.png").write_bytes(image._repr_png_())
    written = image.save("image.h5", picture=True)
    assert written == (Path("image.h5"), Path("image.png"))
    with PillowImage.open("shown.png") as shown, PillowImage.open("image.png") as drawn:
        np.testing.assert_array_equal(np.asarray(shown), np.asarray(drawn))


@pytest.mark.parametrize("image_format", ["ptychodus", "cxi", "tiff"])
def test_an_image_is_saved_in_every_format(runner, image_format):
    suffix = {"ptychodus": "h5", "cxi": "cxi", "tiff": "tif"}[image_format]
    image = runner.infer("scan.cxi")
    written = image.save(f"image.{suffix}", image_format=image_format)
    assert all(path.stat().st_size for path in written)
    stored = read_object_image(written[0]).image
    if image_format == "ptychodus":  # an object as large as all full windows
        stored = stored[12:-12, 12:-12]
    covered = image.coverage > 0
    np.testing.assert_allclose(np.angle(stored)[covered], image.phase[covered], atol=1e-3)


def test_nothing_is_replaced_unasked(runner, here):
    image = runner.infer("scan.cxi")
    image.save("image.h5")
    with pytest.raises(ResultError, match=r"image\.h5: exists already"):
        image.save("image.h5")
    (here / "image.png").write_bytes(b"mine")
    with pytest.raises(ResultError, match=r"image\.png: exists already"):
        image.save("image.h5", picture=True, force=False)
    assert image.save("image.h5", picture=True, force=True)
    with pytest.raises(OptionError, match="image_format is 'jpeg'; choose from nexus"):
        image.save("other.h5", image_format="jpeg")


def test_arrays_are_as_good_as_files(runner, known):
    scan = wnet_edge.read_scan("scan.cxi")
    assert scan.frames.shape == (36, 32, 32)
    np.testing.assert_allclose(scan.positions_m, positions_m(known))
    assert scan.geometry == GEOMETRY
    arrays = wnet_edge.read_scan(
        np.asarray(scan.frames[:]),
        positions=scan.positions_m,
        probe=scan.probe,
        mask=scan.mask,
        energy_ev=GEOMETRY.energy_ev,
        distance_m=GEOMETRY.distance_m,
        pixel_size_m=GEOMETRY.detector_pixel_size_m,
    )
    np.testing.assert_array_equal(runner.infer(arrays).phase, runner.infer(scan).phase)
    np.save("positions.npy", 1e6 * scan.positions_m)
    mixed = wnet_edge.read_scan("scan.cxi", positions=Path("positions.npy"), positions_unit="um")
    np.testing.assert_allclose(mixed.positions_m, scan.positions_m)


def test_positions_and_probe_given_as_arrays_replace_the_files(known):
    moved = wnet_edge.read_scan(
        "scan.cxi", positions=positions_m(known)[::-1], probe=2 * known.probe, mask="none"
    )
    np.testing.assert_array_equal(moved.positions_m, positions_m(known)[::-1])
    np.testing.assert_array_equal(moved.probe, 2 * known.probe)
    assert not moved.mask.any()
    in_px = wnet_edge.read_scan(
        "scan.cxi",
        positions=positions_m(known) / GEOMETRY.object_pixel_size_m(32),
        positions_unit="px",
    )
    np.testing.assert_allclose(in_px.positions_m, positions_m(known))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"positions": np.zeros((3, 2))}, "36 frames"),
        ({"positions": np.zeros(36)}, r"the array positions is float64 \(36,\)"),
        ({"probe": np.ones((32, 32))}, r"the array probe is float64 \(32, 32\), not complex"),
        ({"mask": np.zeros((3, 3, 3))}, r"the array mask is float64 \(3, 3, 3\)"),
        ({"positions": "gone.csv"}, "gone.csv"),
    ],
)
def test_parts_that_do_not_fit_are_refused_in_one_line(arguments, message):
    with pytest.raises(ScanError, match=message) as error:
        wnet_edge.read_scan("scan.cxi", **arguments)
    assert "\n" not in str(error.value)


def test_patches_are_those_that_the_image_is_made_of(runner, known):
    frames = np.array(known.frames[:5], np.float32)
    frames[1] = 7  # as bright everywhere
    frames[2, 3, 4] = np.nan
    found = runner.patches(frames)
    assert found.amplitude.shape == found.phase_rad.shape == (5, 16, 16)
    assert np.isnan(found.phase_rad[1]).all()
    assert np.isfinite(np.delete(found.phase_rad, 1, axis=0)).all()
    alone = runner.patches(frames[4:])
    np.testing.assert_allclose(alone.phase_rad[0], found.phase_rad[4], atol=1e-5)
    assert runner.patches(frames[:0]).amplitude.shape == (0, 16, 16)
    with pytest.raises(
        ScanError, match=r"counts are \(2, 9, 9\), not \(N, 16, 16\) or \(N, 32, 32\)"
    ):
        runner.patches(np.zeros((2, 9, 9)))
    with pytest.raises(ScanError, match="counts are complex128; give real numbers"):
        runner.patches(np.zeros((2, 16, 16), complex))


def test_a_closed_runner_says_so():
    with wnet_edge.open("known.wnet", provider="cpu") as runner:
        assert (runner.precision, runner.provider) == ("fp32", "cpu")
        assert runner.reason.startswith("cpu as asked")
        assert runner.package.manifest.window_px == 16
    with pytest.raises(ProviderError, match="the runner is closed; open the package again"):
        runner.infer("scan.cxi")


@pytest.mark.parametrize(
    ("package", "options", "error", "message"),
    [
        ("w9", {}, PackageError, "w9: no embedded package of that name"),
        ("gone.wnet", {}, PackageError, "gone.wnet: "),
        (
            "known.wnet",
            {"precision": "fp8"},
            OptionError,
            "precision is 'fp8'; choose from auto, fp32",
        ),
        (
            "known.wnet",
            {"provider": "tpu"},
            OptionError,
            "provider is 'tpu'; choose from auto, cpu",
        ),
        ("known.wnet", {"precision": "int8"}, PackageError, "known.wnet: holds no int8"),
        ("known.wnet", {"trust": "gone.pem"}, wnet_edge.WNetEdgeError, "gone.pem"),
    ],
)
def test_a_package_that_can_not_be_opened_is_refused(package, options, error, message):
    with pytest.raises(error, match=message):
        wnet_edge.open(package, **options)


def test_orientations_are_named_or_tried(runner):
    as_stored = runner.infer("scan.cxi")
    assert runner.infer("scan.cxi", orientation="identity").phase.shape == as_stored.phase.shape
    turned = runner.infer("scan.cxi", position_orientation="transpose")
    assert turned.phase.shape == as_stored.phase.shape[::-1]
    with pytest.raises(OptionError, match="orientation is 'left'; choose from auto, identity"):
        runner.infer("scan.cxi", orientation="left")


def test_the_embedded_scan_is_compared_with_its_reference():
    with wnet_edge.open(provider="cpu") as runner:
        image = runner.infer("example:scan247")
    assert image.trusted
    assert wnet_edge.compare(image, "example:scan247-reference").phase_correlation > 0.95
