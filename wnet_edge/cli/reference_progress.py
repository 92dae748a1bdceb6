"""Progress of a reference reconstruction: a bar on a terminal, elsewhere a line an epoch."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from wnet_edge.cli.terminal import print_note
from wnet_edge.one_line import one_line
from wnet_edge.reference.outcome import Epoch
from wnet_edge.reference.scene import Scene


@contextmanager
def epoch_progress(label: str, epochs: int) -> Iterator[Callable[[Epoch, Scene], None]]:
    """What is to be called after each of so many epochs."""
    if not sys.stderr.isatty():
        yield lambda epoch, _: print_note(f"epoch {epoch.number}/{epochs}: {_text(epoch)}")
        return
    last: list[Epoch] = []

    def shown(_: int | None) -> str | None:
        return _text(last[-1]) if last else None

    with click.progressbar(
        length=epochs,
        label=one_line(label),
        file=sys.stderr,
        item_show_func=shown,
    ) as bar:

        def watch(epoch: Epoch, _: Scene) -> None:
            last.append(epoch)
            bar.update(1)

        yield watch


def _text(epoch: Epoch) -> str:
    return f"R-factor {epoch.r_factor:.4f}, error {epoch.error:.4g}, {epoch.seconds:.1f} s"
