"""Coarse-grid correction of stitching: one phase for each region of the image, solved together.

Relaxation sweeps remove short-range phase errors; long-range ones need a coarse-grid correction.
So, as in a two-grid scheme (Brandt, Math. Comp. 31, 333, 1977), a Newton step is taken between
sweeps for regions of half a window, whose patches share one phase θ:
Σ_s w_rs (θ_r − θ_s) = Σ_n∈r pull_n. On the right is the gradient of the stitcher's objective, on
the left its second derivative, approximated on blocks of pixels: w_rs = Re Σ conj(Q_r)·Q_s / C for
sums of patches Q and coverage C.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

_BLOCKS, _LEAST_BLOCK_PX = 8, 4
"""Approximate number of blocks along a patch's edge, and the smallest block: bounds memory."""

_REGION_BLOCKS = 4
"""Blocks along a region's edge: half a patch."""

_AT_ONCE = 8192
"""Number of frames whose blocks are summed at a time."""

_LEAST_COVERAGE = 1e-3
"""Relative to the largest coverage; a block with less does not determine phases."""

_CG_STEPS = 300
_SETTLED_RAD = 1e-4

Number = TypeVar("Number", bound=np.generic)


class RegionPhases:
    """Block sums of a scan's patches, and the coarse-grid correction computed from them.

    The blocks stay in memory; they take about a fiftieth of the patches' size.

    Args:
        patch_px: edge of a patch.
        count: number of patches to allocate memory for; see `reserve`.
    """

    def __init__(self, patch_px: int, count: int) -> None:
        self._patch_px = patch_px
        self._block_px = max(_LEAST_BLOCK_PX, patch_px // _BLOCKS)
        # One block more than patch_px / block_px: patches need not be aligned with the blocks.
        self._width = -(-(patch_px + self._block_px - 1) // self._block_px)
        self._first_block = np.zeros((count, 2), np.int64)
        self._blocks = np.zeros((count, self._width, self._width), dtype=np.complex64)
        # [r, k, i]: whether pixel i of a patch that starts r pixels into a block lies in block k.
        pixel = np.arange(self._block_px)[:, None, None] + np.arange(patch_px)
        self._membership = pixel // self._block_px == np.arange(self._width)[:, None]

    @property
    def region_px(self) -> int:
        """Edge of a region, image pixels."""
        return _REGION_BLOCKS * self._block_px

    def reserve(self, count: int) -> None:
        """Allocate memory for `count` patches."""
        self._first_block = enlarged(self._first_block, count)
        self._blocks = enlarged(self._blocks, count)

    def move(self, regions: NDArray[np.int64]) -> None:
        """Shift all patches by whole regions (2,) after the image has grown at its top or left."""
        self._first_block += regions * _REGION_BLOCKS

    def add(self, first: int, corner_px: NDArray[np.int64], placed: NDArray[np.complex64]) -> None:
        """Add weighted placed patches (B, patch_px, patch_px) of the frames from `first` on.

        `corner_px` (B, 2) int64 is the image pixel of each patch's top-left pixel.
        """
        frames = slice(first, first + len(placed))
        self._first_block[frames] = corner_px // self._block_px
        rest_row, rest_column = (corner_px % self._block_px).T
        # As matrix products, the larger one of real numbers, so that no patch is copied.
        by_row = self._membership[rest_row].astype(np.float32) @ placed.view(np.float32)
        across = self._membership[rest_column].astype(np.complex64)
        self._blocks[frames] = by_row.view(np.complex64) @ across.swapaxes(1, 2)

    def corrections(
        self,
        offset_rad: NDArray[np.float64],
        pull: NDArray[np.float64],
        coverage: NDArray[np.float32],
    ) -> NDArray[np.float64]:
        """Phase to add to each patch's offset, (N,) float64 rad; the same within a region.

        Args:
            offset_rad: (N,), current phase offset φ of each patch.
            pull: (N,), Im(exp(−iφ_n) · Σ conj(patch_n)·image), all zero at the optimum. Taken from
                pixels, not blocks, so that the fixed point is that of the relaxation sweeps.
            coverage: (H, W), summed weight of the image.
        """
        region = self._first_block // _REGION_BLOCKS
        rows, columns = (region.max(axis=0) + 1).tolist()
        sums = self._region_sums(offset_rad, region, (rows, columns))
        inverse = self._inverse_coverage(coverage, sums.shape)
        wanted = np.zeros((rows, columns))
        np.add.at(wanted, (region[:, 0], region[:, 1]), pull)
        # Negative couplings are dropped, so that the matrix is a graph Laplacian.
        weights = np.maximum(_couplings(sums, inverse).real, 0).astype(np.float64)
        phases = _solved(weights, wanted)
        found: NDArray[np.float64] = phases[region[:, 0], region[:, 1]]
        return found

    def _region_sums(
        self, offset_rad: NDArray[np.float64], region: NDArray[np.int64], grid: tuple[int, int]
    ) -> NDArray[np.complex64]:
        """Sum of each region's rotated patches, (rows, columns, K, K) blocks from its corner on."""
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
        """1 / coverage of each region's blocks, in the shape of its sums; 0 where too low."""
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
    """Σ conj(Q_r)·Q_s / C of each region r with its S × S neighbourhood: (rows, columns, S, S)."""
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
    """Slices of the indices i and i + step, over all i for which both lie in range(count)."""
    first, last = max(0, -step), max(0, min(count, count - step))
    return slice(first, last), slice(first + step, max(first, last) + step)


def _solved(weights: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve Σ_s w_rs (x_r − x_s) = wanted_r by preconditioned conjugate gradients.

    Zero for regions without neighbours; what groups of regions want of each other that nothing
    couples is left.
    """
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
        curvature = float((direction * image).sum())
        if curvature <= 0:  # all that is left is between regions that nothing couples
            break
        length = power / curvature
        x += length * direction
        left = left - length * image
        scaled = inverse * left
        before, power = power, float((left * scaled).sum())
        direction = scaled + power / before * direction
    return x


def _around(values: NDArray[Any], couplings: NDArray[Any]) -> NDArray[Any]:
    """Values in the S × S neighbourhood of each region, (rows, columns, S, S); 0 past the edge."""
    size = couplings.shape[-1]
    around: NDArray[Any] = sliding_window_view(np.pad(values, size // 2), (size, size))
    return around
