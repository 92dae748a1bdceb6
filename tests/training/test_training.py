"""Training: the simulation agrees with the physics, and resuming changes nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_training import PIXEL_M, QUIET, WAVELENGTH_M, instrument, options, supply

from wnet_edge.embedded import EXAMPLE_SCAN
from wnet_edge.errors import CheckpointError, SimulationError, TrainingError
from wnet_edge.models.registry import ModelName, NetworkInput, NetworkSpec
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.training.batch import joined_batches
from wnet_edge.training.checkpoint import load_network, read_checkpoint
from wnet_edge.training.forward import expected_counts as torch_counts
from wnet_edge.training.frame_supply import FrameOptions, frame_supply
from wnet_edge.training.loop import train
from wnet_edge.training.loss import weighted_chord, weighted_mae, wrap_phase
from wnet_edge.training.options import (
    RECIPES,
    PhaseError,
    Recipe,
    RecipeName,
    Schedule,
    Weighting,
)
from wnet_edge.training.simulation import ProbeErrors, SimulatedFrames, SimulationOptions


@pytest.mark.parametrize("binning", [1, 2, 4])
def test_the_torch_twin_is_the_forward_model(binning):
    place = instrument(window_px=32, binning=binning)
    frames = SimulatedFrames(place, SimulationOptions(canvas_px=128), seed=0)
    full_px = 32 * binning
    patches = draw_object(Family.DOTS, full_px, rng=np.random.default_rng(0))[None]
    expected = bin_frames(expected_counts(patches, frames.probe), binning)
    found = torch_counts(torch.from_numpy(patches), torch.from_numpy(frames.probe), binning)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-3, atol=1e-9)


def test_without_errors_and_noise_the_counts_are_those_of_the_label():
    exact = supply(
        detector=Detector((1e12, 1e12)), gain_error=0.0, probe_errors=ProbeErrors(0, 0, 0, 0, 0)
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


def test_the_chord_s_best_guess_is_the_circular_mean_and_that_of_the_absolute_error_the_median():
    possible = torch.tensor([3.0, -3.0, -2.5])[:, None, None, None]  # 6.28 rad are a turn
    guesses = torch.linspace(-torch.pi, torch.pi, 629)
    even = torch.ones(1, 1)
    alike = [guess.expand_as(possible) for guess in guesses]
    chords = [weighted_chord(guess, possible, even) for guess in alike]
    absolute = [weighted_mae((g, g), (possible, possible), even)[1] for g in alike]
    mean = torch.polar(torch.ones_like(possible), possible).mean().angle()
    assert guesses[np.argmin(chords)] == pytest.approx(mean.item(), abs=0.01)
    assert guesses[np.argmin(absolute)] == pytest.approx(-3.0, abs=0.01)


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
    with pytest.raises(CheckpointError, match="trained with a different epochs, seed"):
        train(supply(), options(epochs=2, seed=5), path, resume=True, progress=QUIET)
    other = options(network=NetworkSpec(ModelName.W3, NetworkInput.BACK_PROJECTED))
    with pytest.raises(
        CheckpointError, match=r"holds w3 on the frame input, .* not w3 on the back"
    ):
        train(supply(), other, tmp_path / "d", initial=path, progress=QUIET)


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


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": 1}, {"validation_frames": 0}])
def test_options_that_cannot_train_are_refused(changes):
    with pytest.raises(TrainingError):
        options(**changes)
    with pytest.raises(TrainingError, match="between 0 and 1"):
        Recipe(learning_rate=0.0)


def test_the_paper_s_recipe_is_plain():
    paper = RECIPES[RecipeName.PAPER]
    assert (paper.learning_rate, paper.weight_decay) == (1e-3, 0)
    assert (paper.schedule, paper.weighting) == (Schedule.CONSTANT, Weighting.UNIFORM)
    assert paper.phase_error is PhaseError.ABSOLUTE


def test_frozen_batch_norms_keep_their_statistics(tmp_path: Path):
    path = tmp_path / "c.safetensors"
    train(supply(), options(freeze_norm=True), path, progress=QUIET)
    tensors = read_checkpoint(path).tensors
    means = [t for n, t in tensors.items() if n.endswith("running_mean")]
    assert means
    assert not any(mean.any() for mean in means)
    with pytest.raises(CheckpointError, match="trained with a different freeze_norm"):
        train(supply(), options(), path, resume=True, progress=QUIET)
    published = options(network=NetworkSpec(ModelName.PTYCHONN), freeze_norm=True)
    with pytest.raises(TrainingError, match="no batch norms to freeze"):
        train(supply(), published, tmp_path / "d", progress=QUIET)


def test_a_loss_that_is_no_number_stops_the_training(tmp_path: Path):
    class Broken(SimulatedFrames):
        def epoch(self, epoch, batch_size):
            for batch in super().epoch(epoch, batch_size):
                yield replace(batch, amplitude=batch.amplitude * torch.nan)

    broken = Broken(instrument(), supply().options, seed=0)
    with pytest.raises(TrainingError, match="lower the learning rate"):
        train(broken, options(), tmp_path / "c", progress=QUIET)
    assert not list(tmp_path.iterdir())


def test_no_simulated_object_is_stronger_than_asked():
    options = FrameOptions(probe=str(EXAMPLE_SCAN), frames_per_epoch=64, phase_rad=0.3)
    weak = frame_supply(options, RecipeName.FAST, print)
    phases = joined_batches(weak.validation(64, 32)).phase_rad
    spans = phases.amax(dim=(1, 2, 3)) - phases.amin(dim=(1, 2, 3))
    assert 0.1 < spans.max() <= 0.3 * (1 + 1e-3)
    assert weak.describe()["contrast"]["phase_rad"] == pytest.approx([0.02, 0.3])
