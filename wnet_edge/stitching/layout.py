"""Layout of the windows on the image, and subpixel placing of patches: the first half of stitching.

Windows lie at fractional object positions, the image has whole pixels. `Layout` holds the size of
the image and the pixel on which each window begins; `PatchPlacer` weights patches and shifts each
by its own fraction of a pixel. Weight and weight × patch go through the same kernel, so that their
ratio is the shifted patch.
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
class Layout:
    """Shape of the image that holds all windows of a scan, and the place of each on it.

    Attributes:
        shape: (H, W) of the image.
        origin_px: (2,) int64, object row, column of image pixel (0, 0).
        window_offset_px: (2,) float64: position_px + offset = centre of the top-left pixel of that
            frame's network window in the image.
        corner_px: (N, 2) int64, whole part of each network window's top-left corner, image pixels.
        fraction_px: (N, 2) float64 in [0, 1), the rest of it.
    """

    shape: tuple[int, int]
    origin_px: NDArray[np.int64]
    window_offset_px: NDArray[np.float64]
    corner_px: NDArray[np.int64]
    fraction_px: NDArray[np.float64]


def lay_out(
    positions_px: ArrayLike, full_window_px: int, window_px: int, max_image_px: int
) -> Layout:
    """Layout of the central `window_px` × `window_px` of each frame's full window.

    Args:
        positions_px: (N, 2) row, column of the top-left pixel of each full window, object pixels,
            any sign.
        full_window_px: edge of the full window.
        window_px: edge of the network's window.
        max_image_px: largest number of pixels of an image.

    Raises:
        ScanError: if positions are not finite, or span more than an image may have.
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
    if height * width > max_image_px:
        raise ScanError(
            f"the positions span {height:.3g} × {width:.3g} object pixels, more than an image of "
            f"{max_image_px / 1e6:.0f} Mpx holds: check the unit of the positions, and energy, "
            "distance and detector pixel"
        )
    if np.abs(positions).max() > _FARTHEST_PX:
        raise ScanError(
            f"the positions begin at {lowest[0]:.3g}, {lowest[1]:.3g} object pixels, too far out "
            "to tell pixels apart: check their unit, or subtract their mean"
        )
    # Rounded to a millionth of a pixel, so that 4.9999999999 does not lose the window's first row.
    top_left = np.round(positions + central_window_start_px(full_window_px, window_px), 6)
    whole = np.floor(top_left).astype(np.int64)
    origin = whole.min(axis=0)
    corner = whole - origin
    height, width = (corner.max(axis=0) + window_px).tolist()
    return Layout(
        shape=(height, width),
        origin_px=origin,
        window_offset_px=(central_window_start_px(full_window_px, window_px) - origin).astype(
            np.float64
        ),
        corner_px=corner,
        fraction_px=top_left - whole,
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
        dark = weights < self._least
        if dark.any():
            weights[dark] = 0
            placed[dark] = 0
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
