"""A compact part of a scan, on which probes are tried: how well each explains frames it never saw.

A handful of passes over most of its frames, from a blank object, then the R-factor of the rest: a
wrong probe lets every frame explain itself, but not its neighbours (cross-validation, as the free
R-factor of crystallography: Brünger, Nature 355, 472, 1992).
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.geometry import positions_px
from wnet_edge.refining.passes import Passes, Scanned
from wnet_edge.scan.frame_source import SelectedFrames
from wnet_edge.scan.preparation import Preparation
from wnet_edge.scan.scan import Scan

_MOST_FRAMES = 160
FEWEST_FRAMES = 25
"""Frames of the part; with fewer there is too little overlap to tell probes apart."""

_MOMENTUM = 0.5
"""Of the passes' steps: probes may be far from right."""

_HELD_OUT_EVERY = 5
_MARGIN_PX = 2


@dataclass(frozen=True, eq=False)
class ScanPart:
    """Neighbouring frames of a scan.

    Attributes:
        counts: (n, f, f) float32, zero frequency at (f // 2, f // 2), masked pixels negative.
        full_px: edge F of the full window, a multiple of f where the file's frames are binned.
        corner_px: (n, 2) float64, row and column of each frame's window on the object.
        held_out: (n,) bool, frames that no pass uses.
        threads: that share the work.
    """

    counts: NDArray[np.float32]
    full_px: int
    corner_px: NDArray[np.float64]
    held_out: NDArray[np.bool_]
    threads: int

    @property
    def mean_frame(self) -> NDArray[np.float32]:
        """(f, f) float32 mean counts, NaN where masked."""
        valid = self.counts >= 0
        total = np.where(valid, self.counts, 0).sum(axis=0, dtype=np.float64)
        seen = valid.sum(axis=0)
        mean = np.where(seen > 0, total / np.maximum(seen, 1), np.nan)
        return mean.astype(np.float32)

    @property
    def object_shape(self) -> tuple[int, int]:
        """Rows and columns under all windows."""
        size = self.full_px + _MARGIN_PX
        rows, columns = (int(np.ceil(edge)) + size for edge in self.corner_px.max(axis=0))
        return rows, columns

    def middle(self, most: int) -> "ScanPart":
        """The frames that lie nearest to its middle, at most `most`."""
        kept = nearest_to_middle(self.corner_px, most)
        corner_px = self.corner_px[kept]
        return replace(
            self,
            counts=self.counts[kept],
            corner_px=corner_px - corner_px.min(axis=0),
            held_out=_held_out(len(kept)),
        )


@dataclass(frozen=True, eq=False)
class Trial:
    """What passes under a probe have given.

    Attributes:
        r_held_out: R-factor of the frames that no pass used.
        r_blank: of a blank object under the probe before, for all frames.
        probe: (modes, F, F) complex64 after the passes.
    """

    r_held_out: float
    r_blank: float
    probe: NDArray[np.complex64]


def scan_part(scan: Scan, threads: int) -> ScanPart:
    """The frames that lie nearest to the middle of a scan, at most 160.

    Raises:
        ScanError: if they can't be read.
    """
    at_px = positions_px(scan.positions_m, scan.object_pixel_size_m)
    known = np.flatnonzero(~scan.left_out)
    numbers = known[nearest_to_middle(at_px[known], _MOST_FRAMES)]
    prepared = Preparation(scan.mask, binning=1).prepare(
        np.asarray(SelectedFrames(scan.frames, numbers)[:], dtype=np.float32)
    )
    numbers, counts = numbers[prepared.usable], prepared.counts[prepared.usable, 0]
    corner_px = at_px[numbers] - at_px[numbers].min(axis=0)
    return ScanPart(counts, scan.full_window_px, corner_px, _held_out(len(numbers)), threads)


def tried(
    part: ScanPart,
    probe: NDArray[np.complex64],
    passes: int,
    *,
    improve_probe: bool = False,
) -> Trial:
    """Reconstruct the part under a probe (modes, F, F), and test it on the frames held out."""
    blank = np.ones(part.object_shape, np.complex64)
    with _passes(part, probe, blank, ~part.held_out, improve=improve_probe) as run:
        r_blank = run.improve().r_factor
        for _ in range(passes - 1):
            run.improve()
        found, improved = run.object, run.probe
    with _passes(part, improved, found, part.held_out) as test:
        return Trial(test.misfit().r_factor, r_blank, improved)


def nearest_to_middle(at_px: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Indices of positions (N, 2), ascending."""
    away = np.abs(at_px - np.median(at_px, axis=0)).max(axis=1)
    return np.sort(np.argsort(away, kind="stable")[:most])


def _held_out(count: int) -> NDArray[np.bool_]:
    held_out: NDArray[np.bool_] = np.arange(count) % _HELD_OUT_EVERY == _HELD_OUT_EVERY // 2
    return held_out


def _passes(
    part: ScanPart,
    probe: NDArray[np.complex64],
    start: NDArray[np.complex64],
    used: NDArray[np.bool_],
    *,
    improve: bool = False,
) -> Passes:
    binning = part.full_px // part.counts.shape[-1]
    scanned = Scanned(
        probe, part.corner_px, used, binning, lambda first, last: part.counts[first:last]
    )
    return Passes(scanned, start, part.threads, probe=improve, momentum=_MOMENTUM)
