"""Panel of a scan's picture: an image with heading, colour bar and legend.

Made by `frame_panel`, `positions_panel`, `probe_panel` and `frame_values_panel`, arranged side by
side by `panel_row`.
Pillow is imported inside the functions; all lengths are in pixels of the picture.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wnet_edge.pictures.drawing import (
    INK,
    NOTHING,
    PAPER,
    QUIET,
    ColourScale,
    round_length,
    unit_text,
)

if TYPE_CHECKING:
    from PIL import Image

BOX = 512
"""Largest width and height of a panel's image."""

FINE = 3
"""Oversampling factor for lines and discs, since Pillow draws them without anti-aliasing."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend: a mark and its meaning, or a remark without a mark."""

    text: str
    mark: "Image.Image | None" = None


@dataclass(frozen=True)
class Panel:
    """Panel for one part of a scan.

    Attributes:
        heading: one line above the image.
        image: RGB image, at most `BOX` wide and high.
        scale: colour scale; None for no colour bar.
        legend: legend entries below the image, from left to right.
    """

    heading: str
    image: "Image.Image"
    scale: ColourScale | None = None
    legend: tuple[Key, ...] = ()


def empty_panel(heading: str, message: str) -> Panel:
    """Panel with a message in place of an image."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (BOX, BOX), NOTHING)
    unit_text(ImageDraw.Draw(image), BOX / 2, BOX // 2, message, QUIET)
    return Panel(heading, image)


def length_key(longest_px: float, unit_per_px: float, *, metres: bool) -> Key:
    """Legend entry with a scale bar; arguments as for `round_length`."""
    from PIL import Image

    length_px, label = round_length(longest_px, unit_per_px, metres=metres)
    return Key(label, Image.new("RGB", (max(length_px, 1), 4), INK))


def ring_key(text: str) -> Key:
    """Legend entry for rings around points."""
    from PIL import Image, ImageDraw

    mark = Image.new("RGB", (15 * FINE, 15 * FINE), PAPER)
    corner = 15 * FINE - 1
    ImageDraw.Draw(mark).ellipse((0, 0, corner, corner), outline=INK, width=FINE + 2)
    return Key(text, mark.resize((15, 15), Image.Resampling.BOX))


def fitted(image: "Image.Image", box: int) -> "Image.Image":
    """The image scaled to fit a square box, with sharp pixel edges."""
    from PIL import Image

    zoom = box / max(image.size)
    width, height = (max(1, round(n * zoom)) for n in image.size)
    if zoom > 1:
        whole = math.ceil(zoom)
        enlarged = (image.width * whole, image.height * whole)
        image = image.resize(enlarged, Image.Resampling.NEAREST)
    return image.resize((width, height), Image.Resampling.BOX)
