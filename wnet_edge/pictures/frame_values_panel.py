"""Picture panel of one value per frame, drawn where the frame was taken, with axes in µm."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import (
    INK,
    NOTHING,
    PAPER,
    QUIET,
    SMALL_SIZE,
    TICK,
    VIRIDIS,
    ColourScale,
    coloured,
    font,
    linear_ticks,
    unit_text,
)
from wnet_edge.pictures.panel import BOX, FINE, Key, Panel, ring_key

if TYPE_CHECKING:
    from PIL import Image

_AXIS = 52
"""Room for ticks and labels left of the frames and below."""
_AREA = BOX - _AXIS
_INSET = 24
_LEAST_RANGE = 1e-3
"""Of the colours: one that does not show rounding errors."""
_LARGEST_RADIUS = 16.0


def value_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """From the lowest to the highest of values (N,), which may be NaN, without outliers."""
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, (1, 99)).tolist() if len(known) else (0.0, 1.0)
    return low, max(high, low + _LEAST_RANGE)


def frame_values_panel(
    heading: str,
    positions_m: NDArray[np.float64],
    values: NDArray[np.float64],
    colour_range: tuple[float, float],
    ringed: NDArray[np.int64],
    ring_meaning: str,
) -> Panel:
    """Panel of discs at the frames' positions, rows downwards.

    Args:
        heading: heading of the panel.
        positions_m: (N, 2) row, column.
        values: (N,), NaN for frames that have none, which are grey.
        colour_range: values of the first and the last colour.
        ringed: indices of the frames to draw a ring around.
        ring_meaning: legend of the ring.
    """
    low, high = colour_range
    known = np.isfinite(values)
    level = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1)
    colours = np.rint(coloured(level.astype(np.float32), VIRIDIS)).astype(np.uint8)
    colours[~known] = NOTHING
    points_um = 1e6 * positions_m
    middle_um = (points_um.min(axis=0) + points_um.max(axis=0)) / 2
    um_per_px = float(np.ptp(points_um, axis=0).max()) / (_AREA - 2 * _INSET) or 1.0
    places = (points_um - middle_um) / um_per_px + (_AREA / 2, _AXIS + _AREA / 2)
    image = _discs(places, colours, np.argsort(np.where(known, values, -np.inf)), ringed)
    _draw_axes(image, middle_um, um_per_px)
    keys = [Key("axes: µm"), ring_key(ring_meaning)]
    if not known.all():
        keys.append(Key("grey: not compared"))
    scale = ColourScale(VIRIDIS, low, high, linear_ticks(low, high))
    return Panel(heading, image, scale, tuple(keys))


def _discs(
    places: NDArray[np.float64],
    colours: NDArray[np.uint8],
    order: NDArray[np.int64],
    ringed: NDArray[np.int64],
) -> "Image.Image":
    """Discs at `places` (N, 2) row, column that about touch; the last in `order` lie on top."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (BOX * FINE, BOX * FINE), PAPER)
    draw = ImageDraw.Draw(image)
    extent, count = np.ptp(places, axis=0), len(places)
    spacing = max(np.sqrt(extent.prod() / count), extent.max() / count)
    radius = FINE * min(max(0.55 * float(spacing), 1.5), _LARGEST_RADIUS)
    for index in order.tolist():
        y, x = (places[index] * FINE).tolist()
        red, green, blue = colours[index].tolist()
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(red, green, blue))
    ring = radius + FINE
    for y, x in (places[ringed] * FINE).tolist():
        draw.ellipse((x - ring, y - ring, x + ring, y + ring), outline=INK, width=FINE + 2)
    return image.resize((BOX, BOX), Image.Resampling.BOX)


def _draw_axes(image: "Image.Image", middle_um: NDArray[np.float64], um_per_px: float) -> None:
    """Frame of the area with ticks to its left, rows, and below, columns."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    draw.rectangle((_AXIS, 0, BOX - 1, _AREA), outline=NOTHING)
    reach_um = _AREA / 2 * um_per_px
    row_um, column_um = middle_um.tolist()
    for tick, label in linear_ticks(row_um - reach_um, row_um + reach_um):
        y = min(max((tick - row_um) / um_per_px + _AREA / 2, SMALL_SIZE / 2), _AREA)
        draw.line((_AXIS - TICK, y, _AXIS, y), fill=QUIET)
        draw.text((_AXIS - 2 * TICK, y), label, fill=INK, font=font(SMALL_SIZE), anchor="rm")
    for tick, label in linear_ticks(column_um - reach_um, column_um + reach_um):
        x = (tick - column_um) / um_per_px + _AXIS + _AREA / 2
        draw.line((x, _AREA, x, _AREA + TICK), fill=QUIET)
        unit_text(draw, min(x, BOX - 16), _AREA + 2 * TICK + SMALL_SIZE // 2, label, INK)
