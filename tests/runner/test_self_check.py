"""Images are judged by their frames: right ones pass, wrong ones are told; the right way wins."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import wnet_edge
from wnet_edge.embedded import find_package
from wnet_edge.framing.framing import Framing
from wnet_edge.framing.training_domain import (
    Observed,
    outside_training_domain,
    probe_similarity,
    upright_probe,
)
from wnet_edge.io.found import Found, Positions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.manifest import Adaptation, FrameFit, Grade
from wnet_edge.package.opening import open_package
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.poisson import expected_root_deviation
from wnet_edge.physics.probe import shifted_probe
from wnet_edge.refining.options import RefineOptions
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer
from wnet_edge.runner.image.orientation_search import choose_orientation, middle_frames
from wnet_edge.runner.image.verdict import explains

pytestmark = pytest.mark.slow

EXAMPLE = Path(wnet_edge.__file__).parent / "examples" / "cnm26id_scan247_64px.cxi"
OPTIONS = RunnerOptions(provider=Provider.CPU)
UP = Orientation.IDENTITY


@pytest.fixture(scope="module")
def package():
    return open_package(find_package("w3"))


@pytest.fixture(scope="module")
def example():
    """The embedded scan, its frames in memory."""
    found = find_scan(EXAMPLE)
    return replace(found, frames=Found(np.asarray(found.frames.value[:]), found.frames.where))


def check(found, package, orientation=UP, position_orientation=UP, refining=None):
    scan = Framing(found, package).framed(orientation, position_orientation).scan
    return infer(scan, open_best_graph(package, OPTIONS), refining=refining)


def test_the_right_image_explains_its_frames(example, package):
    result = check(example, package).self_check
    assert result.trusted
    level, fit = package.manifest.self_check, result.fit
    assert fit.r_factor == pytest.approx(level.r_factor, rel=0.02)
    assert (
        fit.explained == pytest.approx(level.explained, abs=0.02) == pytest.approx(0.57, abs=0.02)
    )
    assert 0.8 < fit.contrast < 1.2
    assert 0 < fit.r_floor < 0.1 * fit.r_factor
    assert result.warning is None


@pytest.mark.parametrize(
    ("orientation", "position_orientation"),
    [(Orientation.FLIP_ROWS, UP), (Orientation.TRANSPOSE, UP), (UP, Orientation.ROTATE_180)],
)
def test_a_wrong_way_up_is_not_trusted(example, package, orientation, position_orientation):
    inference = check(example, package, orientation, position_orientation)
    assert inference.self_check.trusted is False
    assert inference.self_check.fit.r_factor > 0.18
    assert inference.self_check.fit.explained < 0.1
    assert "--orientation auto --position-orientation auto" in inference.warnings[-1]


def test_a_wrong_pixel_size_and_a_wrong_probe_are_not_trusted(example, package):
    positions = Positions(example.positions.value.values * 0.8)
    stretched = replace(example, positions=Found(positions, "scaled"))
    assert check(stretched, package).self_check.trusted is False
    mirrored = replace(package, probe=package.probe[:, :, ::-1])
    assert check(example, mirrored).self_check.trusted is False


def test_dim_frames_are_freed_of_their_noise(example, package):
    rng = np.random.default_rng(0)
    counts = example.frames.value
    thinned = rng.binomial(counts, 2e5 / np.median(counts.sum(axis=(1, 2)))).astype(np.uint32)
    dim = replace(example, frames=Found(thinned, "thinned"))
    result = check(dim, package).self_check
    assert result.fit.r_floor > 0.05
    assert result.fit.r_factor > 0.11
    assert result.fit.explained == pytest.approx(package.manifest.self_check.explained, abs=0.03)
    assert result.trusted


def test_frames_that_were_normalised_are_judged_without_a_floor(example, package):
    frames = example.frames.value / example.frames.value.max()
    result = check(replace(example, frames=Found(frames, "normalised")), package).self_check
    assert result.trusted
    assert result.fit.r_floor == 0
    assert result.fit.explained == pytest.approx(package.manifest.self_check.explained, abs=0.02)


def test_a_background_that_passes_put_into_the_image_earns_no_trust(example, package):
    counts = example.frames.value
    level = np.uint32(0.5 * counts.mean())
    lit = replace(example, frames=Found(counts + level, "with stray light"))
    refined = check(lit, package, refining=RefineOptions(3)).self_check
    assert explains(refined.fit)
    assert refined.trusted is None
    assert "subtract it" in refined.warning
    assert check(example, package, refining=RefineOptions(3)).self_check.trusted


def test_an_image_without_a_whole_pass_is_judged_as_the_network_left_it(example, package):
    poor = FrameFit(r_factor=0.19, r_floor=0.0, r_blank=0.2, contrast=1.0, frames=100)
    adapted = Adaptation(
        scan="s.h5",
        scan_sha256="0" * 64,
        frames=100,
        median_counts=1e6,
        probe_from="the file",
        choices=(),
        image=None,
        refined=poor,
        passes=5,
        phase_correlation=None,
        refined_phase_correlation=None,
        grade=Grade.GOOD,
        reason=None,
    )
    diverging = replace(package, manifest=replace(package.manifest, adaptation=adapted))
    assert check(example, diverging, refining=RefineOptions(0)).self_check.trusted
    assert check(example, diverging, refining=RefineOptions(1)).self_check.trusted is False


def test_a_scan_too_small_to_be_checked_says_so(example, package):
    scan = Framing(example, package).framed(UP, UP).scan
    few = replace(
        scan,
        frames=scan.frames[:3],
        positions_m=scan.positions_m[:3],
        left_out=scan.left_out[:3],
    )
    inference = infer(few, open_best_graph(package, OPTIONS))
    assert inference.self_check.trusted is None
    assert inference.self_check.fit is None
    assert "too small to be checked" in inference.warnings[-1]


@pytest.mark.parametrize("mean", [0.02, 0.7, 3.3, 20.0, 500.0])
def test_the_floor_is_what_counting_gives(mean):
    counts = np.random.default_rng(1).poisson(mean, 200_000)
    measured = np.abs(np.sqrt(counts) - np.sqrt(mean)).mean()
    assert expected_root_deviation(np.array(mean)) == pytest.approx(measured, rel=0.02)


def test_similarity_of_probes(package):
    probe = package.probe
    assert probe_similarity(probe, 3 * probe * np.exp(1j)) == pytest.approx(1, abs=1e-5)
    moved = shifted_probe(probe, np.array([5.0, -9.0]))
    assert probe_similarity(probe, moved) == pytest.approx(1, abs=1e-4)
    mixed = np.stack([probe[0] + probe[1], probe[0] - probe[1]]) / np.sqrt(2)
    assert probe_similarity(probe[:2], mixed) == pytest.approx(1, abs=1e-4)
    assert probe_similarity(probe, probe[:, ::-1, ::-1]) < 0.8


def test_another_probe_is_unfamiliar(package):
    even = np.ones((1, 128, 128), np.complex64)
    _, similarity = upright_probe(even, UP, package)
    observed = Observed(5e7, similarity, overlap=0.8, masked=0, hidden=0, background=0)
    assert "% like the package's" in outside_training_domain(package, observed)[0]


def test_middle_frames_lie_together(example, package):
    scan = Framing(example, package).framed(UP, UP).scan
    numbers = middle_frames(scan)
    assert len(numbers) == len(set(numbers.tolist())) == 200
    span_px = np.ptp(scan.positions_m[numbers], axis=0) / scan.object_pixel_size_m
    assert span_px.max() <= 257


def stored(found, orientation, *, corner):
    """The scan as a detector mounted otherwise, or a computing program, would store it."""

    def turned(images):
        turned = orient(images, orientation.inverse)
        return np.fft.ifftshift(turned, axes=(-2, -1)) if corner else turned

    return replace(
        found,
        frames=Found(turned(np.asarray(found.frames.value[:])), "turned"),
        mask=Found(turned(found.mask.value), "turned"),
    )


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(Orientation.ROTATE_180_TRANSPOSE, False), (Orientation.FLIP_COLUMNS, True)],
)
def test_auto_finds_the_way_up(data_dir, package, orientation, corner):
    found = find_scan(data_dir / "cnm26id_scan247.cxi")
    framer = Framing(stored(found, orientation, corner=corner), package)
    choice = choose_orientation(framer, open_best_graph(package, OPTIONS), None, UP)
    assert choice.orientation is orientation
    assert choice.framed.window.from_corner is corner
    assert choice.warnings == ()
    line = choice.search_lines[0]
    assert line.startswith(f"orientation {orientation.value}, R-factor 0.09")
    plain = Framing(found, package).framed(UP, UP)
    np.testing.assert_array_equal(choice.framed.scan.frames[7], plain.scan.frames[7])
    np.testing.assert_array_equal(choice.framed.scan.mask, plain.scan.mask)


def test_a_search_that_could_compare_nothing_says_so(example, package):
    """A dozen frames far apart cover no whole probe."""
    corners = np.stack(np.divmod(np.arange(12), 4), axis=1) * 100 * 15.85e-9
    few = replace(
        example,
        frames=Found(example.frames.value[:12], "few"),
        positions=Found(Positions(corners), "apart"),
    )
    choice = choose_orientation(Framing(few, package), open_best_graph(package, OPTIONS), None, UP)
    assert choice.warnings == ("orientation is not clear: name it if you know it",)


def test_dead_frames_in_the_middle_do_not_stop_the_search(example, package):
    frames = example.frames.value.copy()
    frames[:40] = 0  # the scan spirals outwards
    dim = replace(example, frames=Found(frames, "dead"))
    choice = choose_orientation(Framing(dim, package), open_best_graph(package, OPTIONS), None, UP)
    assert choice.orientation is UP


def test_a_probe_is_turned_as_its_frames_are(package):
    way = Orientation.FLIP_ROWS_TRANSPOSE
    stored = orient(package.probe, way.inverse)
    for probe in (package.probe, stored):
        upright, similarity = upright_probe(probe, way, package)
        np.testing.assert_allclose(upright, package.probe)
        assert similarity == pytest.approx(1, abs=1e-4)


def test_auto_finds_which_way_the_positions_run(example, package):
    flipped = Positions(example.positions.value.values * [1, -1])
    framer = Framing(replace(example, positions=Found(flipped, "flipped")), package)
    choice = choose_orientation(framer, open_best_graph(package, OPTIONS), UP, None)
    assert choice.position_orientation is Orientation.FLIP_COLUMNS
    assert json.dumps(choice.search_lines)
