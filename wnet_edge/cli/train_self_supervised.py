"""`wnet-edge train --self-supervised`: what of the command's options it takes."""

from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

from wnet_edge.api.self_supervised import OwnScan, run_self_supervised
from wnet_edge.api.training import Run
from wnet_edge.cli.scan_options import read_options_from, turns_from
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.errors import OptionError
from wnet_edge.training.progress import Progress
from wnet_edge.training.self_supervised import SelfSupervisedOptions

_WITHOUT_MEANING = (
    *("model", "seen", "width", "window_px", "probe", "frames_per_epoch", "fixed", "families"),
    *("labels", "augment", "recipe", "phase_error", "freeze_norm", "workers", "tensorboard"),
)
"""Parameters of `train`: network and probe are those of --init, and nothing is simulated."""


def check_usage(context: click.Context) -> None:
    """Refuse options that have no meaning here, by name.

    Raises:
        click.UsageError: naming the first.
    """
    for option in context.command.params:
        typed = context.get_parameter_source(str(option.name)) is ParameterSource.COMMANDLINE
        if typed and option.name in _WITHOUT_MEANING:
            flag = "/".join((option.opts[0], *option.secondary_opts))
            raise click.UsageError(
                f"{flag} has no meaning with --self-supervised: network and probe are those of "
                "--init, and the scan of --data needs no labels"
            )
    if context.params["data"] is None:
        raise click.UsageError("--self-supervised goes with --data")


def train_self_supervised(
    values: dict[str, Any],
    run: Run,
    watch: Callable[[int, int], Progress],
) -> None:
    """Train on the scan of --data, and tell what came of it."""
    given = {
        "epochs": values["epochs"],
        "learning_rate": values["lr"],
        "neighbours": values["batch_size"],
        "seed": values["seed"],
    }
    options = SelfSupervisedOptions(**{k: v for k, v in given.items() if v is not None})
    values = dict(values)
    own = OwnScan(values["data"], turns=turns_from(values), reading=read_options_from(values))
    try:
        tuned = run_self_supervised(own, options, run, watch, print_note)
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    record = tuned.record
    print_line(
        f"{run.checkpoint}: {record.network.model.value} after {record.epoch} epochs, on "
        f"{record.device}; R-factor of held-out frames {tuned.before:.4f} before, "
        f"{tuned.after:.4f} after"
    )
    print_line(
        f"It is now for the sample of {own.file.name} alone: take it for live images and further "
        "scans of that; for other samples, take the network that it started from"
    )
