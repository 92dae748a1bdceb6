"""Calibration: frames that cover the scan, of the right kind; ranges that can be used again."""

import json

import numpy as np
import pytest
import tiny_network
from tiny import gaussian_probe

from wnet_edge.calibration.frames import check_source, choose_frames, frames_sha256
from wnet_edge.calibration.ranges import NoHistogramError, RangeMethod, find_ranges, ranges_of
from wnet_edge.errors import CalibrationError
from wnet_edge.package.manifest import CalibrationSource
from wnet_edge.physics.forward import expected_counts


@pytest.fixture(scope="module")
def graph():
    return tiny_network.tiny_network()


@pytest.fixture(scope="module")
def counts():
    return tiny_network.counts()


def test_chosen_frames_span_flux_and_place():
    rng = np.random.default_rng(0)
    frames = rng.poisson(5, (200, 1, 16, 16)).astype(np.float32)
    frames[17] *= 50
    frames[90] = 0
    frames[90, 0, 8, 8] = 1
    places = rng.uniform(0, 100, (200, 2))
    chosen = choose_frames(frames, places, 24)
    assert len(chosen) == 24
    assert {17, 90} <= set(chosen.tolist())
    assert np.ptp(places[chosen], axis=0).min() > 80
    np.testing.assert_array_equal(chosen, choose_frames(frames, places, 24))


def test_all_frames_of_a_small_strip_are_chosen():
    frames, places = tiny_network.counts(5), np.zeros((5, 2))
    np.testing.assert_array_equal(choose_frames(frames, places, 24), np.arange(5))


def test_frames_are_told_apart_by_their_content(counts):
    other = counts.copy()
    other[3, 0, 2, 2] += 1
    assert frames_sha256(counts) == frames_sha256(counts.copy()) != frames_sha256(other)


@pytest.fixture(scope="module")
def diffraction():
    """Frames of a structured object under a probe, and the probe."""
    probe = gaussian_probe(32)
    rng = np.random.default_rng(2)
    phase = rng.normal(0, 0.3, (12, 32, 32))
    expected = expected_counts(np.exp(1j * phase).astype(np.complex64), probe)
    return rng.poisson(expected)[:, None].astype(np.float32), probe


def check(frames, probe, **changes):
    asked = {"simulated": False, "declared": CalibrationSource.MEASURED, "name": "scan.h5"}
    check_source(frames, probe, **(asked | changes))


def test_measured_diffraction_is_taken(diffraction):
    check(*diffraction)


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (
            {"simulated": True},
            r"scan\.h5: holds simulated frames, .*--calibration-source simulated",
        ),
        ({"declared": CalibrationSource.SIMULATED}, "holds diffraction that was measured"),
    ],
)
def test_another_kind_than_the_one_asked_for_is_refused(diffraction, asked, match):
    with pytest.raises(CalibrationError, match=match):
        check(*diffraction, **asked)


def test_random_numbers_are_refused_unless_asked_for_by_name(diffraction):
    frames, probe = diffraction
    noise = np.random.default_rng(0).random(frames.shape, dtype=np.float32)
    with pytest.raises(CalibrationError, match="no diffraction of the network's probe"):
        check(noise, probe)
    check(noise, probe, declared=CalibrationSource.RANDOM)


def test_minmax_covers_what_the_percentiles_cut_off(graph, counts):
    whole, cut = (
        find_ranges(graph, counts, method).bounds
        for method in (RangeMethod.MINMAX, RangeMethod.PERCENTILE_99_9)
    )
    assert whole["root"] == pytest.approx((0, np.sqrt(counts.max())), rel=1e-6)
    assert set(cut) == set(whole)
    assert all(whole[name][1] >= cut[name][1] * (1 - 1e-5) for name in whole)
    assert any(whole[name][1] > cut[name][1] * 1.01 for name in whole)


@pytest.mark.parametrize("method", RangeMethod, ids=lambda method: method.value)
def test_each_method_gives_the_same_ranges_again(graph, counts, method):
    first = find_ranges(graph, counts, method)
    assert first == find_ranges(graph, counts, method)
    assert all(low <= high for low, high in first.bounds.values())


def test_entropy_cuts_off_what_is_rare(graph, counts):
    rare = counts.copy()
    rare[0, 0, 3, 3] = 5e4
    whole, cut = (
        find_ranges(graph, rare, method).bounds["b_out"]
        for method in (RangeMethod.MINMAX, RangeMethod.ENTROPY)
    )
    assert cut[1] < 0.9 * whole[1] or cut[0] > 0.9 * whole[0]


def test_a_calibrator_without_bins_is_left_out_where_others_have_some(graph, counts):
    bright = np.full_like(counts, 1e8)
    bright[:, :, 3, 3] += 8  # the least step of a float of that size
    methods = (RangeMethod.MINMAX, RangeMethod.PERCENTILE_99_9)
    assert [found.method for found in ranges_of(graph, bright, methods)] == [RangeMethod.MINMAX]
    with pytest.raises(NoHistogramError, match=r"percentile-99\.9 finds no bins .* take minmax"):
        ranges_of(graph, bright, methods[1:])


def test_kept_ranges_are_used_again(graph, counts, tmp_path, monkeypatch):
    cache = tmp_path / "ranges.json"
    methods = (RangeMethod.MINMAX, RangeMethod.ENTROPY)
    made = ranges_of(graph, counts, methods, cache)
    monkeypatch.setattr("wnet_edge.calibration.ranges.find_ranges", None)
    assert ranges_of(graph, counts, methods, cache) == made


def test_ranges_of_another_graph_are_refused(graph, counts, tmp_path):
    cache = tmp_path / "ranges.json"
    ranges_of(graph, counts, (RangeMethod.MINMAX,), cache)
    with pytest.raises(CalibrationError, match="of another graph or of other frames"):
        ranges_of(tiny_network.tiny_network(seed=9), counts, (RangeMethod.MINMAX,), cache)
    with pytest.raises(CalibrationError, match="of another graph or of other frames"):
        ranges_of(graph, counts[:8], (RangeMethod.MINMAX,), cache)


@pytest.mark.parametrize(
    "content",
    ["", "[]", "{}", "[" * 100_000, json.dumps({"graph_sha256": "", "frames_sha256": ""})],
    ids=["empty", "list", "no keys", "deep", "no ranges"],
)
def test_a_damaged_file_of_ranges_is_one_line(graph, counts, tmp_path, content):
    cache = tmp_path / "ranges.json"
    cache.write_text(content)
    with pytest.raises(CalibrationError, match="holds no calibration ranges"):
        ranges_of(graph, counts, (RangeMethod.MINMAX,), cache)
