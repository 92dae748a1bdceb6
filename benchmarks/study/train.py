"""Trains what is missing, run by run, with the product's own supplies and loop; always resumes."""

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.study.plan import FRAMES, TRAINED_FAMILIES, Run, Study
from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.checkpoint import read_checkpoint
from wnet_edge.training.fixed_frames import FixedFrames
from wnet_edge.training.loop import train
from wnet_edge.training.options import RECIPES, RecipeName, TrainingOptions
from wnet_edge.training.progress import Progress
from wnet_edge.training.simulation import SimulatedFrames


def train_missing(study: Study, instrument: Instrument, folder: Path) -> None:
    """Bring every run of the study to its last epoch; checkpoints lie in `folder`.

    Says the command line that would train the same.

    Raises:
        CheckpointError: if a checkpoint is damaged or another training's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for run in study.runs:
        path = run.checkpoint(folder)
        # A finished one is not opened for training: later options of the loop are none of its.
        if path.exists() and read_checkpoint(path).record.epoch >= run.epochs:
            continue
        sys.stderr.write(f"{run.command(folder)}\n")
        options = training_options(run)
        supply = training_frames(run, instrument)
        batches = -(-supply.frames_per_epoch // options.batch_size)
        train(supply, options, path, resume=True, progress=Progress(run.epochs, batches))


def training_options(run: Run) -> TrainingOptions:
    """How a run is trained."""
    return TrainingOptions(
        network=run.spec,
        recipe=replace(
            RECIPES[RecipeName.FAST],
            learning_rate=run.learning_rate,
            phase_error=run.phase_error,
        ),
        epochs=run.epochs,
        seed=run.seed,
    )


def training_frames(run: Run, instrument: Instrument) -> FixedFrames:
    """What a run is trained on."""
    simulation = replace(FRAMES, frames_per_epoch=run.frames, families=TRAINED_FAMILIES)
    return FixedFrames(SimulatedFrames(instrument, simulation, seed=run.seed), seed=run.seed)
