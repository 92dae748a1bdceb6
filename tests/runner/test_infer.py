"""The whole flow on a scan whose object is known, and what it refuses."""

import dataclasses

import numpy as np
import pytest
from tiny import GEOMETRY, content

from wnet_edge.errors import PackageError, ScanError
from wnet_edge.framing.compatibility import check_far_field, nearest_neighbour_m, remaining_binning
from wnet_edge.framing.framing import Framing
from wnet_edge.io.found import Found, Positions
from wnet_edge.io.scan_file import find_scan, open_scan
from wnet_edge.package.manifest import Precision
from wnet_edge.package.packing import write_package
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.amplitude_scale import AmplitudeScale
from wnet_edge.runner.image.infer import infer
from wnet_edge.runner.image.verdict import Cause
from wnet_edge.scan.preparation import Preparation

OPTIONS = RunnerOptions(provider=Provider.CPU, threads=1, batch_size=7)


def judged_by_nothing(warnings):
    """The warnings but the last, which says that the package has nothing to judge by."""
    assert warnings[-1].endswith(f": unknown: {Cause.NO_LEVEL.value}")
    return warnings[:-1]


@pytest.fixture
def package(tmp_path, known):
    return write_package(tmp_path / "known.wnet", known.content())


def agreement(result, known):
    """Image and object over the same pixels, less the global phase."""
    image = result.stitched.image
    row, column = result.stitched.origin_px
    object_ = known.object_[row:, column:][: image.shape[0], : image.shape[1]]
    turn = np.vdot(image, object_)
    return image * (turn / abs(turn)), object_


@pytest.mark.parametrize("binned", [False, True])
def test_object_comes_back(tmp_path, known, package, binned):
    scan = open_scan(known.write(tmp_path / "s.cxi", binned=binned))
    seen = []
    result = infer(scan, open_best_graph(package, OPTIONS), seen.append)
    image, object_ = agreement(result, known)
    np.testing.assert_allclose(image, object_, atol=5e-3)
    assert sum(seen) == result.frames_received == result.frames_processed == 36
    assert result.frames_lost == result.values_masked == result.values_clipped == 0
    assert judged_by_nothing(result.warnings) == ()
    assert result.amplitude_scale is AmplitudeScale.PROBE
    assert result.transmission == pytest.approx(0.55, abs=0.15)
    assert (result.provider, result.precision) == (Provider.CPU, Precision.FP32)
    timing = dataclasses.asdict(result.timing)
    total_s, *beside_s = (timing.pop(s) for s in ("total_s", "open_s", "read_s", "network_s"))
    assert sum(timing.values()) == pytest.approx(total_s)
    assert min(beside_s) > 0
    assert result.frames_per_second > 0
    assert result.pixel_size_m == pytest.approx(GEOMETRY.object_pixel_size_m(32))


def test_window_offset_is_where_the_window_lies(tmp_path, known, package):
    scan = open_scan(known.write(tmp_path / "s.cxi"))
    stitched = infer(scan, open_best_graph(package, OPTIONS)).stitched
    start = central_window_start_px(32, 16)
    corner = known.corners[7] + stitched.window_offset_px
    np.testing.assert_allclose(corner + stitched.origin_px, known.corners[7] + start)


@pytest.mark.parametrize("fixed", [5, 64])
def test_a_fixed_batch_does_not_change_the_image(tmp_path, known, package, fixed):
    scan = open_scan(known.write(tmp_path / "s.cxi"))
    whole = write_package(tmp_path / "fixed.wnet", known.content(batch_size=fixed))
    images = [
        infer(scan, open_best_graph(each, OPTIONS)).stitched.image for each in (package, whole)
    ]
    np.testing.assert_allclose(images[0], images[1], atol=1e-6)


def test_batch_size_does_not_change_the_image(tmp_path, known, package):
    scan = open_scan(known.write(tmp_path / "s.cxi"))
    images = [
        infer(
            scan, open_best_graph(package, dataclasses.replace(OPTIONS, batch_size=size))
        ).stitched.image
        for size in (1, 36)
    ]
    np.testing.assert_allclose(images[0], images[1], atol=1e-5)


def test_without_a_probe_amplitude_is_relative(tmp_path, known, package):
    scan = open_scan(known.write(tmp_path / "s.cxi", probe=None))
    result = infer(scan, open_best_graph(package, OPTIONS))
    assert result.amplitude_scale is AmplitudeScale.SCAN_MEDIAN
    assert result.transmission is None
    assert result.warnings[0] == "the scan has no probe: amplitude is relative to the median frame"
    image, object_ = agreement(result, known)
    median = np.median(known.frames.sum(axis=(1, 2)))
    np.testing.assert_allclose(image, object_ * np.sqrt(known.incident / median), atol=1e-2)


@pytest.mark.parametrize("power", [1e-3, 1e3])
def test_implausible_probe_power_is_told(tmp_path, known, package, power):
    probe = known.probe * np.float32(np.sqrt(power))
    scan = open_scan(known.write(tmp_path / "s.cxi", probe=probe))
    result = infer(scan, open_best_graph(package, OPTIONS))
    assert result.amplitude_scale is AmplitudeScale.SCAN_MEDIAN
    assert "which can't be" in result.warnings[0]
    image, object_ = agreement(result, known)
    median = np.median(known.frames.sum(axis=(1, 2)))
    np.testing.assert_allclose(image, object_ * np.sqrt(known.incident / median), atol=1e-2)


def test_dead_frames_are_left_out(tmp_path, known, package):
    frames = known.frames.copy()
    frames[[0, 14]] = 0
    scan = open_scan(known.write(tmp_path / "s.cxi", frames=frames))
    result = infer(scan, open_best_graph(package, OPTIONS))
    assert (result.frames_processed, result.frames_lost) == (34, 2)
    assert result.warnings[0].startswith("2 frames have no counts")
    image, object_ = agreement(result, known)
    covered = result.stitched.coverage > 0
    np.testing.assert_allclose(image[covered], object_[covered], atol=5e-3)
    frames[:] = 0
    scan = open_scan(known.write(tmp_path / "dark.cxi", frames=frames))
    with pytest.raises(ScanError, match=r"dark\.cxi: 36 of 36 frames have no counts"):
        infer(scan, open_best_graph(package, OPTIONS))


def test_values_that_are_no_counts_are_masked(tmp_path, known, package):
    frames = known.frames.astype(np.float32)
    frames[3, 5, 5], frames[3, 5, 6], frames[4, 9, 9] = np.nan, -1, 2**32 - 1
    scan = open_scan(known.write(tmp_path / "s.cxi", frames=frames))
    result = infer(scan, open_best_graph(package, OPTIONS))
    assert (result.values_masked, result.values_clipped) == (2, 1)
    assert judged_by_nothing(result.warnings) == (
        "2 values are no counts (NaN, gaps) and are left out",
        "1 values below zero are taken as zero",
    )
    image, object_ = agreement(result, known)
    np.testing.assert_allclose(image, object_, atol=5e-3)


def test_masked_pixels_do_not_count():
    frames = np.ones((2, 4, 4), np.float32)
    mask = np.zeros((4, 4), bool)
    mask[2, 2] = True
    frames[:, 2, 2] = 1e6
    frames[:, 3, 3] = 5
    frames[1, 0, 1] = np.nan
    batch = Preparation(mask, 1).prepare(frames)
    assert batch.values_masked == 1
    np.testing.assert_array_equal(batch.totals, [19, 18])
    assert batch.counts[0, 0, 2, 2] == batch.counts[1, 0, 2, 2] == batch.counts[1, 0, 0, 1] == -1
    assert (batch.counts == 1).sum() == 27


def test_a_dark_subtracted_frame_is_taken_and_a_spoilt_one_is_left_out():
    frames = np.full((4, 4, 4), 10.25, np.float32)
    frames[:, 3, 3] += 90
    frames[0, 0] = -0.5
    frames[1] = -10
    frames[2, 0, :2] = np.inf
    frames[3, 0, 0] = np.nan
    batch = Preparation(np.zeros((4, 4), bool), 2).prepare(frames)
    np.testing.assert_allclose(batch.totals, [12 * 10.25 + 90, 0, 0, 15 * 10.25 + 90])
    assert (batch.values_clipped, batch.values_masked) == (4 + 16, 2 + 1)


@pytest.mark.parametrize("batch_size", [1, 7])
def test_frames_without_a_position_leave_no_mark(tmp_path, known, package, batch_size):
    scan = open_scan(known.write(tmp_path / "s.cxi"))
    left_out = np.zeros(36, bool)
    left_out[[5, 20]] = True
    positions = scan.positions_m.copy()
    positions[left_out] = positions.mean(axis=0)
    scan = dataclasses.replace(scan, positions_m=positions, left_out=left_out)
    options = dataclasses.replace(OPTIONS, batch_size=batch_size)
    result = infer(scan, open_best_graph(package, options))
    assert result.frames_lost == 2
    image, object_ = agreement(result, known)
    covered = result.stitched.coverage > 0
    np.testing.assert_allclose(image[covered], object_[covered], atol=5e-3)


def test_fit_is_checked_with_numbers(tmp_path, known, package):
    scan = open_scan(known.write(tmp_path / "s.cxi"))
    manifest = package.manifest
    assert remaining_binning(scan, manifest) == 2
    frames_24 = dataclasses.replace(scan, frames=np.zeros((36, 24, 24)), mask=np.zeros((24, 24)))
    with pytest.raises(ScanError, match=r"s\.cxi: frames of 24 px .* can't be binned to 16 px"):
        remaining_binning(frames_24, manifest)
    for distance_m, fits in ((0.9 * 1.009, True), (0.9 * 1.011, False), (0.9 / 1.011, False)):
        geometry = dataclasses.replace(GEOMETRY, distance_m=distance_m)
        moved = dataclasses.replace(scan, geometry=geometry)
        if fits:
            assert remaining_binning(moved, manifest) == 2
        else:
            with pytest.raises(PackageError, match=r"an object pixel is .* nm, but .* 63.4 nm"):
                remaining_binning(moved, manifest)


def test_far_field_is_asked_of_the_probe(tmp_path, known):
    found = find_scan(known.write(tmp_path / "s.cxi"))
    check_far_field(found)
    magnified = dataclasses.replace(found, probe_pixel_size_m=2e-6)
    with pytest.raises(ScanError, match=r"near-field .* illumination is 2000 nm"):
        check_far_field(magnified)


def test_far_field_is_asked_of_the_step(tmp_path, known):
    found = find_scan(known.write(tmp_path / "s.cxi", probe=None))
    positions_m = found.positions.value.values
    assert nearest_neighbour_m(positions_m) == pytest.approx(4 * 63.4e-9, rel=1e-3)
    assert nearest_neighbour_m(positions_m[:1]) == 0
    check_far_field(found)
    wide = dataclasses.replace(found, positions=Found(Positions(positions_m * 4.1), "there"))
    with pytest.raises(ScanError, match=r"near-field .* 1040 nm apart, but the widest .* 1014 nm"):
        check_far_field(wide)


def test_real_near_field_scan_is_refused(data_dir, package):
    found = find_scan(data_dir / "petra_p25_nearfield.cxi")
    with pytest.raises(ScanError, match=r"petra_p25_nearfield\.cxi: near-field or wrong geometry"):
        Framing(found, package)


def test_real_scan_fits_and_runs(tmp_path, data_dir):
    scan = open_scan(data_dir / "cnm26id_scan247.cxi")
    package = write_package(tmp_path / "real.wnet", content(window_px=64, probe=scan.probe))
    result = infer(scan, open_best_graph(package, dataclasses.replace(OPTIONS, batch_size=64)))
    assert result.frames_processed == 481
    assert result.amplitude_scale is AmplitudeScale.PROBE
    assert result.transmission == pytest.approx(0.879, abs=0.01)


def test_dark_window_of_the_package(tmp_path, known):
    probe = np.zeros((1, 32, 32), np.complex64)
    probe[0, 0, 0] = 1
    dark = write_package(tmp_path / "d.wnet", dataclasses.replace(known.content(), probe=probe))
    scan = open_scan(known.write(tmp_path / "s.cxi"))
    with pytest.raises(PackageError, match="dark in the whole window"):
        infer(scan, open_best_graph(dark, OPTIONS))


def test_frames_as_bright_everywhere_are_left_out():
    frames = np.random.default_rng(0).poisson(3, (4, 8, 8)).astype(np.float32)
    frames[1], frames[2] = 60_000, 60_000
    frames[2, 3, 3] = np.nan
    mask = np.zeros((8, 8), bool)
    mask[:, :2] = True
    batch = Preparation(mask, 2).prepare(frames)
    assert batch.frames_flat == 2
    assert list(batch.totals > 0) == [True, False, False, True]


def test_a_scan_that_ended_early_is_told(known, tmp_path, package):
    frames = known.frames.copy()
    frames[22:] = 0
    scan = open_scan(known.write(tmp_path / "short.cxi", frames=frames))
    with pytest.raises(
        ScanError, match=r"14 of 36 .*; all of them from frame 22 on: .*--frames-range 0:22"
    ):
        infer(scan, open_best_graph(package, OPTIONS))


def test_a_shutter_that_never_closed_is_told(known, tmp_path, package):
    frames = known.frames.copy()
    frames[::4, 2:-1, 2:-1] = 60_000
    scan = open_scan(known.write(tmp_path / "open.cxi", frames=frames))
    with pytest.raises(ScanError, match=r"9 of 36 .*; 9 of them are as bright everywhere"):
        infer(scan, open_best_graph(package, OPTIONS))
