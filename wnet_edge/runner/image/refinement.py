"""Refinement of a stitched image: passes over its own frames, from the network's guess on."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import WNetEdgeError, not_installed
from wnet_edge.physics.geometry import central_window_start_px, positions_px
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.refining.options import RefineOptions
from wnet_edge.refining.stopping import passes_that_pay
from wnet_edge.runner.graph.device import usable_cores
from wnet_edge.runner.image.gathered import Assembled, Gathered
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.scan.preparation import Preparation
from wnet_edge.stitching.laid_sums import Stitched, blank_value, global_turn

_LEAST_COVERAGE = 0.02
"""Of the largest coverage: what the network has seen less of is begun blank."""

_ROOM_PX = 16
"""Around the object, in which positions may move."""

ReadFrames = Callable[[int, int], NDArray[np.float32]]
"""Frames first to last (excluded) as the assembler got them, (B, n, n) float32."""


@dataclass(frozen=True)
class Refinement:
    """What refinement did.

    Attributes:
        r_factors: of the object before each pass and after the last, over all frames.
        r_noise: R-factor that a perfect object would have.
        stopped: why there was no further pass.
        seconds: it took.
        positions_m: (N, 2) row, column that the passes have corrected; None if they were held.
        moved_px: root mean square of that correction.
        probe: (modes, n, n) complex64 that the passes have improved; None if it was held.
        probe_change: of it, relative to the probe before.
    """

    r_factors: tuple[float, ...]
    r_noise: float
    stopped: str
    seconds: float
    positions_m: NDArray[np.float64] | None = None
    moved_px: float = 0.0
    probe: NDArray[np.complex64] | None = None
    probe_change: float = 0.0

    @property
    def passes(self) -> int:
        """Whole passes."""
        return len(self.r_factors) - 1

    def applied_to(self, gathered: Gathered) -> Gathered:
        """What was gathered, with the positions and the probe that the passes have found."""
        return replace(
            gathered,
            positions_m=gathered.positions_m if self.positions_m is None else self.positions_m,
            probe=gathered.probe if self.probe is None else self.probe,
        )

    @property
    def values(self) -> dict[str, float | str | tuple[float, ...]]:
        """By their names in results and `--json`."""
        return {
            "passes": self.passes,
            "r_factors": self.r_factors,
            "r_noise": self.r_noise,
            "stopped": self.stopped,
            "positions_moved_px": self.moved_px,
            "probe_change": self.probe_change,
            "seconds": self.seconds,
        }

    @property
    def text(self) -> str:
        """In a line."""
        first, last = self.r_factors[0], self.r_factors[-1]
        return (
            f"refined in {self.passes} passes, {self.seconds:.1f} s: R-factor of all frames "
            f"{first:.4f} to {last:.4f} ({self.stopped})"
            + ("" if self.positions_m is None else f"; positions by {self.moved_px:.2f} px RMS")
            + ("" if self.probe is None else f"; probe by {100 * self.probe_change:.0f} %")
        )


def refine(
    gathered: Gathered,
    assembled: Assembled,
    read: ReadFrames,
    options: RefineOptions,
    progress: Callable[[int], None] | None = None,
) -> tuple[Assembled, Refinement]:
    """Improve an image until its frames are explained, under the package's probe.

    Ctrl-C ends it with the last whole pass. If the passes explain the frames worse than the image
    did, as they may with far less than a photon a pixel, the image is left as it was.

    Args:
        gathered: the frames' setup and positions.
        assembled: their image.
        read: gives the frames again.
        options: how far.
        progress: called after each pass with the number of frames in it.

    Raises:
        WNetEdgeError: if scipy, for its Fourier transforms, is not installed.
        ScanError: if the frames can't be read any more.
    """
    try:
        from wnet_edge.refining.passes import Passes, Scanned
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed("--refine", error, "refine")) from error
    began = perf_counter()
    setup, stitched = gathered.setup, assembled.stitched
    # A detector that bins the far field sees less of the object than its probe lights.
    size_px = max(setup.full_window_px, gathered.package.manifest.frame_px)
    window = _Window.of(
        setup,
        gathered.positions_m,
        stitched,
        size_px,
        positions_move=options.positions is not None,
    )
    scanned = Scanned(
        probe=fitted_probe(gathered.probe, size_px),
        corner_px=window.corner_px,
        used=stitched.used,
        binning=size_px // setup.frame_px,
        read=_masked(setup, read),
    )
    threads = options.threads or usable_cores()
    with Passes(scanned, window.start, threads, options.positions, probe=options.probe) as passes:
        r_factors, stopped = passes_that_pay(passes, options, progress)
        last = passes.misfit()
    first, seconds = r_factors[0] if r_factors else last.r_factor, perf_counter() - began
    if last.r_factor > first:
        why = f"passes raise it to {last.r_factor:.4f}, and the image is left as it was"
        return assembled, Refinement((first,), last.r_noise, why, seconds)
    done = Refinement((*r_factors, last.r_factor), last.r_noise, stopped, seconds)
    if options.positions is not None:
        moved_px = passes.corner_px - window.corner_px
        positions_m = gathered.positions_m + moved_px * setup.object_pixel_size_m
        rms_px = float(np.sqrt(np.mean(np.sum(moved_px[stitched.used] ** 2, axis=1))))
        done = replace(done, positions_m=positions_m, moved_px=rms_px)
    if options.probe:
        change = passes.probe - passes.given_probe
        share = np.linalg.norm(change) / np.linalg.norm(passes.given_probe)
        done = replace(done, probe=passes.probe, probe_change=float(share))
    image = passes.object[window.image]
    return replace(assembled, stitched=_with_image(stitched, image)), done


@dataclass(frozen=True, eq=False)
class _Window:
    """The object under all full windows, around the image.

    Attributes:
        start: (H, W) complex64, the image where the network has seen enough, else blank.
        corner_px: (N, 2) float64, row and column of each full window in it.
        image: where the image lies in it.
    """

    start: NDArray[np.complex64]
    corner_px: NDArray[np.float64]
    image: tuple[slice, slice]

    @classmethod
    def of(
        cls,
        setup: FrameSetup,
        positions_m: NDArray[np.float64],
        stitched: Stitched,
        size_px: int,
        *,
        positions_move: bool,
    ) -> "_Window":
        """For frames at `positions_m` (N, 2) under windows of `size_px` around theirs."""
        start_px = central_window_start_px(setup.full_window_px, size_px)
        corner_px = positions_px(positions_m, setup.object_pixel_size_m) + start_px
        shape = np.array(stitched.image.shape)
        room_px = _ROOM_PX if positions_move else 0
        low = np.minimum(
            np.floor(corner_px.min(axis=0)).astype(np.int64) - room_px, stitched.origin_px
        )
        high = np.maximum(
            np.ceil(corner_px.max(axis=0)).astype(np.int64) + size_px + 1 + room_px,
            stitched.origin_px + shape,
        )
        seen = stitched.coverage > _LEAST_COVERAGE * stitched.coverage.max()
        start = np.full(tuple(high - low), blank_value(stitched.image[seen]), np.complex64)
        row, column = (stitched.origin_px - low).tolist()
        image = slice(row, row + shape[0]), slice(column, column + shape[1])
        np.copyto(start[image], stitched.image, where=seen)
        return cls(start, corner_px - low, image)


def _masked(setup: FrameSetup, read: ReadFrames) -> ReadFrames:
    """The frames as they are measured, negative where a pixel holds no count."""
    preparation = Preparation(setup.mask, binning=1)

    def counts(first: int, last: int) -> NDArray[np.float32]:
        return preparation.prepare(read(first, last)).counts[:, 0]

    return counts


def _with_image(stitched: Stitched, image: NDArray[np.complex64]) -> Stitched:
    """The same with another image, in the same choice of global phase."""
    turn = np.complex64(global_turn(stitched.coverage * image))
    turned = np.where(stitched.coverage > 0, image * turn, np.complex64(0))
    return replace(stitched, image=turned)
