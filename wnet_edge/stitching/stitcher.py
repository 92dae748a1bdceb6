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


@dataclass(frozen=True)
class Stitched:
    """Stitched complex image of the object with its coverage and its place on the object.

    Attributes:
        image: (H, W) complex64, zero where coverage is zero. Its global phase, which is not
            measurable, is chosen so that Σ coverage · image is real and positive.
        coverage: (H, W) float32, summed illumination weight.
        window_offset_px: (2,) float64 row, column: position_px + offset = centre of the top-left
            pixel of that frame's network window in this image.
        origin_px: (2,) int64, object row, column of image pixel (0, 0), in the coordinates of the
            positions.
        offsets_rad: (N,) float64, phase added to each patch; 0 for a frame that was left out.
        used: (N,) bool, False for frames without counts, with non-finite values, or never added.
        rounds: number of relaxation sweeps after the greedy pass.
        largest_change_rad: largest change of an offset in the last sweep, relative to the mean
            change.
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
    """Stitches patches, added batch by batch in scan order, into one complex image.

    A context manager: the temporary file is deleted on exit, also after an error.

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
        options: stopping criteria and size limit.

    Raises:
        ScanError: if positions are not finite or span more pixels than an image may have.
        ResultError: if there is no disk space for the temporary file.
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
        """Delete the temporary file; `add` and `finish` raise from then on."""
        self._laid.file.close()

    def add(
        self,
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Add the next B patches, each rotated in phase to agree with the image so far.

        Frames without counts (amplitude or scale zero) and frames with non-finite values get no
        weight.

        Args:
            amplitude: (B, h, w) float32, relative to the amplitude scale.
            phase: (B, h, w) float32 rad.
            scale: (B,) float32, amplitude scale: illumination-weighted RMS of each patch; the
                image's amplitude is scale · amplitude.

        Raises:
            ValueError: if shapes disagree, more frames are added than there are positions, or the
                stitcher is closed.
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
        """Solve for the phase offsets and return the image; closes the stitcher.

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
        self._laid.total[~covered] = 0  # rounding residue
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
        """Place up to `CHUNK` patches, write them to the file and add them greedily."""
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
        """Rotate one placed patch in phase to agree with the image under it, and add it."""
        agreement = complex(np.vdot(patch, region))
        if abs(agreement) <= LEAST_OVERLAP * power:
            self._seeds += 1
        self._laid.offset_rad[frame] = cmath.phase(agreement)
        region += patch * np.complex64(cmath.rect(1, self._laid.offset_rad[frame]))

    def _grow(self) -> None:
        """Repeat the greedy pass outwards from the centre of the scan.

        In a scan whose order jumps, the greedy pass starts as islands with independent phases;
        phase vortices where they meet around a loop would survive every later sweep.
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
