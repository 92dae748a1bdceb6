"""Where the beam is: on large detectors, behind masks, near edges, or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wnet_edge.embedded import EXAMPLE_SCAN, find_package
from wnet_edge.errors import ScanError
from wnet_edge.framing.beam_centre import CONVINCING, find_beam_centre
from wnet_edge.framing.framing import Framing
from wnet_edge.framing.survey import survey
from wnet_edge.io.found import Found, FoundScan, Positions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import open_package
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.probe import probe_far_field

IDENTITY = Orientation.IDENTITY


@pytest.fixture(scope="module")
def package():
    return open_package(find_package("w3"))


@pytest.fixture(scope="module")
def far_field(package):
    return probe_far_field(package.probe, 128)


@pytest.fixture(scope="module")
def frames(package):
    """Eight frames (8, 128, 128) of strong objects, some 10⁵ counts in each."""
    rng = np.random.default_rng(4)
    kinds = [list(Family)[k % len(Family)] for k in range(8)]
    objects = np.stack([draw_object(kind, 128, rng=rng) for kind in kinds])
    counts = expected_counts(objects, package.probe)
    return rng.poisson(1e5 * counts / counts.sum(axis=(1, 2), keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def mean(frames):
    return frames.mean(axis=0)


def placed(image, shape, corner, beyond="zero"):
    """The image (n, n) on a detector (H, W), and what a detector shows beyond it."""
    size = image.shape[0]
    y, x = (index - at for index, at in zip(np.indices(shape), corner, strict=True))
    row, column = np.clip(y, 0, size - 1), np.clip(x, 0, size - 1)
    distance = np.hypot(y - row, x - column)
    fading = {
        "zero": distance == 0,
        "edge": 1.0,
        "ramp": np.clip(1 - distance / 200, 0, 1),
        "tail": np.exp(-distance / 30),
    }
    return np.random.default_rng(0).poisson(image[row, column] * fading[beyond]).astype(np.float32)


def looked(image, far_field, mask=None, orientation=IDENTITY):
    mask = np.zeros(image.shape, bool) if mask is None else mask
    return find_beam_centre(np.where(mask, 0, image), mask, far_field, orientation)


@pytest.mark.parametrize("beyond", ["zero", "edge", "ramp", "tail"])
@pytest.mark.parametrize(
    ("shape", "corner"),
    [
        ((128, 128), (0, 0)),
        ((129, 129), (1, 1)),
        ((201, 303), (11, 97)),
        ((300, 200), (-30, 40)),
        ((514, 1030), (200, 700)),
        ((1062, 1028), (934, 900)),
    ],
)
def test_the_beam_is_found_on_any_detector(mean, far_field, shape, corner, beyond):
    beam = looked(placed(mean, shape, corner, beyond), far_field)
    assert beam.centre_px == (corner[0] + 64, corner[1] + 64)
    assert beam.agreement > 0.7


@pytest.mark.parametrize("orientation", Orientation)
def test_the_beam_is_found_whichever_way_up(package, far_field, orientation):
    flat = expected_counts(np.ones((1, 128, 128), np.complex64), package.probe)[0]
    image = placed(orient(flat, orientation.inverse), (200, 333), (20, 190))
    beam = looked(image, far_field, orientation=orientation)
    assert beam.centre_px == (84, 254)
    assert beam.agreement > 0.95


def beamstop(shape):
    return np.hypot(*(index - at for index, at in zip(np.indices(shape), (84, 164), strict=True)))


SHAPE = (240, 320)
SHADOWS = {
    "a beamstop": beamstop(SHAPE) < 20,
    "a module gap through the beam": (np.indices(SHAPE)[0] - 75) // 18 == 0,
    "a quarter of the detector": (np.indices(SHAPE)[0] > 90) & (np.indices(SHAPE)[1] > 170),
}


@pytest.mark.parametrize("shadow", SHADOWS)
def test_what_is_masked_does_not_hide_the_beam(mean, far_field, shadow):
    image, mask = placed(mean, SHAPE, (20, 100)), SHADOWS[shadow]
    plain = looked(image, far_field)
    masked = looked(image, far_field, mask)
    assert plain.centre_px == masked.centre_px == (84, 164)
    assert min(plain.agreement, masked.agreement) > 0.7
    unmasked = looked(np.where(mask, 0, image), far_field)
    assert unmasked.centre_px == (84, 164)


def test_bright_things_elsewhere_do_not_draw_the_beam(mean, far_field):
    image = placed(mean, SHAPE, (20, 100), "tail")
    image[200:230, 20:90] += 3 * mean.max()  # a hot module
    image[10, 10] = 1e6
    image += mean.mean() * np.linspace(0, 2, SHAPE[1], dtype=np.float32)
    speckle = image.copy()
    speckle[82:87, 162:167] = 10 * mean.max()  # what goes past the optics
    for bright in (image, speckle):
        beam = looked(bright, far_field)
        assert beam.centre_px == (84, 164)
        assert beam.agreement >= CONVINCING


def test_a_thousand_photons_a_frame_are_enough(mean, far_field):
    thin = np.random.default_rng(1).poisson(mean / mean.sum() * 32_000) / 32
    beam = looked(np.pad(thin.astype(np.float32), 50), far_field)
    assert beam.centre_px == (114, 114)
    assert beam.agreement >= CONVINCING


def nothing():
    y, x = np.indices(SHAPE)
    distance = np.hypot(y - 110, x - 190)
    rng = np.random.default_rng(2)
    yield "flat", np.ones(SHAPE)
    yield "dark", np.zeros(SHAPE)
    yield "noise", rng.poisson(5, SHAPE)
    yield "ramp", x
    yield "tail", 1e4 * np.exp(-x / 40)
    yield "another beam", 1e4 * np.exp(-(distance**2) / 1800)
    yield "disc", 1e3 * (distance < 40)
    yield "ring", 1e3 * ((distance < 45) & (distance > 25))
    yield "camera", 100 + 50 * np.sin(x / 9) * np.cos(y / 13) + rng.normal(size=SHAPE)


@pytest.mark.parametrize(("name", "image"), [pytest.param(*case, id=case[0]) for case in nothing()])
def test_nothing_else_is_taken_for_the_beam(far_field, name, image):
    assert looked(image.astype(np.float32), far_field).agreement < CONVINCING, name


def test_the_probe_s_far_field_keeps_its_counts_on_finer_and_coarser_detectors(package):
    total = probe_far_field(package.probe, 128).sum()
    for size_px in (64, 256):
        image = probe_far_field(package.probe, size_px)
        assert image.shape == (size_px, size_px)
        np.testing.assert_allclose(image.sum(), total, rtol=1e-4)


def test_the_beam_of_a_real_scan_is_where_it_should_be(package):
    seen = survey(replace(find_scan(EXAMPLE_SCAN), mask=None))
    beam = find_beam_centre(seen.mean, seen.mask, probe_far_field(package.probe, 64), IDENTITY)
    assert beam.centre_px == (32, 32)
    assert beam.agreement > 0.97


def scan(frames, told=None, where="/detector/beam_center"):
    """The frames as a file has them that says, or does not, where the beam is."""
    positions = np.stack(np.divmod(np.arange(len(frames)), 4), axis=1) * 1e-7
    return FoundScan(
        Path("scan.h5"),
        "test",
        frames=Found(frames, "/frames"),
        positions=Found(Positions(positions), "/positions"),
        energy_ev=Found(10_000.0, "/energy"),
        distance_m=Found(0.9, "/distance"),
        pixel_size_m=Found(55e-6, "/pixel"),
        beam_centre_px=None if told is None else Found(told, where),
    )


def on_detector(frames, shape, corner):
    return np.stack([placed(frame, shape, corner) for frame in frames])


def test_where_the_beam_was_found_and_how_well_is_recorded(frames, package):
    framed = Framing(scan(on_detector(frames, SHAPE, (20, 100))), package).framed(
        IDENTITY, IDENTITY
    )
    assert framed.choices["beam_centre_px"] == "84, 164"
    assert framed.choices["beam_centre_from"].startswith("found by the package's probe, agreement")
    assert float(framed.choices["beam_centre_agreement"]) > 0.8
    assert framed.scan.notes == ()


@pytest.mark.parametrize("told", [(0.0, 0.0), (1100.5, 1035.2), (80.0, 164.0)])
def test_a_file_that_puts_the_beam_elsewhere_is_told_and_not_believed(frames, package, told):
    found = scan(on_detector(frames, SHAPE, (20, 100)), told)
    framed = Framing(found, package).framed(IDENTITY, IDENTITY)
    assert framed.window.centre_px == (84, 164)
    (note,) = framed.scan.notes
    assert note.startswith("the beam is found at row 84, column 164 (agreement 0.")
    assert f"not at {told[0]:.6g}, {told[1]:.6g} as /detector/beam_center says" in note
    assert "--beam-centre ROW,COLUMN" in note


def test_what_the_user_says_goes_before_what_is_found(frames, package):
    found = scan(on_detector(frames, SHAPE, (20, 100)), (90, 160), "--beam-centre")
    framed = Framing(found, package).framed(IDENTITY, IDENTITY)
    assert (framed.window.centre_px, framed.beam_centre_from) == ((90, 160), "--beam-centre")
    (note,) = framed.scan.notes
    assert note.startswith("the beam is found at row 84, column 164 (agreement 0.")
    assert note.endswith("not at 90, 160 as --beam-centre says, which is taken")


@pytest.mark.parametrize(
    ("told", "assumed"),
    [
        (None, "row 120, column 160 (middle of the frame)"),
        ((90.2, 161.7), "row 90, column 162 (/detector/beam_center)"),
    ],
)
def test_a_beam_that_is_not_found_is_assumed_with_a_warning(package, told, assumed):
    flat = np.random.default_rng(0).poisson(5, (8, *SHAPE)).astype(np.uint16)
    framed = Framing(scan(flat, told), package).framed(IDENTITY, IDENTITY)
    (note,) = framed.scan.notes
    assert note.startswith("the package's probe does not find the beam (agreement 0.0")
    assert f"taken at {assumed}; give --beam-centre ROW,COLUMN" in note


def test_a_window_that_leaves_the_detector_is_told_or_refused(frames, package):
    beside = on_detector(frames, (140, 150), (-20, 10))
    framed = Framing(scan(beside), package).framed(IDENTITY, IDENTITY)
    (note,) = framed.scan.notes
    assert note.startswith("15.6 % of the window around the beam at row 44, column 74 lies beyond")
    assert framed.scan.mask[:20].all()
    far = Framing(scan(on_detector(frames, (140, 150), (-40, 10))), package)
    with pytest.raises(ScanError, match=r"row 24, column 74 \(found by .*\), so 31 % of a window"):
        far.framed(IDENTITY, IDENTITY)


@pytest.mark.parametrize("shape", [(120, 128), (127, 127), (126, 200)])
def test_a_detector_a_little_smaller_than_the_window_will_do(frames, package, shape):
    small = Framing(scan(frames[:, 4 : 4 + shape[0], : shape[1]]), package)
    framed = small.framed(IDENTITY, IDENTITY)
    assert framed.scan.frame_px == 128
    assert framed.window.centre_px == (60, 64)
    assert "lies beyond the detector's edge and is masked" in framed.scan.notes[-1]
