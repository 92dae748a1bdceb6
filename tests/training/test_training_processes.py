"""Several processes train one network as one process would."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torchrun_training import KINDS

from wnet_edge.training.checkpoint import read_checkpoint

ROOT = Path(__file__).parents[2]
PROGRAM, TORCHRUN = (Path(sys.executable).with_name(n) for n in ("wnet-edge", "torchrun"))
TWO = (TORCHRUN, "--standalone", "--nproc-per-node", "2")
MEASURED = (
    *("--data", ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"),
    *("--labels", ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"),
)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same trainings by one process and by two."""
    one, two = (tmp_path_factory.mktemp("processes") / name for name in ("one", "two"))
    script = Path(__file__).parents[1] / "torchrun_training.py"
    # The probe made for the tests differs in its last bits with the threads of linear algebra.
    threads = {**os.environ, "OMP_NUM_THREADS": "1"}
    for words in ([sys.executable, script, one], [*TWO, script, two]):
        done = subprocess.run(words, capture_output=True, text=True, check=False, env=threads)
        assert done.returncode == 0, done.stderr
    return one, two


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_give_the_curve_of_one_with_frozen_norms(folders, kind: str):
    one, two = (read_checkpoint(folder / f"{kind}.safetensors") for folder in folders)
    assert one.record.settings == two.record.settings
    assert len(one.record.history) == len(two.record.history) == 2
    for alone, together in zip(one.record.history, two.record.history, strict=True):
        for name in alone.keys() - {"seconds"}:
            assert together[name] == pytest.approx(alone[name], rel=1e-4), name
    for name in (n for n in one.tensors if n.startswith("model.")):
        torch.testing.assert_close(one.tensors[name], two.tensors[name], rtol=1e-2, atol=1e-3)


def test_the_command_trains_under_torchrun_and_only_the_first_process_speaks(tmp_path: Path):
    checkpoint = tmp_path / "c.safetensors"
    words = ("--model", "w3", *MEASURED, "--epochs", "1", "-o", checkpoint)
    done = subprocess.run(
        [*TWO, "--no-python", PROGRAM, "train", *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("after 1 epochs") == 1
    assert done.stderr.count("epoch 1/1") == 1
    assert "Warning" not in done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.csv", "c.safetensors"]
    assert read_checkpoint(checkpoint).record.epoch == 1


def test_ctrl_c_leaves_the_last_whole_epoch_and_says_how_to_go_on(tmp_path: Path):
    checkpoint = tmp_path / "c.safetensors"
    words = ("train", "--model", "w3", *MEASURED, "--epochs", "99", "--force", "-o", checkpoint)
    with subprocess.Popen([PROGRAM, *words], stderr=subprocess.PIPE, text=True) as running:
        lines = iter(running.stderr)
        assert any(line.startswith("epoch 1/99") for line in lines)
        running.send_signal(signal.SIGINT)
        last = [line for line in lines if not line.startswith("epoch ")]
    assert running.returncode == 1
    (line,) = last
    assert line.startswith(
        f"Error: interrupted, {checkpoint} holds all completed epochs; continue: "
    )
    assert line.endswith(f"--epochs 99 -o {checkpoint} --resume\n")
    assert 1 <= read_checkpoint(checkpoint).record.epoch < 99
