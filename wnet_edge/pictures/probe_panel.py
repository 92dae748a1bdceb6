"""Picture panel of a scan's probe: its modes and their fractions of the power."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.pictures.drawing import (
    PAPER,
    PLATE,
    SMALL_SIZE,
    ColourScale,
    coloured,
    linear_ticks,
    text_width,
    unit_text,
)
from wnet_edge.pictures.panel import BOX, Key, Panel, fitted, length_key

if TYPE_CHECKING:
    from PIL import Image

_SHOWN_MODES = 4
_LINE_PX = 2
_MOST_PX = 1024
_GLARE = 0.02
"""Fraction of a mode's power in pixels shown at full brightness, so that peaks of a reconstructed
probe do not darken the rest."""

# Once around the hue circle, from -π over 0 (red) to π.
_WAVES = 1 + np.cos(np.linspace(-np.pi, np.pi, 49)[:, None] - 2 * np.pi / 3 * np.arange(3))
_HUES = np.rint(255 * _WAVES / _WAVES.max(axis=1, keepdims=True)).astype(np.int64)


def probe_panel(heading: str, probe: NDArray[np.complex64], pixel_size_m: float | None) -> Panel:
    """Panel of the modes, one tile each: amplitude as brightness, phase as hue.

    Args:
        heading: heading of the panel.
        probe: (modes, h, w) complex64; NaN counts as zero.
        pixel_size_m: edge of a pixel of the probe, None if unknown.
    """
    finite = np.isfinite(probe)
    lit = np.where(finite, probe, np.complex64(0))
    power = np.sum(np.abs(lit).astype(np.float64) ** 2, axis=(1, 2))
    shares = power / (power.sum() or 1.0)
    tile_px = BOX if len(probe) == 1 else BOX // 2
    image = _tiled(
        [
            _tile(mode, tile_px, share)
            for mode, share in zip(lit[:_SHOWN_MODES], shares.tolist(), strict=False)
        ]
    )
    unit_per_px = max(probe.shape[1:]) / tile_px * (pixel_size_m or 1.0)
    keys = [
        length_key(tile_px / 3, unit_per_px, metres=pixel_size_m is not None),
        Key("1 mode" if len(probe) == 1 else f"{len(probe)} modes"),
    ]
    if len(probe) > _SHOWN_MODES:
        keys.append(Key(f"{100 * shares[_SHOWN_MODES:].sum():.1f} % in those not shown"))
    if not finite.all():
        keys.append(Key(f"{np.count_nonzero(~finite)} px not a number"))
    elif not power.any():
        keys.append(Key("dark"))
    scale = ColourScale(_HUES, -np.pi, np.pi, linear_ticks(-np.pi, np.pi))
    return Panel(heading, image, scale, tuple(keys))


def _tile(mode: NDArray[np.complex64], tile_px: int, share: float) -> "Image.Image":
    """Tile of a mode (h, w) at full brightness, labelled with its fraction of the power."""
    from PIL import Image, ImageDraw

    step = max(1, max(mode.shape) // _MOST_PX)
    mode = mode[::step, ::step]
    amplitude = np.abs(mode)
    level = ((np.angle(mode) / np.pi + 1) / 2).astype(np.float32)
    brightness = np.minimum(amplitude / _brightest(amplitude), 1)
    rgb = coloured(level, _HUES) * brightness[..., None]
    tile = fitted(Image.fromarray(np.rint(rgb).astype(np.uint8)), tile_px)
    draw = ImageDraw.Draw(tile)
    label = f"{100 * share:.1f} %"
    width = text_width(draw, label, SMALL_SIZE) + 16
    draw.rounded_rectangle((8, 8, 8 + width, 34), radius=4, fill=PLATE)
    unit_text(draw, 8 + width / 2, 21, label, PAPER)
    return tile


def _brightest(amplitude: NDArray[np.float32]) -> np.float32:
    """Amplitude above which the fraction `_GLARE` of the power lies; 1 if all is zero."""
    ordered = np.sort(amplitude, axis=None)
    power = np.cumsum(ordered.astype(np.float64) ** 2)
    at = int(np.searchsorted(power, (1 - _GLARE) * power[-1]))
    return np.float32(ordered[at] or 1)


def _tiled(tiles: "list[Image.Image]") -> "Image.Image":
    """Tiles in rows of two, with separating lines."""
    from PIL import Image, ImageDraw

    width, height = tiles[0].size
    columns, rows = min(len(tiles), 2), -(-len(tiles) // 2)
    image = Image.new("RGB", (columns * width, rows * height), PAPER)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, 2)
        image.paste(tile, (column * width, row * height))
    draw = ImageDraw.Draw(image)
    half = _LINE_PX // 2
    if columns > 1:
        draw.rectangle((width - half, 0, width + half - 1, image.height), fill=PAPER)
    if rows > 1:
        draw.rectangle((0, height - half, image.width, height + half - 1), fill=PAPER)
    return image
