"""Picture panel of a scan's mean frame, with masked pixels and beam centre."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import INK, PAPER, VIRIDIS, Colour, ColourScale, coloured
from wnet_edge.pictures.panel import BOX, Key, Panel, fitted

if TYPE_CHECKING:
    from PIL import Image

_MASKED: Colour = (240, 70, 60)
_LARGEST_RATIO = 1e6
"""Largest ratio of the counts of the brightest to those of the darkest colour."""


def frame_panel(
    heading: str,
    mean: NDArray[np.float32],
    mask: NDArray[np.bool_],
    beam_centre_px: tuple[float, float] | None,
) -> Panel:
    """Panel of the mean frame on a logarithmic colour scale.

    Args:
        heading: heading of the panel.
        mean: (H, W) float32, mean counts per frame.
        mask: (H, W) bool, True for pixels that are not used.
        beam_centre_px: row, column of zero frequency, None if unknown.
    """
    from PIL import Image

    good = ~mask & np.isfinite(mean)
    step = min(max(max(mean.shape) // BOX, 1), *mean.shape)
    share = _block_mean(good.astype(np.float32), step)
    counts = _block_mean(np.where(good, mean, np.float32(0)), step)
    counts /= np.maximum(share, np.float32(1e-9))
    scale = _scale(counts)
    power = np.log10(np.clip(counts, 10**scale.low, 10**scale.high))
    level = np.clip((power - scale.low) / (scale.high - scale.low), 0, 1)
    rgb = coloured(level.astype(np.float32), VIRIDIS) * share[..., None]
    rgb += np.asarray(_MASKED, np.float32) * (1 - share[..., None])
    image = fitted(Image.fromarray(np.rint(rgb).astype(np.uint8)), BOX)
    masked_px = int(mask.sum())
    keys = [Key("no pixel masked")]
    if masked_px:
        keys = [Key(f"{masked_px} px masked", Image.new("RGB", (12, 12), _MASKED))]
    if not counts.any():
        keys.append(Key("no counts"))
    if beam_centre_px is not None:
        keys.append(_beam_key(image, beam_centre_px, image.width / (share.shape[1] * step)))
    return Panel(heading, image, scale, tuple(keys))


def _block_mean(values: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Means over blocks of `step` × `step` pixels; incomplete blocks are cut off."""
    height, width = (n // step for n in values.shape)
    blocks = values[: height * step, : width * step].reshape(height, step, width, step)
    mean: NDArray[np.float32] = blocks.mean(axis=(1, 3))
    return mean


def _scale(counts: NDArray[np.float32]) -> ColourScale:
    """Logarithmic colour scale from the smallest to the largest counts, at least one decade."""
    positive = counts[counts > 0].astype(np.float64)
    faintest, high = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
    low = min(max(faintest, high / _LARGEST_RATIO), high / 10)
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.floor(np.log10(high)) + 1)
    marks = np.outer(decades, (1,) if high > 100 * low else (1, 2, 5)).ravel()
    marks = marks[(marks >= low * (1 - 1e-9)) & (marks <= high * (1 + 1e-9))]
    ticks = tuple((float(np.log10(mark)), f"{mark:g}") for mark in marks)
    return ColourScale(VIRIDIS, float(np.log10(low)), float(np.log10(high)), ticks)


def _beam_key(image: "Image.Image", beam_centre_px: tuple[float, float], zoom: float) -> Key:
    """Mark the beam centre in the image; returns the legend entry."""
    from PIL import Image

    y, x = ((at + 0.5) * zoom for at in beam_centre_px)
    if not (0 <= y < image.height and 0 <= x < image.width):
        return Key("beam centre beyond the edge")
    _cross(image, round(x), round(y))
    red, green, blue = VIRIDIS[6].tolist()
    mark = Image.new("RGB", (21, 21), (red, green, blue))
    _cross(mark, 10, 10)
    return Key("beam centre", mark)


def _cross(image: "Image.Image", x: int, y: int) -> None:
    """Draw a small cross with an open centre, visible on bright and dark pixels."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    for colour, edge in ((INK, 1), (PAPER, 0)):
        for near, far in ((-8, -3), (3, 8)):
            draw.rectangle((x + near - edge, y - edge, x + far + edge, y + edge), fill=colour)
            draw.rectangle((x - edge, y + near - edge, x + edge, y + far + edge), fill=colour)
