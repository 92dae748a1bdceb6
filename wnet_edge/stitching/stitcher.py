"""Patches into one complex image: the last step of frames → preprocess → graph → patches → image.

A frame does not know the global phase of its patch, so each patch comes with a phase offset of its
own, and the stitcher recovers all of them. With w the illumination weight, laid at the frame's
place on the image's pixels, it minimises Σ_n Σ w_n |exp(iφ_n)·patch_n − image|². Here each patch is
laid down as it comes, turned to agree with what lies there; how the phases then come to rest is in
`settling`.

Placed patches wait in a temporary file and are read into memory some at a time, so that memory
holds the image and a few hundred bytes a frame, however long the scan.
"""

import cmath
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wnet_edge.errors import ResultError
from wnet_edge.stitching.coarse_phases import RegionPhases
from wnet_edge.stitching.cubic_shift import MIN_WINDOW_PX
from wnet_edge.stitching.layout import PatchPlacer, growth_order, lay_out
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
        used: (N,) bool: False for frames without counts, with values that are not finite, or that
            were never added.
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
    """Takes patches in scan order, batch by batch, then gives the image.

    A context manager: the temporary file goes when the block ends, however it ends.

        with Stitcher(positions_px, 128, 64, weight) as stitcher:
            for amplitude, phase, scale in batches:
                stitcher.add(amplitude, phase, scale)
            stitched = stitcher.finish()

    Args:
        positions_px: (N, 2) row, column of the top-left pixel of each frame's full window, object
            pixels, fractions and any sign allowed.
        full_window_px: edge of the full window.
        patch_px: edge of a patch, the central part of the full window.
        weight: (patch_px, patch_px) float32 ≥ 0, illumination weight of the network's window.
        options: when to stop.

    Raises:
        ScanError: if positions are not finite or span more pixels than an image may have.
        ResultError: if the temporary file finds no room.
        ValueError: if shapes or weights are not as above.
    """

    def __init__(
        self,
        positions_px: ArrayLike,
        full_window_px: int,
        patch_px: int,
        weight: NDArray[np.float32],
        options: StitchOptions | None = None,
    ) -> None:
        self._options = options or StitchOptions()
        self._weight = _checked_weight(weight, patch_px)
        self._patch_px = patch_px
        self._layout = lay_out(positions_px, full_window_px, patch_px, self._options.max_image_px)
        count = len(self._layout.corner_px)
        self._added = 0
        self._seeds = 0
        self._placer = PatchPlacer(self._weight, CHUNK)
        self._regions = RegionPhases(self._layout.corner_px, patch_px)
        self._laid = LaidPatches(
            file=PatchFile(count, patch_px),
            corner_px=self._layout.corner_px,
            patch_px=patch_px,
            total=np.zeros(self._layout.shape, dtype=np.complex64),
            coverage=np.zeros(self._layout.shape, dtype=np.float32),
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
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Lay the next B patches on the image, each turned to agree with what lies there already.

        Frames without counts (amplitude or scale zero) and frames with values that are not finite
        get no weight.

        Args:
            amplitude: (B, h, w) relative to the patch's illumination-weighted RMS.
            phase: (B, h, w) rad.
            scale: (B,) that RMS; the image's amplitude is scale · amplitude.

        Raises:
            ValueError: if shapes disagree, or more frames come than there are positions.
        """
        expected = (len(scale), self._patch_px, self._patch_px)
        if amplitude.shape != expected or phase.shape != expected or np.ndim(scale) != 1:
            raise ValueError(
                f"amplitude {amplitude.shape}, phase {phase.shape} and scale {np.shape(scale)} "
                f"are not (B, {self._patch_px}, {self._patch_px}) twice and (B,)"
            )
        if self._laid.file.closed:
            raise ValueError("the stitcher is closed")
        if self._added + len(scale) > len(self._laid.offset_rad):
            raise ValueError(f"more frames than the {len(self._laid.offset_rad)} positions")
        for start in range(0, len(scale), CHUNK):
            part = slice(start, start + CHUNK)
            self._add_chunk(amplitude[part], phase[part], np.asarray(scale[part], np.float32))

    def finish(self) -> Stitched:
        """Recover the offsets and give the image; closes the stitcher.

        Raises:
            ResultError: if no frame had a usable patch.
            ValueError: if the stitcher is closed.
        """
        if self._laid.file.closed:
            raise ValueError("the stitcher is closed")
        if not self._laid.used.any():
            raise ResultError(
                f"none of the {self._added} frames has counts that give a finite patch: "
                "is the shutter closed, or everything masked?"
            )
        if self._seeds > 1:
            self._grow()
        options = self._options
        rounds, change = settle(
            self._laid, self._regions, options.max_rounds, options.tolerance_rad
        )
        self.close()

        total = complex(self._laid.total.sum(dtype=np.complex128))
        turn = np.conj(total) / abs(total) if total else 1.0
        covered = self._laid.coverage > 0
        np.divide(self._laid.total, self._laid.coverage, out=self._laid.total, where=covered)
        self._laid.total *= np.complex64(turn)
        self._laid.total[~covered] = 0  # what rounding left
        offsets = np.angle(np.exp(1j * self._laid.offset_rad) * turn)
        return Stitched(
            image=self._laid.total,
            coverage=self._laid.coverage,
            window_offset_px=self._layout.window_offset_px,
            origin_px=self._layout.origin_px,
            offsets_rad=np.where(self._laid.used, offsets, 0.0),
            used=self._laid.used,
            rounds=rounds,
            largest_change_rad=change,
        )

    def _add_chunk(
        self,
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Place up to `CHUNK` patches, write them to the file and sum them greedily."""
        first, last = self._added, self._added + len(scale)
        fraction = self._layout.fraction_px[first:last]
        placed, weights, usable = self._placer.place(amplitude, phase, scale, fraction)
        self._laid.file.write(first, placed)
        self._regions.add(first, placed)

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
        for frame in growth_order(self._layout.corner_px, self._patch_px):
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
