"""The search for INT8 in a budget: nothing given back without need, the dearest layers first."""

import numpy as np
import pytest
import tiny_network
from tiny import gaussian_probe

from wnet_edge.calibration.ranges import RangeMethod, ranges_of
from wnet_edge.errors import ExportError
from wnet_edge.export.budget import Budget
from wnet_edge.export.held_out import MeasuredStrip
from wnet_edge.export.int8.search import MARGIN, SPARED_SHARE, Problem, search
from wnet_edge.export.run_graph import patches_on_processor
from wnet_edge.judging.yardstick import ScanPart, against_fp32
from wnet_edge.package.manifest import Precision
from wnet_edge.physics.instrument import Instrument
from wnet_edge.runner.graph.session_settings import X64_PRECISION

METHODS = (RangeMethod.MINMAX, RangeMethod.PERCENTILE_99_9)


def run(graph, counts):
    return patches_on_processor(graph, counts, {X64_PRECISION: True})


@pytest.fixture(scope="module")
def graph():
    return tiny_network.tiny_network(spread=4.0, channels=48)


@pytest.fixture(scope="module")
def candidates(graph):
    return ranges_of(graph, tiny_network.counts(16), METHODS)


@pytest.fixture(scope="module")
def problem(graph):
    """A raster of frames whose FP32 patches are the yardstick."""
    places = np.stack(np.divmod(np.arange(64), 8), axis=1) * 4.0
    size = tiny_network.WINDOW_PX
    counts = tiny_network.counts(64, seed=5)
    place = Instrument(gaussian_probe(size), size, 1, 1e-8)
    part = ScanPart("raster", np.arange(64), counts, places, place, 1e-8)
    fp32 = patches_on_processor(graph, counts)
    yardstick = against_fp32(part, fp32)
    accuracy = yardstick.accuracy(fp32)

    def with_budget(max_ssim_drop, layout=Precision.INT8):
        budget = Budget(max_ssim_drop=max_ssim_drop)
        return Problem(graph, layout, MeasuredStrip(yardstick, fp32, accuracy), run, budget)

    return with_budget


def test_a_wide_budget_gives_back_only_what_takes_few_bytes(problem, candidates):
    found = search(problem(2.0), candidates)
    whole = [trial for trial in found.trials if not trial.kept]
    assert [trial.method for trial in whole[:2]] == list(METHODS)
    assert not whole[-1].per_channel
    assert found.scheme.kept == {"conv_amplitude", "conv_phase"}
    assert len(found.content) <= (1 + SPARED_SHARE) * whole[0].size_bytes
    best = min(found.trials, key=lambda trial: trial.phase_rms_rad)
    assert set(best.kept) == found.scheme.kept
    assert (found.ranges.method, found.scheme.per_channel) == (best.method, best.per_channel)


def test_an_unsigned_graph_is_one_integer_path_where_the_budget_allows(problem, candidates):
    wide = search(problem(2.0, Precision.INT8_U8S8), candidates)
    assert wide.scheme.whole
    assert not wide.scheme.kept
    assert [trial.method for trial in wide.trials] == list(METHODS)
    least = min(trial.loss.ssim for trial in wide.trials)
    found = search(problem(0.9 * least / MARGIN, Precision.INT8_U8S8), candidates)
    assert not found.scheme.whole
    assert [trial.whole for trial in found.trials][: len(METHODS)] == [True] * len(METHODS)


def test_a_narrow_budget_gives_back_the_dearest_layers_too(problem, candidates):
    wide = search(problem(2.0), candidates)
    narrow = problem(0.9 * wide.trials[-1].loss.ssim / MARGIN)
    found = search(narrow, candidates)
    costs = [cost.phase_rms_rad for cost in found.costs]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) == tiny_network.LAYERS
    others = [c.layer.name for c in found.costs if c.layer.name not in wide.scheme.kept]
    more = len(found.scheme.kept) - len(wide.scheme.kept)
    assert found.scheme.kept == wide.scheme.kept.union(others[:more])
    assert more > 0
    assert found.trials[-1].loss.ssim <= MARGIN * narrow.budget.max_ssim_drop


def test_a_budget_that_nothing_keeps_to_is_an_error_with_the_best(problem, candidates):
    message = r"no int8 graph takes less than 40% of the budget.*at best, with \d of 4 layers in"
    with pytest.raises(ExportError, match=message):
        search(problem(0.0), candidates)
