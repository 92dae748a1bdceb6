"""Training: the simulation agrees with the physics, and resuming changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from wnet_edge.errors import CheckpointError, SimulationError, TrainingError
from wnet_edge.models.registry import ModelName
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.physics.probe import ZonePlate, zone_plate_probe
from wnet_edge.preprocess import bin_frames
from wnet_edge.training.batch import Instrument
from wnet_edge.training.checkpoint import load_network, read_checkpoint
from wnet_edge.training.loop import TrainingOptions, train
from wnet_edge.training.loss import weighted_mae, wrap_phase
from wnet_edge.training.progress import Progress
from wnet_edge.training.simulation import ProbeErrors, SimulatedFrames, SimulationOptions

WAVELENGTH_M, PIXEL_M = 1.24e-10, 10e-9
QUIET = Progress(epochs=2, batches=2)


def instrument(window_px: int = 32, binning: int = 2) -> Instrument:
    probe = zone_plate_probe(
        ZonePlate(source_size_m=10e-9, modes=2),
        wavelength_m=WAVELENGTH_M,
        window_px=window_px * binning,
        pixel_size_m=PIXEL_M,
    )
    return Instrument(probe, window_px, binning, PIXEL_M, WAVELENGTH_M)


def supply(**changes: object) -> SimulatedFrames:
    options = SimulationOptions(frames_per_epoch=8, canvas_px=128, frames_per_canvas=4)
    return SimulatedFrames(instrument(), replace(options, **changes), seed=3)  # type: ignore[arg-type]


def options(**changes: object) -> TrainingOptions:
    small = TrainingOptions(ModelName.W3, epochs=2, batch_size=4, validation_frames=4)
    return replace(small, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("binning", [1, 2, 4])
def test_the_torch_twin_is_the_forward_model(binning):
    place = instrument(window_px=32, binning=binning)
    frames = SimulatedFrames(place, SimulationOptions(canvas_px=128), seed=0)
    full_px = 32 * binning
    patches = draw_object(Family.DOTS, full_px, rng=np.random.default_rng(0))[None]
    expected = bin_frames(expected_counts(patches, frames.probe), binning)
    found = frames.expected(torch.from_numpy(patches), torch.from_numpy(frames.probe))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-9)


def test_without_errors_and_noise_the_counts_are_those_of_the_label():
    exact = supply(
        detector=Detector((1e12, 1e12)), gain_error=0.0, probe_errors=ProbeErrors(0, 0, 0)
    )
    batch = next(exact.epoch(0, 8))
    label = batch.amplitude * torch.exp(1j * batch.phase_rad)
    intensity = torch.from_numpy(np.sum(np.abs(exact.probe) ** 2, axis=0))[exact.instrument.window]
    g = (label * intensity).sum(dim=(2, 3))
    assert (g.imag.abs() < 1e-5 * g.real).all()
    assert batch.counts.sum(dim=(1, 2, 3)).max() <= 1e12 * 1.0001


def test_epochs_differ_and_repeat():
    first, again, second = (next(supply().epoch(e, 4)).counts for e in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, second)


def test_the_last_batch_holds_what_is_left():
    assert [len(b.counts) for b in supply().epoch(0, 3)] == [3, 3, 2]


def test_a_probe_of_another_size_and_a_dark_one_are_refused():
    probe = instrument().probe
    with pytest.raises(SimulationError, match=r"needs a probe of \(modes, 128, 128\)"):
        Instrument(probe, 64, 2, PIXEL_M, WAVELENGTH_M)
    with pytest.raises(SimulationError, match="dark"):
        Instrument(np.zeros_like(probe), 32, 2, PIXEL_M, WAVELENGTH_M)
    with pytest.raises(SimulationError, match="canvases of 32 px"):
        supply(canvas_px=32)


def test_phase_errors_are_wrapped():
    turned = wrap_phase(torch.tensor([0.0, 3.0, 6.0, -6.0, 2 * torch.pi]))
    expected = torch.tensor([0.0, 3.0, 6 - 2 * torch.pi, 2 * torch.pi - 6, 0.0])
    torch.testing.assert_close(turned, expected, atol=1e-6, rtol=0)


def test_pixels_without_light_cost_nothing():
    weight = torch.zeros(4, 4)
    weight[1, 1] = 16
    label = torch.zeros(1, 1, 4, 4)
    wrong = torch.ones(1, 1, 4, 4)
    wrong[0, 0, 1, 1] = 0
    amplitude, phase_rad = weighted_mae((wrong, wrong), (label, label), weight)
    assert amplitude == phase_rad == 0


def test_resuming_gives_the_weights_of_an_unbroken_run(tmp_path: Path):
    unbroken, broken = tmp_path / "unbroken.safetensors", tmp_path / "broken.safetensors"
    train(supply(), options(), unbroken, progress=QUIET)

    class Interrupted(Progress):
        def epoch(self, *_):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(supply(), options(), broken, progress=Interrupted(2, 2))
    assert read_checkpoint(broken).record.epoch == 1
    record = train(supply(), options(), broken, resume=True, progress=QUIET)
    assert record.epoch == 2
    one, other = (read_checkpoint(path).tensors for path in (unbroken, broken))
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def test_training_learns(tmp_path: Path):
    easy = supply(frames_per_epoch=64, families=(Family.THRESHOLDED,))
    record = train(easy, options(epochs=4, batch_size=8), tmp_path / "c", progress=QUIET)
    losses = [entry["training_loss"] for entry in record.history]
    assert losses[-1] < losses[0]


def test_a_checkpoint_gives_back_network_and_instrument(tmp_path: Path):
    path = tmp_path / "c.safetensors"
    train(supply(), options(epochs=1), path, progress=QUIET)
    network, checkpoint = load_network(path)
    assert not network.training
    assert checkpoint.record.settings["data"]["source"] == "simulation"
    np.testing.assert_array_equal(checkpoint.instrument.probe, instrument().probe)
    started = train(supply(), options(epochs=1), tmp_path / "d", initial=path, progress=QUIET)
    fresh = train(supply(), options(epochs=1), tmp_path / "e", progress=QUIET)
    assert started.history[0]["training_loss"] != fresh.history[0]["training_loss"]


def test_resuming_with_other_options_is_refused(tmp_path: Path):
    path = tmp_path / "c.safetensors"
    train(supply(), options(epochs=1), path, progress=QUIET)
    with pytest.raises(CheckpointError, match="trained with another epochs, seed"):
        train(supply(), options(epochs=2, seed=5), path, resume=True, progress=QUIET)
    with pytest.raises(CheckpointError, match="holds w3, not ptychonn"):
        train(
            supply(),
            options(model=ModelName.PTYCHONN),
            tmp_path / "d",
            initial=path,
            progress=QUIET,
        )


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x08\0\0\0\0\0\0\0{}      "])
def test_damaged_checkpoints_are_refused_by_name(tmp_path: Path, content: bytes):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"broken\.safetensors"):
        read_checkpoint(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path):
    path = tmp_path / "c.safetensors"
    train(supply(), options(epochs=1), path, progress=QUIET)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="damaged"):
        load_network(path)


@pytest.mark.parametrize(
    "changes", [{"epochs": 0}, {"batch_size": 1}, {"learning_rate": 0.0}, {"validation_frames": 0}]
)
def test_options_that_cannot_train_are_refused(changes):
    with pytest.raises(TrainingError):
        options(**changes)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path):
    class Broken(SimulatedFrames):
        def epoch(self, epoch, batch_size):
            for batch in super().epoch(epoch, batch_size):
                yield replace(batch, amplitude=batch.amplitude * torch.nan)

    broken = Broken(instrument(), supply().options, seed=0)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(broken, options(), tmp_path / "c", progress=QUIET)
    assert not list(tmp_path.iterdir())
