"""`wnet-edge train`: a network on simulated, stored or measured frames, to a checkpoint."""

from pathlib import Path
from typing import Any

import click

from wnet_edge.api.training import Run, run_training, training_options
from wnet_edge.cli.options import force_option, no_links_option
from wnet_edge.cli.resumable import resumable
from wnet_edge.cli.scan_options import (
    GEOMETRY_FLAGS,
    known_orientation_options,
    read_options_from,
    scan_options_without_probe,
    turns_from,
    typed_scan_flags,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.cli.train_options import PARAMETERS, SectionedCommand
from wnet_edge.cli.train_self_supervised import check_usage, train_self_supervised
from wnet_edge.errors import OptionError
from wnet_edge.models.registry import ModelName, NetworkInput
from wnet_edge.training.device import DeviceName
from wnet_edge.training.distributed import joined, this_rank
from wnet_edge.training.frame_supply import FrameOptions
from wnet_edge.training.options import PhaseError, RecipeName
from wnet_edge.training.progress import Progress
from wnet_edge.training.self_supervised import unfinished_path

FROM_COMMAND_LINE = (
    *("probe", "frames_per_epoch", "fixed", "families", "background", "blur_px", "phase_rad"),
    *("data", "labels", "augment", "workers"),
)
"""Fields of `FrameOptions` that are options of the command, by the same names."""

_TURNS = ("--orientation", "--position-orientation")


@click.command(cls=SectionedCommand, params=list(PARAMETERS))
@known_orientation_options
@scan_options_without_probe
@no_links_option
@force_option
def command(
    model: str | None,
    seen: str | None,
    width: float,
    recipe: str,
    epochs: int | None,
    batch_size: int | None,
    lr: float | None,
    phase_error: str | None,
    freeze_norm: bool,
    init: Path | None,
    seed: int,
    checkpoint: Path,
    device: str,
    resume: bool,
    self_supervised: bool,
    tensorboard: Path | None,
    force: bool,
    **values: Any,  # noqa: ANN401 - those of FrameOptions, and flags of the scan
) -> None:
    """Train a network, writing a checkpoint after every epoch.

    Frames are simulated on the fly with a measured probe (--probe), or read from a scan (--data)
    whose labels are in its file or are cut from its reconstruction (--labels), or without labels
    (--self-supervised). Under torchrun, several processes train together.
    """
    context = click.get_current_context()
    shown: list[Progress] = []

    def watch(epochs: int, batches: int) -> Progress:
        shown.append(Progress(epochs, batches, shown=this_rank().first))
        return shown[0]

    try:
        run = Run(checkpoint, DeviceName(device), resume, init, tensorboard, force)
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    if self_supervised:
        check_usage(context)
        with joined(), resumable(unfinished_path(checkpoint), shown, resume=resume):
            train_self_supervised(context.params, run, watch)
        return
    if model is None:
        raise click.UsageError("Missing option '--model'.")
    _check_scan_flags(values, typed_scan_flags(context))
    window_px = values["window_px"]
    try:
        frames = FrameOptions(
            **{name: values[name] for name in FROM_COMMAND_LINE},
            window_px=None if window_px is None else int(window_px),
            seed=seed,
            reading=read_options_from(dict(values)),
            turns=turns_from(values),
        )
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    options = training_options(
        ModelName(model),
        None if seen is None else NetworkInput(seen),
        width=width,
        recipe=RecipeName(recipe),
        epochs=epochs,
        batch_size=32 if batch_size is None else batch_size,
        lr=lr,
        phase_error=None if phase_error is None else PhaseError(phase_error),
        freeze_norm=freeze_norm,
        seed=seed,
    )
    with joined():
        with resumable(checkpoint, shown, resume=resume):
            record = run_training(frames, options, run, watch, print_note)
        if this_rank().first:
            print_line(f"{checkpoint}: {model} after {record.epoch} epochs, on {record.device}")


def _check_scan_flags(values: dict[str, Any], typed: list[str]) -> None:
    """Refuse what says nothing of a probe, or turns labels out of step with their frames."""
    of_a_probe = {"--probe", "--profile", *(f"--{n.replace('_', '-')}" for n in GEOMETRY_FLAGS)}
    idle = [flag for flag in typed if flag not in of_a_probe]
    if values["data"] is None and values["probe"] is not None and idle:
        hint = "; for frames per epoch, give --frames-per-epoch" if idle[0] == "--frames" else ""
        raise click.UsageError(f"{idle[0]} is an option for scans: it goes with --data{hint}")
    if values["labels"] is None and any(flag in _TURNS for flag in typed):
        raise click.UsageError(f"{_TURNS[0]} and {_TURNS[1]} go with --labels")
