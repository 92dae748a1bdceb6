"""Stitching: the image of a known object, whatever phase each patch has lost."""

import tempfile
import tracemalloc

import numpy as np
import pytest

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.physics.gauge import amplitude_scale, illumination_weight, probe_intensity
from wnet_edge.stitching.cubic_shift import ShiftedCopies, WindowShifter, keys_taps
from wnet_edge.stitching.stitcher import Stitcher, StitchOptions

FULL, PATCH = 32, 16
START = 8


def smooth_object(row, column):
    """A known object, at any fractional place (object pixels)."""
    phase = 0.6 * np.sin(row / 5.0 + 0.3) * np.cos(column / 6.0) + 0.2 * np.sin(column / 4.0)
    return (1 - 0.2 * np.cos((row + column) / 7.0)) * np.exp(1j * phase)


def bell(patch_px=PATCH):
    """An illumination weight that falls to little at the window's edge."""
    offset = np.arange(patch_px) - (patch_px - 1) / 2
    profile = np.exp(-((offset / (patch_px / 4)) ** 2))
    return np.outer(profile, profile).astype(np.float32)


def cut_patches(positions, object_at=smooth_object, patch_px=PATCH):
    """Patches (N, patch_px, patch_px) complex at the centre of each full window."""
    index = patch_px // 2 + np.arange(patch_px)
    rows, columns = positions[:, :1] + index, positions[:, 1:] + index
    return object_at(rows[:, :, None], columns[:, None, :])


def raster(count, step, rng, jitter=1.5):
    """Positions (count², 2) on a jittered grid, with fractions and both signs."""
    grid = np.stack(np.meshgrid(*[np.arange(count) * step] * 2, indexing="ij"), -1).reshape(-1, 2)
    return grid + rng.uniform(-jitter, jitter, grid.shape) - 17.3


def stitch(positions, patches, weight=None, batch=7, options=None, *, known=True, looks=()):
    """The stitched image of complex patches, and what it was after the frames `looks`."""
    weight = bell() if weight is None else weight
    scale = amplitude_scale(patches, weight**2)
    safe = np.where(scale > 0, scale, 1)[:, None, None]
    amplitude = (np.abs(patches) / safe).astype(np.float32)
    phase = np.angle(patches).astype(np.float32)
    expected = positions if known else None
    seen = []
    patch_px = patches.shape[-1]
    with Stitcher(2 * patch_px, patch_px, weight, options, expected) as stitcher:
        for start in range(0, len(positions), batch):
            part = slice(start, start + batch)
            stitcher.add(positions[part], amplitude[part], phase[part], scale[part])
            if any(start <= look < start + batch for look in looks):
                stitcher.relax(start + batch)
                seen.append(stitcher.so_far(start + len(positions[part])).stitched())
        stitched = stitcher.finish().stitched()
    return (stitched, seen) if looks else stitched


def well_covered(stitched):
    coverage = stitched.coverage
    return coverage >= np.median(coverage[coverage > 0]) / 2


def true_image(stitched, shift=(0.0, 0.0)):
    """The known object where the image's axes say its pixels are, moved by `shift`."""
    rows, columns = np.indices(stitched.image.shape)
    row, column = stitched.origin_px + np.asarray(shift)
    return smooth_object(rows + row, columns + column)


def relative_error(image, truth):
    """Of the least-squares fit image ≈ c · truth."""
    gain = np.vdot(truth, image) / np.vdot(truth, truth)
    return float(np.linalg.norm(image / gain - truth) / np.linalg.norm(truth))


def test_image_is_the_object_where_its_axes_say():
    rng = np.random.default_rng(1)
    positions = raster(9, 4.3, rng)
    patches = cut_patches(positions) * np.exp(1j * rng.uniform(-np.pi, np.pi, (81, 1, 1)))
    stitched = stitch(positions, patches)
    well = well_covered(stitched)
    here = relative_error(stitched.image[well], true_image(stitched)[well])
    assert here < 0.003
    # The best place, from a parabola through neighbours, is within a tenth of a pixel.
    for axis in (0, 1):
        step = np.eye(2)[axis]
        before, after = (
            relative_error(stitched.image[well], true_image(stitched, s * step)[well]) ** 2
            for s in (-0.5, 0.5)
        )
        best = 0.25 * (before - after) / (before + after - 2 * here**2)
        assert abs(best) < 0.02


def test_window_offset_leads_from_positions_to_image_pixels():
    positions = np.array([[3.0, -5.0], [9.0, 2.0]])
    dot = np.full((2, PATCH, PATCH), 0.1, dtype=np.complex64)
    dot[1, 0, 0] = 1.0
    stitched = stitch(positions, dot, weight=np.ones((PATCH, PATCH), np.float32))
    row, column = (positions[1] + stitched.window_offset_px).astype(int)
    assert (row, column) == (6, 7)
    assert np.abs(stitched.image[row, column]) > 2 * np.abs(stitched.image[row + 1, column])
    assert stitched.image.shape == (PATCH + 6, PATCH + 7)
    np.testing.assert_array_equal(stitched.origin_px, [3 + START, -5 + START])


def test_lost_phases_are_recovered():
    rng = np.random.default_rng(2)
    positions = np.round(raster(7, 5, rng))
    lost = rng.uniform(-np.pi, np.pi, len(positions))
    patches = cut_patches(positions) * np.exp(1j * lost)[:, None, None]
    stitched = stitch(positions, patches)
    phasors = np.exp(1j * (stitched.offsets_rad + lost))
    assert np.abs(np.angle(phasors * np.conj(phasors.sum()))).max() < 1e-4
    covered = stitched.coverage > 0
    assert relative_error(stitched.image[covered], true_image(stitched)[covered]) < 1e-5
    assert stitched.rounds <= 3


@pytest.mark.parametrize("patch_px", [15, 32, 33])
def test_windows_of_any_edge_lose_no_phase(patch_px):
    rng = np.random.default_rng(3)
    positions = np.round(raster(6, patch_px // 3, rng))
    lost = rng.uniform(-np.pi, np.pi, len(positions))
    patches = cut_patches(positions, patch_px=patch_px) * np.exp(1j * lost)[:, None, None]
    stitched = stitch(positions, patches, weight=bell(patch_px))
    phasors = np.exp(1j * (stitched.offsets_rad + lost))
    assert np.abs(np.angle(phasors * np.conj(phasors.sum()))).max() < 1e-4


def test_a_large_noisy_scan_settles_in_a_few_rounds():
    rng = np.random.default_rng(9)
    positions = raster(40, 4, rng)
    lost = rng.uniform(-np.pi, np.pi, len(positions))
    patches = cut_patches(positions) * np.exp(1j * lost)[:, None, None]
    patches += 0.5 * (rng.normal(size=patches.shape) + 1j * rng.normal(size=patches.shape))
    quick = stitch(positions, patches)
    patient = stitch(positions, patches, options=StitchOptions(max_rounds=500, tolerance_rad=1e-5))
    assert quick.rounds <= 10
    apart = np.exp(1j * (quick.offsets_rad - patient.offsets_rad))
    assert np.abs(np.angle(apart * np.conj(apart.sum()))).max() < 0.05


def test_image_does_not_depend_on_the_order_of_frames():
    rng = np.random.default_rng(3)
    positions = raster(10, 5, rng)
    patches = cut_patches(positions) * np.exp(1j * rng.uniform(-np.pi, np.pi, (100, 1, 1)))
    patches += 0.2 * (rng.normal(size=patches.shape) + 1j * rng.normal(size=patches.shape))
    options = StitchOptions(max_rounds=300, tolerance_rad=1e-5)
    in_order = stitch(positions, patches, options=options)
    shuffled = rng.permutation(100)
    jumping = stitch(positions[shuffled], patches[shuffled], options=options)
    well = well_covered(in_order)
    np.testing.assert_allclose(jumping.image[well], in_order.image[well], atol=2e-3)


def test_global_phase_is_the_documented_one():
    rng = np.random.default_rng(4)
    positions = raster(4, 5, rng)
    stitched = stitch(positions, cut_patches(positions) * np.exp(2j))
    total = np.sum(stitched.image * stitched.coverage, dtype=np.complex128)
    assert abs(np.angle(total)) < 1e-4


def test_amplitude_scale_comes_back():
    positions = np.array([[0.0, 0.0], [3.0, 3.0]])
    patches = np.full((2, PATCH, PATCH), 0.7 * np.exp(0.4j), dtype=np.complex64)
    stitched = stitch(positions, patches)
    covered = stitched.coverage > 0
    np.testing.assert_allclose(np.abs(stitched.image[covered]), 0.7, rtol=1e-5)
    assert not stitched.image[~covered].any()


def test_dead_and_damaged_frames_change_nothing():
    rng = np.random.default_rng(5)
    positions = raster(6, 4, rng)
    patches = cut_patches(positions)
    weight = bell()
    scale = amplitude_scale(patches, weight**2)
    amplitude = (np.abs(patches) / scale[:, None, None]).astype(np.float32)
    phase = np.angle(patches).astype(np.float32)
    bad = [3, 8, 20, 21, 30]
    good = np.setdiff1d(np.arange(36), bad)
    amplitude[3] = 0
    scale[8] = 0
    amplitude[20, 2, 2] = np.nan
    phase[21] = np.inf
    scale[30] = np.nan
    with Stitcher(FULL, PATCH, weight) as stitcher:
        stitcher.add(positions, amplitude, phase, scale)
        spoiled = stitcher.finish().stitched()
    assert np.isfinite(spoiled.image).all()
    assert np.isfinite(spoiled.coverage).all()
    np.testing.assert_array_equal(np.flatnonzero(~spoiled.used), bad)
    assert not spoiled.offsets_rad[bad].any()
    with Stitcher(FULL, PATCH, weight) as stitcher:
        silent = np.zeros_like(scale)
        silent[good] = scale[good]
        known_phase = np.where(np.isfinite(phase), phase, 0)
        stitcher.add(positions, np.nan_to_num(amplitude), known_phase, silent)
        clean = stitcher.finish().stitched()
    np.testing.assert_allclose(spoiled.image, clean.image, atol=1e-6)


def test_a_scan_without_counts_is_refused():
    with Stitcher(FULL, PATCH, bell()) as stitcher:
        empty = np.zeros((2, PATCH, PATCH), np.float32)
        stitcher.add(np.zeros((2, 2)), empty, empty, np.zeros(2, np.float32))
        with pytest.raises(ResultError, match="none of the 2 frames has counts"):
            stitcher.finish()


def test_islands_that_never_meet_are_both_drawn():
    positions = np.array([[0.0, 0.0], [2.0, 1.0], [90.0, 90.5], [93.0, 91.0]])
    stitched = stitch(positions, cut_patches(positions))
    assert stitched.used.all()
    assert stitched.image[stitched.coverage > 0].all()
    assert not stitched.coverage[40:60].any()


def test_probe_that_is_dark_in_places_leaves_no_outliers():
    rng = np.random.default_rng(6)
    positions = raster(6, 3.7, rng)
    weight = bell()
    weight[5:8, 3:9] = 0
    weight[:, :2] = 0
    stitched = stitch(positions, cut_patches(positions), weight=weight)
    assert (stitched.coverage >= 0).all()
    assert np.abs(stitched.image).max() < 1.3


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([[0.0, 0.0], [np.nan, 1.0]], "1 of 2 positions are not finite"),
        ([[0.0, 0.0], [1e6, 1e6]], "check the unit of the positions"),
        ([[0.0, 0.0], [1e300, -1e300]], "check the unit of the positions"),
        ([[1e12, 0.0], [1e12, 1.0]], "too far out"),
    ],
)
def test_absurd_positions_are_refused_before_memory_is_taken(positions, message):
    tracemalloc.start()
    try:
        with pytest.raises(ScanError, match=message) as error:
            Stitcher(FULL, PATCH, bell(), expected_px=positions)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("places", [2, 3])
def test_wrong_shapes_are_refused(places):
    patches = np.ones((3, PATCH, PATCH), np.float32)
    phase = patches[:, 1:] if places == 3 else patches
    with (
        Stitcher(FULL, PATCH, bell()) as stitcher,
        pytest.raises(ValueError, match=r"3 frames have 2 positions|are not \(B"),
    ):
        stitcher.add(np.zeros((places, 2)), patches, phase, np.ones(3))


@pytest.mark.parametrize("corner", [0, 1, 2, 3], ids=["down", "left", "right", "up"])
def test_an_image_that_grows_is_the_one_whose_extent_was_known(corner):
    rng = np.random.default_rng(9)
    positions = raster(9, 4, rng)
    # Beginning at another corner, the image grows towards lower rows and columns, too.
    positions = positions * np.array([1 - corner // 2 * 2, 1 - corner % 2 * 2])
    phases = np.exp(1j * rng.uniform(-np.pi, np.pi, (len(positions), 1, 1)))
    patches = cut_patches(positions) * phases
    known = stitch(positions, patches)
    grown, seen = stitch(positions, patches, known=False, looks=(3, 20, 50, 70))
    np.testing.assert_array_equal(grown.origin_px, known.origin_px)
    np.testing.assert_array_equal(grown.window_offset_px, known.window_offset_px)
    np.testing.assert_allclose(grown.coverage, known.coverage, atol=1e-4)
    covered = well_covered(known)
    assert relative_error(grown.image[covered], known.image[covered]) < 5e-3
    for early in seen:
        # What has come so far is seen as it will be, up to its global phase.
        rows, columns = (
            slice(start, start + size)
            for start, size in zip(
                early.origin_px - known.origin_px, early.image.shape, strict=True
            )
        )
        well = well_covered(early)
        assert relative_error(early.image[well], known.image[rows, columns][well]) < 0.05


def test_an_image_that_grows_too_large_is_refused():
    patches = np.ones((1, PATCH, PATCH), np.float32)
    with Stitcher(FULL, PATCH, bell()) as stitcher:
        stitcher.add([[0.0, 0.0]], patches, patches, np.ones(1))
        with pytest.raises(ScanError, match="check the unit of the positions"):
            stitcher.add([[1e6, 1e6]], patches, patches, np.ones(1))
        assert stitcher.finish().stitched().used.tolist() == [True]


def test_temporary_file_goes_even_when_the_block_fails(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    patches = np.ones((2, PATCH, PATCH), np.float32)
    stitcher = Stitcher(FULL, PATCH, bell(), expected_px=np.zeros((4, 2)))

    def interrupted():
        with stitcher:
            stitcher.add(np.zeros((2, 2)), patches, patches, np.ones(2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="closed"):
        stitcher.finish()


def test_memory_does_not_grow_with_the_scan():
    def peak(count):
        rng = np.random.default_rng(7)
        positions = rng.uniform(0, 40, (count, 2))
        patches = np.ones((20, PATCH, PATCH), np.float32)
        tracemalloc.start()
        try:
            options = StitchOptions(max_rounds=1)
            with Stitcher(FULL, PATCH, bell(), options, expected_px=positions) as stitcher:
                for some in positions.reshape(-1, 20, 2):
                    stitcher.add(some, patches, 0 * patches, np.ones(20, np.float32))
                stitcher.finish().stitched()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(100)
    patch_bytes = PATCH * PATCH * 8
    assert peak(1200) - peak(200) < 0.2 * 1000 * patch_bytes


def test_cubic_convolution_is_exact_for_quadratics():
    row = np.arange(10.0)[:, None]
    column = np.arange(12.0)
    quadratic = (1 + 0.3 * row - 0.05 * row**2) * (2 - column + 0.1 * column**2)
    fraction = np.array([[0.25, 0.0], [0.5, 0.9]])
    out = np.empty((2, 10, 12), np.complex64)
    shifter = WindowShifter(3, 10, 12)
    shifter.windows[:2] = quadratic
    shifter.shift(keys_taps(fraction), out)
    for shifted, (f, g) in zip(out, fraction, strict=True):
        r, c = row - f, column - g
        truth = (1 + 0.3 * r - 0.05 * r**2) * (2 - c + 0.1 * c**2)
        inside = np.s_[1:, 1:]
        np.testing.assert_allclose(shifted[inside], truth[inside], atol=2e-5)
    np.testing.assert_allclose(keys_taps(np.linspace(0, 0.999, 7)).sum(axis=1), 1, atol=1e-6)


def test_one_window_shifted_many_times_is_many_windows_shifted_once():
    rng = np.random.default_rng(10)
    window = rng.normal(size=(9, 11)).astype(np.float32)
    fraction = np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 0.8], [0.5, 0.25]])
    out = np.empty((4, 9, 11), np.complex64)
    shifter = WindowShifter(4, 9, 11)
    shifter.windows[:] = window
    shifter.shift(keys_taps(fraction), out)
    copies = np.empty((4, 9, 11), np.float32)
    ShiftedCopies(window).fill(keys_taps(fraction), copies)
    np.testing.assert_allclose(copies, out, atol=1e-5)


def test_real_object_comes_back_from_its_patches(data_dir):
    with np.load(data_dir / "cnm26id_scan247_reference.npz", allow_pickle=False) as archive:
        obj, probe = archive["object"], archive["probe"]
        positions = archive["window_top_left_px"].astype(float)
    intensity = probe_intensity(probe)[32:96, 32:96]
    index = np.arange(64) + 32
    rows, columns = (positions[:, i, None].astype(int) + index for i in (0, 1))
    patches = obj[rows[:, :, None], columns[:, None, :]]
    rng = np.random.default_rng(8)
    patches = patches * np.exp(1j * rng.uniform(-np.pi, np.pi, (len(patches), 1, 1)))
    scale = amplitude_scale(patches, intensity)
    amplitude = (np.abs(patches) / scale[:, None, None]).astype(np.float32)
    with Stitcher(128, 64, illumination_weight(intensity)) as stitcher:
        stitcher.add(positions, amplitude, np.angle(patches).astype(np.float32), scale)
        stitched = stitcher.finish().stitched()
    row, column = stitched.origin_px
    height, width = stitched.image.shape
    truth = obj[row : row + height, column : column + width]
    well = well_covered(stitched)
    assert relative_error(stitched.image[well], truth[well]) < 1e-3
