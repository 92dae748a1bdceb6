"""Pixels of a detector that give no counts worth the name: dead, hot, stuck, alone or in lines.

Told from the frames that `wnet_edge.framing.survey` looks at. Each rule asks for what neither a far
field nor Poisson's law could have made.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HOT_RATIO = 10.0
"""A pixel this many times as bright as the brightest of its eight neighbours is hot: a probe's far
field is as smooth as the probe's window allows, and no feature of it is one pixel wide."""
_DEAD_NEIGHBOUR_COUNTS = 30.0
"""A pixel without a count whose eight neighbours each have so many is dead (Poisson: e⁻³⁰)."""
_COUNTED_A_PIXEL = 3.0
"""Of a line's counts, so that a few bright pixels do not stand for all of it."""
_WIDEST_GAP_PX = 40
"""Of lines without counts between lines with: the widest gap between modules is 38 px (EIGER2)."""
_CHANCE = 1e-3
"""Of one false stuck pixel on the whole detector."""
_FEW = 0.05
"""Of the pixels: of more, only those that all hold one value are stuck. Frames that were simulated
without noise may repeat anywhere."""
_ONE_VALUE = 0.9
_BESIDE_COUNTS = 1000.0
"""A far field does not fall from so many summed counts to none within a pixel."""
_SHOWN = 3


def odd_pixels(
    total: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Dead and hot pixels of summed counts (H, W), both (H, W) bool, none of them in `mask`."""
    brightest = _of_neighbours(np.where(mask, -np.inf, total), np.maximum)
    darkest = _of_neighbours(np.where(mask, np.inf, total), np.minimum)
    dead = (total == 0) & (darkest >= _DEAD_NEIGHBOUR_COUNTS) & np.isfinite(darkest) & ~mask
    bright_enough = total > _HOT_RATIO * np.maximum(brightest, 1) + _DEAD_NEIGHBOUR_COUNTS
    return dead, bright_enough & np.isfinite(brightest) & ~mask


def stuck_pixels(
    counts: NDArray[np.float32], is_count: NDArray[np.bool_], stored: np.dtype[Any]
) -> NDArray[np.bool_]:
    """Pixels (H, W) that hold one value above zero in all frames (k, H, W), and not by chance.

    That all of k counts of mean v are equal has a chance below (2πv)^(-(k - 1) / 2), Poisson's law
    at its largest; what `stored` as fractions is of unknown gain, and v taken as 1.
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
    # The least value of all is what a dark pixel holds on a pedestal.
    if numbers.max() < _ONE_VALUE * numbers.sum() or likeliest == counts[is_count].min():
        return np.zeros_like(stuck)
    stuck &= first == likeliest
    return stuck


def dead_lines(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns (H, W) without a count, between others with: gaps stored as zero.

    Of summed counts (H, W); pixels in `mask` are not looked at.
    """
    across = _dead_columns(total, mask)
    down = _dead_columns(total.T, mask.T)
    return (across[None, :] | down[:, None]) & ~mask


def _dead_columns(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(W,) of (H, W): dark columns of which both neighbours have the counts that these lack."""
    lit = np.where(mask, 0, np.minimum(total, _COUNTED_A_PIXEL)).sum(axis=0)
    known = np.flatnonzero((lit > 0) & ~mask.all(axis=0))
    dead = np.zeros(total.shape[1], np.bool_)
    for left, right in pairwise(known.tolist()):
        enough = min(lit[left], lit[right]) >= _DEAD_NEIGHBOUR_COUNTS
        if 1 < right - left <= _WIDEST_GAP_PX + 1 and enough:
            dead[left + 1 : right] = True
    return dead


def hot_lines(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows and columns (H, W) of which most pixels are as bright over both sides as a hot pixel."""
    across = _hot_columns(total, mask)
    down = _hot_columns(total.T, mask.T)
    return (across[None, :] | down[:, None]) & ~mask


def _hot_columns(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(W,) of (H, W)."""
    sides = np.pad(np.where(mask, np.inf, total), ((0, 0), (1, 1)), mode="reflect")
    beside = np.maximum(sides[:, :-2], sides[:, 2:])
    hot = (total > _HOT_RATIO * np.maximum(beside, 1) + _DEAD_NEIGHBOUR_COUNTS) & ~mask
    most: NDArray[np.bool_] = 2 * hot.sum(axis=0) > np.maximum((~mask).sum(axis=0), 1)
    return most


def cut_off(total: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels (H, W) without counts right beside bright ones: the rim of a shadow or a dead part."""
    lit = np.pad((total >= _BESIDE_COUNTS) & ~mask, 1)
    beside: NDArray[np.bool_] = lit[:-2, 1:-1] | lit[2:, 1:-1] | lit[1:-1, :-2] | lit[1:-1, 2:]
    beside &= (total == 0) & ~mask
    return beside


def places(pixels: NDArray[np.bool_]) -> str:
    """Where the pixels (H, W) are: whole rows and columns, and a few of the rest."""
    rows: NDArray[np.bool_] = np.all(pixels, axis=1)
    columns: NDArray[np.bool_] = np.all(pixels, axis=0)
    rest = np.argwhere(pixels & ~rows[:, None] & ~columns)
    parts = [_lines("row", rows), _lines("column", columns)]
    parts += [f"{row}, {column}" for row, column in rest[:_SHOWN].tolist()]
    if len(rest) > _SHOWN:
        parts.append("…")
    return "; ".join(part for part in parts if part)


def _lines(name: str, marked: NDArray[np.bool_]) -> str:
    """Runs of marked lines (n,): "rows 3, 7 to 9"."""
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
    """(H, W): the largest or smallest of the eight pixels around each, the edge being mirrored."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="reflect")
    around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    found = padded[:height, :width].copy()
    for i, j in around:
        extreme(found, padded[i : i + height, j : j + width], out=found)
    return found
