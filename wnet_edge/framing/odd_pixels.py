"""Detection of bad detector pixels from the frames: dead, hot or stuck, single or in lines.

Used by `wnet_edge.framing.survey`. Each rule looks for what neither a far field nor Poisson noise
can produce.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HOT_RATIO = 10.0
"""A pixel this many times as bright as the brightest of its eight neighbours is hot: the speckles
of a well-sampled far field are wider than one pixel."""
_DEAD_NEIGHBOUR_COUNTS = 30.0
"""A pixel without counts is dead if its eight neighbours have at least so many each (Poisson
probability e⁻³⁰)."""
_COUNTED_A_PIXEL = 3.0
"""Counts of a pixel are clipped to this in the sum of a line, so that a few bright pixels do not
dominate it."""
_WIDEST_GAP_PX = 40
"""Widest gap of lines without counts; the widest gap between detector modules is 38 px (EIGER2)."""
_CHANCE = 1e-3
"""Probability of one false stuck pixel on the whole detector."""
_FEW = 0.05
"""Fraction of the pixels above which only those with one common value are stuck: frames simulated
without noise may repeat anywhere."""
_ONE_VALUE = 0.9
_BESIDE_COUNTS = 1000.0
"""Summed counts from which a far field does not fall to zero within one pixel."""
_SHOWN = 3


def odd_pixels(
    total: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Dead pixels and hot pixels of summed counts (H, W), (H, W) bool each, outside `mask`."""
    brightest = _of_neighbours(np.where(mask, -np.inf, total), np.maximum)
    darkest = _of_neighbours(np.where(mask, np.inf, total), np.minimum)
    dead = (total == 0) & (darkest >= _DEAD_NEIGHBOUR_COUNTS) & np.isfinite(darkest) & ~mask
    bright_enough = total > _HOT_RATIO * np.maximum(brightest, 1) + _DEAD_NEIGHBOUR_COUNTS
    return dead, bright_enough & np.isfinite(brightest) & ~mask


def stuck_pixels(
    counts: NDArray[np.float32], is_count: NDArray[np.bool_], stored: np.dtype[Any]
) -> NDArray[np.bool_]:
    """Stuck pixels (H, W) bool: one value above zero in all frames (k, H, W), and not by chance.

    The probability that k counts of mean v are all equal is below (2πv)^(-(k - 1) / 2), from the
    maximum of the Poisson distribution. Values `stored` as fractions have an unknown gain; v = 1 is
    assumed for them.
    """
    first = counts[0]
    same = is_count.all(axis=0) & (first > 0) & (counts == first).all(axis=0)
    mean = np.maximum(first.astype(np.float64), 1) if stored.kind in "ui" else 1.0
    chance = (2 * np.pi * mean) ** (-(len(counts) - 1) / 2) * first.size
    stuck: NDArray[np.bool_] = same & (chance < _CHANCE)
    if np.count_nonzero(stuck) <= _FEW * stuck.size:
        return stuck
    values, numbers = np.unique(first[stuck], return_counts=True)
    likeliest = values[numbers.argmax()]
    # The smallest value of all is that of dark pixels on a pedestal.
    if numbers.max() < _ONE_VALUE * numbers.sum() or likeliest == counts[is_count].min():
        return np.zeros_like(stuck)
    stuck &= first == likeliest
    return stuck


def dead_lines(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns without counts between others with counts: module gaps stored as zero.

    Takes summed counts (H, W), of which pixels in `mask` are ignored; returns (H, W) bool.
    """
    across = _dead_columns(total, mask)
    down = _dead_columns(total.T, mask.T)
    return (across[None, :] | down[:, None]) & ~mask


def _dead_columns(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Columns (W,) bool without counts between columns with enough counts, of (H, W)."""
    lit = np.where(mask, 0, np.minimum(total, _COUNTED_A_PIXEL)).sum(axis=0)
    known = np.flatnonzero((lit > 0) & ~mask.all(axis=0))
    dead = np.zeros(total.shape[1], np.bool_)
    for left, right in pairwise(known.tolist()):
        enough = min(lit[left], lit[right]) >= _DEAD_NEIGHBOUR_COUNTS
        if 1 < right - left <= _WIDEST_GAP_PX + 1 and enough:
            dead[left + 1 : right] = True
    return dead


def hot_lines(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns (H, W) bool most of whose pixels are hot compared with both sides."""
    across = _hot_columns(total, mask)
    down = _hot_columns(total.T, mask.T)
    return (across[None, :] | down[:, None]) & ~mask


def _hot_columns(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Hot columns (W,) bool of (H, W)."""
    sides = np.pad(np.where(mask, np.inf, total), ((0, 0), (1, 1)), mode="reflect")
    beside = np.maximum(sides[:, :-2], sides[:, 2:])
    hot = (total > _HOT_RATIO * np.maximum(beside, 1) + _DEAD_NEIGHBOUR_COUNTS) & ~mask
    most: NDArray[np.bool_] = 2 * hot.sum(axis=0) > np.maximum((~mask).sum(axis=0), 1)
    return most


def cut_off(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (H, W) bool without counts next to bright ones: rim of a shadow or dead region."""
    lit = np.pad((total >= _BESIDE_COUNTS) & ~mask, 1)
    beside: NDArray[np.bool_] = lit[:-2, 1:-1] | lit[2:, 1:-1] | lit[1:-1, :-2] | lit[1:-1, 2:]
    beside &= (total == 0) & ~mask
    return beside


def places(pixels: NDArray[np.bool_]) -> str:
    """Text of where the pixels (H, W) are: whole rows and columns, and a few of the rest."""
    rows: NDArray[np.bool_] = np.all(pixels, axis=1)
    columns: NDArray[np.bool_] = np.all(pixels, axis=0)
    rest = np.argwhere(pixels & ~rows[:, None] & ~columns)
    parts = [_lines("row", rows), _lines("column", columns)]
    parts += [f"{row}, {column}" for row, column in rest[:_SHOWN].tolist()]
    if len(rest) > _SHOWN:
        parts.append("…")
    return "; ".join(part for part in parts if part)


def _lines(name: str, marked: NDArray[np.bool_]) -> str:
    """Text of the runs of marked lines (n,): "rows 3, 7 to 9"."""
    edges = np.flatnonzero(np.diff(np.pad(marked, 1).astype(np.int8)))
    runs = [
        str(first) if first == last else f"{first} to {last}"
        for first, last in zip(edges[::2].tolist(), (edges[1::2] - 1).tolist(), strict=True)
    ]
    if len(runs) > _SHOWN:
        runs = [*runs[:_SHOWN], "…"]
    plural = "s" if marked.sum() > 1 else ""
    return f"{name}{plural} {', '.join(runs)}" if runs else ""


def _of_neighbours(values: NDArray[np.float64], extreme: np.ufunc) -> NDArray[np.float64]:
    """Largest or smallest of the eight neighbours of each pixel, (H, W), mirrored at the edges."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="reflect")
    around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    found = padded[:height, :width].copy()
    for i, j in around:
        extreme(found, padded[i : i + height, j : j + width], out=found)
    return found
