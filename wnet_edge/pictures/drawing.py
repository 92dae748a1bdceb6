"""Drawing elements shared by all pictures: sizes, colours, text, colour bars, scale bars.

Pillow is imported inside the functions, so only when a picture is drawn. All lengths are in pixels
of the picture.
"""

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.one_line import one_line

if TYPE_CHECKING:
    from PIL import Image, ImageDraw, ImageFont

    Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Colour = tuple[int, int, int]

MARGIN, GAP = 28, 40
BAR_WIDTH, BAR_GAP, TICK = 18, 12, 5
TITLE_SIZE, TEXT_SIZE, SMALL_SIZE = 22, 17, 15
INK: Colour = (34, 34, 34)
QUIET: Colour = (96, 96, 96)
PAPER: Colour = (255, 255, 255)
NOTHING: Colour = (226, 226, 226)  # areas without data
PLATE: Colour = (20, 20, 20)  # under white text on an image
_PLAIN = str.maketrans({"−": "-", "–": "-", "—": "-", "×": "x", "μ": "u"})
_UNITS_M = ((1e-3, "mm"), (1e-6, "µm"), (1e-9, "nm"))

# Sixteen of the 256 colours of viridis (van der Walt and Smith, 2015), evenly spaced.
VIRIDIS = np.array(
    [
        (68, 1, 84), (72, 26, 108), (71, 47, 125), (65, 68, 135),
        (57, 86, 140), (49, 104, 142), (42, 120, 142), (35, 136, 142),
        (31, 152, 139), (34, 168, 132), (53, 183, 121), (84, 197, 104),
        (122, 209, 81), (165, 219, 54), (210, 226, 27), (253, 231, 37),
    ]
)  # fmt: skip
GREY = np.array([(0, 0, 0), (255, 255, 255)])


@dataclass(frozen=True)
class ColourScale:
    """Colour scale of an image.

    Attributes:
        colours: (K, 3) int, evenly spaced from `low` to `high`.
        low: value of the first colour.
        high: value of the last colour, above `low`.
        ticks: values to mark, with their labels.
    """

    colours: NDArray[np.int64]
    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]


def linear_ticks(low: float, high: float, least_step: float = 0.0) -> tuple[tuple[float, str], ...]:
    """Four to eleven round numbers from `low` to `high`, no closer than `least_step`."""
    step = max(round_number((high - low) / 4), least_step)
    decimals = max(0, -int(np.floor(np.log10(step) + 1e-9)))
    ticks = []
    tick = np.ceil(low / step - 1e-9) * step
    while tick <= high + 1e-9 * step:
        ticks.append((float(tick), f"{tick if abs(tick) > step / 2 else 0:.{decimals}f}"))
        tick += step
    return tuple(ticks)


def coloured(level: NDArray[np.float32], colours: NDArray[np.int64]) -> NDArray[np.float32]:
    """Map levels (...) in 0 to 1 to colours (..., 3) float32 in 0 to 255."""
    steps = np.linspace(0, 1, 256)
    anchors = np.linspace(0, 1, len(colours))
    table = np.stack([np.interp(steps, anchors, band) for band in colours.T], axis=1)
    rgb: NDArray[np.float32] = table.astype(np.float32)[np.rint(level * 255).astype(np.uint8)]
    return rgb


def colour_bar(
    picture: "Image.Image", scale: ColourScale, left: int, top: int, height: int
) -> None:
    """Draw a colour bar with tick labels beside an image."""
    from PIL import Image, ImageDraw

    levels = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(BAR_WIDTH, axis=1)
    bar = np.rint(coloured(levels, scale.colours)).astype(np.uint8)
    picture.paste(Image.fromarray(bar), (left, top))
    draw = ImageDraw.Draw(picture)
    right = left + BAR_WIDTH
    draw.rectangle((left, top, right - 1, top + height - 1), outline=QUIET)
    for tick, text in scale.ticks:
        y = top + round((scale.high - tick) / (scale.high - scale.low) * (height - 1))
        draw.line((right, y, right + TICK, y), fill=QUIET)
        at = (right + 2 * TICK, min(max(y, top + SMALL_SIZE // 2), top + height - 1))
        draw.text(at, text, fill=INK, font=font(SMALL_SIZE), anchor="lm")


def axes_arrows(draw: "ImageDraw.ImageDraw", left: int, top: int) -> None:
    """Draw arrows for the image axes on a plate: x to the right, y downwards."""
    size, inset, reach, head = 58, 12, 26, 5
    draw.rounded_rectangle((left, top, left + size, top + size), radius=4, fill=PLATE)
    x, y = left + inset, top + inset
    draw.line((x, y, x + reach, y), fill=PAPER, width=2)
    draw.line((x, y, x, y + reach), fill=PAPER, width=2)
    tip = x + reach + head
    draw.polygon(((tip, y), (tip - 2 * head, y - head), (tip - 2 * head, y + head)), fill=PAPER)
    tip = y + reach + head
    draw.polygon(((x, tip), (x - head, tip - 2 * head), (x + head, tip - 2 * head)), fill=PAPER)
    unit_text(draw, x + reach, y + 14, "x", PAPER)
    unit_text(draw, x + 14, y + reach, "y", PAPER)


def round_length(longest_px: float, unit_per_px: float, *, metres: bool) -> tuple[int, str]:
    """Round length for a scale bar of at most `longest_px`: its length in pixels, and its label.

    Args:
        longest_px: largest length in the picture.
        unit_per_px: metres, or image pixels, per pixel of the picture.
        metres: whether the unit is metres.
    """
    length = round_number(longest_px * unit_per_px)
    if not metres:
        label = f"{length:g} px"
    else:
        size, unit = next((s, u) for s, u in _UNITS_M if length >= 0.999 * s or u == "nm")
        label = f"{length / size:.4g} {unit}"
    return round(length / unit_per_px), label


def unit_text(
    draw: "ImageDraw.ImageDraw", middle: float, y: int, text: str, colour: Colour
) -> None:
    """Draw small text centred on `middle`; µ, which the font lacks, is drawn as u with a stroke."""
    plain = text.replace("µ", "u")
    draw.text((middle, y), plain, fill=colour, font=font(SMALL_SIZE), anchor="mm")
    if plain != text:
        number = text[: text.index("µ")]
        left = middle - draw.textlength(plain, font=font(SMALL_SIZE)) / 2
        stem = round(left + draw.textlength(number, font=font(SMALL_SIZE))) + 1
        draw.line((stem, y, stem, y + SMALL_SIZE // 2 + 2), fill=colour)


def round_number(value: float) -> float:
    """Largest 1, 2 or 5 × 10ⁿ that is not above `value`."""
    power = 10.0 ** np.floor(np.log10(value))
    return float(power * max(k for k in (1, 2, 5) if k <= value / power * (1 + 1e-9)))


def text_line(
    draw: "ImageDraw.ImageDraw",
    at: tuple[int, int],
    text: str,
    size: int,
    colour: Colour,
    room: int,
) -> None:
    """Draw one line of text, shortened in the middle to fit into `room`."""
    text = "".join(_printable(letter) for letter in one_line(" ".join(text.split())))
    shown, kept = text, min(len(text), room // 4)  # hardly any letter is narrower than 4 px
    while kept > 2 and text_width(draw, shown, size) > room:
        kept -= 1
        shown = f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"
    draw.text(at, shown, fill=colour, font=font(size))


def _printable(letter: str) -> str:
    """Closest letter in the font: without accents; other alphabets become question marks."""
    if letter.isascii() or letter in "·…°’±":
        return letter
    plain = unicodedata.normalize("NFKD", letter).translate(_PLAIN)
    return "".join(c for c in plain if c.isascii()) or "?"


def text_width(draw: "ImageDraw.ImageDraw", text: str, size: int) -> int:
    """Width of a line of text, rounded up."""
    return int(np.ceil(draw.textlength(text, font=font(size))))


def font(size: int) -> "Font":
    """Pillow's own font, so that the picture is the same on every machine."""
    from PIL import ImageFont

    return ImageFont.load_default(size)
