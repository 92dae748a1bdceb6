"""`python -m benchmarks.study [STEP …]`: the study from training to page; all steps by default.

STUDY=quick in the environment takes tiny networks and few frames, and writes to runs/quick.
"""

import os
import sys
from pathlib import Path

import click

from benchmarks.study.plan import FULL, QUICK, ROOT, Study
from benchmarks.study.steps import REPOSITORY, STEPS, Folders, run_steps
from wnet_edge.errors import WNetEdgeError


@click.command()
@click.argument("steps", nargs=-1, type=click.Choice(list(STEPS)))
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where all outputs go.  [default: the repository's own places]",
)
def main(steps: tuple[str, ...], folder: Path | None) -> None:
    """Train what is missing, measure what is new, write docs/study.md.

    Steps: train, networks, ceiling, evaluate, report; `commands` prints the command line of each
    training instead.
    """
    study, folders = _asked_for(folder)
    try:
        run_steps(study, folders, steps)
    except WNetEdgeError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(1)


def _asked_for(folder: Path | None) -> tuple[Study, Folders]:
    if os.environ.get("STUDY") == "quick":
        return QUICK, Folders.under(folder or ROOT / "runs" / "quick")
    return FULL, REPOSITORY if folder is None else Folders.under(folder)


if __name__ == "__main__":
    main()
