"""Picture panel of an image's phase, with a length below it."""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import VIRIDIS, ColourScale, linear_ticks
from wnet_edge.pictures.faded import certainty_of, faded, sure_range
from wnet_edge.pictures.panel import BOX, Panel, fitted, length_key


def phase_range(phase: NDArray[np.float32], coverage: NDArray[np.float32]) -> tuple[float, float]:
    """From the lowest to the highest phase (H, W) where half the median coverage is, in rad."""
    return sure_range(phase, certainty_of(coverage))


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
    image = Image.fromarray(faded(phase, certainty_of(coverage), colour_range, VIRIDIS))
    image = fitted(image, BOX)
    unit_per_px = max(phase.shape) / max(image.size) * pixel_size_m
    scale = ColourScale(VIRIDIS, low, high, linear_ticks(low, high))
    return Panel(heading, image, scale, (length_key(BOX / 3, unit_per_px, metres=True),))
