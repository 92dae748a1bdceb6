"""Training of a network, as `wnet-edge train` does it."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wnet_edge.api.scans import File, Part, Scan, part_of, read_scan
from wnet_edge.choices import chosen
from wnet_edge.embedded import find_checkpoint, path_of
from wnet_edge.errors import CheckpointError, OptionError
from wnet_edge.framing.for_network import Turns
from wnet_edge.host.outputs import check_output
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.models.registry import ModelName, NetworkInput, NetworkSpec
from wnet_edge.physics.objects import Family
from wnet_edge.physics.orientation import Orientation
from wnet_edge.training.checkpoint import TrainingRecord
from wnet_edge.training.curves import curve_path
from wnet_edge.training.device import DeviceName, training_device
from wnet_edge.training.distributed import joined, this_rank
from wnet_edge.training.frame_supply import FrameOptions, frame_supply
from wnet_edge.training.lock import locked
from wnet_edge.training.loop import train as train_network
from wnet_edge.training.options import (
    DEFAULT_EPOCHS,
    RECIPES,
    PhaseError,
    RecipeName,
    TrainingOptions,
)
from wnet_edge.training.progress import Progress


@dataclass(frozen=True)
class Run:
    """How a training runs, whatever it trains.

    Attributes:
        checkpoint: file to write after every epoch, its errors in a CSV beside it.
        device: where the network trains.
        resume: go on from the checkpoint if it exists.
        init: checkpoint whose weights to start from; None for random ones.
        tensorboard: folder for curves; None for none.
        force: replace an existing checkpoint.

    Raises:
        OptionError: if both `resume` and `init` are given.
    """

    checkpoint: Path
    device: DeviceName = DeviceName.AUTO
    resume: bool = False
    init: Path | None = None
    tensorboard: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if self.resume and self.init is not None:
            raise OptionError(
                "--resume continues the checkpoint, --init starts a new training: give one"
            )


def training_options(
    model: ModelName,
    network_input: NetworkInput | None = None,
    *,
    width: float = 1.0,
    recipe: RecipeName = RecipeName.FAST,
    epochs: int | None = None,
    batch_size: int = 32,
    lr: float | None = None,
    phase_error: PhaseError | None = None,
    freeze_norm: bool = False,
    seed: int = 0,
) -> TrainingOptions:
    """The options with what the recipe leaves to the model and the user; None takes the default.

    Raises:
        TrainingError: if one is out of range.
    """
    how = RECIPES[recipe]
    if lr is not None:
        how = replace(how, learning_rate=lr)
    if phase_error is not None:
        how = replace(how, phase_error=phase_error)
    if network_input is None:
        published = model is ModelName.PTYCHONN
        network_input = NetworkInput.FRAME if published else NetworkInput.BACK_PROJECTED
    return TrainingOptions(
        network=NetworkSpec(model, network_input, width),
        recipe=how,
        epochs=DEFAULT_EPOCHS[how.name] if epochs is None else epochs,
        batch_size=batch_size,
        seed=seed,
        freeze_norm=freeze_norm,
    )


def run_training(
    frames: FrameOptions,
    options: TrainingOptions,
    run: Run,
    watch: Callable[[int, int], Progress],
    tell: Callable[[str], None],
) -> TrainingRecord:
    """Train, inside `joined`, while no other training writes the checkpoint.

    Args:
        frames: where they come from.
        options: all that decides the weights.
        run: how it runs.
        watch: makes the progress report from epochs and batches per epoch.
        tell: called with warnings, one line each.

    Raises:
        ScanError: if a scan can't be read, or lacks what training needs.
        ResultError: if a reconstruction does not fit its scan.
        TrainingError: if the training can't start or diverges.
        CheckpointError: if a checkpoint can't be written, or does not match.
    """
    device = training_device(run.device)
    with alone(run.checkpoint, tell):
        for output in (run.checkpoint, curve_path(run.checkpoint)):
            check_output(output, CheckpointError, force=run.force or run.resume)
        first = this_rank().first
        supply = frame_supply(frames, options.recipe.name, tell if first else _silent)
        batches = -(-supply.frames_per_epoch // options.batch_size)
        return train_network(
            supply,
            options,
            run.checkpoint,
            resume=run.resume,
            initial=run.init,
            tensorboard=run.tensorboard,
            device=device,
            progress=watch(options.epochs, batches),
        )


def train(
    checkpoint: File,
    *,
    model: str,
    network_input: str | None = None,
    width: float = 1.0,
    window_px: int | None = None,
    probe: Part | None = None,
    energy_ev: float | None = None,
    distance_m: float | None = None,
    pixel_size_m: float | None = None,
    frames_per_epoch: int | None = None,
    fixed: bool = False,
    families: Sequence[str] = (),
    background: float | None = None,
    blur_px: float | None = None,
    phase_rad: float | None = None,
    data: Scan | File | NDArray[Any] | None = None,
    labels: File | None = None,
    orientation: str = Orientation.IDENTITY.value,
    position_orientation: str = Orientation.IDENTITY.value,
    augment: bool | None = None,
    recipe: str = RecipeName.FAST.value,
    epochs: int | None = None,
    batch_size: int = 32,
    lr: float | None = None,
    phase_error: str | None = None,
    freeze_norm: bool = False,
    init: File | None = None,
    seed: int = 0,
    device: str = DeviceName.AUTO.value,
    resume: bool = False,
    workers: int = 0,
    tensorboard: File | None = None,
    force: bool = False,
    progress: bool = False,
) -> Path:
    """Train a network, writing a checkpoint after every epoch; needs `wnet-edge[train]`.

    Interrupted, the checkpoint holds every whole epoch; `resume` goes on from there.

    Args:
        checkpoint: NAME.safetensors to write, with its errors in NAME.csv.
        model: "w1", "w2", "w3" or "ptychonn".
        network_input: "frame", or "back-projected": also its back-projection under the probe.
        width: factor on the channels.
        window_px: edge of the network's window.
        probe: to simulate frames with: a file, FILE:DATASET, or (modes, n, n) complex. With
            `data`: the probe of that scan.
        energy_ev: photon energy, where the probe's file does not say.
        distance_m: sample to detector, likewise.
        pixel_size_m: edge of a detector pixel, likewise.
        frames_per_epoch: simulated frames per epoch.
        fixed: the same simulated frames every epoch.
        families: kinds of simulated object; empty for all.
        background: largest background of simulated frames, relative to their mean count.
        blur_px: their largest RMS blur, detector pixels.
        phase_rad: largest phase of simulated objects, rad.
        data: scan whose frames to train on, from `wnet_edge.read_scan` or a file.
        labels: reconstruction of that scan to cut labels from.
        orientation: what is done to a frame of `data` first: "identity", "rot90" ….
        position_orientation: what is done to its positions' axes, likewise.
        augment: vary flux, background and dead pixels; None: as the recipe does.
        recipe: "fast" or "paper".
        epochs: passes over the frames; None: the recipe's.
        batch_size: frames per step.
        lr: peak learning rate; None: the recipe's.
        phase_error: "chord" or "absolute"; None: the recipe's.
        freeze_norm: batch norms keep their running statistics.
        init: checkpoint whose weights to start from, or the name of shipped weights, "w3".
        seed: same seed, same weights.
        device: "cpu", "cuda" or "auto".
        resume: go on from the checkpoint if it exists.
        workers: processes that make frames beside the training.
        tensorboard: folder for curves.
        force: replace an existing checkpoint.
        progress: report epochs and warnings on stderr.

    Returns:
        The checkpoint.

    Raises:
        OptionError: if arguments contradict each other, or one has no such choice.
        ScanError: if a scan can't be read, or lacks what training needs.
        ResultError: if a reconstruction does not fit its scan.
        TrainingError: if the training can't start or diverges.
        CheckpointError: if a checkpoint can't be written, or does not match.
    """
    reading = ReadOptions(energy_ev=energy_ev, distance_m=distance_m, pixel_size_m=pixel_size_m)
    source = None
    if data is not None:
        if reading != ReadOptions():
            raise OptionError("energy_ev, distance_m and pixel_size_m of data go to read_scan")
        if not isinstance(data, Scan):
            data = read_scan(data, probe=probe)
        source, reading = data.source, data.options
        probe = data.options.probe
    frames = FrameOptions(
        probe=part_of(probe),
        frames_per_epoch=frames_per_epoch,
        fixed=fixed,
        families=tuple(chosen(Family, one, "families").value for one in families),
        background=background,
        blur_px=blur_px,
        phase_rad=phase_rad,
        data=source,
        labels=None if labels is None else path_of(labels),
        augment=augment,
        window_px=window_px,
        seed=seed,
        workers=workers,
        reading=reading,
        turns=Turns(
            chosen(Orientation, orientation, "orientation"),
            chosen(Orientation, position_orientation, "position_orientation"),
        ),
    )
    options = training_options(
        chosen(ModelName, model, "model"),
        None if network_input is None else chosen(NetworkInput, network_input, "network_input"),
        width=width,
        recipe=chosen(RecipeName, recipe, "recipe"),
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
        phase_error=None if phase_error is None else chosen(PhaseError, phase_error, "phase_error"),
        freeze_norm=freeze_norm,
        seed=seed,
    )
    run = Run(
        path_of(checkpoint),
        chosen(DeviceName, device, "device"),
        resume,
        None if init is None else find_checkpoint(os.fspath(init)),
        None if tensorboard is None else path_of(tensorboard),
        force,
    )

    def watch(epochs: int, batches: int) -> Progress:
        return Progress(epochs, batches, shown=progress and this_rank().first)

    with joined():
        run_training(frames, options, run, watch, _to_stderr if progress else _silent)
    return run.checkpoint


@contextmanager
def alone(checkpoint: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """No other training writes the checkpoint; of several processes the first one does."""
    if not this_rank().first:
        yield
        return
    check_output(checkpoint, CheckpointError, force=True)
    with locked(checkpoint) as warning:
        if warning is not None:
            tell(f"Warning: {warning}")
        yield


def _silent(line: str) -> None:
    """Nobody wants to know."""


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"{line}\n")
