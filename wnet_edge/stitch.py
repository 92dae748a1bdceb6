"""Patches into one complex image: the last step of frames → preprocess → graph → patches → image.

A frame does not know the global phase of its patch, so each patch comes with a phase offset of its
own, and the stitcher recovers all of them. With w the illumination weight, laid at the frame's
place on the image's pixels, it minimises Σ_n Σ w_n |exp(iφ_n)·patch_n − image|². For given offsets
the best image is the weighted mean; for a given image the best offset is
φ_n = arg Σ w_n·conj(patch_n)·image (generalised power iteration for phase synchronisation: Boumal,
SIAM J. Optim. 26, 2355, 2016). The two alternate here frame by frame, as Gauss and Seidel would:
the image follows every new offset at once, a frame is compared with the others without itself, and
steps are a little too long on purpose (successive over-relaxation: Young, 1954). What bends slowly
over the image, and would take tens of such rounds, is left to `region_phases`.

Placed patches wait in a temporary file and are mapped into memory some at a time, so that memory
holds the image and a few hundred bytes a frame, however long the scan.
"""

import cmath
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wnet_edge.errors import ResultError
from wnet_edge.patch_file import PatchFile
from wnet_edge.placing import PatchPlacer, growth_order, lay_out
from wnet_edge.region_phases import RegionPhases
from wnet_edge.window_shift import MIN_WINDOW_PX

_CHUNK = 16  # frames placed or mapped at a time: 0.5 MiB of 64 × 64 patches
_OVER_RELAXATION = 1.2
_LEAST_OVERLAP = 1e-3  # of a patch's own power: less says nothing about its phase


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
        self._offset = np.zeros(count)
        self._used = np.zeros(count, dtype=bool)
        self._sum = np.zeros(self._layout.shape, dtype=np.complex64)
        self._coverage = np.zeros(self._layout.shape, dtype=np.float32)
        self._placer = PatchPlacer(self._weight, _CHUNK)
        self._regions = RegionPhases(self._layout.corner_px, patch_px)
        self._file = PatchFile(count, patch_px)

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
        self._file.close()

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
        if self._file.closed:
            raise ValueError("the stitcher is closed")
        if self._added + len(scale) > len(self._offset):
            raise ValueError(f"more frames than the {len(self._offset)} positions")
        for start in range(0, len(scale), _CHUNK):
            part = slice(start, start + _CHUNK)
            self._add_chunk(amplitude[part], phase[part], np.asarray(scale[part], np.float32))

    def finish(self) -> Stitched:
        """Recover the offsets and give the image; closes the stitcher.

        Raises:
            ResultError: if no frame had a usable patch.
            ValueError: if the stitcher is closed.
        """
        if self._file.closed:
            raise ValueError("the stitcher is closed")
        if not self._used.any():
            raise ResultError(
                f"none of the {self._added} frames has counts that give a finite patch: "
                "is the shutter closed, or everything masked?"
            )
        if self._seeds > 1:
            self._grow()
        rounds, change = self._settle()
        self.close()

        total = complex(self._sum.sum(dtype=np.complex128))
        turn = np.conj(total) / abs(total) if total else 1.0
        covered = self._coverage > 0
        np.divide(self._sum, self._coverage, out=self._sum, where=covered)
        self._sum *= np.complex64(turn)
        self._sum[~covered] = 0  # what rounding left
        offsets = np.angle(np.exp(1j * self._offset) * turn)
        return Stitched(
            image=self._sum,
            coverage=self._coverage,
            window_offset_px=self._layout.window_offset_px,
            origin_px=self._layout.origin_px,
            offsets_rad=np.where(self._used, offsets, 0.0),
            used=self._used,
            rounds=rounds,
            largest_change_rad=change,
        )

    def _add_chunk(
        self,
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
    ) -> None:
        """Place up to `_CHUNK` patches, write them to the file and sum them greedily."""
        first, last = self._added, self._added + len(scale)
        fraction = self._layout.fraction_px[first:last]
        placed, weights, usable = self._placer.place(amplitude, phase, scale, fraction)
        self._file.write(first, placed)
        self._regions.add(first, placed)

        self._used[first:last] = usable
        self._added = last
        power, windows = _power(placed), self._windows(first, len(scale))
        for index in np.flatnonzero(usable).tolist():
            region = self._coverage[windows[index]]
            region += weights[index]
            self._lay(first + index, placed[index], self._sum[windows[index]], power[index])

    def _lay(
        self,
        frame: int,
        patch: NDArray[np.complex64],
        region: NDArray[np.complex64],
        power: float,
    ) -> None:
        """Turn one placed patch to agree with the image under it, and add it."""
        agreement = complex(np.vdot(patch, region))
        if abs(agreement) <= _LEAST_OVERLAP * power:
            self._seeds += 1
        self._offset[frame] = cmath.phase(agreement)
        region += patch * np.complex64(cmath.rect(1, self._offset[frame]))

    def _grow(self) -> None:
        """Lay all patches anew, outwards from the middle.

        A scan whose order jumps begins as islands, each with a phase of its own; where they meet
        later the seams, once closed around a loop, would never heal.
        """
        self._sum[:] = 0
        for frame in growth_order(self._layout.corner_px, self._patch_px):
            if self._used[frame]:
                patch, (window,) = self._file.read(frame, frame + 1), self._windows(frame, 1)
                self._lay(frame, patch[0], self._sum[window], float(_power(patch)[0]))

    def _settle(self) -> tuple[int, float]:
        """Rounds over all patches, in scan order and back, until the offsets rest.

        Image and patches are divided by the root of the coverage, Σ over a patch of conj(patch) ·
        image / coverage being what every step asks for; and both are multiplied by it at the end.
        """
        root = np.sqrt(self._coverage)
        inverse_root = np.zeros_like(root)
        np.divide(1, root, out=inverse_root, where=root > 0)
        self._sum *= inverse_root
        own = self._divide_patches(inverse_root)
        largest = 0.0
        for done in range(1, self._options.max_rounds + 1):
            change = np.zeros(len(self._offset))
            for frame, patch, region in self._placed(backwards=done % 2 == 0):
                change[frame] = self._improve(frame, patch, region, own[frame])
            moved = change[self._used]
            largest = float(np.abs(moved - moved.mean()).max())
            if largest < self._options.tolerance_rad:
                break
            if done < self._options.max_rounds:
                self._turn_regions()
        self._sum *= root
        return done, largest

    def _divide_patches(self, inverse_root: NDArray[np.float32]) -> NDArray[np.float64]:
        """Divide all patches by the root of the coverage; the power (N,) that each then has."""
        power = np.zeros(len(self._offset))
        for start in range(0, self._added, _CHUNK):
            patches = self._file.read(start, min(start + _CHUNK, self._added))
            for patch, window in zip(patches, self._windows(start, len(patches)), strict=True):
                np.multiply(patch, inverse_root[window], out=patch)
            self._file.write(start, patches)
            power[start : start + len(patches)] = _power(patches)
        return power

    def _turn_regions(self) -> None:
        """Turn all patches of a region alike, and sum them anew."""
        pull = np.zeros(len(self._offset))
        for frame, patch, region in self._placed():
            agreement = complex(np.vdot(patch, region))
            pull[frame] = (agreement * cmath.rect(1, -self._offset[frame])).imag
        self._offset += self._regions.corrections(self._offset, pull, self._coverage)
        turn = np.exp(1j * self._offset).astype(np.complex64)
        self._sum[:] = 0
        for frame, patch, region in self._placed():
            np.add(region, patch * turn[frame], out=region)

    def _placed(
        self, *, backwards: bool = False
    ) -> Iterator[tuple[int, NDArray[np.complex64], NDArray[np.complex64]]]:
        """Every usable frame, its placed patch and the image under it, in scan order or back."""
        step = -1 if backwards else 1
        for start in range(0, self._added, _CHUNK)[::step]:
            patches = self._file.read(start, min(start + _CHUNK, self._added))
            windows = self._windows(start, len(patches))
            for index in np.flatnonzero(self._used[start : start + _CHUNK])[::step].tolist():
                yield start + index, patches[index], self._sum[windows[index]]

    def _improve(
        self, frame: int, patch: NDArray[np.complex64], region: NDArray[np.complex64], own: float
    ) -> float:
        """Turn one patch towards the mean of the others; how far, rad."""
        before = cmath.rect(1, self._offset[frame])
        others = complex(np.vdot(patch, region)) - before * own
        if abs(others) <= _LEAST_OVERLAP * own:
            return 0.0
        step = _OVER_RELAXATION * cmath.phase(others * before.conjugate())
        self._offset[frame] += step
        region += patch * np.complex64(cmath.rect(1, self._offset[frame]) - before)
        return step

    def _windows(self, first: int, count: int) -> list[tuple[slice, slice]]:
        """Where on the image the patches of `count` frames from `first` on lie."""
        size = self._patch_px
        corners = self._layout.corner_px[first : first + count].tolist()
        return [(slice(r, r + size), slice(c, c + size)) for r, c in corners]


def _power(patches: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Σ |patch|² of each of (B, h, w), (B,)."""
    flat = patches.reshape(len(patches), -1).view(np.float32)
    power: NDArray[np.float32] = np.einsum("ni,ni->n", flat, flat)
    return power


def _checked_weight(weight: NDArray[np.float32], patch_px: int) -> NDArray[np.float32]:
    if patch_px < MIN_WINDOW_PX or weight.shape != (patch_px, patch_px):
        raise ValueError(f"weight {weight.shape} is not ({patch_px}, {patch_px})")
    if not (np.isfinite(weight).all() and (weight >= 0).all() and weight.any()):
        raise ValueError("weights must be finite, not negative and not all zero")
    return weight.astype(np.float32)
