"""One command from a scan to a package that images it, interrupted and gone on with."""

import json
from pathlib import Path

import numpy as np
import pytest
from small_instrument import write_small_scan

from wnet_edge.adapt.job import run_adapt
from wnet_edge.adapt.options import AdaptOptions, AdaptOutputs
from wnet_edge.adapt.watch import Watch
from wnet_edge.errors import CheckpointError, TrainingError
from wnet_edge.host.inputs import one_command
from wnet_edge.package.manifest import Grade, Precision
from wnet_edge.package.opening import open_package
from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.progress import Progress

pytestmark = pytest.mark.slow

MINUTES = 2.0
"""Enough for a few epochs on a busy machine; the network is a poor one."""


class _StoppedOnce(Progress):
    """Somebody presses Ctrl-C when the first epoch has ended."""

    def epoch(self, *_: object) -> None:
        raise KeyboardInterrupt


class _Told:
    """Keeps what is told on the way."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.starts = []

    def watch(self, progress: type[Progress]) -> Watch:
        def training(epochs: int, batches: int) -> Progress:
            return progress(epochs, batches, shown=False)

        return Watch(self.lines.append, lambda _: None, self.starts.append, training)


@pytest.fixture(scope="module")
def adapted(tmp_path_factory):
    """A package that was made in two runs, the first of which was interrupted."""
    folder = tmp_path_factory.mktemp("adapt")
    scan = write_small_scan(folder / "scan.cxi")
    options = AdaptOptions(scan, minutes=MINUTES, precisions=(Precision.FP32,))
    package = folder / "mine.wnet"
    told = _Told()
    with pytest.raises(KeyboardInterrupt):
        run_adapt(options, AdaptOutputs(package, None), told.watch(_StoppedOnce))
    assert not package.exists()
    first = read_checkpoint(folder / "mine.safetensors")
    picture = folder / "mine.png"
    outputs = AdaptOutputs(package, picture, resume=True)
    with one_command():  # as on the command line, where no input may be written over
        done = run_adapt(options, outputs, told.watch(Progress))
    return folder, told, first, done


def test_a_run_goes_on_where_it_was_interrupted(adapted):
    folder, told, first, done = adapted
    last = read_checkpoint(folder / "mine.safetensors").record
    assert first.record.epoch == 1
    assert last.history[0] == first.record.history[0]
    assert told.starts[1].done_epochs == 1
    assert last.epoch == told.starts[0].plan.epochs
    assert done.frames_trained == sum(epoch["frames"] for epoch in last.history)


def test_the_budget_holds_over_both_runs(adapted):
    _, _, first, done = adapted
    spent_s = done.seconds + first.record.history[0]["seconds"]
    # The first run looked at the scan, too; a busy machine may be late at the end.
    assert spent_s < 60 * MINUTES * 1.5


def test_the_package_says_how_it_was_made_and_how_good_it_is(adapted):
    folder, told, _, _ = adapted
    package = open_package(folder / "mine.wnet")
    adaptation = package.manifest.adaptation
    assert adaptation.scan == "scan.cxi"
    assert adaptation.frames == 100
    assert adaptation.grade in Grade
    assert adaptation.refined.r_factor < adaptation.image.r_factor < adaptation.image.r_blank
    assert any("window of 64 px" in line for line in adaptation.choices)
    assert package.manifest.training.counts.low < adaptation.median_counts
    assert told.lines[0].startswith("probe: /entry_1")


def test_its_scan_is_imaged_and_the_picture_drawn(adapted, call, monkeypatch):
    folder, _, _, _ = adapted
    monkeypatch.chdir(folder)
    code, out, _ = call("infer", "scan.cxi", "--package", "mine.wnet", "--no-image", "--json")
    assert code == 0
    assert json.loads(out.splitlines()[-1])["frames_processed"] == 100
    assert (folder / "mine.png").read_bytes().startswith(b"\x89PNG")


def test_the_model_card_tells_it(adapted, call):
    folder, _, _, _ = adapted
    code, out, _ = call("inspect", folder / "mine.wnet", "--card")
    assert code == 0
    manifest = open_package(folder / "mine.wnet").manifest
    for told in (
        "# mine: w3",
        "must not be used for",
        "`scan.cxi`",
        manifest.adaptation.grade.value,
    ):
        assert told in out
    assert f"{manifest.adaptation.image.r_factor:.3f}" in out


def test_another_scan_or_budget_does_not_go_on(adapted, tmp_path):
    folder, told, _, _ = adapted
    outputs = AdaptOutputs(folder / "mine.wnet", None, resume=True, force=True)
    watch = told.watch(Progress)
    other = AdaptOptions(folder / "scan.cxi", minutes=2 * MINUTES)
    with pytest.raises(CheckpointError, match=r"--minutes 2.* --force"):
        run_adapt(other, outputs, watch)
    scan = write_small_scan(tmp_path / "other.cxi", frames=81)
    with pytest.raises(CheckpointError, match="begun for another scan"):
        run_adapt(AdaptOptions(scan, minutes=MINUTES), outputs, watch)


def test_too_short_a_time_is_refused_before_training(tmp_path):
    scan = write_small_scan(tmp_path / "scan.cxi")
    outputs = AdaptOutputs(tmp_path / "mine.wnet", None)
    with pytest.raises(TrainingError, match=r"give at least .* --minutes more"):
        run_adapt(AdaptOptions(scan, minutes=0.1), outputs, _Told().watch(Progress))
    assert sorted(tmp_path.iterdir()) == [scan]


def test_the_refusal_of_another_instrument_s_scan_is_a_command_to_paste(
    tmp_path: Path, call, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write_small_scan(tmp_path / "a scan.cxi")
    np.save(tmp_path / "mask.npy", np.zeros((64, 64), np.uint8))
    code, _, err = call(
        *("infer", "a scan.cxi", "--mask", "mask.npy", "--refine", "3", "--orientation", "auto")
    )
    assert code == 1
    assert err.endswith(
        "make a package for this instrument: wnet-edge adapt 'a scan.cxi' --mask mask.npy\n"
    )
