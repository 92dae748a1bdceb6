"""Types of numeric options: finite and within a range, so that no command begins what can't end."""

import math
from typing import Any

import click

from wnet_edge.refining.stopping import RefineOptions

MAX_SEED = 2**32 - 1
"""What every generator of random numbers here takes."""


class Number(click.FloatRange):
    """A finite number within a range; click's own range lets NaN pass."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """The number, or a usage error."""
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


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


def refine_options(passes: int | None, threads: int | None) -> RefineOptions | None:
    """What --refine and --threads ask for; 0 passes are `auto`, None are none."""
    return None if passes is None else RefineOptions(passes or None, threads)


SEED = click.IntRange(0, MAX_SEED)
