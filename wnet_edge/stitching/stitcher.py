"""Patches into one complex image: the last step of frames → preprocess → graph → patches → image.

A frame does not know the global phase of its patch, so each patch comes with a phase offset of its
own, and the stitcher recovers all of them. With w the illumination weight, laid at the frame's
place on the image's pixels, it minimises Σ_n Σ w_n |exp(iφ_n)·patch_n − image|². Here each patch is
laid down as it comes, turned to agree with what lies there; how the phases then come to rest is in
`phase_offsets`.

Placed patches wait in a temporary file and are read into memory some at a time, so that memory
holds the image and a few hundred bytes a frame, however long the scan.
"""

import cmath
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wnet_edge.errors import ResultError
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.stitching.coarse_phases import RegionPhases
from wnet_edge.stitching.cubic_shift import MIN_WINDOW_PX
from wnet_edge.stitching.layout import (
    Extent,
    PatchPlacer,
    check_size,
    first_pixels,
    growth_order,
)
from wnet_edge.stitching.patch_file import PatchFile
from wnet_edge.stitching.phase_offsets import CHUNK, LEAST_OVERLAP, LaidPatches, power_of, settle


@dataclass(frozen=True)
class StitchOptions:
    """How hard the stitcher tries.

    Attributes:
        max_rounds: at most so many passes over all patches after the first.
        tolerance_rad: settled when no offset, less the mean, changes by more in a round.
        max_image_px: an image of more pixels is refused before it is allocated.
    """

    max_rounds: int = 50
    tolerance_rad: float = 5e-3
    max_image_px: int = 200_000_000


@dataclass(frozen=True)
class Stitched:
    """One image of the object, and where it lies.

    Attributes:
        image: (H, W) complex64, zero where nothing is covered. Its global phase, which no frame
            knows, is such that Σ coverage · image is real and positive.
        coverage: (H, W) float32, summed weight.
        window_offset_px: (2,) float64 row, column: position_px + offset = centre of the top-left
            pixel of that frame's network window in this image.
        origin_px: (2,) int64: image pixel (0, 0) is this row, column of the object, where the full
            window of a frame at position p begins at row, column p.
        offsets_rad: (N,) float64: phase added to each patch; 0 for a frame that was left out.
        used: (N,) bool: False for frames without counts or with values that are not finite.
        rounds: passes over all patches after the first.
        largest_change_rad: of an offset in the last round, less the mean change.
    """

    image: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    window_offset_px: NDArray[np.float64]
    origin_px: NDArray[np.int64]
    offsets_rad: NDArray[np.float64]
    used: NDArray[np.bool_]
    rounds: int
    largest_change_rad: float


class Stitcher:
    """Takes patches with their positions, batch by batch, and gives the image at any time.

    A context manager: the temporary file goes when the block ends, however it ends.

        with Stitcher(128, 64, weight) as stitcher:
            for positions_px, amplitude, phase, scale in batches:
                stitcher.add(positions_px, amplitude, phase, scale)
            stitched = stitcher.finish()

    Args:
        full_window_px: edge of the full window.
        patch_px: edge of a patch, the central part of the full window.
        weight: (patch_px, patch_px) float32 ≥ 0, illumination weight of the network's window.
        options: when to stop.
        expected_px: (N, 2), the positions of the frames that will come, as `add` takes them: room
            for all is taken at once, and the image has room for all, even for those that never
            come. None: the image grows with the frames.

    Raises:
        ScanError: if positions are not finite or span more pixels than an image may have.
        ResultError: if the temporary file finds no room.
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
        self._placer = PatchPlacer(self._weight, CHUNK)
        # Of the object: what the image shows, and a larger part that there is memory for.
        self._shown: Extent | None = None
        count = 0
        if expected_px is not None:
            first_px, _ = self._first_pixels(expected_px)
            self._shown, count = self._extent(first_px), len(first_px)
        self._canvas = self._shown or Extent(np.zeros(2, np.int64), (0, 0))
        self._regions = RegionPhases(patch_px, count)
        self._laid = LaidPatches(
            file=PatchFile(patch_px, count),
            corner_px=np.zeros((count, 2), np.int64),
            patch_px=patch_px,
            total=np.zeros(self._canvas.shape, dtype=np.complex64),
            coverage=np.zeros(self._canvas.shape, dtype=np.float32),
            offset_rad=np.zeros(count),
            used=np.zeros(count, dtype=bool),
        )

    def __enter__(self) -> "Stitcher":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the temporary file go; nothing can be added any more."""
        self._laid.file.close()

    def add(
        self,
        positions_px: ArrayLike,
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Lay the next B patches on the image, each turned to agree with what lies there already.

        Frames without counts (amplitude or scale zero) and frames with values that are not finite
        get no weight.

        Args:
            positions_px: (B, 2) row, column of the top-left pixel of each frame's full window,
                object pixels, fractions and any sign allowed.
            amplitude: (B, h, w) relative to the patch's illumination-weighted RMS.
            phase: (B, h, w) rad.
            scale: (B,) that RMS; the image's amplitude is scale · amplitude.

        Raises:
            ScanError: if positions are not finite, or the image becomes too large.
            ResultError: if the temporary file finds no room.
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
        self._make_room(first_px)
        for start in range(0, len(scale), CHUNK):
            part = slice(start, start + CHUNK)
            self._add_chunk(
                first_px[part] - self._canvas.origin_px,
                fraction[part],
                amplitude[part],
                phase[part],
                np.asarray(scale[part], np.float32),
            )

    def image(self, rounds: int = 1) -> Stitched:
        """The image so far, its phases settled by up to `rounds`; more can be added afterwards.

        Raises:
            ResultError: if no frame had a usable patch so far.
            ValueError: if the stitcher is closed.
        """
        self._check_usable()
        done = settle(self._laid, self._regions, rounds, self._options.tolerance_rad, last=False)
        return self._stitched(*done, last=False)

    def finish(self) -> Stitched:
        """Recover the offsets and give the image; closes the stitcher.

        Raises:
            ResultError: if no frame had a usable patch.
            ValueError: if the stitcher is closed.
        """
        self._check_usable()
        if self._seeds > 1:
            self._grow()
        options = self._options
        done = settle(
            self._laid, self._regions, options.max_rounds, options.tolerance_rad, last=True
        )
        self.close()
        return self._stitched(*done, last=True)

    def _stitched(self, rounds: int, change_rad: float, *, last: bool) -> Stitched:
        """The image in its own extent; `last` lets it have the memory of the sum."""
        if self._shown is None:
            raise ValueError("no frame has come")
        shown = self._shown.within(self._canvas)
        image, coverage = self._laid.total[shown], self._laid.coverage[shown]
        if not (last and image.flags.c_contiguous):
            image, coverage = image.copy(), coverage.copy()
        total = complex(image.sum(dtype=np.complex128))
        turn = np.conj(total) / abs(total) if total else 1.0
        covered = coverage > 0
        np.divide(image, coverage, out=image, where=covered)
        image *= np.complex64(turn)
        image[~covered] = 0  # what rounding left
        used = self._laid.used[: self._added].copy()
        offsets = np.angle(np.exp(1j * self._laid.offset_rad[: self._added]) * turn)
        start = central_window_start_px(self._full_window_px, self._patch_px)
        return Stitched(
            image=image,
            coverage=coverage,
            window_offset_px=(start - self._shown.origin_px).astype(np.float64),
            origin_px=self._shown.origin_px,
            offsets_rad=np.where(used, offsets, 0.0),
            used=used,
            rounds=rounds,
            largest_change_rad=change_rad,
        )

    def _check_open(self) -> None:
        if self._laid.file.closed:
            raise ValueError("the stitcher is closed")

    def _check_usable(self) -> None:
        self._check_open()
        if not self._laid.used.any():
            raise ResultError(
                f"none of the {self._added} frames has counts that give a finite patch: "
                "is the shutter closed, or everything masked?"
            )

    def _first_pixels(
        self, positions_px: ArrayLike
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        return first_pixels(
            positions_px, self._full_window_px, self._patch_px, self._options.max_image_px
        )

    def _extent(self, first_px: NDArray[np.int64]) -> Extent:
        return Extent.between(first_px.min(axis=0), first_px.max(axis=0) + self._patch_px)

    def _make_room(self, first_px: NDArray[np.int64]) -> None:
        """For frames whose windows begin on these object pixels (B, 2)."""
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
        """More than is needed, so that not every frame moves the whole image in memory."""
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
        """Place up to `CHUNK` patches, write them to the file and sum them greedily."""
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
            self._lay(first + index, placed[index], self._laid.total[windows[index]], power[index])

    def _lay(
        self,
        frame: int,
        patch: NDArray[np.complex64],
        region: NDArray[np.complex64],
        power: float,
    ) -> None:
        """Turn one placed patch to agree with the image under it, and add it."""
        agreement = complex(np.vdot(patch, region))
        if abs(agreement) <= LEAST_OVERLAP * power:
            self._seeds += 1
        self._laid.offset_rad[frame] = cmath.phase(agreement)
        region += patch * np.complex64(cmath.rect(1, self._laid.offset_rad[frame]))

    def _grow(self) -> None:
        """Lay all patches anew, outwards from the middle.

        A scan whose order jumps begins as islands, each with a phase of its own; where they meet
        later the seams, once closed around a loop, would never heal.
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
