"""Which way up the detector is, and which way the positions run: tried, not guessed.

Some hundred frames around the scan's middle go through the network each way up, and the way whose
image explains the frames best is taken. (How well neighbouring patches agree would be cheaper to
ask, but flat patches agree best of all.) Detector and positions are tried one after the other: a
wrong detector makes every patch wrong, a wrong position only their places.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError
from wnet_edge.framing.framing import FramedScan, Framing
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.infer import Effort, infer
from wnet_edge.scan.scan import Scan, some_frames

_TRIED_FRAMES = 200
_TRIED_WINDOWS = 2.0
"""Edge of the tried part of the scan, in full windows: enough that whole probes are covered."""
_QUICK = Effort(stitch_rounds=8, compared_frames=40, largest_lost_share=1.0)
"""Wrong ways up never settle; eight rounds are enough to tell them."""
_CLEAR_RATIO = 1.2
"""Of the second-best R-factor over the best: below it, the choice is told to be unclear."""


@dataclass(frozen=True)
class Attempt:
    """R-factor of a way up; infinite where nothing could be compared."""

    orientation: Orientation
    r_factor: float


@dataclass(frozen=True)
class ChosenOrientation:
    """A scan the right way up, and how clearly that won.

    Attributes:
        framed: the scan.
        tried: R-factors of the detector's ways up, best first; empty where it was given.
        positions_tried: likewise of the positions'.
    """

    framed: FramedScan
    tried: tuple[Attempt, ...] = ()
    positions_tried: tuple[Attempt, ...] = ()

    @property
    def orientation(self) -> Orientation:
        """Of the detector."""
        return self.framed.window.orientation

    @property
    def position_orientation(self) -> Orientation:
        """Of the positions."""
        return self.framed.position_orientation

    @property
    def search_lines(self) -> tuple[str, ...]:
        """What was found, one line a search."""
        return tuple(_told(what, tried) for what, tried in self._searched)

    @property
    def warnings(self) -> tuple[str, ...]:
        """The searches that did not give a clear answer, one line each."""
        return tuple(
            f"{what} is not clear: name it if you know it"
            for what, tried in self._searched
            if not _CLEAR_RATIO * tried[0].r_factor <= tried[1].r_factor < math.inf
        )

    @property
    def _searched(self) -> tuple[tuple[str, tuple[Attempt, ...]], ...]:
        both = (("orientation", self.tried), ("position orientation", self.positions_tried))
        return tuple((what, tried) for what, tried in both if tried)


def choose_orientation(
    framing: Framing,
    opened: ChosenGraph,
    orientation: Orientation | None,
    position_orientation: Orientation | None,
) -> ChosenOrientation:
    """The scan with the orientations given, those that are None found by trial.

    Args:
        framing: of the scan, for the graph's package.
        opened: graph that tries them.
        orientation: of the detector.
        position_orientation: of the positions.

    Raises:
        ScanError: if the scan can't be cut or read.
        ProviderError: if the network can't run.
    """
    detector = orientation or opened.package.manifest.orientation
    positions = position_orientation or Orientation.IDENTITY
    tried: tuple[Attempt, ...] = ()
    positions_tried: tuple[Attempt, ...] = ()

    def best_detector() -> tuple[Attempt, ...]:
        return _ranked({o: framing.framed(o, positions).scan for o in Orientation}, opened)

    if orientation is None:
        tried = best_detector()
        detector = tried[0].orientation
    if position_orientation is None:
        turned = {o: framing.framed(detector, o).scan for o in Orientation}
        positions_tried = _ranked(turned, opened)
        positions = positions_tried[0].orientation
        if orientation is None and positions is not Orientation.IDENTITY:
            tried = best_detector()
            detector = tried[0].orientation
    return ChosenOrientation(framing.framed(detector, positions), tried, positions_tried)


def _ranked(scans: dict[Orientation, Scan], opened: ChosenGraph) -> tuple[Attempt, ...]:
    """R-factors of the scans' middles, the lowest first."""
    some = middle_frames(next(iter(scans.values())))
    attempts = [
        Attempt(orientation, _r_factor(some_frames(scan, some), opened))
        for orientation, scan in scans.items()
    ]
    return tuple(sorted(attempts, key=lambda attempt: attempt.r_factor))


def _r_factor(scan: Scan, opened: ChosenGraph) -> float:
    try:
        fit = infer(scan, opened, effort=_QUICK).self_check.fit
    except ResultError:  # no frame with a finite patch
        return math.inf
    return math.inf if fit is None else fit.r_factor


def middle_frames(scan: Scan) -> NDArray[np.int64]:
    """Numbers of up to `_TRIED_FRAMES` frames in a square around the scan's middle, ascending."""
    span_m = _TRIED_WINDOWS * scan.full_window_px * scan.object_pixel_size_m
    usable = np.flatnonzero(~scan.left_out)
    positions = scan.positions_m[usable]
    middle = (positions.min(axis=0) + positions.max(axis=0)) / 2
    inside = usable[np.abs(positions - middle).max(axis=1) <= span_m / 2]
    if len(inside) < 2:
        inside = usable
    chosen = np.linspace(0, len(inside) - 1, min(len(inside), _TRIED_FRAMES)).astype(np.int64)
    numbers: NDArray[np.int64] = inside[chosen].astype(np.int64)
    return numbers


def _told(what: str, tried: tuple[Attempt, ...]) -> str:
    best, second = tried[:2]
    return (
        f"{what} {best.orientation.value}, R-factor {best.r_factor:.3f}; next is "
        f"{second.orientation.value} with {second.r_factor:.3f}"
    )
