"""An interrupted training that goes on ends where an unbroken one does, whatever feeds it."""

import csv
import struct
import sys
from pathlib import Path

import pytest
import torch
from tiny_training import QUIET, Interrupted, measurement, options, supply

from wnet_edge.errors import TrainingError
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.judging.cut_labels import CutLabels
from wnet_edge.training import simulation, stored
from wnet_edge.training.augmentation import Augmentation
from wnet_edge.training.batch import FrameSupply
from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.fixed_frames import FixedFrames
from wnet_edge.training.loop import train
from wnet_edge.training.stored import StoredFrames


def simulated(_: Path, workers: int = 0) -> FrameSupply:
    return supply(workers)


def fixed(_: Path) -> FrameSupply:
    return FixedFrames(supply(), seed=1)


def measured(folder: Path, workers: int = 0) -> FrameSupply:
    scan, reference = (m := measurement(folder)).scan, m.reference
    labels = CutLabels(read_placed_image(reference, scan), scan, 32)
    return StoredFrames(scan, labels, seed=1, augmentation=Augmentation(), workers=workers)


def rows(path: Path) -> list[dict[str, str]]:
    """Of a training's CSV, without the time that each epoch took."""
    with path.open(encoding="utf-8", newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def assert_same_training(one: Path, other: Path) -> None:
    first, second = (read_checkpoint(path) for path in (one, other))
    assert first.record.epoch == second.record.epoch
    assert first.tensors.keys() == second.tensors.keys()
    for name, tensor in first.tensors.items():
        assert torch.equal(tensor, second.tensors[name]), name
    assert rows(one.with_suffix(".csv")) == rows(other.with_suffix(".csv"))


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """What TensorBoard shows of a folder of event files: tag, step, value."""
    from tensorboardX.proto.event_pb2 import Event

    shown: list[tuple[str, int, float]] = []
    for path in sorted(folder.iterdir(), key=lambda p: (p.stat().st_mtime_ns, p.name)):
        data = path.read_bytes()
        while data:  # length, its checksum, event, its checksum (TFRecord)
            (length,) = struct.unpack("<Q", data[:8])
            event = Event.FromString(data[12 : 12 + length])
            data = data[16 + length :]
            if event.session_log.status == 1:  # a start: what comes after its step is forgotten
                shown = [entry for entry in shown if entry[1] < event.step]
            shown += [(v.tag, event.step, v.simple_value) for v in event.summary.value]
    return shown


@pytest.mark.parametrize("frames", [simulated, fixed, measured])
def test_resuming_gives_the_weights_and_curves_of_an_unbroken_run(frames, tmp_path: Path):
    unbroken, broken = tmp_path / "unbroken.safetensors", tmp_path / "broken.safetensors"
    torch.manual_seed(0)
    train(frames(tmp_path), options(), unbroken, progress=QUIET)
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt):
        train(frames(tmp_path), options(), broken, progress=Interrupted(2, 2))
    assert read_checkpoint(broken).record.epoch == 1
    train(frames(tmp_path), options(), broken, resume=True, progress=QUIET)
    assert_same_training(unbroken, broken)


@pytest.mark.parametrize("frames", [simulated, measured])
def test_workers_change_nothing(frames, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(simulation, "_CHUNK_FRAMES", 4)  # several tasks an epoch
    monkeypatch.setattr(stored, "_POOL_FRAMES", 4)
    alone, helped = tmp_path / "alone.safetensors", tmp_path / "helped.safetensors"
    torch.manual_seed(0)
    train(frames(tmp_path), options(), alone, progress=QUIET)
    torch.manual_seed(0)
    with pytest.raises(KeyboardInterrupt):
        train(frames(tmp_path), options(), helped, progress=Interrupted(2, 2))
    train(frames(tmp_path, workers=1), options(), helped, resume=True, progress=QUIET)
    assert_same_training(alone, helped)


def test_a_complete_training_is_left_as_it_is(tmp_path: Path, capfd):
    path = tmp_path / "c.safetensors"
    train(supply(), options(), path, progress=QUIET)
    before = path.read_bytes()
    record = train(supply(), options(), path, resume=True, progress=type(QUIET)(2, 2))
    assert record.epoch == 2
    assert path.read_bytes() == before
    assert "all 2 epochs are trained already" in capfd.readouterr().err


def test_tensorboard_shows_what_the_csv_holds_however_often_it_was_resumed(tmp_path: Path):
    path, folder = tmp_path / "c.safetensors", tmp_path / "board"
    train(supply(), options(epochs=1), path, tensorboard=folder, progress=QUIET)
    with pytest.raises(KeyboardInterrupt):  # another training takes the folder over
        train(supply(), options(), path, tensorboard=folder, progress=Interrupted(2, 2))
    train(supply(), options(), path, resume=True, tensorboard=folder, progress=QUIET)
    shown = {(tag, step): value for tag, step, value in scalars(folder)}
    assert len(shown) == len(scalars(folder))
    told = rows(tmp_path / "c.csv")
    assert [row["epoch"] for row in told] == ["1", "2"]
    for row in told:
        for name, value in row.items():
            if name != "epoch":
                assert shown[name, int(row["epoch"])] == pytest.approx(float(value), rel=1e-6)
    assert float(told[-1]["learning_rate"]) < 1e-3 < 2e-3 < float(told[0]["learning_rate"])


def test_without_tensorboardx_its_extra_is_named(tmp_path: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(TrainingError, match=r"pip install 'wnet-edge\[tensorboard\]'"):
        train(supply(), options(), tmp_path / "c", tensorboard=tmp_path / "board", progress=QUIET)


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path):
    (tmp_path / "board").write_text("")
    with pytest.raises(TrainingError, match="name another --tensorboard folder"):
        train(supply(), options(), tmp_path / "c", tensorboard=tmp_path / "board", progress=QUIET)
    assert [p.name for p in tmp_path.iterdir()] == ["board"]
