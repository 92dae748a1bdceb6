"""Types of numeric options: finite and within a range, so that no command begins what can't end."""

import math
from typing import Any

import click

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


SEED = click.IntRange(0, MAX_SEED)
