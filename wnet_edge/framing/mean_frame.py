"""What a scan's mean frame and mask tell beside the far field of the package's probe."""

import numpy as np
from numpy.typing import NDArray

_DARK_SHARE = 0.01
"""Share of the pixels that are taken as dark."""

_SAMPLED_PX = 1 << 16
"""Pixels that are enough to find the dark ones; a window may have a million."""


def hidden_share(far_field: NDArray[np.float32], mask: NDArray[np.bool_]) -> float:
    """Share of the probe's far field (n, n) on masked pixels."""
    return float(far_field[mask].sum(dtype=np.float64) / far_field.sum(dtype=np.float64))


def background_level(
    mean: NDArray[np.float32], far_field: NDArray[np.float32], mask: NDArray[np.bool_]
) -> float:
    """Counts in the darkest pixels beyond the probe's there, relative to the mean count; from 0 on.

    A flat background of a share b of the mean count gives b / (1 + b), and what the sample scatters
    into the darkest hundredth of the pixels adds to it.

    Args:
        mean: (n, n) mean frame.
        far_field: (n, n) of the probe.
        mask: (n, n) bool, True for pixels that must not be used.
    """
    if mask.all() or not mean[~mask].any():
        return 0.0
    return max(0.0, _darkness(mean[~mask]) - _darkness(far_field[~mask]))


def _darkness(pixels: NDArray[np.float32]) -> float:
    """Upper end of the darkest pixels, relative to the mean."""
    pixels = pixels[:: max(1, pixels.size // _SAMPLED_PX)]
    return float(np.quantile(pixels, _DARK_SHARE) / max(pixels.mean(dtype=np.float64), 1e-30))
