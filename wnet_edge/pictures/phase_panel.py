"""Picture panel of an image's phase, with a length below it."""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import NOTHING, VIRIDIS, ColourScale, coloured, linear_ticks
from wnet_edge.pictures.panel import BOX, Panel, fitted, length_key

_RANGE_PERCENT = (0.5, 99.5)
_LEAST_RANGE = 1e-3


def phase_range(phase: NDArray[np.float32], coverage: NDArray[np.float32]) -> tuple[float, float]:
    """From the lowest to the highest phase (H, W) where half the median coverage is, in rad."""
    sure = phase[_certainty(coverage) >= 1]
    low, high = np.percentile(sure, _RANGE_PERCENT).tolist() if sure.size else (0.0, 1.0)
    return low, max(high, low + _LEAST_RANGE)


def phase_panel(
    heading: str,
    phase: NDArray[np.float32],
    coverage: NDArray[np.float32],
    pixel_size_m: float,
    colour_range: tuple[float, float],
) -> Panel:
    """Panel of a phase, whose colours fade where the coverage is below half its median.

    Args:
        heading: heading of the panel.
        phase: (H, W) rad.
        coverage: (H, W) summed weight.
        pixel_size_m: edge of a pixel.
        colour_range: phases of the first and the last colour.
    """
    from PIL import Image

    low, high = colour_range
    certainty = _certainty(coverage)
    level = np.clip((np.where(certainty > 0, phase, low) - low) / (high - low), 0, 1)
    rgb = coloured(level.astype(np.float32), VIRIDIS) * certainty[..., None]
    rgb += np.asarray(NOTHING, np.float32) * (1 - certainty[..., None])
    image = fitted(Image.fromarray(np.rint(rgb).astype(np.uint8)), BOX)
    unit_per_px = max(phase.shape) / max(image.size) * pixel_size_m
    scale = ColourScale(VIRIDIS, low, high, linear_ticks(low, high))
    return Panel(heading, image, scale, (length_key(BOX / 3, unit_per_px, metres=True),))


def _certainty(coverage: NDArray[np.float32]) -> NDArray[np.float32]:
    covered = coverage[coverage > 0]
    median = float(np.median(covered)) if covered.size else 1.0
    certain: NDArray[np.float32] = np.clip(2 * coverage / median, 0, 1).astype(np.float32)
    return certain
