"""A picture of the image for people: phase and amplitude side by side, with scale and colour bars.

The very end of the flow. Pillow is loaded inside the functions, so only when a picture is asked
for. Every length is in pixels of the picture.
"""

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError
from wnet_edge.outputs import replacing

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Colour = tuple[int, int, int]

_LEAST_PANEL, _MOST_PANEL = 500, 1000  # longer edge of an image in the picture
_MARGIN, _GAP = 28, 40
_BAR_WIDTH, _BAR_GAP, _TICK = 18, 12, 5
_TITLE_SIZE, _TEXT_SIZE, _SMALL_SIZE = 22, 17, 15
_INK: Colour = (34, 34, 34)
_QUIET: Colour = (96, 96, 96)
_PAPER: Colour = (255, 255, 255)
_NOTHING: Colour = (226, 226, 226)  # where no frame has looked
_PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "μ": "u"})
_UNITS_M = ((1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm"))
_RANGE_PERCENT = (0.5, 99.5)

# Sixteen of the 256 colours of viridis (van der Walt and Smith, 2015), evenly spaced.
_VIRIDIS = np.array(
    [
        (68, 1, 84), (72, 26, 108), (71, 47, 125), (65, 68, 135),
        (57, 86, 140), (49, 104, 142), (42, 120, 142), (35, 136, 142),
        (31, 152, 139), (34, 168, 132), (53, 183, 121), (84, 197, 104),
        (122, 209, 81), (165, 219, 54), (210, 226, 27), (253, 231, 37),
    ]
)  # fmt: skip
_GREY = np.array([(0, 0, 0), (255, 255, 255)])


@dataclass(frozen=True)
class PictureOptions:
    """What a picture says beside the images.

    Attributes:
        title: one line above, the name of the scan say.
        caption: one line below, small.
    """

    title: str = ""
    caption: str = ""


@dataclass(frozen=True)
class _Panel:
    """One image of the picture, and what its colours mean."""

    heading: str
    unit: str
    colours: NDArray[np.int64]
    pixels: "Image.Image"
    low: float
    high: float


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
    """Write a PNG of phase and amplitude to `path`, whole or not at all.

    Args:
        path: of the picture.
        phase: (H, W) rad.
        amplitude: (H, W).
        coverage: (H, W) summed weight; colours fade where it falls below half its median.
        pixel_size_m: for the scale bar, which is in pixels where this is None.
        options: title and caption.
        force: replace an existing file.

    Raises:
        ResultError: if the file exists and `force` is not set, or the disk refuses it.
        ValueError: if the images differ in shape or have no pixel.
    """
    picture = draw_picture(phase, amplitude, coverage, pixel_size_m, options)
    with replacing(path, ResultError, force=force) as temporary:
        picture.save(temporary, format="PNG", optimize=True)


def draw_picture(
    phase: NDArray[np.float32],
    amplitude: NDArray[np.float32],
    coverage: NDArray[np.float32],
    pixel_size_m: float | None,
    options: PictureOptions | None = None,
) -> "Image.Image":
    """Phase and amplitude as an RGB picture; arguments and errors as `write_picture`."""
    from PIL import Image, ImageDraw

    if not phase.shape == amplitude.shape == coverage.shape or phase.ndim != 2 or not phase.size:
        raise ValueError("phase, amplitude and coverage are not images of one shape")
    options = options or PictureOptions()
    size, source_px = _panel_size(phase.shape)
    phase, amplitude, coverage = _reduced(phase, amplitude, coverage)
    median = float(np.median(coverage[coverage > 0])) if (coverage > 0).any() else 1.0
    certainty = np.clip(2 * coverage / median, 0, 1)
    certainty[~(np.isfinite(phase) & np.isfinite(amplitude))] = 0
    panels = [
        _panel("Phase", "rad", _VIRIDIS, phase, certainty, size),
        _panel("Amplitude", "", _GREY, amplitude, certainty, size),
    ]

    measure = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    labels = _text_width(measure, "-0.00", _SMALL_SIZE)
    panel_width = size[0] + _BAR_GAP + _BAR_WIDTH + 2 * _TICK + labels
    top = _MARGIN + (_TITLE_SIZE + 18 if options.title else 0) + _TEXT_SIZE + 12
    bottom = _MARGIN + (_SMALL_SIZE + 14 if options.caption else 0)
    width = 2 * _MARGIN + 2 * panel_width + _GAP
    picture = Image.new("RGB", (width, top + size[1] + bottom), _PAPER)
    draw = ImageDraw.Draw(picture)
    room = width - 2 * _MARGIN
    if options.title:
        _line(draw, (_MARGIN, _MARGIN), options.title, _TITLE_SIZE, _INK, room)
    for index, panel in enumerate(panels):
        left = _MARGIN + index * (panel_width + _GAP)
        heading = f"{panel.heading} ({panel.unit})" if panel.unit else panel.heading
        _line(draw, (left, top - _TEXT_SIZE - 12), heading, _TEXT_SIZE, _INK, panel_width)
        picture.paste(panel.pixels, (left, top))
        _colour_bar(picture, panel, left + size[0] + _BAR_GAP, top, size[1])
    _scale_bar(draw, _MARGIN, top + size[1], size[0], source_px, pixel_size_m)
    if options.caption:
        below = top + size[1] + 14
        _line(draw, (_MARGIN, below), options.caption, _SMALL_SIZE, _QUIET, room)
    return picture


def _reduced(
    phase: NDArray[np.float32], amplitude: NDArray[np.float32], coverage: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Means over as many pixels as a huge image has to spare; the phase is that of the sum."""
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
    """Width, height of an image in the picture, and image pixels to a picture pixel."""
    longest = max(shape)
    if longest < _LEAST_PANEL:
        zoom = float(-(-_LEAST_PANEL // longest))  # whole, so that all pixels are equally large
    else:
        zoom = min(1.0, _MOST_PANEL / longest)
    height, width = (max(1, round(n * zoom)) for n in shape)
    return (width, height), 1 / zoom


def _panel(
    heading: str,
    unit: str,
    colours: NDArray[np.int64],
    values: NDArray[np.float32],
    certainty: NDArray[np.float32],
    size: tuple[int, int],
) -> _Panel:
    from PIL import Image

    sure = values[certainty >= 1]
    low, high = np.percentile(sure, _RANGE_PERCENT).tolist() if sure.size else (0.0, 1.0)
    if high - low < 1e-3:  # a flat image: a range that shows it flat, not its rounding
        low, high = low - 0.5, high + 0.5
    level = np.clip((np.where(certainty > 0, values, low) - low) / (high - low), 0, 1)
    rgb = _coloured(level, colours) * certainty[..., None]
    rgb += np.asarray(_NOTHING, np.float32) * (1 - certainty[..., None])
    image = Image.fromarray(np.rint(rgb).astype(np.uint8))
    larger = size[0] >= image.width
    filtered = Image.Resampling.NEAREST if larger else Image.Resampling.BOX
    return _Panel(heading, unit, colours, image.resize(size, filtered), low, high)


def _coloured(level: NDArray[np.float32], colours: NDArray[np.int64]) -> NDArray[np.float32]:
    """Levels (...) in 0 to 1 to (..., 3) float32 in 0 to 255."""
    steps = np.linspace(0, 1, 256)
    anchors = np.linspace(0, 1, len(colours))
    table = np.stack([np.interp(steps, anchors, band) for band in colours.T], axis=1)
    coloured: NDArray[np.float32] = table.astype(np.float32)[np.rint(level * 255).astype(np.uint8)]
    return coloured


def _colour_bar(picture: "Image.Image", panel: _Panel, left: int, top: int, height: int) -> None:
    """A bar beside the panel, with round numbers at their heights."""
    from PIL import Image, ImageDraw

    levels = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(_BAR_WIDTH, axis=1)
    bar = np.rint(_coloured(levels, panel.colours)).astype(np.uint8)
    picture.paste(Image.fromarray(bar), (left, top))
    draw = ImageDraw.Draw(picture)
    right = left + _BAR_WIDTH
    draw.rectangle((left, top, right - 1, top + height - 1), outline=_QUIET)
    step = _round_number((panel.high - panel.low) / 4)
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    tick = np.ceil(panel.low / step - 1e-9) * step
    while tick <= panel.high + 1e-9 * step:
        y = top + round((panel.high - tick) / (panel.high - panel.low) * (height - 1))
        draw.line((right, y, right + _TICK, y), fill=_QUIET)
        text = f"{tick if abs(tick) > step / 2 else 0:.{decimals}f}"
        at = (right + 2 * _TICK, min(max(y, top + _SMALL_SIZE // 2), top + height - 1))
        draw.text(at, text, fill=_INK, font=_font(_SMALL_SIZE), anchor="lm")
        tick += step


def _scale_bar(
    draw: "ImageDraw.ImageDraw",
    left: int,
    bottom: int,
    width: int,
    source_px: float,
    pixel_size_m: float | None,
) -> None:
    """A round length, about a quarter of the panel, on a plate in its lower left corner."""
    unit_per_px = source_px * (1.0 if pixel_size_m is None else pixel_size_m)
    length = _round_number(width / 4 * unit_per_px)
    if pixel_size_m is None:
        label = f"{length:g} px"
    else:
        size, unit = next((s, u) for s, u in _UNITS_M if length >= 0.999 * s or u == "nm")
        label = f"{length / size:.4g} {unit}"
    bar = round(length / unit_per_px)
    plate = max(bar, round(_text_width(draw, label, _SMALL_SIZE))) + 20
    x, y = left + 12, bottom - 12 - 40
    draw.rounded_rectangle((x, y, x + plate, y + 40), radius=4, fill=(20, 20, 20))
    middle = x + plate / 2
    _length_text(draw, middle, y + 13, label)
    draw.rectangle((middle - bar / 2, y + 27, middle + bar / 2, y + 31), fill=_PAPER)


def _length_text(draw: "ImageDraw.ImageDraw", middle: float, y: int, text: str) -> None:
    """A length around `middle`; the font lacks a µ, so a u gets the stroke it is short of."""
    plain = text.replace("µ", "u")
    draw.text((middle, y), plain, fill=_PAPER, font=_font(_SMALL_SIZE), anchor="mm")
    if plain != text:
        number = text[: text.index("µ")]
        left = middle - draw.textlength(plain, font=_font(_SMALL_SIZE)) / 2
        stem = round(left + draw.textlength(number, font=_font(_SMALL_SIZE))) + 1
        draw.line((stem, y, stem, y + _SMALL_SIZE // 2 + 2), fill=_PAPER)


def _round_number(value: float) -> float:
    """The largest of 1, 2, 5 × 10ⁿ that is not above `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(k for k in (1, 2, 5) if k <= value / power * (1 + 1e-9)))


def _line(
    draw: "ImageDraw.ImageDraw",
    at: tuple[int, int],
    text: str,
    size: int,
    colour: Colour,
    room: int,
) -> None:
    """One line of text, shortened in the middle to fit."""
    text = "".join(_printable(letter) for letter in " ".join(text.split()))
    shown, kept = text, min(len(text), room // 4)  # hardly a letter is narrower
    while kept > 2 and _text_width(draw, shown, size) > room:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    draw.text(at, shown, fill=colour, font=_font(size))


def _printable(letter: str) -> str:
    """The nearest that the font has: accents go, other alphabets become question marks."""
    if letter.isascii() or letter in "·…°’±":
        return letter
    plain = unicodedata.normalize("NFKD", letter).translate(_PLAIN)
    return "".join(c for c in plain if c.isascii()) or "?"


def _text_width(draw: "ImageDraw.ImageDraw", text: str, size: int) -> int:
    return int(np.ceil(draw.textlength(text, font=_font(size))))


def _font(size: int) -> "Font":
    """Pillow's own font, so that the picture is the same on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
