"""The search for INT8 in a budget: nothing given back without need, the dearest layers first."""

import numpy as np
import onnx
import pytest
import tiny_network
from network_graphs import network_graph
from tiny import gaussian_probe

from wnet_edge.calibration.ranges import RangeMethod, find_ranges, ranges_of
from wnet_edge.errors import ExportError
from wnet_edge.export.budget import Budget
from wnet_edge.export.graph import serialise
from wnet_edge.export.layers import layers_of, layers_of_no_gain, named
from wnet_edge.export.processor import patches_on_processor
from wnet_edge.export.quantise import Scheme, quantised
from wnet_edge.export.search import MARGIN, Problem, search
from wnet_edge.manifest import Precision
from wnet_edge.runner.accuracy import ScanPart, against_fp32
from wnet_edge.runner.session_settings import X64_PRECISION

METHODS = (RangeMethod.MINMAX, RangeMethod.PERCENTILE_99_9)


def run(graph, counts):
    return patches_on_processor(graph, counts, {X64_PRECISION: True})


@pytest.fixture(scope="module")
def graph():
    return tiny_network.tiny_network(spread=4.0)


@pytest.fixture(scope="module")
def candidates(graph):
    return ranges_of(graph, tiny_network.counts(16), METHODS)


@pytest.fixture(scope="module")
def problem(graph):
    """A raster of frames whose FP32 patches are the yardstick."""
    places = np.stack(np.divmod(np.arange(64), 8), axis=1) * 4.0
    size = tiny_network.WINDOW_PX
    counts = tiny_network.counts(64, seed=5)
    part = ScanPart("raster", np.arange(64), counts, places, gaussian_probe(size), 1e-8)
    fp32 = patches_on_processor(graph, counts)
    yardstick = against_fp32(part, fp32)
    accuracy = yardstick.accuracy(fp32)

    def with_budget(max_ssim_drop, *kept):
        budget = Budget(max_ssim_drop=max_ssim_drop)
        return Problem(
            graph, Precision.INT8, yardstick, fp32, accuracy, run, budget, frozenset(kept)
        )

    return with_budget


def test_a_wide_budget_gives_no_layer_back(problem, candidates):
    found = search(problem(2.0), candidates)
    assert found.scheme.kept == frozenset()
    assert found.costs == ()
    assert [trial.method for trial in found.trials[:2]] == list(METHODS)
    assert not found.trials[-1].per_channel
    best = min(found.trials, key=lambda trial: trial.phase_rms_rad)
    assert (found.ranges.method, found.scheme.per_channel) == (best.method, best.per_channel)


def test_a_narrow_budget_gives_back_the_dearest_layers(problem, candidates):
    whole = search(problem(2.0), candidates)
    lost = min(whole.trials, key=lambda trial: trial.phase_rms_rad).loss.ssim
    narrow = problem(0.5 * lost / MARGIN)
    found = search(narrow, candidates)
    costs = [cost.phase_rms_rad for cost in found.costs]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) == tiny_network.LAYERS
    dearest = {cost.layer.name for cost in found.costs[: len(found.scheme.kept)]}
    assert found.scheme.kept == dearest != set()
    assert found.trials[-1].loss.ssim <= MARGIN * narrow.budget.max_ssim_drop


def test_layers_that_are_kept_from_the_start_stay_in_float(problem, candidates, graph):
    kept = layers_of(onnx.load_from_string(graph))[-1].name
    whole = search(problem(2.0, kept), candidates)
    assert {trial.kept for trial in whole.trials} == {(kept,)}
    lost = min(whole.trials, key=lambda trial: trial.phase_rms_rad).loss.ssim
    found = search(problem(0.5 * lost / MARGIN, kept), candidates)
    assert all(kept in trial.kept for trial in found.trials)
    assert len(found.scheme.kept) > 1


def test_layers_of_no_gain_take_no_more_bytes_in_float():
    network = network_graph("w3")
    model = named(onnx.load_from_string(network.content))
    graph, kept = serialise(model), layers_of_no_gain(model)
    ranges = find_ranges(graph, network.counts, RangeMethod.MINMAX)
    sizes = [len(quantised(graph, ranges, Scheme(Precision.INT8, kept=k))) for k in ((), kept)]
    assert len(kept) > 1
    assert sizes[1] == pytest.approx(sizes[0], rel=2e-3)


def test_a_budget_that_nothing_keeps_to_is_an_error_with_the_best(problem, candidates):
    message = r"no int8 graph takes less than 50% of the budget.*at best, with \d of 4 layers in"
    with pytest.raises(ExportError, match=message):
        search(problem(0.0), candidates)
