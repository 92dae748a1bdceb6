"""Preview picture of a scan: mean frame, positions and probe side by side.

Shows the content of a file before inference; missing parts are marked as missing. Pillow is
imported inside the functions. All lengths are in pixels of the picture.
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
from wnet_edge.pictures.frame_panel import frame_panel
from wnet_edge.pictures.panel import BOX, Panel, empty_panel
from wnet_edge.pictures.positions_panel import positions_panel
from wnet_edge.pictures.probe_panel import probe_panel

if TYPE_CHECKING:
    from PIL import Image

_LABEL_WIDTH = 52
_PANEL_WIDTH = BOX + BAR_GAP + BAR_WIDTH + 2 * TICK + _LABEL_WIDTH
_WIDTH = 2 * MARGIN + 3 * _PANEL_WIDTH + 2 * GAP
_TOP = MARGIN + TITLE_SIZE + 22
_IMAGE_TOP = _TOP + TEXT_SIZE + 12
_LEGEND = 38
_LINE = SMALL_SIZE + 8


@dataclass(frozen=True)
class ScanParts:
    """Content of the picture; None for parts that the file lacks.

    Attributes:
        title: one line above.
        captions: small lines below.
        mean: (H, W) float32, mean counts per frame.
        mask: (H, W) bool, True for pixels that are not used; given with `mean`.
        beam_centre_px: row, column of zero frequency in the frames.
        positions: (N, 2) float64 row, column.
        positions_in_metres: whether positions are in metres, else in object pixels.
        probe: (modes, h, w) complex64.
        probe_pixel_size_m: edge of a pixel of the probe.
    """

    title: str
    captions: tuple[str, ...] = ()
    mean: NDArray[np.float32] | None = None
    mask: NDArray[np.bool_] | None = None
    beam_centre_px: tuple[float, float] | None = None
    positions: NDArray[np.float64] | None = None
    positions_in_metres: bool = True
    probe: NDArray[np.complex64] | None = None
    probe_pixel_size_m: float | None = None


def write_scan_picture(path: Path, parts: ScanParts, *, force: bool = False) -> None:
    """Write the picture as a PNG, atomically.

    Raises:
        ResultError: if the file exists and `force` is False, or it can't be written.
    """
    picture = draw_scan_picture(parts)
    with replacing(path, ResultError, force=force) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def draw_scan_picture(parts: ScanParts) -> "Image.Image":
    """Draw the parts side by side as an RGB picture."""
    from PIL import Image, ImageDraw

    height = _IMAGE_TOP + BOX + _LEGEND + len(parts.captions) * _LINE + MARGIN
    picture = Image.new("RGB", (_WIDTH, height), PAPER)
    draw = ImageDraw.Draw(picture)
    room = _WIDTH - 2 * MARGIN
    text_line(draw, (MARGIN, MARGIN), parts.title, TITLE_SIZE, INK, room)
    for index, panel in enumerate(_panels(parts)):
        _place(picture, panel, MARGIN + index * (_PANEL_WIDTH + GAP))
    for index, caption in enumerate(parts.captions):
        at = (MARGIN, _IMAGE_TOP + BOX + _LEGEND + 4 + index * _LINE)
        text_line(draw, at, caption, SMALL_SIZE, QUIET, room)
    return picture


def _panels(parts: ScanParts) -> tuple[Panel, Panel, Panel]:
    frame, path, probe = "Mean frame (counts, logarithmic)", "Positions (colour: frame)", "Probe"
    panels = [
        empty_panel(frame, "no frames in this file"),
        empty_panel(path, "no positions in this file"),
        empty_panel(probe, "no probe in this file"),
    ]
    if parts.mean is not None:
        mask = np.zeros(parts.mean.shape, np.bool_) if parts.mask is None else parts.mask
        panels[0] = frame_panel(frame, parts.mean, mask, parts.beam_centre_px)
    if parts.positions is not None and len(parts.positions):
        panels[1] = positions_panel(path, parts.positions, metres=parts.positions_in_metres)
    if parts.probe is not None and parts.probe.size:
        heading = f"{probe} (brightness: amplitude, colour: phase in rad)"
        panels[2] = probe_panel(heading, parts.probe, parts.probe_pixel_size_m)
    return panels[0], panels[1], panels[2]


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
