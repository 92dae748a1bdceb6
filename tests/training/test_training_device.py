"""Training on the processor or on a card: what auto takes, what is refused, what goes on where."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_training import QUIET, Interrupted, options, supply

from wnet_edge.errors import TrainingError
from wnet_edge.training.checkpoint import load_network, read_checkpoint, write_checkpoint
from wnet_edge.training.device import PROCESSOR, DeviceName, training_device
from wnet_edge.training.loop import train
from wnet_edge.training.progress import Progress

needs_card = pytest.mark.skipif(
    training_device(DeviceName.AUTO).type != "cuda", reason="PyTorch sees no NVIDIA card here"
)


def broken_off(path: Path, device: torch.device = PROCESSOR) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(supply(), options(), path, device=device, progress=Interrupted(2, 2))


def test_auto_takes_the_processor_where_there_is_no_card():
    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    assert training_device(DeviceName.AUTO) == training_device(DeviceName.CPU) == PROCESSOR


def test_a_card_that_is_not_there_is_refused_in_one_line(call, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a card")
    checkpoint = tmp_path / "c.safetensors"
    words = ("--probe", "example:scan247", "-o", checkpoint, "--device", "cuda")
    code, out, err = call("train", "--model", "w3", *words)
    assert (code, out) == (1, "")
    assert err.startswith("Error: --device cuda: PyTorch ")
    assert err.endswith(
        "; give --device cpu, or install NVIDIA's driver and a PyTorch that was built for it\n"
    )
    assert err.count("\n") == 1
    assert not checkpoint.exists()


def test_a_pytorch_without_cuda_says_so(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(TrainingError, match=r"can't use a GPU here \(it was built without CUDA\)"):
        training_device(DeviceName.CUDA)
    assert training_device(DeviceName.AUTO) == PROCESSOR


def test_going_on_on_another_device_is_warned_of_and_ends_the_same(tmp_path, capfd):
    stayed, moved = tmp_path / "stayed", tmp_path / "moved"
    train(supply(), options(), stayed, progress=QUIET)
    broken_off(moved)
    begun = read_checkpoint(moved)
    elsewhere = replace(begun.record, device="cuda")
    write_checkpoint(moved, elsewhere, begun.instrument, begun.tensors)
    capfd.readouterr()
    record = train(supply(), options(), moved, resume=True, progress=Progress(2, 2))
    assert "Warning: trained on cuda so far, continues on cpu: " in capfd.readouterr().err
    assert record.device == "cpu"
    weights = [read_checkpoint(path).tensors for path in (stayed, moved)]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
    train(supply(), options(), moved, resume=True, progress=Progress(2, 2))
    assert "Warning" not in capfd.readouterr().err


def test_going_on_on_the_same_device_is_not_warned_of(tmp_path, capfd):
    broken_off(tmp_path / "c")
    train(supply(), options(), tmp_path / "c", resume=True, progress=Progress(2, 2))
    assert "Warning" not in capfd.readouterr().err


@needs_card
@pytest.mark.gpu
@pytest.mark.parametrize("second", ["cpu", "cuda"])
def test_a_card_trains_and_its_checkpoint_goes_on_anywhere(tmp_path, second):
    card = training_device(DeviceName.CUDA)
    on_processor = train(supply(), options(), tmp_path / "p", progress=QUIET)
    broken_off(tmp_path / "c", card)
    other = card if second == "cuda" else PROCESSOR
    record = train(supply(), options(), tmp_path / "c", resume=True, device=other, progress=QUIET)
    assert record.device == second
    for one, same in zip(record.history, on_processor.history, strict=True):
        assert one["training_loss"] == pytest.approx(same["training_loss"], rel=1e-2)
    network, _ = load_network(tmp_path / "c")
    assert {parameter.device.type for parameter in network.parameters()} == {"cpu"}
