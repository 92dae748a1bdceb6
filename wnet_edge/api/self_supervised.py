"""Self-supervised training, as `wnet-edge train --self-supervised` does it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from wnet_edge.api.training import Run, alone
from wnet_edge.errors import CheckpointError, OptionError, TrainingError
from wnet_edge.framing.for_network import Turns, framed_for
from wnet_edge.host.outputs import check_output
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.training.curves import curve_path
from wnet_edge.training.device import training_device
from wnet_edge.training.distributed import this_rank
from wnet_edge.training.progress import Progress
from wnet_edge.training.self_supervised import (
    SelfSupervisedOptions,
    Start,
    Tuned,
    finished,
    tune,
    unfinished_path,
)
from wnet_edge.training.unlabelled import UnlabelledFrames


@dataclass(frozen=True)
class OwnScan:
    """The scan to train on.

    Attributes:
        file: the scan.
        reading: what the user says of it.
        turns: orientations applied to its frames and positions.
    """

    file: Path
    reading: ReadOptions = field(default_factory=ReadOptions)
    turns: Turns = field(default_factory=Turns)


def run_self_supervised(
    own: OwnScan,
    options: SelfSupervisedOptions,
    run: Run,
    watch: Callable[[int, int], Progress],
    tell: Callable[[str], None],
) -> Tuned:
    """Train, while no other training writes the checkpoint.

    Args:
        own: the scan.
        options: all that decides the weights, but for the network and the scan.
        run: how it runs; `init` is needed, unless there is something to resume.
        watch: makes the progress report from epochs and steps per epoch.
        tell: called with warnings, one line each.

    Raises:
        OptionError: if there are no weights to start from.
        ScanError: if the scan can't be read, or is too small.
        PackageError: if it is of another instrument than the network.
        TrainingError: if the training can't start, diverges, or gains nothing.
        CheckpointError: if a checkpoint can't be written, or does not match.
    """
    if this_rank().count > 1:
        raise TrainingError("--self-supervised runs in one process; start it without torchrun")
    device = training_device(run.device)
    with alone(run.checkpoint, tell):
        done = _checked(options, run)
        if done is not None:
            watch(options.epochs, 0).nothing_left()
            return done
        start = _start(run)
        network, instrument = start.checkpoint.record.network, start.checkpoint.instrument
        found = find_scan(own.file, own.reading)
        scan = framed_for(found, instrument, network.model.value, own.turns).scan
        frames = UnlabelledFrames.of(scan, instrument)
        for warning in frames.warnings:
            tell(f"Warning: {scan.path}: {warning}")
        return tune(
            frames,
            options,
            run.checkpoint,
            start=start,
            turns=own.turns.named(),
            device=device,
            progress=watch(options.epochs, -(-len(frames.training.numbers) // options.neighbours)),
        )


def _checked(options: SelfSupervisedOptions, run: Run) -> Tuned | None:
    """See that outputs can be written; the training, if it is complete and to be resumed."""
    unfinished = unfinished_path(run.checkpoint)
    for output in (run.checkpoint, curve_path(run.checkpoint)):
        check_output(output, CheckpointError, force=run.force or run.resume)
    if unfinished.exists() and not (run.force or run.resume):
        raise CheckpointError(
            f"{unfinished}: holds an interrupted training; go on with --resume, or replace it with "
            "--force"
        )
    if run.resume and run.checkpoint.exists() and not unfinished.exists():
        return finished(run.checkpoint, options)
    return None


def _start(run: Run) -> Start:
    unfinished = unfinished_path(run.checkpoint)
    if run.resume and unfinished.exists():
        return Start.of(unfinished, resumed=True)
    if run.init is None:
        missing = f"{unfinished} is not there to resume: " if run.resume else ""
        raise OptionError(f"{missing}--self-supervised needs a trained network; give --init")
    return Start.of(run.init, resumed=False)
