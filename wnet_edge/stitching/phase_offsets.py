"""Phases of patches that lie on an image already, turned until they rest.

For given offsets φ_n the best image is the weighted mean; for a given image the best offset is
φ_n = arg Σ w_n·conj(patch_n)·image (generalised power iteration for phase synchronisation: Boumal,
SIAM J. Optim. 26, 2355, 2016). The two alternate here frame by frame, as Gauss and Seidel would:
the image follows every new offset at once, a frame is compared with the others without itself, and
steps are a little too long on purpose (successive over-relaxation: Young, 1954). What bends slowly
over the image, and would take tens of such rounds, is left to `region_phases`.
"""

import cmath
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.stitching.coarse_phases import RegionPhases, enlarged
from wnet_edge.stitching.patch_file import PatchFile

CHUNK = 16
"""Frames placed or read at a time: 0.5 MiB of 64 × 64 patches."""

LEAST_OVERLAP = 1e-3
"""Of a patch's own power: less says nothing about its phase."""

_OVER_RELAXATION = 1.2


@dataclass
class LaidPatches:
    """Patches of N frames, each turned by its offset, and their sum.

    Attributes:
        file: the placed patches, not turned, (h, w) complex64 each.
        corner_px: (N, 2), where on the image each begins.
        patch_px: h and w.
        total: (H, W) complex64, their sum.
        coverage: (H, W) float32, summed weight.
        offset_rad: (N,) float64.
        used: (N,) bool, False for what has no weight.
        divisor: (H, W) float32 that patches are multiplied with as they are read, or None.

    N is how many there is room for: `used` is False for those that have not come.
    """

    file: PatchFile
    corner_px: NDArray[np.int64]
    patch_px: int
    total: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    offset_rad: NDArray[np.float64]
    used: NDArray[np.bool_]
    divisor: NDArray[np.float32] | None = None

    def reserve(self, count: int) -> None:
        """Make room for `count` frames."""
        self.corner_px = enlarged(self.corner_px, count)
        self.offset_rad = enlarged(self.offset_rad, count)
        self.used = enlarged(self.used, count)

    def enlarge(self, shape: tuple[int, int], start_px: NDArray[np.int64]) -> None:
        """Give sum and coverage another shape, what they hold beginning at `start_px` (2,)."""
        row, column = start_px.tolist()
        height, width = self.total.shape
        total, coverage = np.zeros(shape, np.complex64), np.zeros(shape, np.float32)
        total[row : row + height, column : column + width] = self.total
        coverage[row : row + height, column : column + width] = self.coverage
        self.total, self.coverage = total, coverage
        self.corner_px += start_px

    def windows(self, first: int, count: int) -> list[tuple[slice, slice]]:
        """Where on the image the patches of `count` frames from `first` on lie."""
        size = self.patch_px
        corners = self.corner_px[first : first + count].tolist()
        return [(slice(r, r + size), slice(c, c + size)) for r, c in corners]

    def patches(self, first: int, last: int) -> NDArray[np.complex64]:
        """The placed patches of frames `first` to `last`, divided while `settle` asks for it."""
        patches = self.file.read(first, last)
        if self.divisor is not None:
            for patch, window in zip(patches, self.windows(first, len(patches)), strict=True):
                np.multiply(patch, self.divisor[window], out=patch)
        return patches

    def each(
        self, *, backwards: bool = False
    ) -> Iterator[tuple[int, NDArray[np.complex64], NDArray[np.complex64]]]:
        """Every used frame, its placed patch and the sum under it, in scan order or back."""
        step = -1 if backwards else 1
        count = _count(self)
        for start in range(0, count, CHUNK)[::step]:
            patches = self.patches(start, min(start + CHUNK, count))
            windows = self.windows(start, len(patches))
            for index in np.flatnonzero(self.used[start : start + CHUNK])[::step].tolist():
                yield start + index, patches[index], self.total[windows[index]]


def settle(
    laid: LaidPatches, regions: RegionPhases, max_rounds: int, tolerance_rad: float, *, last: bool
) -> tuple[int, float]:
    """Rounds over all patches, in scan order and back, until the offsets rest.

    Sum and patches are divided by the root of the coverage, Σ over a patch of conj(patch) · sum /
    coverage being what every step asks for; and the sum is multiplied by it at the end.

    Args:
        laid: patches with their offsets, which change.
        regions: of the same patches.
        max_rounds: at most, and at least one.
        tolerance_rad: at which offsets rest.
        last: that nothing is added afterwards: patches are divided once, in their file, instead of
            each time they are read.

    Returns:
        Rounds, and the largest change of an offset in the last, less the mean, rad.
    """
    root = np.sqrt(laid.coverage)
    inverse_root = np.zeros_like(root)
    np.divide(1, root, out=inverse_root, where=root > 0)
    laid.total *= inverse_root
    laid.divisor = inverse_root
    own = _divided_powers(laid, write=last)
    if last:
        laid.divisor = None
    largest = 0.0
    for done in range(1, max_rounds + 1):
        change = np.zeros(len(laid.offset_rad))
        for frame, patch, region in laid.each(backwards=done % 2 == 0):
            change[frame] = _improve(laid, frame, patch, region, own[frame])
        moved = change[laid.used]
        largest = float(np.abs(moved - moved.mean()).max())
        if largest < tolerance_rad:
            break
        if done < max_rounds:
            _turn_regions(laid, regions)
    laid.divisor = None
    laid.total *= root
    return done, largest


def power_of(patches: NDArray[np.complex64]) -> NDArray[np.float32]:
    """Σ |patch|² of each of (B, h, w), (B,)."""
    flat = patches.reshape(len(patches), -1).view(np.float32)
    power: NDArray[np.float32] = np.einsum("ni,ni->n", flat, flat)
    return power


def _divided_powers(laid: LaidPatches, *, write: bool) -> NDArray[np.float64]:
    """The power (N,) of each patch as divided; with `write` they are put back into the file so."""
    power = np.zeros(len(laid.offset_rad))
    count = _count(laid)
    for start in range(0, count, CHUNK):
        patches = laid.patches(start, min(start + CHUNK, count))
        if write:
            laid.file.write(start, patches)
        power[start : start + len(patches)] = power_of(patches)
    return power


def _improve(
    laid: LaidPatches,
    frame: int,
    patch: NDArray[np.complex64],
    region: NDArray[np.complex64],
    own: float,
) -> float:
    """Turn one patch towards the mean of the others; how far, rad."""
    before = cmath.rect(1, laid.offset_rad[frame])
    others = complex(np.vdot(patch, region)) - before * own
    if abs(others) <= LEAST_OVERLAP * own:
        return 0.0
    step = _OVER_RELAXATION * cmath.phase(others * before.conjugate())
    laid.offset_rad[frame] += step
    region += patch * np.complex64(cmath.rect(1, laid.offset_rad[frame]) - before)
    return step


def _turn_regions(laid: LaidPatches, regions: RegionPhases) -> None:
    """Turn all patches of a region alike, and sum them anew."""
    pull = np.zeros(len(laid.offset_rad))
    for frame, patch, region in laid.each():
        agreement = complex(np.vdot(patch, region))
        pull[frame] = (agreement * cmath.rect(1, -laid.offset_rad[frame])).imag
    laid.offset_rad += regions.corrections(laid.offset_rad, pull, laid.coverage)
    turn = np.exp(1j * laid.offset_rad).astype(np.complex64)
    laid.total[:] = 0
    for frame, patch, region in laid.each():
        np.add(region, patch * turn[frame], out=region)


def _count(laid: LaidPatches) -> int:
    """Frames up to the last that is used: of those after it, the file has nothing."""
    return int(np.flatnonzero(laid.used)[-1]) + 1
