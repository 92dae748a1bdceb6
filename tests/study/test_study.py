"""The study: from training to page in small, judged rightly, honest about what is not done."""

from dataclasses import asdict, fields, replace

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.study.claims import SETS, Verdict, aims, paper_claims
from benchmarks.study.plan import FULL, QUICK, ROOT, Run
from benchmarks.study.report import report
from benchmarks.study.results import (
    Ceiling,
    NetworkCost,
    Outcome,
    Pair,
    Reconstructed,
    Results,
)
from benchmarks.study.scan247 import open_scan247
from benchmarks.study.steps import Folders, run_steps
from benchmarks.study.train import training_frames, training_options
from wnet_edge.cli.main import group
from wnet_edge.comparing.comparison import Comparison
from wnet_edge.comparing.patch_errors import PatchErrors
from wnet_edge.models.registry import ModelName, NetworkInput
from wnet_edge.training.checkpoint import read_checkpoint

LARGEST_PICTURE_BYTES = 150_000


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """The quick study, run from end to end."""
    folders = Folders.under(tmp_path_factory.mktemp("study"))
    run_steps(QUICK, folders, [])
    return folders


@pytest.fixture(scope="module")
def scan():
    return open_scan247()


def test_the_quick_study_goes_from_training_to_page(quick):
    page = (quick.docs / "study.md").read_text("utf-8")
    results = Results(quick.results)
    for run in QUICK.needed:
        outcome = results.outcome(run.name)
        assert outcome is not None
        assert outcome.done
        assert set(outcome.patches) == set(SETS)
        assert set(outcome.images) == {
            f"{way}/{part}" for way in ("ours", "centres") for part in ("whole", "report")
        } | {"ours/converged"}
        assert f"`{run.name}` | done" in page
    assert "W1 | not run yet (epoch 0 of 1)" in page
    assert "| **not measured yet** | not trained to the end: W1" in page
    pictures = sorted((quick.docs / "figures").iterdir())
    assert len(pictures) == 4
    for picture in pictures:
        assert picture.stat().st_size < LARGEST_PICTURE_BYTES
        assert f"(figures/{picture.name})" in page


def test_what_is_done_is_not_done_again(quick):
    def times():
        files = [*quick.checkpoints.rglob("*"), *quick.results.glob("[nc]*.json")]
        return {path: path.stat().st_mtime_ns for path in files}

    before = times()
    assert len(before) > 6
    run_steps(QUICK, quick, ["train", "networks", "ceiling"])
    assert times() == before


def test_the_page_needs_results_alone(quick):
    page = (quick.docs / "study.md").read_text("utf-8")
    there = {path.name for path in (quick.docs / "figures").iterdir()}
    assert report(QUICK, Results(quick.results), "figures", there) == page
    assert "![" not in report(QUICK, Results(quick.results), "figures", set())


def test_the_page_in_the_repository_is_what_its_results_say():
    there = {path.name for path in (ROOT / "docs" / "figures").glob("study_*.png")}
    results = Results(ROOT / "benchmarks" / "study" / "results")
    page = (ROOT / "docs" / "study.md").read_text("utf-8")
    assert report(FULL, results, "figures", there) == page, "run `make study-report`"
    for name in there:
        assert (ROOT / "docs" / "figures" / name).stat().st_size < LARGEST_PICTURE_BYTES


def test_the_command_of_a_run_trains_the_run(quick, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    run = QUICK.full
    program, *words = run.command(tmp_path).split()
    assert program == "wnet-edge"
    called = CliRunner().invoke(group, words, catch_exceptions=False)
    assert called.exit_code == 0
    by_command, by_study = (
        read_checkpoint(run.checkpoint(folder)) for folder in (tmp_path, quick.checkpoints)
    )
    assert by_command.record.settings == by_study.record.settings
    for name, tensor in by_study.tensors.items():
        if name.startswith("model."):
            np.testing.assert_array_equal(by_command.tensors[name].numpy(), tensor.numpy())


def test_the_full_study_has_equal_training_and_what_the_paper_varies():
    main = FULL.main(NetworkInput.FRAME)
    assert [run.model for run in main] == list(ModelName)
    assert len({replace(run, model=ModelName.W1) for run in main}) == 1
    assert set(main) <= set(FULL.needed)
    assert set(FULL.main(NetworkInput.BACK_PROJECTED)) <= set(FULL.runs)
    assert len(set(FULL.runs)) == len(FULL.runs)
    for field, values in {"frames": {4000, 1000, 400}, "epochs": {20, 10}}.items():
        for model in (ModelName.PTYCHONN, ModelName.W1, ModelName.W3):
            runs = FULL.varied(field)[model]
            assert {getattr(r, field) for r in runs if r in FULL.needed} == values
    assert FULL.full.name == "ptychonn-frame-n4000-e20-lr0.001-s0"
    options = training_options(FULL.full)
    assert (options.epochs, options.recipe.learning_rate, options.seed) == (20, 1e-3, 0)


def test_training_never_draws_a_held_out_family(scan):
    described = training_frames(FULL.full, scan.instrument).describe()
    assert described["families"] == ["thresholded", "labyrinth", "edges", "smooth"]
    assert described["fixed"] is True


# ---- judging -------------------------------------------------------------------------------------


def compared(correlation: float) -> Comparison:
    values = {field.name: correlation for field in fields(Comparison)}
    return Comparison(**values | {"shift_px": (0.0, 0.0), "ramp_rad_per_px": (0.0, 0.0)})


def outcome(run: Run, phase_mae_rad: float, *, validation=0.3, correlation=0.9) -> Outcome:
    errors = replace(PatchErrors(*[0.1] * 8), phase_mae_rad=phase_mae_rad)
    entry = {"validation_phase_mae_rad": validation, "validation_amplitude_mae": 0.1, "seconds": 9}
    ways = ("ours/whole", "ours/report", "ours/converged", "centres/whole", "centres/report")
    images = dict.fromkeys(ways, compared(correlation))
    return Outcome(run.epochs, run.epochs, "now", [entry], dict.fromkeys(SETS, errors), images)


@pytest.fixture
def results(tmp_path):
    """W1 and W2 better than PtychoNN, W3 worse, all runs of the plan done."""
    made = Results(tmp_path / "results")
    errors = {"ptychonn": 0.25, "w1": 0.2, "w2": 0.18, "w3": 0.26}
    for run in FULL.needed:
        less = 0.02 * (run.frames < 4000) + 0.02 * (run.epochs < 20)
        made.write_outcome(run.name, outcome(run, errors[run.model.value] + less), "test")
    made.write_networks(
        {
            "ptychonn-frame": NetworkCost(
                1_247_074, 402_000_000, 5_000_000, {"1": 12.0, "8": 12.0}
            ),
            "w3-frame": NetworkCost(103_000, 16_000_000, 400_000, {"1": 1.2, "8": 1.0}),
            "w3-back-projected": NetworkCost(103_000, 26_000_000, 700_000, {"1": 1.5, "8": 1.1}),
        },
        "test",
    )
    return made


def verdict(claims, said) -> Verdict:
    (found,) = [claim.verdict for claim in claims if claim.said.startswith(said)]
    return found


def test_claims_are_judged_by_the_numbers(results):
    claims = paper_claims(FULL, results)
    assert verdict(claims, "W1 beats PtychoNN in phase at equal") is Verdict.HELD
    assert verdict(claims, "W1 needs less data") is Verdict.HELD
    assert verdict(claims, "W1 needs fewer epochs") is Verdict.HELD
    assert verdict(claims, "W2 is best in phase of") is Verdict.HELD
    assert verdict(claims, "W3 matches PtychoNN in phase") is Verdict.NOT_HELD
    assert verdict(claims, "W3 has 8.26 %") is Verdict.HELD
    assert verdict(claims, "W3 runs in 0.738") is Verdict.HELD
    assert verdict(claims, "The values") is Verdict.NOT_TESTABLE
    assert "0.220 rad with 400 frames, PtychoNN 0.250 with 4,000" in str(claims)


def test_one_set_on_which_it_is_worse_undoes_a_claim(results):
    run = Run(ModelName.W1)
    known = outcome(run, 0.2)
    worse = {**known.patches, "dots": replace(known.patches["dots"], phase_mae_rad=0.3)}
    results.write_outcome(run.name, replace(known, patches=worse), "test")
    claims = paper_claims(FULL, results)
    assert verdict(claims, "W1 beats PtychoNN in phase at equal") is Verdict.NOT_HELD
    assert "3 of 4 sets" in str(claims)


def test_claims_wait_for_trainings_that_are_not_done(results):
    run = Run(ModelName.PTYCHONN)
    results.write_outcome(run.name, Outcome(3, 20, "now", [], {}, {}), "test")
    claims = paper_claims(FULL, results)
    assert verdict(claims, "W1 beats PtychoNN in phase at equal") is Verdict.PENDING
    assert verdict(claims, "W1 needs less data") is Verdict.PENDING
    assert verdict(claims, "W3 has 8.26 %") is Verdict.HELD
    page = report(FULL, results, "figures", set())
    assert "| PtychoNN | not run yet (epoch 3 of 20) |" in page
    assert "Not measured yet." in page  # the ceiling


def test_too_little_is_not_enough_for_less_data_suffices(results):
    for run in FULL.needed:
        if run.model is ModelName.W1 and run.frames < 4000:
            results.write_outcome(run.name, outcome(run, 0.3), "test")
    assert verdict(paper_claims(FULL, results), "W1 needs less data") is Verdict.NOT_HELD


def test_the_best_rate_is_the_one_that_validates_best(results):
    fast = Run(ModelName.W3, learning_rate=3e-3)
    results.write_outcome(fast.name, outcome(fast, 0.2, validation=0.2), "test")
    claims = paper_claims(FULL, results)
    assert verdict(claims, "W3 matches PtychoNN, each at its best rate") is Verdict.HELD
    assert verdict(claims, "W3 matches PtychoNN in phase") is Verdict.NOT_HELD


def test_seeds_are_averaged(results):
    for seed in (1, 2):
        run = Run(ModelName.W3, seed=seed)
        results.write_outcome(run.name, outcome(run, 0.23), "test")
    assert verdict(paper_claims(FULL, results), "W3 matches PtychoNN in phase") is Verdict.HELD


def test_aims_are_told_as_a_share_of_the_ceiling(results):
    pairs = [Pair(FULL.converged, "the published reference", compared(0.95))]
    made = [Reconstructed(FULL.converged, 481, 0.07, 60.0)]
    results.write_ceiling(Ceiling(made, pairs), "test")
    assert results.ceiling() == Ceiling(made, pairs)
    assert "published reference, 0.9500" in " ".join(
        report(FULL, results, "figures", set()).split()
    )
    claims = aims(FULL, results)
    assert verdict(claims, "Stitched phase of W3") is Verdict.NOT_HELD
    assert "94.7 % of the ceiling, 0.950; the aim is above the ceiling" in str(claims)
    assert verdict(claims, "W3, back-projected, takes at most 0.10") is Verdict.HELD
    assert verdict(claims, "W3, back-projected, is no worse") is Verdict.NOT_HELD


def test_results_come_back_as_they_were_written(results):
    run = Run(ModelName.W1)
    known = replace(
        outcome(run, 0.2), images={"ours/whole": replace(compared(0.9), resolution_m=np.nan)}
    )
    results.write_outcome(run.name, known, "test")
    again = results.outcome(run.name)
    assert again is not None
    assert str(asdict(again)) == str(asdict(known))  # NaN is not equal to itself


# ---- measuring -----------------------------------------------------------------------------------
