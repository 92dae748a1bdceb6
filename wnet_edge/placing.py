"""Where windows lie on the image, to a fraction of a pixel: the first half of stitching.

A window lies at a fractional place on the object; the image has whole pixels only. `Layout` says
how large the image is and on which of its pixels each window lies; `shift_windows` resamples a
stack of windows, each by its own fraction of a pixel. Weight and weight × patch go through the same
kernel, so that their ratio is the patch at the new place.
"""

from collections import deque
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

from wnet_edge.errors import ScanError
from wnet_edge.geometry import central_window_start_px

Sample = TypeVar("Sample", np.float32, np.complex64)

MIN_WINDOW_PX = 4
"""A cubic kernel spans four samples."""

_FARTHEST_PX = 1e9  # float64 still holds a millionth of a pixel there
_MARGIN_PX = 2
_LEAST_WEIGHT = 1e-3  # of the largest: less is the kernel's overshoot beside a dark spot
_CHUNK = 4  # windows at a time: their buffers stay in the second-level cache


@dataclass(frozen=True)
class Layout:
    """The image that a scan's windows fit on, and where on it each of them lies.

    Attributes:
        shape: (H, W) of the image.
        origin_px: (2,) int64: image pixel (0, 0) is this row, column of the object.
        window_offset_px: (2,) float64: position_px + offset = centre of the top-left pixel of that
            frame's network window in the image.
        corner_px: (N, 2) int64, image pixel on which each network window begins.
        fraction_px: (N, 2) float64 in [0, 1): how much further it begins.
    """

    shape: tuple[int, int]
    origin_px: NDArray[np.int64]
    window_offset_px: NDArray[np.float64]
    corner_px: NDArray[np.int64]
    fraction_px: NDArray[np.float64]


def lay_out(
    positions_px: ArrayLike, full_window_px: int, window_px: int, max_image_px: int
) -> Layout:
    """Layout of the central `window_px` of each full window.

    Args:
        positions_px: (N, 2) row, column of the top-left pixel of each full window, object pixels,
            any sign.
        full_window_px: edge of the full window.
        window_px: edge of the network's window.
        max_image_px: pixels that an image may have.

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
    # To a millionth of a pixel, so that 4.9999999999 does not lose the window's first row.
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


def placed_patches(
    amplitude: NDArray[np.float32],
    phase: NDArray[np.float32],
    scale: NDArray[np.float32],
    weight: NDArray[np.float32],
    fraction: NDArray[np.float64],
) -> tuple[NDArray[np.complex64], NDArray[np.float32], NDArray[np.bool_]]:
    """Weighted patches (B, h, w) on the image's pixels, their weights, and which are usable (B,).

    A frame without counts, or with values that are not finite, gives zeros and is not usable.

    Args:
        amplitude: (B, h, w) relative to the patch's RMS.
        phase: (B, h, w) rad.
        scale: (B,) that RMS.
        weight: (h, w), illumination weight of the window.
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
    modulus = amplitude * weight
    modulus *= scale[:, None, None]
    weighted = np.empty(amplitude.shape, dtype=np.complex64)
    np.multiply(modulus, np.cos(phase), out=weighted.real)
    np.multiply(modulus, np.sin(phase), out=weighted.imag)

    weights = shifted_copies(weight, fraction)
    dark = weights < _LEAST_WEIGHT * weight.max()
    weights[dark] = 0
    placed = np.empty_like(weighted)
    shift_windows(weighted, fraction, placed)
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


def keys_taps(fraction: NDArray[np.float64]) -> NDArray[np.float32]:
    """Weights (N, 4) float32 of samples m − 2 … m + 1 for the value at m − f, f (N,) in [0, 1).

    Cubic convolution with a = −1/2, exact for quadratics (Keys, IEEE Trans. ASSP 29, 1153, 1981,
    eq. 15). f = 0 gives (0, 0, 1, 0).
    """
    near = np.stack([1 - fraction, fraction], axis=-1)
    far = np.stack([2 - fraction, 1 + fraction], axis=-1)
    inner = 1.5 * near**3 - 2.5 * near**2 + 1
    outer = -0.5 * far**3 + 2.5 * far**2 - 4 * far + 2
    return np.stack(
        [outer[..., 0], inner[..., 0], inner[..., 1], outer[..., 1]], axis=-1, dtype=np.float32
    )


def shift_windows(
    windows: NDArray[Sample], fraction: NDArray[np.float64], out: NDArray[Sample]
) -> None:
    """Resample `windows` (B, h, w) so that out[b, m, n] = windows[b] at (m − f_row, n − f_column).

    Args:
        windows: float32 or complex64, finite; h, w ≥ `MIN_WINDOW_PX`.
        fraction: (B, 2) row, column in [0, 1).
        out: (B, h, w) of the same dtype, filled. Row 0 (column 0) becomes zero where its fraction
            is not, since it would lie before the window's first sample; nothing is extrapolated.
    """
    row_taps, column_taps = keys_taps(fraction[:, 0]), keys_taps(fraction[:, 1])
    for start in range(0, len(windows), _CHUNK):
        part = slice(start, start + _CHUNK)
        out[part] = _convolve(_extend(windows[part]), row_taps[part], column_taps[part])
    _drop_before_first(out, fraction)


def shifted_copies(
    window: NDArray[np.float32], fraction: NDArray[np.float64]
) -> NDArray[np.float32]:
    """One window (h, w) resampled as by `shift_windows`, once for each fraction (B, 2): (B, h, w).

    One matrix product with the sixteen windows that its whole shifts are.
    """
    row_taps, column_taps = keys_taps(fraction[:, 0]), keys_taps(fraction[:, 1])
    shifts = sliding_window_view(_extend(window[None])[0], window.shape)[:4, :4]
    taps = row_taps[:, :, None] * column_taps[:, None, :]
    copies: NDArray[np.float32] = np.tensordot(taps, shifts, 2)
    _drop_before_first(copies, fraction)
    return copies


def _drop_before_first(windows: NDArray[Sample], fraction: NDArray[np.float64]) -> None:
    windows[fraction[:, 0] > 0, 0] = 0
    windows[fraction[:, 1] > 0, :, 0] = 0


def _extend(windows: NDArray[Sample]) -> NDArray[Sample]:
    """Windows (b, h, w) with a margin of two: one sample by Keys' rule (1981, eq. 19), one zero."""
    count, height, width = windows.shape
    margin = 2 * _MARGIN_PX
    wide = np.zeros((count, height + margin, width + margin), dtype=windows.dtype)
    wide[:, _MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX] = windows
    wide[:, 1] = 3 * wide[:, 2] - 3 * wide[:, 3] + wide[:, 4]
    wide[:, -2] = 3 * wide[:, -3] - 3 * wide[:, -4] + wide[:, -5]
    wide[:, :, 1] = 3 * wide[:, :, 2] - 3 * wide[:, :, 3] + wide[:, :, 4]
    wide[:, :, -2] = 3 * wide[:, :, -3] - 3 * wide[:, :, -4] + wide[:, :, -5]
    return wide


def _convolve(
    wide: NDArray[Sample], row_taps: NDArray[np.float32], column_taps: NDArray[np.float32]
) -> NDArray[Sample]:
    """Four taps along rows, then along columns, of `wide` (b, h + 4, w + 4): (b, h, w).

    Works on flat runs of real numbers: the ends of a line run into the margin of the next, which
    is cut off at last. Several times as fast as two-dimensional slices or small matrix products.
    """
    count, rows, columns = wide.shape
    lanes = 2 if np.iscomplexobj(wide) else 1  # real and imaginary parts lie side by side
    height, line = rows - 2 * _MARGIN_PX, columns * lanes
    size = height * line
    flat = wide.reshape(count, -1).view(np.float32)
    product = np.empty((count, size), dtype=np.float32)

    by_row = np.zeros((count, size + 3 * lanes), dtype=np.float32)
    total = by_row[:, :size]
    for tap in range(4):
        run = flat[:, tap * line : tap * line + size]
        total += np.multiply(run, row_taps[:, tap, None], out=product)

    both = np.zeros((count, size), dtype=np.float32)
    for tap in range(4):
        run = by_row[:, tap * lanes : tap * lanes + size]
        both += np.multiply(run, column_taps[:, tap, None], out=product)
    placed: NDArray[Sample] = both.view(wide.dtype).reshape(count, height, columns)
    return placed[:, :, : columns - 2 * _MARGIN_PX]
