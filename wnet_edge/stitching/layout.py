"""Where windows lie on the image, to a fraction of a pixel: the first half of stitching.

A window lies at a fractional place on the object; the image has whole pixels only. `first_pixels`
says on which of them each window lies, an `Extent` which of them an image shows; `PatchPlacer`
weights patches and resamples each by its own fraction of a pixel. Weight and weight × patch go
through the same kernel, so that their ratio is the patch at the new place.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wnet_edge.errors import ScanError
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.stitching.cubic_shift import ShiftedCopies, WindowShifter, keys_taps

_FARTHEST_PX = 1e9  # float64 still holds a millionth of a pixel there
_LEAST_WEIGHT = 1e-3  # of the largest: less is the kernel's overshoot beside a dark spot


@dataclass(frozen=True)
class Extent:
    """A rectangle of the object's pixels.

    Attributes:
        origin_px: (2,) int64, row and column of its first pixel.
        shape: (H, W).
    """

    origin_px: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def between(cls, low_px: NDArray[np.int64], high_px: NDArray[np.int64]) -> "Extent":
        """From one row, column to another, which is not part of it."""
        height, width = (high_px - low_px).tolist()
        return cls(low_px, (height, width))

    @property
    def end_px(self) -> NDArray[np.int64]:
        """(2,) int64, row and column after its last pixel."""
        return self.origin_px + self.shape

    def joined(self, other: "Extent") -> "Extent":
        """The smallest that holds both."""
        return Extent.between(
            np.minimum(self.origin_px, other.origin_px), np.maximum(self.end_px, other.end_px)
        )

    def holds(self, other: "Extent") -> bool:
        """Whether all of another one lies in it."""
        inside = (other.origin_px >= self.origin_px) & (other.end_px <= self.end_px)
        return bool(inside.all())

    def within(self, other: "Extent") -> tuple[slice, slice]:
        """Where on the array of a larger one it lies."""
        start = (self.origin_px - other.origin_px).tolist()
        rows, columns = (slice(a, a + n) for a, n in zip(start, self.shape, strict=True))
        return rows, columns


def first_pixels(
    positions_px: ArrayLike, full_window_px: int, window_px: int, max_image_px: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The object pixel on which each network window begins, and how much further it begins.

    Args:
        positions_px: (N, 2) row, column of the top-left pixel of each full window, object pixels,
            any sign.
        full_window_px: edge of the full window.
        window_px: edge of the network's window, its centre.
        max_image_px: pixels that an image may have.

    Returns:
        (N, 2) int64, and (N, 2) float64 in [0, 1).

    Raises:
        ScanError: if positions are not finite, span more than an image may have, or are so far out
            that pixels can't be told apart.
        ValueError: if positions are not (N, 2).
    """
    positions = np.asarray(positions_px, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 2 or not len(positions):
        raise ValueError(f"positions {positions.shape} are not (N, 2)")
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        raise ScanError(
            f"{len(bad)} of {len(positions)} positions are not finite (the first is that of frame "
            f"{bad[0]}): mend or drop these frames"
        )
    lowest, highest = positions.min(axis=0).tolist(), positions.max(axis=0).tolist()
    height, width = (high - low + window_px for low, high in zip(lowest, highest, strict=True))
    check_size((height, width), max_image_px)
    if np.abs(positions).max() > _FARTHEST_PX:
        raise ScanError(
            f"the positions begin at {lowest[0]:.3g}, {lowest[1]:.3g} object pixels, too far out "
            "to tell pixels apart: check their unit, or subtract their mean"
        )
    # To a millionth of a pixel, so that 4.9999999999 does not lose the window's first row.
    top_left = np.round(positions + central_window_start_px(full_window_px, window_px), 6)
    whole = np.floor(top_left).astype(np.int64)
    return whole, top_left - whole


def check_size(shape: tuple[float, float], max_image_px: int) -> None:
    """See that an image of this shape may be made.

    Raises:
        ScanError: if it has more pixels than that.
    """
    height, width = shape
    if height * width > max_image_px:
        raise ScanError(
            f"the positions span {height:.3g} × {width:.3g} object pixels, more than an image of "
            f"{max_image_px / 1e6:.0f} Mpx holds: check the unit of the positions, and energy, "
            "distance and detector pixel"
        )


class PatchPlacer:
    """Weights patches and resamples them on the image's pixels, up to `most` at a time.

    Args:
        weight: (h, w), illumination weight of the window.
        most: patches at a time.
    """

    def __init__(self, weight: NDArray[np.float32], most: int) -> None:
        shape = (most, *weight.shape)
        self._weight = weight
        self._least = _LEAST_WEIGHT * weight.max()
        self._shifter = WindowShifter(*shape)
        self._copies = ShiftedCopies(weight)
        self._modulus = np.empty(shape, np.float32)
        self._part = np.empty(shape, np.float32)
        self._placed = np.empty(shape, np.complex64)
        self._weights = np.empty(shape, np.float32)

    def place(
        self,
        amplitude: NDArray[np.float32],
        phase: NDArray[np.float32],
        scale: NDArray[np.float32],
        fraction: NDArray[np.float64],
    ) -> tuple[NDArray[np.complex64], NDArray[np.float32], NDArray[np.bool_]]:
        """Weighted patches (B, h, w), their weights, and which are usable (B,).

        The arrays hold until the next call. A frame without counts, or with values that are not
        finite, gives zeros and is not usable.

        Args:
            amplitude: (B, h, w) relative to the patch's RMS.
            phase: (B, h, w) rad.
            scale: (B,) that RMS.
            fraction: (B, 2), how much further than on its first pixel each begins.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            level = amplitude.sum(axis=(1, 2))
            finite = np.isfinite(level + phase.sum(axis=(1, 2)) + scale)
            usable = finite & (level * scale > 0)
        if not usable.all():
            keep = usable[:, None, None]
            amplitude, phase = np.where(keep, amplitude, 0), np.where(keep, phase, 0)
            scale = np.where(usable, scale, 0)
        count = len(scale)
        windows, placed = self._shifter.windows[:count], self._placed[:count]
        weights, modulus, part = self._weights[:count], self._modulus[:count], self._part[:count]
        np.multiply(amplitude, self._weight, out=modulus)
        modulus *= scale[:, None, None]
        np.multiply(modulus, np.cos(phase, out=part), out=windows.real)
        np.multiply(modulus, np.sin(phase, out=part), out=windows.imag)

        taps = keys_taps(fraction)
        self._shifter.shift(taps, placed)
        self._copies.fill(taps, weights)
        dark = weights < self._least
        if dark.any():
            weights[dark] = 0
            placed[dark] = 0
        return placed, weights, usable


def growth_order(corner_px: NDArray[np.int64], window_px: int) -> list[int]:
    """Indices of all windows, so ordered that each overlaps one before it where any does.

    Breadth first over cells of half a window, from the cell in the middle of the scan.
    """
    cell = corner_px // (window_px // 2)
    members: dict[tuple[int, int], list[int]] = {}
    for frame, (row, column) in enumerate(cell.tolist()):
        members.setdefault((row, column), []).append(frame)
    middle = np.median(cell, axis=0)
    met: set[tuple[int, int]] = set()
    by_distance = sorted(
        members, key=lambda at: (at[0] - middle[0]) ** 2 + (at[1] - middle[1]) ** 2
    )
    order: list[int] = []
    for seed in by_distance:
        queue = deque([seed])
        while queue:
            row, column = queue.popleft()
            order += members.pop((row, column), [])
            around = [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
            queue += [at for at in around if at in members and at not in met]
            met.update(around)
    return order
