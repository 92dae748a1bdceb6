"""Layout of the windows on the image, and subpixel placing of patches: the first half of stitching.

Windows lie at fractional object positions, the image has whole pixels. `first_pixels` splits
positions into whole pixels and fractions, an `Extent` is the part of the object that an image
shows, and `PatchPlacer` weights patches and shifts each by its own fraction of a pixel. Weight and
weight × patch go through the same kernel, so that their ratio is the shifted patch.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from wnet_edge.errors import ScanError
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.stitching.cubic_shift import ShiftedCopies, WindowShifter, keys_taps

_FARTHEST_PX = 1e9  # float64 still resolves a millionth of a pixel there
_LEAST_WEIGHT = 1e-3  # relative to the largest; less is kernel overshoot beside dark pixels


@dataclass(frozen=True)
class Extent:
    """A rectangle of object pixels.

    Attributes:
        origin_px: (2,) int64, row, column of its first pixel.
        shape: (H, W).
    """

    origin_px: NDArray[np.int64]
    shape: tuple[int, int]

    @classmethod
    def between(cls, low_px: NDArray[np.int64], high_px: NDArray[np.int64]) -> "Extent":
        """The extent from row, column `low_px` (2,) to `high_px` (2,), excluded."""
        height, width = (high_px - low_px).tolist()
        return cls(low_px, (height, width))

    @property
    def end_px(self) -> NDArray[np.int64]:
        """(2,) int64, row, column after its last pixel."""
        return self.origin_px + self.shape

    def joined(self, other: "Extent") -> "Extent":
        """The smallest extent that contains both."""
        return Extent.between(
            np.minimum(self.origin_px, other.origin_px), np.maximum(self.end_px, other.end_px)
        )

    def holds(self, other: "Extent") -> bool:
        """Whether it contains another extent."""
        inside = (other.origin_px >= self.origin_px) & (other.end_px <= self.end_px)
        return bool(inside.all())

    def within(self, other: "Extent") -> tuple[slice, slice]:
        """Slices (rows, columns) of this extent in an array of a larger one."""
        start = (self.origin_px - other.origin_px).tolist()
        rows, columns = (slice(a, a + n) for a, n in zip(start, self.shape, strict=True))
        return rows, columns


def first_pixels(
    positions_px: ArrayLike, full_window_px: int, window_px: int, max_image_px: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Whole and fractional parts of the network windows' top-left corners, in object pixels.

    Args:
        positions_px: (N, 2) row, column of the top-left pixel of each full window, object pixels,
            any sign.
        full_window_px: edge of the full window.
        window_px: edge of the network's window, the central part of the full window.
        max_image_px: largest number of pixels of an image.

    Returns:
        (N, 2) int64 whole pixels, and (N, 2) float64 fractions in [0, 1).

    Raises:
        ScanError: if positions are not finite, span more than an image may have, or are too large
            for subpixel precision.
        ValueError: if positions are not (N, 2).
    """
    positions = np.asarray(positions_px, dtype=np.float64)
    if positions.ndim != 2 or positions.shape[1] != 2 or not len(positions):
        raise ValueError(f"positions {positions.shape} are not (N, 2)")
    bad = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(bad):
        raise ScanError(
            f"{len(bad)} of {len(positions)} positions are not finite (the first is that of frame "
            f"{bad[0]}): correct or drop these frames"
        )
    lowest, highest = positions.min(axis=0).tolist(), positions.max(axis=0).tolist()
    height, width = (high - low + window_px for low, high in zip(lowest, highest, strict=True))
    check_size((height, width), max_image_px)
    if np.abs(positions).max() > _FARTHEST_PX:
        raise ScanError(
            f"the positions begin at {lowest[0]:.3g}, {lowest[1]:.3g} object pixels, too far out "
            "to tell pixels apart: check their unit, or subtract their mean"
        )
    # Rounded to a millionth of a pixel, so that 4.9999999999 does not lose the window's first row.
    top_left = np.round(positions + central_window_start_px(full_window_px, window_px), 6)
    whole = np.floor(top_left).astype(np.int64)
    return whole, top_left - whole


def check_size(shape: tuple[float, float], max_image_px: int) -> None:
    """Check that an image of this shape (H, W) is within the size limit.

    Raises:
        ScanError: if it has more than `max_image_px` pixels.
    """
    height, width = shape
    if height * width > max_image_px:
        raise ScanError(
            f"the positions span {height:.3g} × {width:.3g} object pixels, more than an image of "
            f"{max_image_px / 1e6:.0f} Mpx holds: check the unit of the positions, and energy, "
            "distance and detector pixel"
        )


class PatchPlacer:
    """Weights patches and shifts them onto the image's pixels, up to `most` at a time.

    Args:
        weight: (h, w) float32, illumination weight of the window.
        most: largest number of patches per call.
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
        """Weighted, shifted patches (B, h, w), their shifted weights, and usable (B,).

        The arrays are buffers, valid until the next call. A frame without counts or with non-finite
        values gives zeros and is not usable.

        Args:
            amplitude: (B, h, w), relative to the amplitude scale.
            phase: (B, h, w) rad.
            scale: (B,), amplitude scale: illumination-weighted RMS of each patch.
            fraction: (B, 2), row and column shift in [0, 1) pixel.
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
        dark = np.flatnonzero(weights < self._least)
        weights.reshape(-1)[dark] = 0
        placed.reshape(-1)[dark] = 0
        return placed, weights, usable


def growth_order(corner_px: NDArray[np.int64], window_px: int) -> list[int]:
    """Order of the N windows in which each overlaps an earlier one, where any does.

    Breadth-first over cells of half a window, from the centre of the scan.
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
