"""Stitching of patches into one complex image: the last step of frames → patches → image.

A diffraction frame does not determine the global phase of its patch, so each patch has an unknown
phase offset φ, and the stitcher recovers all of them. With w the illumination weight, shifted to
the frame's position, it minimises Σ_n Σ w_n |exp(iφ_n)·patch_n − image|². Patches are first added
greedily as they arrive, each rotated in phase to agree with the image so far; the iterations that
follow are in `phase_offsets`.

Placed patches are kept in a temporary file and read in chunks, so that memory holds the image and a
few hundred bytes per frame, however long the scan.
"""

import cmath
from dataclasses import dataclass, replace
from threading import Lock

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wnet_edge.host.array_file import ArrayFile
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.stitching.coarse_phases import RegionPhases
from wnet_edge.stitching.cubic_shift import MIN_WINDOW_PX
from wnet_edge.stitching.laid_sums import LaidSums, check_any
from wnet_edge.stitching.layout import (
    Extent,
    PatchPlacer,
    check_size,
    first_pixels,
    growth_order,
)
from wnet_edge.stitching.phase_offsets import (
    CHUNK,
    LEAST_OVERLAP,
    LaidPatches,
    power_of,
    relax,
    settle,
    sparse_px,
)

_COPIED_ROWS = 128
"""Rows of an image that are copied at a time, while no patch can be laid."""


@dataclass(frozen=True)
class StitchOptions:
    """Stopping criteria and size limit of the stitcher.

    Attributes:
        max_rounds: largest number of relaxation sweeps after the greedy pass.
        tolerance_rad: converged when no offset changes by more in a sweep, relative to the mean
            change.
        max_image_px: largest number of pixels; a larger image is refused before allocation.
    """

    max_rounds: int = 50
    tolerance_rad: float = 5e-3
    max_image_px: int = 200_000_000


class Stitcher:
    """Stitches patches, added in batches with their positions; the image is there at any time.

    A context manager: the temporary file is deleted on exit, also after an error.

        with Stitcher(128, 64, weight) as stitcher:
            for positions_px, amplitude, phase, scale in batches:
                stitcher.add(positions_px, amplitude, phase, scale)
            stitched = stitcher.finish().stitched()

    Args:
        full_window_px: edge of the full window.
        patch_px: edge of a patch, the central part of the full window.
        weight: (patch_px, patch_px) float32 ≥ 0, illumination weight of the network's window.
        options: stopping criteria and size limit.
        expected_px: (N, 2) positions of all frames to come, as for `add`: memory and disk space are
            allocated at once, and the image covers them all, even those that are never added. None:
            the image grows with the frames.

    Raises:
        ScanError: if positions are not finite or span more pixels than an image may have.
        ResultError: if there is no disk space for the temporary file.
        ValueError: if shapes or weights are not as above.
    """

    def __init__(
        self,
        full_window_px: int,
        patch_px: int,
        weight: NDArray[np.float32],
        options: StitchOptions | None = None,
        expected_px: ArrayLike | None = None,
    ) -> None:
        self._options = options or StitchOptions()
        self._weight = _checked_weight(weight, patch_px)
        self._full_window_px, self._patch_px = full_window_px, patch_px
        self._added = 0
        self._seeds = 0
        self._relaxed_next = 0
        self._lock = Lock()  # of all that looks in other threads read
        self._placer = PatchPlacer(self._weight, CHUNK)
        # Extents on the object: that of the image, and the larger one that is allocated.
        self._shown: Extent | None = None
        count = 0
        if expected_px is not None:
            first_px, _ = self._first_pixels(expected_px)
            self._shown, count = self._extent(first_px), len(first_px)
        self._canvas = self._shown or Extent(np.zeros(2, np.int64), (0, 0))
        self._regions = RegionPhases(patch_px, count)
        self._laid = LaidPatches(
            file=ArrayFile((patch_px, patch_px), np.complex64, count, "patches"),
            sparse_file=ArrayFile(2 * (sparse_px(patch_px),), np.complex64, count, "patches"),
            corner_px=np.zeros((count, 2), np.int64),
            patch_px=patch_px,
            total=np.zeros(self._canvas.shape, dtype=np.complex64),
            coverage=np.zeros(self._canvas.shape, dtype=np.float32),
            offset_rad=np.zeros(count),
            used=np.zeros(count, dtype=bool),
        )

    def __enter__(self) -> "Stitcher":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Delete the temporary file; `add` and `finish` raise from then on."""
        self._laid.file.close()
        self._laid.sparse_file.close()

    def add(
        self,
        positions_px: ArrayLike,
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Add the next B patches, each rotated in phase to agree with the image so far.

        Frames without counts (amplitude or scale zero) and frames with non-finite values get no
        weight.

        Args:
            positions_px: (B, 2) row, column of the top-left pixel of each frame's full window,
                object pixels, fractions and any sign allowed.
            amplitude: (B, h, w) float32, relative to the amplitude scale.
            phase: (B, h, w) float32 rad.
            scale: (B,) float32, amplitude scale: illumination-weighted RMS of each patch; the
                image's amplitude is scale · amplitude.

        Raises:
            ScanError: if positions are not finite, or the image becomes too large.
            ResultError: if there is no disk space for the temporary file.
            ValueError: if shapes disagree, or the stitcher is closed.
        """
        expected = (len(scale), self._patch_px, self._patch_px)
        if amplitude.shape != expected or phase.shape != expected or np.ndim(scale) != 1:
            raise ValueError(
                f"amplitude {amplitude.shape}, phase {phase.shape} and scale {np.shape(scale)} "
                f"are not (B, {self._patch_px}, {self._patch_px}) twice and (B,)"
            )
        self._check_open()
        first_px, fraction = self._first_pixels(positions_px)
        if len(first_px) != len(scale):
            raise ValueError(f"{len(scale)} frames have {len(first_px)} positions")
        with self._lock:
            self._make_room(first_px)
        for start in range(0, len(scale), CHUNK):
            part = slice(start, start + CHUNK)
            with self._lock:
                self._add_chunk(
                    first_px[part] - self._canvas.origin_px,
                    fraction[part],
                    amplitude[part],
                    phase[part],
                    np.asarray(scale[part], np.float32),
                )

    def relax(self, count: int) -> None:
        """Relax the phases of `count` patches a little, on from where the last call stopped.

        In any thread, while others are added.

        Raises:
            ValueError: if the stitcher is closed.
        """
        while count > 0 and self._added:
            with self._lock:
                self._check_open()
                first = self._relaxed_next % self._added
                last = min(first + min(count, CHUNK), self._added)
                relax(self._laid, first, last)
                self._relaxed_next = last
            count -= last - first

    def so_far(self, count: int) -> LaidSums:
        """What has been laid so far, copied, for the first `count` frames; more can be added.

        In any thread, while others are added: some of the later ones may be in the sums.

        Raises:
            ValueError: if no frame has come.
        """
        shown = self._shown
        if shown is None:
            raise ValueError("no frame has come")
        total = np.empty(shown.shape, np.complex64)
        coverage = np.empty(shown.shape, np.float32)
        for start in range(0, shown.shape[0], _COPIED_ROWS):
            rows = slice(start, start + _COPIED_ROWS)
            with self._lock:
                there = shown.within(self._canvas)  # which may have grown
                total[rows] = self._laid.total[there][rows]
                coverage[rows] = self._laid.coverage[there][rows]
        return self._sums(shown, total, coverage, count)

    def finish(self) -> LaidSums:
        """Solve for the phase offsets; closes the stitcher.

        Raises:
            ResultError: if no frame had a usable patch.
            ValueError: if the stitcher is closed.
        """
        self._check_open()
        check_any(self._laid.used[: self._added])
        if self._seeds > 1:
            self._grow()
        options = self._options
        rounds, change_rad = settle(
            self._laid, self._regions, options.max_rounds, options.tolerance_rad
        )
        self.close()
        if self._shown is None:
            raise ValueError("no frame has come")
        there = self._shown.within(self._canvas)
        total = np.ascontiguousarray(self._laid.total[there])
        coverage = np.ascontiguousarray(self._laid.coverage[there])
        sums = self._sums(self._shown, total, coverage, self._added)
        return replace(sums, rounds=rounds, largest_change_rad=change_rad)

    def _sums(
        self,
        shown: Extent,
        total: NDArray[np.complex64],
        coverage: NDArray[np.float32],
        count: int,
    ) -> LaidSums:
        return LaidSums(
            total,
            coverage,
            shown.origin_px,
            central_window_start_px(self._full_window_px, self._patch_px),
            self._laid.offset_rad[:count].copy(),
            self._laid.used[:count].copy(),
        )

    def _check_open(self) -> None:
        if self._laid.file.closed:
            raise ValueError("the stitcher is closed")

    def _first_pixels(
        self, positions_px: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return first_pixels(
            positions_px, self._full_window_px, self._patch_px, self._options.max_image_px
        )

    def _extent(self, first_px: NDArray[np.int64]) -> Extent:
        return Extent.between(first_px.min(axis=0), first_px.max(axis=0) + self._patch_px)

    def _make_room(self, first_px: NDArray[np.int64]) -> None:
        """Allocate space for frames whose windows begin on these object pixels (B, 2)."""
        room = len(self._laid.used)
        if self._added + len(first_px) > room:
            count = max(self._added + len(first_px), 2 * room)
            self._laid.reserve(count)
            self._regions.reserve(count)
        shown = self._extent(first_px)
        if self._shown is not None:
            shown = shown.joined(self._shown)
        check_size(shown.shape, self._options.max_image_px)
        self._shown = shown
        if self._canvas.shape == (0, 0):
            self._canvas = Extent(shown.origin_px, (0, 0))
        if not self._canvas.holds(shown):
            self._enlarge_canvas(shown)

    def _enlarge_canvas(self, shown: Extent) -> None:
        """Enlarge the allocated extent by more than needed, so that the image is rarely copied."""
        region_px = self._regions.region_px
        spare = np.maximum(np.array(shown.shape) // 4, region_px)
        low, high = shown.origin_px - self._canvas.origin_px, shown.end_px - self._canvas.end_px
        regions = np.where(low < 0, -((low - spare) // region_px), 0)
        canvas = Extent.between(
            self._canvas.origin_px - regions * region_px,
            self._canvas.end_px + np.where(high > 0, high + spare, 0),
        )
        self._laid.enlarge(canvas.shape, regions * region_px)
        self._regions.move(regions)
        self._canvas = canvas

    def _add_chunk(
        self,
        corner_px: NDArray[np.int64],
        fraction: NDArray[np.float64],
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Place up to `CHUNK` patches, write them to the file and add them greedily."""
        first, last = self._added, self._added + len(scale)
        placed, weights, usable = self._placer.place(amplitude, phase, scale, fraction)
        self._laid.file.write(first, placed)
        self._regions.add(first, corner_px, placed)

        self._laid.corner_px[first:last] = corner_px
        self._laid.used[first:last] = usable
        self._added = last
        power, windows = power_of(placed), self._laid.windows(first, len(scale))
        for index in np.flatnonzero(usable).tolist():
            region = self._laid.coverage[windows[index]]
            region += weights[index]
            self._lay(
                first + index, placed[index], self._laid.total[windows[index]], float(power[index])
            )

    def _lay(
        self,
        frame: int,
        patch: NDArray[np.complex64],
        region: NDArray[np.complex64],
        power: float,
    ) -> None:
        """Rotate one placed patch in phase, in place, to agree with the image under it; add it."""
        under = region.copy()  # without gaps between its rows: faster to compare and to add
        agreement = complex(np.vdot(patch, under))
        if abs(agreement) <= LEAST_OVERLAP * power:
            self._seeds += 1
        self._laid.offset_rad[frame] = offset_rad = cmath.phase(agreement)
        patch *= np.complex64(cmath.rect(1, offset_rad))
        under += patch
        region[:] = under

    def _grow(self) -> None:
        """Repeat the greedy pass outwards from the centre of the scan.

        In a scan whose order jumps, the greedy pass starts as islands with independent phases;
        phase vortices where they meet around a loop would survive every later sweep.
        """
        self._laid.total[:] = 0
        for frame in growth_order(self._laid.corner_px[: self._added], self._patch_px):
            if self._laid.used[frame]:
                patch, (window,) = (
                    self._laid.file.read(frame, frame + 1),
                    self._laid.windows(frame, 1),
                )
                self._lay(frame, patch[0], self._laid.total[window], float(power_of(patch)[0]))


def _checked_weight(weight: NDArray[np.float32], patch_px: int) -> NDArray[np.float32]:
    if patch_px < MIN_WINDOW_PX or weight.shape != (patch_px, patch_px):
        raise ValueError(f"weight {weight.shape} is not ({patch_px}, {patch_px})")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError("weights must be finite, not negative and not all zero")
    return weight.astype(np.float32)
