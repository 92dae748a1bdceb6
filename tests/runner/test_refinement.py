"""Refined images and corrected positions, from the command line to the result file."""

import json

import h5py
import numpy as np
import pytest

pytest.importorskip("scipy")

from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.io.images.result_file import read_result


@pytest.fixture
def infer(call, tmp_path, monkeypatch):
    """Runs `infer` on the embedded scan; what it says, and the result."""
    monkeypatch.chdir(tmp_path)

    def run(*words):
        code, out, err = call("infer", "example:scan247", "-o", "out.h5", "--json", *words)
        assert code == 0, err
        return json.loads(out.splitlines()[-1]), read_result(tmp_path / "out.h5")

    return run


def test_passes_lower_the_r_factor_and_are_recorded(infer):
    told, result = infer("--refine", "3", "--no-image")
    refinement = told["refinement"]
    assert refinement["passes"] == 3
    assert refinement["stopped"] == "as many as asked for"
    assert len(refinement["r_factors"]) == 4
    assert refinement["r_factors"] == sorted(refinement["r_factors"], reverse=True)
    assert told["r_factor"] < 0.080
    assert told["trusted"]
    recorded = result.process.refinement
    assert recorded["passes"] == 3
    assert recorded["r_factors"] == pytest.approx(refinement["r_factors"])
    assert np.isfinite(result.phase).all()


def test_auto_stops_when_passes_no_longer_pay(infer):
    told, _ = infer("--refine", "auto", "--no-image")
    assert told["refinement"]["stopped"] == "a pass gains less than 1 %"
    assert 3 <= told["refinement"]["passes"] <= 8
    assert told["r_factor"] < 0.075


def test_positions_that_a_stage_did_not_keep_are_corrected(infer, tmp_path):
    with h5py.File(EXAMPLE_SCAN) as file:
        true_m = file["entry_1/sample_1/geometry_1/translation"][:, :2]
    error_m = np.random.default_rng(4).normal(0, 60e-9, true_m.shape)
    np.savetxt(tmp_path / "off.csv", true_m + error_m, delimiter=",", header="x_m,y_m", comments="")
    wrong, _ = infer("--positions", "off.csv", "--no-image")
    assert not wrong["trusted"]
    (hint,) = [line for line in wrong["warnings"] if "--refine-positions" in line]
    assert "trusted" in hint
    told, result = infer("--positions", "off.csv", "--no-image", "--force", "--refine-positions")
    assert told["r_factor"] < 0.095
    assert told["trusted"]
    assert told["position_correction"]["correction"] == "each"
    assert told["position_correction"]["rms_px"] == pytest.approx(5.3, abs=0.7)
    assert "kept as they were" in result.process.scan["position_correction"]
    with h5py.File(tmp_path / "out.h5") as file:
        found = file["entry/sample/positions"]
        found_m = np.stack([found["x"][()], found["y"][()]], axis=1)
    off_m = found_m - true_m
    off_m -= off_m.mean(axis=0)
    assert np.sqrt(np.mean(np.sum(off_m**2, axis=1))) < 1.5 * 15.85e-9


def test_passes_take_positions_and_probe_further(infer, tmp_path):
    held, _ = infer("--refine", "5", "--no-image")
    told, result = infer(
        "--refine", "5", "--refine-positions", "--refine-probe", "--no-image", "--force"
    )
    assert told["r_factor"] < 0.95 * held["r_factor"]
    refinement = told["refinement"]
    assert 0.05 < refinement["positions_moved_px"] < 1
    assert 0.01 < refinement["probe_change"] < 0.5
    assert held["refinement"]["positions_moved_px"] == held["refinement"]["probe_change"] == 0
    assert result.process.refinement["probe_change"] == pytest.approx(refinement["probe_change"])
    with h5py.File(tmp_path / "out.h5") as file, h5py.File(EXAMPLE_SCAN) as scan:
        found = file["entry/instrument/beam/illumination"][()]
        given = scan["entry_1/instrument_1/source_1/illumination"][()]
    likeness = np.abs(np.vdot(found, given)) / (np.linalg.norm(found) * np.linalg.norm(given))
    assert 0.9 < likeness < 0.9999


def test_an_image_that_passes_would_spoil_is_left_as_it_was(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = ("--frames", "25", "--step-px", "6", "--photons", "100")
    assert call("simulate", "-o", "dim.cxi", "--probe", "example:scan247", *few)[0] == 0
    images = []
    for refine in ((), ("--refine", "3", "--refine-probe")):
        code, out, _ = call(
            "infer", "dim.cxi", "-o", "out.h5", "--no-image", "--force", "--json", *refine
        )
        assert code == 0
        images.append(read_result(tmp_path / "out.h5").phase)
    told = json.loads(out.splitlines()[-1])["refinement"]
    assert told["passes"] == told["probe_change"] == 0
    assert told["stopped"].startswith("passes raise it to")
    np.testing.assert_array_equal(*images)


@pytest.mark.usefixtures("here")
def test_a_probe_is_refined_in_passes_only(call):
    code, _, err = call("infer", "scan.cxi", "--package", "known.wnet", "--refine-probe")
    assert code == 2
    assert "--refine N" in err


@pytest.mark.usefixtures("here")
def test_refine_takes_a_number_or_auto(call):
    for wrong in ("0", "many", "-1"):
        code, _, err = call("infer", "scan.cxi", "--package", "known.wnet", "--refine", wrong)
        assert code == 2
        assert "--refine" in err
