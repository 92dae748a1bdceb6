"""Picture of an image: phase and amplitude side by side, with scale and colour bars.

Rows run downwards, and arrows show the axes, since silx draws y upwards. Pillow is imported inside
the functions, so only when a picture is drawn. All lengths are in pixels of the picture.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import replacing
from wnet_edge.pictures.drawing import (
    BAR_GAP,
    BAR_WIDTH,
    GAP,
    GREY,
    INK,
    MARGIN,
    PAPER,
    PLATE,
    QUIET,
    SMALL_SIZE,
    TEXT_SIZE,
    TICK,
    TITLE_SIZE,
    VIRIDIS,
    ColourScale,
    axes_arrows,
    colour_bar,
    linear_ticks,
    round_length,
    text_line,
    text_width,
    unit_text,
)
from wnet_edge.pictures.faded import certainty_of, faded, sure_range

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_LEAST_PANEL, _MOST_PANEL = 500, 1000  # range of an image's longer edge in the picture
_LEAST_FOR_ARROWS = 160
_PNG_EFFORT = 2  # of 9; Pillow's default, 6, takes nearly three times as long for 11 % less


@dataclass(frozen=True)
class PictureOptions:
    """Texts of a picture.

    Attributes:
        title: one line above, for example the name of the scan.
        caption: one small line below.
    """

    title: str = ""
    caption: str = ""


@dataclass(frozen=True)
class _Panel:
    """One image of the picture, with its colour scale."""

    heading: str
    pixels: "Image.Image"
    scale: ColourScale


def write_picture(
    path: Path,
    phase: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    coverage: NDArray[np.float32],
    pixel_size_m: float | None,
    options: PictureOptions | None = None,
    *,
    force: bool = False,
) -> None:
    """Write a PNG of phase and amplitude atomically.

    Args:
        path: path of the picture.
        phase: (H, W) rad.
        amplitude: (H, W).
        coverage: (H, W) summed weight; colours fade where it is below half its median.
        pixel_size_m: for the scale bar; None for a scale bar in pixels.
        options: title and caption.
        force: replace an existing file.

    Raises:
        ResultError: if the file exists and `force` is False, or it can't be written.
        ValueError: if the images differ in shape or are empty.
    """
    picture = draw_picture(phase, amplitude, coverage, pixel_size_m, options)
    with replacing(path, ResultError, force=force) as temporary:
        picture.save(temporary, format="PNG", compress_level=_PNG_EFFORT)


def draw_picture(
    phase: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    coverage: NDArray[np.float32],
    pixel_size_m: float | None,
    options: PictureOptions | None = None,
) -> "Image.Image":
    """Draw phase and amplitude as an RGB picture; arguments and errors as for `write_picture`."""
    from PIL import Image, ImageDraw

    if not phase.shape == amplitude.shape == coverage.shape or phase.ndim != 2 or not phase.size:
        raise ValueError("phase, amplitude and coverage are not images of one shape")
    options = options or PictureOptions()
    size, source_px = _panel_size(phase.shape)
    phase, amplitude, coverage = _reduced(phase, amplitude, coverage)
    certainty = certainty_of(coverage)
    certainty[~(np.isfinite(phase) & np.isfinite(amplitude))] = 0
    panels = [
        _panel("Phase (rad)", VIRIDIS, phase, certainty, size),
        _panel("Amplitude", GREY, amplitude, certainty, size),
    ]

    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    labels = text_width(measure, "-0.00", SMALL_SIZE)
    panel_width = size[0] + BAR_GAP + BAR_WIDTH + 2 * TICK + labels
    top = MARGIN + (TITLE_SIZE + 18 if options.title else 0) + TEXT_SIZE + 12
    bottom = MARGIN + (SMALL_SIZE + 14 if options.caption else 0)
    width = 2 * MARGIN + 2 * panel_width + GAP
    picture = Image.new("RGB", (width, top + size[1] + bottom), PAPER)
    draw = ImageDraw.Draw(picture)
    room = width - 2 * MARGIN
    if options.title:
        text_line(draw, (MARGIN, MARGIN), options.title, TITLE_SIZE, INK, room)
    for index, panel in enumerate(panels):
        left = MARGIN + index * (panel_width + GAP)
        text_line(draw, (left, top - TEXT_SIZE - 12), panel.heading, TEXT_SIZE, INK, panel_width)
        picture.paste(panel.pixels, (left, top))
        if min(size) >= _LEAST_FOR_ARROWS:
            axes_arrows(draw, left + 12, top + 12)
        colour_bar(picture, panel.scale, left + size[0] + BAR_GAP, top, size[1])
    _scale_bar(draw, MARGIN, top + size[1], size[0], source_px, pixel_size_m)
    if options.caption:
        below = top + size[1] + 14
        text_line(draw, (MARGIN, below), options.caption, SMALL_SIZE, QUIET, room)
    return picture


def _reduced(
    phase: NDArray[np.float32], amplitude: NDArray[np.float32], coverage: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Large images reduced by means over blocks of pixels; the phase is that of the complex sum."""
    factor = min(max(phase.shape) // _MOST_PANEL, *phase.shape)
    if factor < 2:
        return phase, amplitude, coverage
    height, width = (n // factor for n in phase.shape)
    cosine, sine, mean_amplitude, mean_coverage = np.zeros((4, height, width), dtype=np.float32)
    for row in range(factor):
        for column in range(factor):
            pixel = np.s_[row : height * factor : factor, column : width * factor : factor]
            cosine += amplitude[pixel] * np.cos(phase[pixel])
            sine += amplitude[pixel] * np.sin(phase[pixel])
            mean_amplitude += amplitude[pixel] / factor**2
            mean_coverage += coverage[pixel] / factor**2
    return np.arctan2(sine, cosine), mean_amplitude, mean_coverage


def _panel_size(shape: tuple[int, ...]) -> tuple[tuple[int, int], float]:
    """Width, height of an image in the picture, and image pixels per picture pixel."""
    longest = max(shape)
    if longest < _LEAST_PANEL:
        zoom = float(-(-_LEAST_PANEL // longest))  # integer, so that all pixels are of equal size
    else:
        zoom = min(1.0, _MOST_PANEL / longest)
    height, width = (max(1, round(n * zoom)) for n in shape)
    return (width, height), 1 / zoom


def _panel(
    heading: str,
    colours: NDArray[np.int64],
    values: NDArray[np.float32],
    certainty: NDArray[np.float32],
    size: tuple[int, int],
) -> _Panel:
    from PIL import Image

    low, high = sure_range(values, certainty)
    image = Image.fromarray(faded(values, certainty, (low, high), colours))
    larger = size[0] >= image.width
    filtered = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    scale = ColourScale(colours, low, high, linear_ticks(low, high))
    return _Panel(heading, image.resize(size, filtered), scale)


def _scale_bar(
    draw: "ImageDraw.ImageDraw",
    left: int,
    bottom: int,
    width: int,
    source_px: float,
    pixel_size_m: float | None,
) -> None:
    """Draw a scale bar of a round length, about a quarter of the panel, at the lower left."""
    unit_per_px = source_px * (1.0 if pixel_size_m is None else pixel_size_m)
    bar, label = round_length(width / 4, unit_per_px, metres=pixel_size_m is not None)
    plate = max(bar, round(text_width(draw, label, SMALL_SIZE))) + 20
    x, y = left + 12, bottom - 12 - 40
    draw.rounded_rectangle((x, y, x + plate, y + 40), radius=4, fill=PLATE)
    middle = x + plate / 2
    unit_text(draw, middle, y + 13, label, PAPER)
    draw.rectangle((middle - bar / 2, y + 27, middle + bar / 2, y + 31), fill=PAPER)
