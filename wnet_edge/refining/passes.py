"""Passes over all frames of a scan, each of which improves the object for all of them at once.

A pass sums what the object lacks over all frames, divides it by the summed power of the probe
(plus a little, where that is low), and steps on with Nesterov's momentum: the object's update of
the difference map and of simultaneous ePIE (Thibault et al., Ultramicroscopy 109, 338, 2009).
Frames are read anew in every pass and never all held.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.refining.affine import affine_part
from wnet_edge.refining.frame_model import STEPS, Fraction, FrameModel
from wnet_edge.refining.misfit import Misfit
from wnet_edge.refining.options import PositionCorrection
from wnet_edge.refining.position_steps import position_step
from wnet_edge.refining.probe_sums import ProbeShare, ProbeSums

ReadFrames = Callable[[int, int], NDArray[np.float32]]
"""Frames of the numbers first to last (excluded), (B, h, w) float32 counts, negative where
masked."""

_BATCH = 64
"""Frames read at a time."""

_SCALED_BY = 50
"""Frames, about, that tell the probe's scale."""

Done = TypeVar("Done")

MOMENTUM = 0.8
"""Of the steps of object and probe, from a guess that is nearly right."""

_LEAST_POWER = 0.02
"""Of the largest summed power of the probe: what is lit less moves less."""


@dataclass(frozen=True, eq=False)
class Scanned:
    """Where and how the frames were taken.

    Attributes:
        probe: (modes, n, n) complex64; its scale does not matter.
        corner_px: (N, 2) float64, row and column of each frame's full window in the object.
        used: (N,) bool, False for frames to be passed over.
        binning: pixels of the full window's far field along an edge of a frame's pixel.
        read: gives the frames.
    """

    probe: NDArray[np.complex64]
    corner_px: NDArray[np.float64]
    used: NDArray[np.bool_]
    binning: int
    read: ReadFrames


@dataclass(frozen=True, eq=False)
class _Correction:
    """What a frame says.

    Attributes:
        object: (n, n), what the object lacks.
        probe: what the probe lacks; None if it is held.
        step_px: (2,), by which its position should move; None if positions are held.
        misfit: of the frame.
    """

    object: NDArray[np.complex64]
    probe: ProbeShare | None
    step_px: NDArray[np.float64] | None
    misfit: Misfit


class Passes:
    """Improves an object pass by pass; a context manager, which ends its threads.

    Args:
        scanned: the frames; every window lies within the object.
        start: (H, W) complex64, the object to begin with.
        threads: that share the work.
        positions: what of them is corrected; None: nothing.
        probe: whether it is improved, too.
        momentum: of the steps; less of it from a poor guess, which it would carry too far.

    Attributes:
        object: (H, W) complex64, after the last whole pass.
        corner_px: (N, 2) float64, of each frame's full window, after the last whole pass.
        given_probe: (modes, n, n) complex64, before the first pass, in √counts.
        probe: (modes, n, n) complex64, after the last whole pass, likewise.
    """

    def __init__(
        self,
        scanned: Scanned,
        start: NDArray[np.complex64],
        threads: int,
        positions: PositionCorrection | None = None,
        *,
        probe: bool = False,
        momentum: float = MOMENTUM,
    ) -> None:
        self._momentum = np.float32(momentum)
        self.object = start
        self._ahead = start  # where the next pass looks from
        self._scanned = scanned
        self._positions, self._improves_probe = positions, probe
        self._place(scanned.corner_px)
        self._model = FrameModel(scanned.probe, scanned.binning)
        self._pool = ThreadPoolExecutor(threads, "refine")
        self.given_probe = scanned.probe * np.float32(self._probe_scale())
        self.probe = self.given_probe
        self._probe_norm = float(np.linalg.norm(self.given_probe))
        self._model.illuminate(self.probe)
        self._step = self._object_step()
        # The object alone improves at first, before positions and probe are told by it.
        self._others_move = False

    def __enter__(self) -> "Passes":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    @property
    def frame_count(self) -> int:
        """Frames that a pass goes over."""
        return int(self._scanned.used.sum())

    def improve(self) -> Misfit:
        """One pass; gives the misfit that the object had before it."""
        lacking = np.zeros_like(self.object)
        step_px = np.zeros(self.corner_px.shape)
        on_probe = ProbeSums(*self._model.probe.shape[:2])
        misfit = Misfit()
        for frame, one in self._each(self._correction):
            lacking[self._window(frame)] += one.object
            misfit += one.misfit
            if one.step_px is not None:
                step_px[frame] = one.step_px
            if one.probe is not None:
                on_probe.add(one.probe, self._fraction[frame])
        improved = self._ahead + self._step * lacking
        self._ahead = improved + self._momentum * (improved - self.object)
        self.object = improved
        if self._others_move:
            self._move(step_px, on_probe)
        self._others_move = self._positions is not None or self._improves_probe
        return misfit

    def _move(self, step_px: NDArray[np.float64], on_probe: ProbeSums) -> None:
        """Positions and probe, by what a pass has summed."""
        if self._positions is not None:
            self._place(self._moved(step_px))
        if self._improves_probe:
            probe = on_probe.improved(self._model.probe, self._probe_norm)
            self._model.illuminate(probe + self._momentum * (probe - self.probe))
            self.probe = probe
        self._step = self._object_step()

    def misfit(self) -> Misfit:
        """Of object and probe as they are."""
        if self._improves_probe:  # the model is lit by the probe that the next pass looks from
            self._model.illuminate(self.probe)
        found = Misfit()
        for _, one in self._each(self._misfit):
            found += one
        return found

    def _probe_scale(self) -> float:
        """By which modelled counts are the measured ones: Σ a·√I / Σ a² over some frames."""
        every = max(len(self._fraction) // _SCALED_BY, 1)
        products = [product for _, product in self._each(self._products, every)]
        agreement, power = np.sum(products, axis=0)
        return float(agreement / power) if power else 1.0

    def _object_step(self) -> NDArray[np.float32]:
        """(H, W) float32, of what the object lacks: one over Σ |P|² of all frames that are used."""
        power = np.zeros(self.object.shape, np.float32)
        for frame in np.flatnonzero(self._scanned.used).tolist():
            power[self._window(frame)] += self._model.power(self._fraction[frame])
        step: NDArray[np.float32] = 1 / (power + _LEAST_POWER * power.max())
        return step

    def _place(self, corner_px: NDArray[np.float64]) -> None:
        self.corner_px = corner_px
        steps = np.round(corner_px * STEPS).astype(np.int64)
        self._corner, fractions = np.divmod(steps, STEPS)
        self._fraction: list[Fraction] = [(row, column) for row, column in fractions.tolist()]

    def _moved(self, step_px: NDArray[np.float64]) -> NDArray[np.float64]:
        """Corners after a step, within the object, without what the scan as a whole keeps."""
        given, used = self._scanned.corner_px, self._scanned.used
        moved = self.corner_px + step_px
        if self._positions is PositionCorrection.EACH:
            moved[used] -= affine_part(given[used], moved[used])[0]
        else:
            moved[used] -= np.mean(moved[used] - given[used], axis=0)
        last = np.array(self.object.shape) - self._model.window_px - 1
        return np.clip(moved, 0, last)

    def _correction(self, frame: int, root: NDArray[np.float32]) -> _Correction:
        window, fraction = self._ahead[self._window(frame)], self._fraction[frame]
        waves, misfit = self._model.lacking(window, fraction, root)
        lacking = self._model.on_object(waves, fraction)
        step_px = None
        if self._positions is not None:
            step_px = position_step(window, lacking, self._model.power(fraction))
        share = ProbeShare.of(window, waves) if self._improves_probe else None
        return _Correction(lacking, share, step_px, misfit)

    def _misfit(self, frame: int, root: NDArray[np.float32]) -> Misfit:
        counts = self._model.counts(self.object[self._window(frame)], self._fraction[frame])
        return Misfit.of(np.sqrt(counts), root)

    def _products(self, frame: int, root: NDArray[np.float32]) -> tuple[float, float]:
        counts = self._model.counts(self.object[self._window(frame)], self._fraction[frame])
        measured = ~np.isnan(root)
        counts = counts[measured]
        return float(np.sqrt(counts) @ root[measured]), float(counts.sum(dtype=np.float64))

    def _each(
        self, work: Callable[[int, NDArray[np.float32]], Done], every: int = 1
    ) -> Iterator[tuple[int, Done]]:
        """What `work` makes of used frames and their √counts, in order, by several threads."""
        wanted = np.flatnonzero(self._scanned.used)[::every]
        count, at_once = len(self._fraction), _BATCH if every == 1 else 1
        for first in range(0, count, at_once):
            last = min(first + at_once, count)
            numbers = wanted[np.searchsorted(wanted, first) : np.searchsorted(wanted, last)]
            if len(numbers):
                frames = self._scanned.read(first, last)[numbers - first]
                frames = np.where(frames < 0, np.float32(np.nan), frames)
                roots = np.sqrt(np.fft.ifftshift(frames, axes=(1, 2)))
                yield from zip(numbers, self._pool.map(work, numbers, roots), strict=True)

    def _window(self, frame: int) -> tuple[slice, slice]:
        row, column = self._corner[frame].tolist()
        size = self._model.window_px
        return slice(row, row + size), slice(column, column + size)
