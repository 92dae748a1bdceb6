"""How many passes pay."""

from collections.abc import Callable
from typing import Protocol

from wnet_edge.refining.misfit import Misfit
from wnet_edge.refining.options import RefineOptions

_LEAST_GAIN = 0.01
"""Of the R-factor without counting noise in a pass; below it another one does not pay."""


class Improving(Protocol):
    """Something that gets better pass by pass."""

    @property
    def frame_count(self) -> int:
        """Frames that a pass goes over."""
        ...

    def improve(self) -> Misfit:
        """One pass; gives the misfit before it."""
        ...


def passes_that_pay(
    passes: Improving,
    options: RefineOptions,
    progress: Callable[[int], None] | None = None,
) -> tuple[list[float], str]:
    """Passes, as many as asked for; Ctrl-C ends them with the last whole one.

    Args:
        passes: to be run.
        options: how many.
        progress: called after each with the number of frames in it.

    Returns:
        The R-factor before each whole pass, and why there was no further one.
    """
    r_factors: list[float] = []
    before: Misfit | None = None
    wanted = options.most_passes
    try:
        for _ in range(wanted):
            misfit = passes.improve()
            r_factors.append(misfit.r_factor)
            if progress is not None:
                progress(passes.frame_count)
            if options.passes is None and (why := _enough(before, misfit)):
                return r_factors, why
            before = misfit
    except KeyboardInterrupt:
        return r_factors, f"interrupted in pass {len(r_factors) + 1} of {wanted}"
    return r_factors, "as many as asked for" if options.passes else "the most that auto takes"


def _enough(before: Misfit | None, misfit: Misfit) -> str:
    """Why another pass does not pay; empty if it does."""
    if misfit.r_factor <= misfit.r_noise:
        return "the rest is photon noise"
    if before is not None and misfit.r_free > (1 - _LEAST_GAIN) * before.r_free:
        return f"a pass gains less than {100 * _LEAST_GAIN:.0f} %"
    return ""
