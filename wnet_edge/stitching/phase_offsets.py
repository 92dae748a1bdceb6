"""Global phases of overlapping patches, iterated to convergence (phase synchronisation).

For given offsets φ_n the best image is the weighted mean; for a given image the best offset is
φ_n = arg Σ w_n·conj(patch_n)·image (generalised power iteration for phase synchronisation: Boumal,
SIAM J. Optim. 26, 2355, 2016). Relaxation sweeps alternate the two frame by frame (Gauss–Seidel):
the image is updated after every new offset, each patch is compared with the mean of the others, and
steps are extended by successive over-relaxation (Young, 1954). Long-range phase errors, which would
take tens of such sweeps, are left to the coarse-grid correction of `coarse_phases`.

All of this takes every second pixel along rows and columns of large patches, a quarter of the work:
they tell a patch's phase nearly as well, and what patches agree on, they agree on in every pixel.
"""

import cmath
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.host.array_file import ArrayFile
from wnet_edge.stitching.coarse_phases import RegionPhases, enlarged

CHUNK = 16
"""Frames placed or read at a time: 0.5 MiB of 64 × 64 patches."""

LEAST_OVERLAP = 1e-3
"""Smallest overlap, relative to a patch's own power, that still determines its phase."""

_OVER_RELAXATION = 1.2

_LARGE_PX = 32
"""Edge of a patch from which on every second pixel is enough; a smaller one has too few."""


@dataclass
class LaidPatches:
    """Placed patches of N frames, their phase offsets, and the sum of the patches so rotated.

    Attributes:
        file: the weighted patches before phase rotation, (patch_px, patch_px) complex64 each.
        sparse_file: room for the pixels of theirs that phases are solved for on, (sparse_px,
            sparse_px) each.
        corner_px: (N, 2) int64, image pixel (row, column) of each patch's top-left pixel.
        patch_px: edge of a patch.
        total: (H, W) complex64, sum of the rotated patches.
        coverage: (H, W) float32, summed weight.
        offset_rad: (N,) float64, phase added to each patch.
        used: (N,) bool, False for frames without weight, and for those not added yet.

    N is the number of frames for which memory is allocated.
    """

    file: ArrayFile[np.complex64]
    sparse_file: ArrayFile[np.complex64]
    corner_px: NDArray[np.int64]
    patch_px: int
    total: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    offset_rad: NDArray[np.float64]
    used: NDArray[np.bool_]

    def reserve(self, count: int) -> None:
        """Allocate memory for `count` frames."""
        self.corner_px = enlarged(self.corner_px, count)
        self.offset_rad = enlarged(self.offset_rad, count)
        self.used = enlarged(self.used, count)

    def enlarge(self, shape: tuple[int, int], start_px: NDArray[np.int64]) -> None:
        """Enlarge sum and coverage to `shape`, with their content moved to `start_px` (2,)."""
        row, column = start_px.tolist()
        height, width = self.total.shape
        total, coverage = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        total[row : row + height, column : column + width] = self.total
        coverage[row : row + height, column : column + width] = self.coverage
        self.total, self.coverage = total, coverage
        self.corner_px += start_px

    def windows(self, first: int, count: int) -> list[tuple[slice, slice]]:
        """Image slices (rows, columns) of the patches of `count` frames from `first` on."""
        size = self.patch_px
        corners = self.corner_px[first : first + count].tolist()
        return [(slice(r, r + size), slice(c, c + size)) for r, c in corners]

    def each(
        self, *, backwards: bool = False
    ) -> Iterator[tuple[int, NDArray[np.complex64], NDArray[np.complex64]]]:
        """Each used frame's number, a copy of its patch and the view of `total` under it.

        In scan order, or against it.
        """
        step = -1 if backwards else 1
        count = self.count
        for start in range(0, count, CHUNK)[::step]:
            patches = self.file.read(start, min(start + CHUNK, count))
            windows = self.windows(start, len(patches))
            for index in np.flatnonzero(self.used[start : start + CHUNK])[::step].tolist():
                yield start + index, patches[index], self.total[windows[index]]

    @property
    def count(self) -> int:
        """Number of frames up to the last used one; the file holds no patches beyond it."""
        return int(np.flatnonzero(self.used)[-1]) + 1


def settle(
    laid: LaidPatches, regions: RegionPhases, max_rounds: int, tolerance_rad: float
) -> tuple[int, float]:
    """Relaxation sweeps in alternating scan order, with coarse-grid corrections, to convergence.

    Args:
        laid: patches with their offsets and sum, updated in place.
        regions: coarse-grid correction of the same patches.
        max_rounds: largest number of sweeps, at least one.
        tolerance_rad: converged when no offset changes by more in a sweep, relative to the mean
            change.

    Returns:
        Number of sweeps, and the largest change of an offset in the last one relative to the mean
        change, rad.
    """
    sparse, own = _sparse_patches(laid)
    largest = 0.0
    for done in range(1, max_rounds + 1):
        change = np.zeros(len(laid.offset_rad))
        for frame, patch, region in sparse.each(backwards=done % 2 == 0):
            under = region.copy()  # without gaps between its rows: faster to compare and to add
            agreement = complex(np.vdot(patch, under))
            change[frame], turn = _improve(laid, frame, agreement, float(own[frame]))
            under += np.multiply(patch, turn, out=patch)
            region[:] = under
        moved = change[laid.used]
        largest = float(np.abs(moved - moved.mean()).max())
        if largest < tolerance_rad:
            break
        if done < max_rounds:
            _turn_regions(laid, sparse, regions)
    _add_again(laid)
    return done, largest


def relax(laid: LaidPatches, first: int, last: int) -> None:
    """One relaxation step of the frames `first` to `last` (excluded) only, in scan order."""
    patches = laid.file.read(first, last)
    for index, window in enumerate(laid.windows(first, len(patches))):
        if laid.used[first + index]:
            patch, region = patches[index], laid.total[window]
            coverage = laid.coverage[window]
            weighted = np.divide(patch, coverage, out=np.zeros_like(patch), where=coverage > 0)
            agreement, own = complex(np.vdot(weighted, region)), np.vdot(weighted, patch).real
            region += patch * _improve(laid, first + index, agreement, float(own))[1]


def power_of(patches: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Σ |patch|² of each patch: (B, h, w) complex64 to (B,) float32."""
    flat = patches.reshape(len(patches), -1).view(np.float32)
    power: NDArray[np.float32] = np.einsum("ni,ni->n", flat, flat)
    return power


def sparse_px(patch_px: int) -> int:
    """Edge of a patch in the pixels that phases are solved for on."""
    return -(-patch_px // _step_px(patch_px))


def _step_px(patch_px: int) -> int:
    """Between pixels, along rows and columns, that phases are solved for on."""
    return 2 if patch_px >= _LARGE_PX else 1


def _sparse_patches(laid: LaidPatches) -> tuple[LaidPatches, NDArray[np.float64]]:
    """Image and patches in the pixels that phases are solved for on, and patches' powers (N,).

    Every step needs Σ conj(patch) · image / coverage over a patch, so both are divided by the
    square root of the coverage here. Offsets are those of `laid`, not copies.
    """
    step_px = _step_px(laid.patch_px)
    every = slice(None, None, step_px)
    coverage = np.pad(laid.coverage[every, every], (0, 1))  # room for patches of an odd edge
    inverse_root = np.zeros_like(coverage)
    np.divide(1, np.sqrt(coverage), out=inverse_root, where=coverage > 0)
    sparse = replace(
        laid,
        file=laid.sparse_file,
        corner_px=-(-laid.corner_px // step_px),
        patch_px=sparse_px(laid.patch_px),
        total=np.pad(laid.total[every, every], (0, 1)) * inverse_root,
        coverage=coverage,
    )
    power, count = np.zeros(len(laid.offset_rad)), laid.count
    for start in range(0, count, CHUNK):
        last = min(start + CHUNK, count)
        patches = laid.file.read(start, last)
        kept = np.zeros((len(patches), sparse.patch_px, sparse.patch_px), np.complex64)
        first_px = (-laid.corner_px[start:last] % step_px).tolist()
        windows = sparse.windows(start, len(patches))
        for index, (row, column) in enumerate(first_px):
            own = patches[index, row::step_px, column::step_px]
            kept[index, : len(own), : own.shape[1]] = own
            kept[index] *= inverse_root[windows[index]]
        sparse.file.write(start, kept)
        power[start:last] = power_of(kept)
    return sparse, power


def _improve(
    laid: LaidPatches, frame: int, agreement: complex, own: float
) -> tuple[float, np.complex64]:
    """One over-relaxed step of a patch's phase towards the mean of the others.

    Args:
        laid: patches.
        frame: number of the patch.
        agreement: Σ conj(patch) · total / coverage over the patch.
        own: Σ |patch|² / coverage, what the patch itself has in it.

    Returns:
        The step, rad, and the factor of the patch that is to be added to the total.
    """
    offset_rad = float(laid.offset_rad[frame])
    before = cmath.rect(1, offset_rad)
    others = agreement - before * own
    if abs(others) <= LEAST_OVERLAP * own:
        return 0.0, np.complex64(0)
    step = _OVER_RELAXATION * cmath.phase(others * before.conjugate())
    laid.offset_rad[frame] = offset_rad + step
    return step, np.complex64(cmath.rect(1, offset_rad + step) - before)


def _turn_regions(laid: LaidPatches, sparse: LaidPatches, regions: RegionPhases) -> None:
    """Apply the coarse-grid correction: one phase per region; then recompute the sparse sum.

    Args:
        laid: patches.
        sparse: the same in the pixels that phases are solved for on.
        regions: correction.
    """
    agreement = np.zeros(len(sparse.offset_rad), np.complex128)
    for frame, patch, region in sparse.each():
        agreement[frame] = np.vdot(patch, region)
    pull = _step_px(laid.patch_px) ** 2 * (agreement * np.exp(-1j * sparse.offset_rad)).imag
    sparse.offset_rad += regions.corrections(sparse.offset_rad, pull, laid.coverage)
    _add_again(sparse)


def _add_again(laid: LaidPatches) -> None:
    """Recompute the sum of the rotated patches."""
    turn = np.exp(1j * laid.offset_rad).astype(np.complex64)
    laid.total[:] = 0
    for frame, patch, region in laid.each():
        np.add(region, np.multiply(patch, turn[frame], out=patch), out=region)
