"""Rows of the table of robustness: what is asked for is simulated, and the image is measured."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.robustness.conditions import GOOD, SERIES, Conditions
from benchmarks.robustness.light import first_light, with_modes
from benchmarks.robustness.measurement import measured
from benchmarks.robustness.sample import sample
from benchmarks.robustness.table import row_of
from wnet_edge.embedded import opened_package
from wnet_edge.framing.training_domain import probe_similarity
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions

pytestmark = pytest.mark.slow

FEW = 54
"""Three rows of the raster."""


@pytest.fixture(scope="module")
def opened():
    return open_best_graph(opened_package("w3"), RunnerOptions(provider=Provider.CPU))


def frames(opened, conditions, count=2):
    return measured(opened.package, conditions, count).scan.frames[:].astype(np.float64)


def test_a_row_is_an_image_near_the_truth_and_nearer_when_refined(opened):
    row = row_of(opened, GOOD, FEW)
    assert row.network.error.phase_correlation > 0.9
    assert row.refined.error.phase_correlation > row.network.error.phase_correlation
    assert row.refined.inference.refinement.passes == 5
    assert row.warnings == ()


def test_a_row_tells_what_infer_warns_of(opened):
    row = row_of(opened, replace(GOOD, beamstop_px=80), FEW)
    assert 0.15 < row.hidden < 0.25
    assert "hide" in row.warnings[0]


def test_rows_of_a_series_have_names_of_their_own():
    for series in SERIES.values():
        names = [name for name, _ in series.rows]
        assert len(set(names)) == len(names) > 3
    assert GOOD in [conditions for _, conditions in SERIES["flux"].rows]


def test_counts_are_those_of_the_flux(opened):
    bright, dim = (frames(opened, replace(GOOD, photons=photons)) for photons in (1e7, 1e5))
    assert bright.sum() == pytest.approx(100 * dim.sum(), rel=0.01)
    assert 0.5 < bright.sum(axis=(1, 2)).mean() / 1e7 < 1


def test_background_dead_pixels_and_a_beamstop_are_in_the_frames(opened):
    good = frames(opened, GOOD)
    lifted = frames(opened, replace(GOOD, background=0.3))
    assert lifted.sum() == pytest.approx(1.3 * good.sum(), rel=0.01)
    dead = measured(opened.package, replace(GOOD, dead_fraction=0.05, dead_masked=False), 2)
    assert (dead.scan.frames[:] == 0).all(axis=0).mean() > 0.04
    assert not dead.scan.mask.any()
    stopped = measured(opened.package, replace(GOOD, beamstop_px=32), 2)
    assert stopped.scan.mask.sum() == pytest.approx(np.pi * 16**2, rel=0.02)
    assert not stopped.scan.frames[:][:, stopped.scan.mask].any()


def test_a_blur_takes_contrast_from_the_frames(opened):
    good, blurred = frames(opened, GOOD), frames(opened, replace(GOOD, blur_px=2))
    assert blurred.sum() == pytest.approx(good.sum(), rel=0.01)
    assert np.abs(np.diff(blurred)).sum() < 0.7 * np.abs(np.diff(good)).sum()


def test_thin_slices_are_one_object_and_thick_ones_are_not(opened):
    good, thin, thick = (
        frames(opened, replace(GOOD, photons=1e9, slices=slices, thickness_um=thickness))
        for slices, thickness in ((1, 0), (3, 0.01), (3, 40))
    )
    off = [np.abs(np.sqrt(other) - np.sqrt(good)).sum() for other in (thin, thick)]
    assert off[1] > 3 * off[0]


def test_light_drifts_and_goes_out_of_focus(opened):
    probe, pixel_m = opened.package.probe, opened.package.manifest.object_pixel_size_m
    moved = first_light(probe, Conditions(defocus_um=8), pixel_m)
    assert probe_similarity(moved, probe) == pytest.approx(0.64, abs=0.02)
    good = frames(opened, GOOD, 3)
    for drift in ({"defocus_drift_um": 8}, {"shift_drift_px": 8}):
        drifted = frames(opened, replace(GOOD, **drift), 3)
        assert (drifted[0] == good[0]).all()
        assert np.abs(drifted[2] - good[2]).sum() > 2 * np.sqrt(good[2]).sum()


@pytest.mark.parametrize("count", [1, 2, 4, 5])
def test_modes_are_incoherent(opened, count):
    modes = with_modes(opened.package.probe, count)
    flat = modes.reshape(count, -1).astype(np.complex128)
    overlap = np.abs(flat @ flat.conj().T)
    further = slice(len(opened.package.probe), None)
    off = overlap[further] - np.diag(np.diag(overlap))[further]
    assert (off < 1e-3 * overlap.max()).all()


def test_objects_have_the_ranges_that_are_asked_for():
    drawn = sample(640, replace(GOOD, phase_rad=1.0, absorption=2.0))
    assert np.ptp(np.angle(drawn)) == pytest.approx(1, rel=0.01)
    assert np.ptp(np.log(np.abs(drawn))) == pytest.approx(2, rel=0.01)
    assert np.abs(drawn).max() <= 1
