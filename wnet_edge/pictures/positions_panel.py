"""Picture panel of a scan's positions: the path over the sample, in scan order."""

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import INK, NOTHING, PAPER, ColourScale, coloured, linear_ticks
from wnet_edge.pictures.panel import BOX, FINE, Key, Panel, empty_panel, length_key, ring_key

if TYPE_CHECKING:
    from PIL import Image

_INSET = 24
_MOST_LINES = 20_000
_MOST_POINTS = 1_000_000
_LARGEST = 1e300
"""Larger values in a file are no positions, and their differences would overflow."""

# From the first frame to the last; all colours are visible on white.
_ORDER = np.array([(36, 62, 160), (134, 44, 160), (214, 62, 104), (244, 162, 44)])


def positions_panel(heading: str, positions: NDArray[np.float64], *, metres: bool) -> Panel:
    """Panel of the scan's path, rows downwards, coloured from the first frame to the last.

    Args:
        heading: heading of the panel.
        positions: (N, 2) row, column; NaN is left out.
        metres: whether they are in metres, else object pixels.
    """
    count = len(positions)
    numbers = np.flatnonzero((np.abs(positions) < _LARGEST).all(axis=1))
    if not len(numbers):
        return empty_panel(heading, "no position in this file is a number")
    skipped = count - len(numbers)
    numbers = numbers[:: -(-len(numbers) // _MOST_POINTS)]
    points = positions[numbers]
    low, high = points.min(axis=0), points.max(axis=0)
    unit_per_px = float((high - low).max()) / (BOX - 2 * _INSET)
    places = (points - (low + high) / 2) / (unit_per_px or 1.0) + BOX / 2
    last = max(count - 1, 1)
    order = (numbers / last).astype(np.float32)
    colours = np.rint(coloured(order, _ORDER)).astype(np.uint8)
    keys = [Key("1 position" if count == 1 else f"{count} positions")]
    if unit_per_px > 0:
        keys.insert(0, length_key(BOX / 4, unit_per_px, metres=metres))
    elif count > 1:
        keys.append(Key("all in one place"))
    if len(numbers) <= _MOST_LINES:
        image = _path(places, colours)
        keys.append(ring_key("first"))
    else:
        image = _cloud(places, colours)
    if skipped:
        keys.append(Key(f"{skipped} of them not a number"))
    scale = ColourScale(_ORDER, 0.0, float(last), linear_ticks(0.0, last, least_step=1.0))
    return Panel(heading, image, scale, tuple(keys))


def _path(places: NDArray[np.float64], colours: NDArray[np.uint8]) -> "Image.Image":
    """Points (N, 2) row, column joined in their order, with dots, and a ring at the first."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (BOX * FINE, BOX * FINE), PAPER)
    draw = ImageDraw.Draw(image)
    dots = [
        ((x, y), (r, g, b))
        for (y, x), (r, g, b) in zip((places * FINE).tolist(), colours.tolist(), strict=True)
    ]
    for (start, _), (stop, (red, green, blue)) in pairwise(dots):
        pale = (128 + red // 2, 128 + green // 2, 128 + blue // 2)
        draw.line((*start, *stop), fill=pale, width=FINE)
    radius = FINE * min(max(0.16 * BOX / np.sqrt(len(dots)), 1.0), 4.5)
    for (x, y), colour in dots:
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    x, y = dots[0][0]
    ring = radius + 4 * FINE
    draw.ellipse((x - ring, y - ring, x + ring, y + ring), outline=INK, width=FINE + 2)
    return _framed(image.resize((BOX, BOX), Image.Resampling.BOX))


def _cloud(places: NDArray[np.float64], colours: NDArray[np.uint8]) -> "Image.Image":
    """One pixel per point (N, 2), for so many points that lines would cover each other."""
    from PIL import Image

    pixels = np.full((BOX, BOX, 3), PAPER, np.uint8)
    rows, columns = places.astype(np.int64).T
    pixels[rows, columns] = colours
    return _framed(Image.fromarray(pixels))


def _framed(image: "Image.Image") -> "Image.Image":
    from PIL import ImageDraw

    ImageDraw.Draw(image).rectangle((0, 0, BOX - 1, BOX - 1), outline=NOTHING)
    return image
