"""--refine: a number of passes over a scan's frames, or `auto`."""

from typing import Any

import click

from wnet_edge.refining.options import RefineOptions


class _Passes(click.IntRange):
    """A number of passes, or 0 for `auto`."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> int:
        """The number, or a usage error."""
        return 0 if value == "auto" else int(super().convert(value, param, ctx))


PASSES = _Passes(1, 1000)


def refine_options(
    passes: int | None, threads: int | None, *, probe: bool = False
) -> RefineOptions | None:
    """What --refine, --threads and --refine-probe ask for; 0 passes are `auto`, None are none."""
    return None if passes is None else RefineOptions(passes or None, threads, probe=probe)
