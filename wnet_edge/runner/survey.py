"""A first look at a scan's frames, before any goes through the network.

A few frames from all over the scan tell what the file does not: pixels that are dead, hot or never
read out, numbers stored with their bytes the wrong way round, the mean frame in which the beam is
found.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.detector_window import as_counts
from wnet_edge.errors import ScanError
from wnet_edge.io.complete import detector_mask, required_frames
from wnet_edge.io.found import FoundScan
from wnet_edge.preprocess import NOT_A_COUNT

SAMPLED_FRAMES = 32
_SAMPLED_BYTES = 512 << 20
_HOT_RATIO = 10.0
"""A pixel this many times as bright as the brightest of its eight neighbours is hot: a probe's far
field is as smooth as the probe's window allows, and no feature of it is one pixel wide."""
_DEAD_NEIGHBOUR_COUNTS = 30.0
"""A pixel without a count whose eight neighbours each have so many is dead (Poisson: e⁻³⁰)."""
_SWAPPED_STEP = 256
"""Integers that are mostly multiples of it have their bytes in the wrong order: small ones then
are, and most counts are small."""
_SWAPPED_FLOAT = 1e-30
"""Floats that are all below it do so, too: whole numbers end in bytes of zero, and begin so when
they are swapped."""


@dataclass(frozen=True)
class Survey:
    """What a few frames tell.

    Attributes:
        mean: (H, W) float32 counts a frame, zero where masked.
        mask: (H, W) bool, True where a pixel must not be used, as told or as found.
        dead_px: pixels found dead.
        hot_px: pixels found hot.
        gap_px: pixels that are never read out.
    """

    mean: NDArray[np.float32]
    mask: NDArray[np.bool_]
    dead_px: int
    hot_px: int
    gap_px: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What was found that the file did not say."""
        counted = (
            (self.gap_px, "have no counts in any frame"),
            (self.dead_px, "are dead"),
            (self.hot_px, "are hot"),
        )
        return tuple(f"{n} detector pixels {what} and are masked" for n, what in counted if n)


def survey(found: FoundScan) -> Survey:
    """Look at up to `SAMPLED_FRAMES` frames from all over the scan.

    Raises:
        ScanError: if there are no frames, their mask does not fit, or their bytes are swapped.
    """
    source = required_frames(found)
    told = detector_mask(found)
    count, *shape = source.value.shape
    size = max(1, min(count, SAMPLED_FRAMES, _SAMPLED_BYTES // (4 * shape[0] * shape[1])))
    total = np.zeros(shape, dtype=np.float64)
    seen = np.zeros(shape, dtype=np.int64)
    for index in np.linspace(0, count - 1, size).astype(int).tolist():
        stored = np.asarray(source.value[index])
        _check_byte_order(found, source.where, stored)
        counts = as_counts(stored)
        is_count = (counts >= 0) & (counts < NOT_A_COUNT)
        seen += is_count
        total += np.where(is_count, counts, 0)
    gaps = (seen == 0) & ~told
    total[told | gaps] = 0
    dead, hot = odd_pixels(total, told | gaps)
    mask = told | gaps | dead | hot
    mean = np.where(mask, 0, total / np.maximum(seen, 1)).astype(np.float32)
    return Survey(mean, mask, int(dead.sum()), int(hot.sum()), int(gaps.sum()))


def odd_pixels(
    total: NDArray[np.float64], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Dead and hot pixels of summed counts (H, W), both (H, W) bool, none of them in `mask`."""
    brightest = _of_neighbours(np.where(mask, -np.inf, total), np.maximum)
    darkest = _of_neighbours(np.where(mask, np.inf, total), np.minimum)
    dead = (total == 0) & (darkest >= _DEAD_NEIGHBOUR_COUNTS) & np.isfinite(darkest) & ~mask
    bright_enough = total > _HOT_RATIO * np.maximum(brightest, 1) + _DEAD_NEIGHBOUR_COUNTS
    return dead, bright_enough & np.isfinite(brightest) & ~mask


def _of_neighbours(values: NDArray[np.float64], extreme: np.ufunc) -> NDArray[np.float64]:
    """(H, W): the largest or smallest of the eight pixels around each, the edge being mirrored."""
    height, width = values.shape
    padded = np.pad(values, 1, mode="reflect")
    around = [(i, j) for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    found = padded[:height, :width].copy()
    for i, j in around:
        extreme(found, padded[i : i + height, j : j + width], out=found)
    return found


def _check_byte_order(found: FoundScan, where: str, stored: NDArray[Any]) -> None:
    if _mostly_multiples(stored):
        what = f"mostly multiples of {_SWAPPED_STEP}"
    elif stored.dtype.kind == "f" and 0 < np.abs(stored).max() < _SWAPPED_FLOAT:
        what = f"numbers below {_SWAPPED_FLOAT:g} only"
    else:
        return
    raise ScanError(
        f"{found.path}: {where} holds {what}, as numbers do whose bytes are in the wrong order; "
        "write them with the byte order that the file states"
    )


def _mostly_multiples(stored: NDArray[Any]) -> bool:
    """Whether more than half of integers wider than a byte are multiples of `_SWAPPED_STEP`."""
    if stored.dtype.kind not in "ui" or stored.dtype.itemsize == 1:
        return False
    values = stored[(stored > 0) & (stored < np.iinfo(stored.dtype).max - 1)]
    multiples = int(np.count_nonzero(values % _SWAPPED_STEP == 0))
    return len(values) > 1 and multiples > len(values) / 2
