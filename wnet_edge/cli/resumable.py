"""What is said when a training is interrupted: where it stands, and the command that goes on."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wnet_edge.errors import TrainingError
from wnet_edge.host.interrupts import exit_code
from wnet_edge.training.distributed import this_rank
from wnet_edge.training.progress import Progress


@contextmanager
def resumable(checkpoint: Path, shown: list[Progress], *, resume: bool) -> Iterator[None]:
    """Context of a training that writes `checkpoint` every epoch; says how to go on after Ctrl-C.

    Raises:
        TrainingError: if it is interrupted.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        if not this_rank().first:
            sys.exit(exit_code())
        begun = bool(shown) and shown[0].epochs_written > 0
        written = begun or (resume and checkpoint.exists())
        raise TrainingError(_interrupted(checkpoint, written=written)) from error


def _interrupted(checkpoint: Path, *, written: bool) -> str:
    """What to say after Ctrl-C: where the training stands, and the command that goes on."""
    words = iter(sys.argv[1:])
    kept = []
    for word in words:
        if written and word == "--init":
            next(words, None)
        elif not (written and (word in ("--force", "--resume") or word.startswith("--init="))):
            kept.append(word)
    program = "wnet-edge" if this_rank().count == 1 else "torchrun … wnet-edge"
    again = shlex.join([*kept, "--resume"] if written else kept)
    if written:
        return f"interrupted, {checkpoint} holds all completed epochs; continue: {program} {again}"
    return f"interrupted before the first epoch ended; run again: {program} {again}"
