"""Colours of an image that fade where too few frames lie."""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import NOTHING, coloured

_RANGE_PERCENT = (0.5, 99.5)


def certainty_of(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    """How sure each pixel is, 0 to 1 (H, W): 1 from half of the median coverage on."""
    median = float(np.median(coverage[coverage > 0])) if (coverage > 0).any() else 1.0
    certain: NDArray[np.float32] = np.clip(2 * coverage / median, 0, 1)
    return certain


def sure_range(values: NDArray[np.float32], certainty: NDArray[np.float32]) -> tuple[float, float]:
    """Lowest and highest of the values (H, W) that are sure, without outliers."""
    sure = values[certainty >= 1]
    low, high = np.percentile(sure, _RANGE_PERCENT).tolist() if sure.size else (0.0, 1.0)
    if high - low < 1e-3:  # a flat image: a range that does not show its rounding errors
        return low - 0.5, high + 0.5
    return low, high


def faded(
    values: NDArray[np.float32],
    certainty: NDArray[np.float32],
    colour_range: tuple[float, float],
    colours: NDArray[np.int64],
) -> NDArray[np.uint8]:
    """RGB (H, W, 3) of values (H, W), in the background's colour where they are unsure."""
    low, high = colour_range
    level: NDArray[np.float32] = np.clip(
        (np.where(certainty > 0, values, low) - low) / (high - low), 0, 1
    )
    rgb = coloured(level, colours) * certainty[..., None]
    rgb += np.asarray(NOTHING, np.float32) * (1 - certainty[..., None])
    shown: NDArray[np.uint8] = np.rint(rgb).astype(np.uint8)
    return shown
