"""Subpixel shift of an image by Lagrange interpolation, for registration.

Maximally flat, so that the interpolation itself adds no shift to what registration measures.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Complex = NDArray[np.complex64]

_REACH_PX = 3


def resample(
    image: Complex, covered: Mask, shift_px: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[Complex, Mask]:
    """Image sampled at r + shift for every pixel r of a grid of `shape`, and its validity mask.

    Six-point Lagrange interpolation along each axis: exact for quintics, so that it adds no shift
    of its own to coarse features, as a windowed sinc does (Laakso et al., IEEE Signal Process. Mag.
    13, 30, 1996, on maximally flat filters).

    Args:
        image: (H', W') complex64.
        covered: (H', W') bool, where the image is valid.
        shift_px: (2,) row, column.
        shape: (H, W) of the result.

    Returns:
        (H, W) complex64, and (H, W) bool: True where only covered pixels were needed.
    """
    shift = np.round(shift_px, 4)
    value: Complex = np.where(covered, image, 0).astype(np.complex64)
    known: Mask = covered
    for axis in (0, 1):
        whole = int(np.floor(shift[axis]))
        taps = _lagrange_taps(float(shift[axis] - whole))
        value = _convolved(value, taps, whole, shape[axis], axis)
        # An uncovered pixel invalidates a result only through taps that are not zero.
        holes: NDArray[np.float32] = (~known).astype(np.float32)
        reach = _convolved(holes, np.abs(taps), whole, shape[axis], axis, outside=1)
        known = np.asarray(reach < 1e-6, dtype=bool)
    return value, known


def _lagrange_taps(fraction: float) -> NDArray[np.float32]:
    """Interpolation weights (6,) of pixels −2 … 3 for the value at `fraction` in [0, 1)."""
    nodes = np.arange(1 - _REACH_PX, _REACH_PX + 1, dtype=np.float64)
    others = [np.delete(nodes, k) for k in range(len(nodes))]
    taps = [
        np.prod((fraction - rest) / (node - rest)) for node, rest in zip(nodes, others, strict=True)
    ]
    return np.asarray(taps, dtype=np.float32)


def _convolved(
    values: NDArray[Any],
    taps: NDArray[np.float32],
    whole: int,
    length: int,
    axis: int,
    outside: float = 0.0,
) -> NDArray[Any]:
    """Σ_k taps_k · values at r + whole + k − 2 for r < length along `axis`; `outside` beyond."""
    lines = np.moveaxis(values, axis, 0)
    first = whole + 1 - _REACH_PX
    needed = np.arange(first, first + length + len(taps) - 1)
    there = (needed >= 0) & (needed < len(lines))
    padded = np.full((len(needed), *lines.shape[1:]), outside, dtype=values.dtype)
    padded[there] = lines[needed[there]]
    total = np.zeros((length, *lines.shape[1:]), dtype=values.dtype)
    for k, tap in enumerate(taps):
        if tap:
            total += tap * padded[k : k + length]
    return np.moveaxis(total, 0, axis)
