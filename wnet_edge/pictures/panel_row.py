"""Panels side by side, with a title above and captions below.

Pillow is imported inside the functions; all lengths are in pixels of the picture.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import replacing
from wnet_edge.pictures.drawing import (
    BAR_GAP,
    BAR_WIDTH,
    GAP,
    INK,
    MARGIN,
    PAPER,
    QUIET,
    SMALL_SIZE,
    TEXT_SIZE,
    TICK,
    TITLE_SIZE,
    colour_bar,
    text_line,
    text_width,
    unit_text,
)
from wnet_edge.pictures.panel import BOX, Panel

if TYPE_CHECKING:
    from PIL import Image

_LABEL_WIDTH = 52
_PANEL_WIDTH = BOX + BAR_GAP + BAR_WIDTH + 2 * TICK + _LABEL_WIDTH
_TOP = MARGIN + TITLE_SIZE + 22
_IMAGE_TOP = _TOP + TEXT_SIZE + 12
_LEGEND = 38
_LINE = SMALL_SIZE + 8


def write_panels(picture: "Image.Image", path: Path, *, force: bool) -> None:
    """Write a row of panels as a PNG, atomically.

    Raises:
        ResultError: if the file exists and `force` is False, or it can't be written.
    """
    with replacing(path, ResultError, force=force) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def draw_panels(title: str, captions: Sequence[str], panels: Sequence[Panel]) -> "Image.Image":
    """Draw panels side by side as an RGB picture, one line above, small lines below."""
    from PIL import Image, ImageDraw

    width = 2 * MARGIN + len(panels) * (_PANEL_WIDTH + GAP) - GAP
    height = _IMAGE_TOP + BOX + _LEGEND + len(captions) * _LINE + MARGIN
    picture = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(picture)
    room = width - 2 * MARGIN
    text_line(draw, (MARGIN, MARGIN), title, TITLE_SIZE, INK, room)
    for index, panel in enumerate(panels):
        _place(picture, panel, MARGIN + index * (_PANEL_WIDTH + GAP))
    for index, caption in enumerate(captions):
        at = (MARGIN, _IMAGE_TOP + BOX + _LEGEND + 4 + index * _LINE)
        text_line(draw, at, caption, SMALL_SIZE, QUIET, room)
    return picture


def _place(picture: "Image.Image", panel: Panel, left: int) -> None:
    """Draw a panel with heading, image, colour bar and legend, from `left` on."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(picture)
    text_line(draw, (left, _TOP), panel.heading, TEXT_SIZE, INK, _PANEL_WIDTH)
    picture.paste(panel.image, (left, _IMAGE_TOP))
    if panel.scale is not None:
        beside = left + panel.image.width + BAR_GAP
        colour_bar(picture, panel.scale, beside, _IMAGE_TOP, panel.image.height)
    middle = _IMAGE_TOP + panel.image.height + _LEGEND // 2 + 1
    for key in panel.legend:
        if key.mark is not None:
            picture.paste(key.mark, (left, middle - key.mark.height // 2))
            left += key.mark.width + 8
        width = text_width(draw, key.text, SMALL_SIZE)
        unit_text(draw, left + width / 2, middle, key.text, QUIET)
        left += width + 24
