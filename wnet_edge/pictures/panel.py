"""One part of a scan in its picture: an image with a heading, a colour bar and a legend.

Made by `frame_panel`, `positions_panel` and `probe_panel`, set side by side by `scan_picture`.
Pillow is loaded inside the functions; every length is in pixels of the picture.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wnet_edge.pictures.drawing import INK, NOTHING, QUIET, ColourScale, round_length, unit_text

if TYPE_CHECKING:
    from PIL import Image

BOX = 512
"""Largest width and height of a panel's image."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend: what a mark means, or a remark without one."""

    text: str
    mark: "Image.Image | None" = None


@dataclass(frozen=True)
class Panel:
    """One part of a scan.

    Attributes:
        heading: one line above.
        image: RGB, at most `BOX` wide and high.
        scale: what its colours mean; None where it has none.
        legend: below, from left to right.
    """

    heading: str
    image: "Image.Image"
    scale: ColourScale | None = None
    legend: tuple[Key, ...] = ()


def empty_panel(heading: str, message: str) -> Panel:
    """Says that there is nothing to show."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (BOX, BOX), NOTHING)
    unit_text(ImageDraw.Draw(image), BOX / 2, BOX // 2, message, QUIET)
    return Panel(heading, image)


def length_key(longest_px: float, unit_per_px: float, *, metres: bool) -> Key:
    """A scale bar for the legend; arguments as `round_length`."""
    from PIL import Image

    length_px, label = round_length(longest_px, unit_per_px, metres=metres)
    return Key(label, Image.new("RGB", (max(length_px, 1), 4), INK))


def fitted(image: "Image.Image", box: int) -> "Image.Image":
    """The image as large as a square box takes it, the edges of its pixels sharp."""
    from PIL import Image

    zoom = box / max(image.size)
    width, height = (max(1, round(n * zoom)) for n in image.size)
    if zoom > 1:
        whole = math.ceil(zoom)
        enlarged = (image.width * whole, image.height * whole)
        image = image.resize(enlarged, Image.Resampling.NEAREST)
    return image.resize((width, height), Image.Resampling.BOX)
