"""A network that is trained further on a scan without labels."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from click.testing import CliRunner, Result
from tiny_training import Interrupted

from wnet_edge.cli import train as train_command
from wnet_edge.cli.main import group
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, zoo_checkpoint
from wnet_edge.errors import WNetEdgeError
from wnet_edge.training.checkpoint import Checkpoint, read_checkpoint

pytestmark = pytest.mark.slow
TUNE = ("train", "--self-supervised", "--device", "cpu")


def call(*words: object) -> Result:
    return CliRunner().invoke(group, [str(word) for word in words])


def done(*words: object) -> Result:
    result = call(*words)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def fails(*words: object) -> str:
    result = call(*words)
    assert isinstance(result.exception, WNetEdgeError), result.output
    message = str(result.exception)
    assert "\n" not in message
    return message


def simulated(path: Path, frames: int = 196) -> Path:
    """Of structure that W3 finds hard, so that there is something to gain; without labels."""
    words = ("--family", "dots", "--photons", "1e7", "--step-px", "14", "--seed", "7")
    done("simulate", "--probe", "example:scan247", "--frames", frames, *words, "-o", path)
    with h5py.File(path, "a") as file:
        del file["entry_1/labels"]
    return path


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulated(tmp_path_factory.mktemp("sample") / "sample.cxi")


@pytest.fixture(scope="module")
def tuned(scan: Path) -> Path:
    path = scan.parent / "tuned.safetensors"
    result = done(*TUNE, "--data", scan, "--init", "w3", "--epochs", 2, "-o", path)
    assert "R-factor of held-out frames" in result.stdout
    assert "It is now for the sample of sample.cxi alone" in result.stdout
    told = result.stderr.splitlines()
    assert told[0].startswith("R-factor of ")
    assert [line[:9] for line in told[1:3]] == ["epoch 1/2", "epoch 2/2"]
    return path


def weights(path: Path) -> tuple[Checkpoint, dict[str, bytes]]:
    checkpoint = read_checkpoint(path)
    return checkpoint, {n: t.numpy().tobytes() for n, t in checkpoint.tensors.items()}


def test_held_out_frames_are_explained_better_and_the_record_says_so(scan: Path, tuned: Path):
    record = read_checkpoint(tuned).record
    held_out = record.settings["held_out"]
    assert held_out["r_factor_after"] < 0.98 * held_out["r_factor_before"]
    assert held_out["r_factor_after"] == record.history[-1]["held_out_r_factor"]
    assert record.settings["data"]["source"] == "self-supervised"
    assert record.settings["data"]["file"] == scan.name
    assert record.settings["initial"]["file"] == "w3-cnm26id.safetensors"
    curve = tuned.with_suffix(".csv").read_text("utf-8").splitlines()
    assert curve[0] == "epoch,training_loss,held_out_r_factor,learning_rate,seconds"
    assert len(curve) == 3
    assert not list(scan.parent.glob("*.unfinished.*"))


def test_an_interrupted_training_ends_with_the_same_weights(
    scan: Path, tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    class Stopped(Interrupted):
        def fit(self, epoch: int, values: dict[str, float]) -> None:
            super(Interrupted, self).fit(epoch, values)
            raise KeyboardInterrupt

    path, unfinished = tmp_path / "t.safetensors", tmp_path / "t.unfinished.safetensors"
    words = (*TUNE, "--data", scan, "--epochs", 2, "-o", path)
    with monkeypatch.context() as patched:
        patched.setattr(train_command, "Progress", Stopped)
        message = fails(*words, "--init", "w3")
    assert f"{unfinished} holds all completed epochs" in message
    assert read_checkpoint(unfinished).record.epoch == 1
    assert not path.exists()
    assert "go on with --resume" in fails(*words, "--init", "w3")
    different = (*TUNE, "--data", scan, "--epochs", 3, "-o", path, "--resume")
    assert "trained with a different epochs" in fails(*different)
    done(*words, "--resume")
    assert not unfinished.exists()
    (broken, resumed), (unbroken, straight) = weights(path), weights(tuned)
    assert resumed == straight
    assert broken.record.settings == unbroken.record.settings
    before = path.read_bytes()
    assert "nothing to do" in done(*words, "--resume").stderr
    assert path.read_bytes() == before


def test_another_training_is_not_resumed(tmp_path: Path):
    path, unfinished = tmp_path / "t.safetensors", tmp_path / "t.unfinished.safetensors"
    for other in (unfinished, path):
        other.write_bytes(zoo_checkpoint("w3").read_bytes())
        message = fails(*TUNE, "--data", EXAMPLE_SCAN, "--resume", "-o", path)
        assert message.startswith(f"{other}: is no self-supervised training")
        other.unlink()


def test_another_seed_gives_other_weights(scan: Path, tuned: Path, tmp_path: Path):
    words = ("--data", scan, "--init", "w3", "--epochs", 2, "--seed", 1)
    done(*TUNE, *words, "-o", tmp_path / "t.safetensors")
    assert weights(tmp_path / "t.safetensors")[1] != weights(tuned)[1]


def test_what_gains_nothing_is_not_written(scan: Path, tmp_path: Path):
    words = ("--data", scan, "--init", "w3", "--epochs", 1, "--lr", 0.02)
    message = fails(*TUNE, *words, "-o", tmp_path / "t.safetensors")
    assert "not written, for the R-factor of the held-out frames went from" in message
    assert message.endswith("with `wnet-edge infer --refine`")
    assert not list(tmp_path.iterdir())


def test_a_package_of_it_says_how_it_was_trained(scan: Path, tuned: Path, tmp_path: Path):
    package = tmp_path / "tuned.wnet"
    words = ("--calibration", scan, "--precision", "fp32")
    result = done("export", "--checkpoint", tuned, *words, "-o", package, "--allow-untrained")
    assert "was trained on this scan, though without labels" in result.stderr
    shown = done("inspect", package, "--json").stdout
    assert "self-supervised, stitched" in shown
    assert "held_out.r_factor_after" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("--model", "w3"),
        ("--input", "frame"),
        ("--width", "2"),
        ("--window", "64"),
        ("--probe", "a"),
        ("--frames-per-epoch", "9"),
        ("--fixed",),
        ("--family", "dots"),
        ("--labels", EXAMPLE_REFERENCE),
        ("--augment",),
        ("--no-augment",),
        ("--recipe", "paper"),
        ("--phase-error", "chord"),
        ("--freeze-norm",),
        ("--workers", "1"),
        ("--tensorboard", "a"),
    ],
    ids=lambda words: words[0],
)
def test_options_without_a_meaning_are_refused_by_name(words: tuple[object, ...], tmp_path: Path):
    path = tmp_path / "t.safetensors"
    result = call(*TUNE, "--data", EXAMPLE_SCAN, "--init", "w3", *words, "-o", path)
    assert result.exit_code == 2
    assert str(words[0]).replace("--no-", "--") in result.stderr.replace("--no-", "--")
    assert "has no meaning with --self-supervised" in result.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--init", "w3"), "--self-supervised goes with --data"),
        (("--data", EXAMPLE_SCAN), "needs a trained network; give --init"),
        (("--data", EXAMPLE_SCAN, "--resume"), "t.unfinished.safetensors is not there to resume"),
        (("--data", EXAMPLE_SCAN, "--resume", "--init", "w3"), "a new training"),
    ],
)
def test_what_is_missing_is_named(words: tuple[object, ...], message: str, tmp_path: Path):
    result = call(*TUNE, *words, "-o", tmp_path / "t.safetensors")
    assert result.exit_code == 2
    assert message in result.stderr


def test_networks_and_scans_that_do_not_fit_are_refused(scan: Path, tmp_path: Path):
    path = tmp_path / "t.safetensors"
    words = (*TUNE, "--init", "w3", "-o", path)
    assert "w9: " in fails(*TUNE, "--init", "w9", "--data", scan, "-o", path)
    assert "take a larger scan" in fails(*words, "--data", simulated(tmp_path / "s.cxi", 16))
    few = ("--data", scan, "--batch-size", 100)
    assert "give a smaller --batch-size" in fails(*words, *few)
    other = tmp_path / "other.npz"
    np.savez(other, frames=np.ones((4, 48, 48), np.float32))
    assert str(other) in fails(*words, "--data", other)
    assert not path.exists()
