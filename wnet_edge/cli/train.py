"""`wnet-edge train`: a network on simulated, stored or measured frames, to a checkpoint."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.options import force_option, no_links_option
from wnet_edge.cli.scan_options import (
    known_orientation_options,
    read_options_from,
    scan_options_without_probe,
    typed_scan_flags,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.cli.train_frames import FROM_COMMAND_LINE, FrameOptions, frame_supply
from wnet_edge.cli.train_options import PARAMETERS, SectionedCommand
from wnet_edge.cli.workshop_scan import turns_from
from wnet_edge.errors import CheckpointError, TrainingError
from wnet_edge.host.interrupts import exit_code
from wnet_edge.host.outputs import check_output
from wnet_edge.models.registry import ModelName, NetworkInput, NetworkSpec
from wnet_edge.training.curves import curve_path
from wnet_edge.training.device import DeviceName, training_device
from wnet_edge.training.distributed import joined, processes
from wnet_edge.training.lock import locked
from wnet_edge.training.loop import train
from wnet_edge.training.options import (
    DEFAULT_EPOCHS,
    RECIPES,
    PhaseError,
    RecipeName,
    TrainingOptions,
)
from wnet_edge.training.progress import Progress


@click.command(cls=SectionedCommand, params=list(PARAMETERS))
@known_orientation_options
@scan_options_without_probe
@no_links_option
@force_option
def command(
    model: str,
    seen: str | None,
    width: float,
    recipe: str,
    epochs: int | None,
    batch_size: int,
    lr: float | None,
    phase_error: str | None,
    freeze_norm: bool,
    init: Path | None,
    seed: int,
    checkpoint: Path,
    device: str,
    resume: bool,
    tensorboard: Path | None,
    force: bool,
    **values: Any,  # noqa: ANN401 - those of FrameOptions, and flags of the scan
) -> None:
    """Train a network, writing a checkpoint after every epoch.

    Frames are simulated on the fly with a measured probe (--probe), or read from a scan (--data)
    whose labels are in its file or are cut from its reconstruction (--labels). Under torchrun,
    several processes train together.
    """
    reading = read_options_from(dict(values))
    frames = FrameOptions(
        seed=seed,
        reading=reading,
        turns=turns_from(values),
        typed=tuple(typed_scan_flags(click.get_current_context())),
        **{name: values[name] for name in FROM_COMMAND_LINE},
    )
    if resume and init is not None:
        raise click.UsageError(
            "--resume continues the checkpoint, --init starts a new training: give one"
        )
    how = RECIPES[RecipeName(recipe)]
    if lr is not None:
        how = replace(how, learning_rate=lr)
    if phase_error is not None:
        how = replace(how, phase_error=PhaseError(phase_error))
    options = TrainingOptions(
        network=NetworkSpec(ModelName(model), _input(model, seen), width),
        recipe=how,
        epochs=DEFAULT_EPOCHS[how.name] if epochs is None else epochs,
        batch_size=batch_size,
        seed=seed,
        freeze_norm=freeze_norm,
    )
    where = training_device(DeviceName(device))
    with joined(), _alone(checkpoint):
        for output in (checkpoint, curve_path(checkpoint)):
            check_output(output, CheckpointError, force=force or resume)
        supply = frame_supply(frames, how.name)
        here = processes()
        batches = -(-supply.frames_per_epoch // batch_size)
        progress = Progress(options.epochs, batches, shown=here.first)
        try:
            record = train(
                supply,
                options,
                checkpoint,
                resume=resume,
                initial=init,
                tensorboard=tensorboard,
                device=where,
                progress=progress,
            )
        except KeyboardInterrupt as error:
            if not here.first:
                sys.exit(exit_code())
            written = progress.epochs_written > 0 or (resume and checkpoint.exists())
            raise TrainingError(_interrupted(checkpoint, written=written)) from error
        if here.first:
            print_line(f"{checkpoint}: {model} after {record.epoch} epochs, on {where.type}")


@contextmanager
def _alone(checkpoint: Path) -> Iterator[None]:
    """No other training writes the checkpoint; of several processes the first one does."""
    if not processes().first:
        yield
        return
    check_output(checkpoint, CheckpointError, force=True)
    with locked(checkpoint) as warning:
        if warning is not None:
            print_note(f"Warning: {warning}")
        yield


def _input(model: str, seen: str | None) -> NetworkInput:
    if seen is not None:
        return NetworkInput(seen)
    published = model == ModelName.PTYCHONN.value
    return NetworkInput.FRAME if published else NetworkInput.BACK_PROJECTED


def _interrupted(checkpoint: Path, *, written: bool) -> str:
    """What to say after Ctrl-C: where the training stands, and the command that goes on."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if written and word == "--init":
            next(words, None)
        elif not (written and (word in ("--force", "--resume") or word.startswith("--init="))):
            kept.append(word)
    program = "wnet-edge" if processes().count == 1 else "torchrun … wnet-edge"
    again = shlex.join([*kept, "--resume"] if written else kept)
    if written:
        return f"interrupted, {checkpoint} holds all completed epochs; continue: {program} {again}"
    return f"interrupted before the first epoch ended; run again: {program} {again}"
