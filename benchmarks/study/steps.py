"""The steps of the study in their order, each of which does only what is missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from benchmarks.study.ceiling import measure_ceiling, reconstruction
from benchmarks.study.evaluate import Yardsticks, evaluate_trained
from benchmarks.study.figures import draw_curves, draw_images
from benchmarks.study.networks import measure_networks
from benchmarks.study.plan import ROOT, Study
from benchmarks.study.report import write_report
from benchmarks.study.results import Results
from benchmarks.study.scan247 import open_scan247
from benchmarks.study.sets import evaluation_sets
from benchmarks.study.train import train_missing


@dataclass(frozen=True)
class Folders:
    """Where things lie.

    Attributes:
        checkpoints: of the trainings.
        zoo: the weights that are shipped, if any are there.
        results: JSON files.
        docs: the page; its pictures lie in `figures` there.
    """

    checkpoints: Path
    zoo: Path
    results: Path
    docs: Path

    @property
    def iterative(self) -> Path:
        """Of the iterative reconstructions."""
        return self.checkpoints / "epie"

    @classmethod
    def under(cls, folder: Path) -> "Folders":
        """All of them in one folder."""
        return cls(folder / "checkpoints", folder / "zoo", folder / "results", folder / "docs")


REPOSITORY = Folders(
    ROOT / "runs" / "study",
    ROOT / "wnet_edge" / "zoo",
    ROOT / "benchmarks" / "study" / "results",
    ROOT / "docs",
)


def _commands(study: Study, folders: Folders) -> None:
    for run in study.runs:
        click.echo(run.command(folders.checkpoints))


def _train(study: Study, folders: Folders) -> None:
    train_missing(study, open_scan247().instrument, folders.checkpoints)


def _networks(study: Study, folders: Folders) -> None:
    measure_networks(study, open_scan247().instrument, Results(folders.results))


def _ceiling(study: Study, folders: Folders) -> None:
    measure_ceiling(study, open_scan247(), folders.iterative, Results(folders.results))


def _evaluate(study: Study, folders: Folders) -> None:
    scan, results = open_scan247(), Results(folders.results)
    sets = evaluation_sets(scan, study.simulated_frames)
    converged, _ = reconstruction(study.converged, study, scan, folders.iterative)
    against = Yardsticks(scan, converged, sets)
    if evaluate_trained(study, against, folders.checkpoints, folders.zoo, results):
        draw_images(study, against, folders.checkpoints, folders.docs / "figures")


def _report(study: Study, folders: Folders) -> None:
    results, pictures = Results(folders.results), folders.docs / "figures"
    draw_curves(study, results, pictures)
    write_report(study, results, folders.docs / "study.md", pictures)


STEPS = {
    "train": _train,
    "networks": _networks,
    "ceiling": _ceiling,
    "evaluate": _evaluate,
    "report": _report,
    "commands": _commands,
}


def run_steps(study: Study, folders: Folders, steps: Sequence[str]) -> None:
    """Some steps, or all but `commands`."""
    for name in steps or [step for step in STEPS if step != "commands"]:
        STEPS[name](study, folders)
