"""The long-range part of stitching: phases of whole regions of the image at once.

Passes over single patches heal what neighbours disagree on and leave what bends slowly over the
image. So, as in a two-grid scheme (Brandt, Math. Comp. 31, 333, 1977), a Newton step is taken
between them for regions of half a window, whose patches turn together:
Σ_s w_rs (θ_r − θ_s) = Σ_n∈r pull_n, with the gradient of the stitcher's objective on the right and,
on the left, its second derivative as blocks of pixels tell it, w_rs = Re Σ conj(Q_r)·Q_s / C for
sums of patches Q and coverage C.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_BLOCKS, _LEAST_BLOCK_PX = 8, 4
"""Blocks along a patch's edge, about; fewer in a small one, for the sake of memory."""

_REGION_BLOCKS = 4
"""Blocks along a region's edge: half a patch."""

_AT_ONCE = 8192
"""Frames whose blocks are summed at a time."""

_LEAST_COVERAGE = 1e-3
"""Of the largest: below, a block says nothing about phases."""

_CG_STEPS = 300
_SETTLED_RAD = 1e-4

Number = TypeVar("Number", bound=np.generic)


class RegionPhases:
    """Blocks of all patches of a scan, kept in memory: a fiftieth of the patches.

    Args:
        patch_px: edge of a patch.
        count: patches to make room for.
    """

    def __init__(self, patch_px: int, count: int) -> None:
        self._patch_px = patch_px
        self._block_px = max(_LEAST_BLOCK_PX, patch_px // _BLOCKS)
        # A patch need not begin with a block.
        self._width = -(-(patch_px + self._block_px - 1) // self._block_px)
        self._first_block = np.zeros((count, 2), np.int64)
        self._blocks = np.zeros((count, self._width, self._width), dtype=np.complex64)
        # [r, k, i]: whether pixel i of a patch that begins r pixels into a block is in its block k.
        pixel = np.arange(self._block_px)[:, None, None] + np.arange(patch_px)
        self._membership = pixel // self._block_px == np.arange(self._width)[:, None]

    @property
    def region_px(self) -> int:
        """Edge of a region."""
        return _REGION_BLOCKS * self._block_px

    def reserve(self, count: int) -> None:
        """Make room for `count` patches."""
        self._first_block = enlarged(self._first_block, count)
        self._blocks = enlarged(self._blocks, count)

    def move(self, regions: NDArray[np.int64]) -> None:
        """Follow an image that has grown by so many regions (2,) before its first row, column."""
        self._first_block += regions * _REGION_BLOCKS

    def add(self, first: int, corner_px: NDArray[np.int64], placed: NDArray[np.complex64]) -> None:
        """Take placed patches (B, patch_px, patch_px), weighted, of the frames from `first` on.

        `corner_px` (B, 2) int64 is the image pixel on which each begins.
        """
        frames = slice(first, first + len(placed))
        self._first_block[frames] = corner_px // self._block_px
        rest_row, rest_column = (corner_px % self._block_px).T
        # As matrix products, the larger one of real numbers: no patch has to be moved.
        by_row = self._membership[rest_row].astype(np.float32) @ placed.view(np.float32)
        across = self._membership[rest_column].astype(np.complex64)
        self._blocks[frames] = by_row.view(np.complex64) @ across.swapaxes(1, 2)

    def corrections(
        self,
        offset_rad: NDArray[np.float64],
        pull: NDArray[np.float64],
        coverage: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Phase (N,) rad to be added to that of each patch, the same for all of a region.

        Args:
            offset_rad: (N,), phase φ by which each patch is turned now.
            pull: (N,), Im(exp(−iφ_n) · Σ conj(patch_n)·image): zero for all where nothing is left
                to gain. From pixels, not blocks, so that it is zero at the same phases.
            coverage: (H, W) of the image.
        """
        region = self._first_block // _REGION_BLOCKS
        rows, columns = (region.max(axis=0) + 1).tolist()
        sums = self._region_sums(offset_rad, region, (rows, columns))
        inverse = self._inverse_coverage(coverage, sums.shape)
        wanted = np.zeros((rows, columns))
        np.add.at(wanted, (region[:, 0], region[:, 1]), pull)
        # Regions that contradict each other are left out: what remains is a Laplacian.
        weights = np.maximum(_couplings(sums, inverse).real, 0).astype(np.float64)
        phases = _solved(weights, wanted)
        found: NDArray[np.float64] = phases[region[:, 0], region[:, 1]]
        return found

    def _region_sums(
        self, offset_rad: NDArray[np.float64], region: NDArray[np.int64], grid: tuple[int, int]
    ) -> NDArray[np.complex64]:
        """(rows, columns, K, K): the sum of each region's patches, in blocks from its corner on."""
        edge = self._width + _REGION_BLOCKS - 1
        sums = np.zeros((*grid, edge, edge), dtype=np.complex64)
        along = np.arange(self._width)
        corner = self._first_block - region * _REGION_BLOCKS
        number = region[:, 0] * grid[1] + region[:, 1]
        start = (number * edge + corner[:, 0]) * edge + corner[:, 1]
        window = along[:, None] * edge + along
        for first in range(0, len(start), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            turn = np.exp(1j * offset_rad[part]).astype(np.complex64)
            places = start[part, None, None] + window
            np.add.at(sums.reshape(-1), places, self._blocks[part] * turn[:, None, None])
        return sums

    def _inverse_coverage(
        self, coverage: NDArray[np.float32], shape: tuple[int, ...]
    ) -> NDArray[np.float32]:
        """1 / summed coverage of the blocks of every region, in the shape of its sums."""
        rows, columns, edge, _ = shape
        blocks = [n * _REGION_BLOCKS + edge for n in (rows, columns)]
        padded = np.zeros([n * self._block_px for n in blocks], dtype=np.float32)
        # An image that grows has room beyond the last patch.
        covered = coverage[: padded.shape[0], : padded.shape[1]]
        padded[: covered.shape[0], : covered.shape[1]] = covered
        summed = _block_sums(padded[None], self._block_px)[0]
        inverse = np.zeros_like(summed)
        np.divide(1, summed, out=inverse, where=summed > _LEAST_COVERAGE * summed.max())
        windows = sliding_window_view(inverse, (edge, edge))
        cut: NDArray[np.float32] = windows[::_REGION_BLOCKS, ::_REGION_BLOCKS][:rows, :columns]
        return cut


def enlarged(values: NDArray[Number], count: int) -> NDArray[Number]:
    """The same values along the first axis, and zeros up to `count`."""
    larger = np.zeros((count, *values.shape[1:]), values.dtype)
    larger[: len(values)] = values
    return larger


def _block_sums(images: NDArray[Any], block_px: int) -> NDArray[Any]:
    """Sums over b × b pixels: (B, H, W) to (B, H / b, W / b)."""
    count, height, width = images.shape
    split = images.reshape(count, height // block_px, block_px, width // block_px, block_px)
    summed: NDArray[Any] = split.sum(axis=(2, 4))
    return summed


def _couplings(sums: NDArray[np.complex64], inverse: NDArray[np.float32]) -> NDArray[np.complex64]:
    """(rows, columns, S, S): Σ conj(Q_r)·Q_s / C of each region r with those around it."""
    rows, columns, edge, _ = sums.shape
    reach = (edge - 1) // _REGION_BLOCKS
    found = np.zeros((rows, columns, 2 * reach + 1, 2 * reach + 1), dtype=np.complex64)
    weighted = sums.conj() * inverse
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if (down, right) == (0, 0):
                continue
            (here_i, there_i), (here_j, there_j) = _pairs(rows, down), _pairs(columns, right)
            (mine_k, its_k), (mine_l, its_l) = (
                _pairs(edge, step * _REGION_BLOCKS)[::-1] for step in (down, right)
            )
            found[here_i, here_j, down + reach, right + reach] = np.einsum(
                "ijkl,ijkl->ij",
                weighted[here_i, here_j, mine_k, mine_l],
                sums[there_i, there_j, its_k, its_l],
            )
    return found


def _pairs(count: int, step: int) -> tuple[slice, slice]:
    """Where i and where i + step are, for all i of `count` for which both are there."""
    first, last = max(0, -step), max(0, min(count, count - step))
    return slice(first, last), slice(first + step, max(first, last) + step)


def _solved(weights: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve Σ_s w_rs (x_r − x_s) = wanted_r by conjugate gradients; zero where nothing couples."""
    degree = weights.sum(axis=(2, 3))
    coupled = degree > 0
    inverse = np.zeros_like(degree)
    np.divide(1, degree, out=inverse, where=coupled)

    def applied(x: NDArray[np.float64]) -> NDArray[np.float64]:
        pulled: NDArray[np.float64] = degree * x
        pulled -= np.einsum("ijkl,ijkl->ij", weights, _around(x, weights))
        return pulled

    x: NDArray[np.float64] = np.zeros_like(degree)
    left = np.where(coupled, wanted, 0)
    scaled = inverse * left
    direction, power = scaled, float((left * scaled).sum())
    for _ in range(_CG_STEPS):
        if np.abs(scaled).max() < _SETTLED_RAD:
            break
        image = applied(direction)
        length = power / float((direction * image).sum())
        x += length * direction
        left = left - length * image
        scaled = inverse * left
        before, power = power, float((left * scaled).sum())
        direction = scaled + power / before * direction
    return x


def _around(values: NDArray[Any], couplings: NDArray[Any]) -> NDArray[Any]:
    """The values of the regions around each, (rows, columns, S, S); zero beyond the edge."""
    size = couplings.shape[-1]
    around: NDArray[Any] = sliding_window_view(np.pad(values, size // 2), (size, size))
    return around
