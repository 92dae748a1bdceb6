"""Interpretation of a table's column names: position pairs, units, frame numbers.

Two columns are a position if their names differ only in x and y: `samx samy`, `x_um y_um`,
`Sample X (um)` and `Sample Y (um)`; or if they are row and column, horizontal and vertical.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import PositionUnit

_PIXELS = ("px", "pixel", "pixels")
_OPPOSITES = {
    ("column", "row"),
    ("col", "row"),
    ("columns", "rows"),
    ("horizontal", "vertical"),
    ("horiz", "vert"),
    ("horz", "vert"),
    ("hor", "vert"),
    ("hor", "ver"),
    ("h", "v"),
}
_NUMBER = r"(?:#|no|nr|num|number|id|idx|index|indices)"
_FRAMES = re.compile(rf"(?:frame|image|img|pattern|diffraction)s?(?: ?{_NUMBER})?")
_COUNTS = re.compile(
    rf"{_NUMBER}|n|i|(?:point|pt|shot|event|scan ?point|seq|sequence|pos|position) ?{_NUMBER}|"
    r"(?:point|pt|shot|event|scan ?point|seq|sequence)s?"
)


def _words(*words: str) -> re.Pattern[str]:
    """Pattern that matches one of the words, alone or followed by x or y."""
    return re.compile(rf"(?<![a-z])(?:{'|'.join(words)})(?![a-wz])")


_NO_LENGTH = _words(
    *("angle", "theta", "tilt", "phi", "chi", "err", "error", "sigma", "std", "stdev", "var"),
    *("size", "width", "fwhm", "velocity", "speed", "force", "max", "min", "counts", "flux"),
)
_PLAIN_AFFIXES = re.compile(r"probe|translation|coordinates?|coords?|positions?|pos|motors?|[ _.-]")
_SET_POINT = _words(
    *("set", "setpoint", "target", "demand", "nominal", "command", "cmd", "val", "desired"),
    *("planned", "goal", "requested"),
)
_READ_BACK = _words(
    *("read", "readback", "rbv", "rb", "actual", "act", "enc", "encoder", "meas", "measured"),
    *("real", "interferometer", "interf", "corrected", "refined", "true"),
)


class Trust(IntEnum):
    """Reliability of a pair of columns as sample positions; the largest takes precedence."""

    SET_POINT = 0
    GRID = 1  # row and column, which may be raster indices
    NAMED = 2
    PLAIN = 3  # only x and y
    READ_BACK = 4


@dataclass(frozen=True)
class Column:
    """A column's name, split into name and unit.

    Attributes:
        index: index of the column.
        text: name as written.
        name: name in lower case, without unit.
        unit: unit as written, `px` for pixels; None if there is none.
    """

    index: int
    text: str
    name: str
    unit: str | None


@dataclass(frozen=True)
class Pair:
    """Two columns that form a position.

    Attributes:
        x: coordinate along image columns.
        y: coordinate along image rows.
        trust: reliability compared with other pairs.
    """

    x: Column
    y: Column
    trust: Trust


def as_columns(names: Sequence[str]) -> list[Column]:
    """Split column names into name and unit."""
    return [Column(index, text, *_name_and_unit(text)) for index, text in enumerate(names)]


def pairs_of(columns: Sequence[Column]) -> list[Pair]:
    """Most reliable position pairs; those without a unit of length only if there are no others."""
    pairs = [
        Pair(x, y, _trust(x, y))
        for x in columns
        for y in columns
        if x is not y and _are_pair(x.name, y.name) and not _NO_LENGTH.search(x.name)
    ]
    pairs = [pair for pair in pairs if pair.x.unit is None or is_length(pair.x.unit)] or pairs
    best = max((pair.trust for pair in pairs), default=Trust.NAMED)
    return [pair for pair in pairs if pair.trust is best]


def numbers_frames(column: Column) -> bool:
    """Whether a column holds frame numbers, by its name."""
    return bool(_FRAMES.fullmatch(_spaced(column.name)))


def counts_something(column: Column) -> bool:
    """Whether a column is a counter by its name, of scan points for example."""
    return bool(_COUNTS.fullmatch(_spaced(column.name)))


def _spaced(name: str) -> str:
    return re.sub(r"[ _.-]+", " ", name).strip()


def is_length(unit: str) -> bool:
    """Whether a unit is a unit of length or pixels."""
    return unit == PositionUnit.OBJECT_PIXEL.value or bool(unit_factor(unit, Quantity.LENGTH))


def as_unit(text: str) -> str | None:
    """The unit in a text that is only a unit, `um`, `(um)` or `[um]`; else None."""
    unit = text.strip().strip("()[]{}").strip()
    if unit.lower() in _PIXELS:
        return PositionUnit.OBJECT_PIXEL.value
    return unit if unit and unit_factor(unit, Quantity.LENGTH) else None


def _name_and_unit(text: str) -> tuple[str, str | None]:
    """Split name and unit: `x_um`, `x (um)`, `x [um]`, `x/um` and `x um` are all x in um."""
    lower = text.strip().lower()
    found = re.fullmatch(r"(.+?)\s*[(\[{]\s*(.*?)\s*[)\]}]|(.+?)\s*/\s*(.+)", lower)
    if found:
        name, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    else:
        name, _, unit = lower.rpartition("_") if "_" in lower else lower.rpartition(" ")
        if not name or (unit_factor(unit, Quantity.LENGTH) is None and unit not in _PIXELS):
            name, unit = lower, ""
    if unit in _PIXELS:
        unit = PositionUnit.OBJECT_PIXEL.value
    return name.strip(), unit or None


def _are_pair(x: str, y: str) -> bool:
    """Whether two names are x and y (or similar) and otherwise equal."""
    if len(x) == len(y):
        unlike = [(a, b) for a, b in zip(x, y, strict=True) if a != b]
        if unlike == [("x", "y")]:
            return True
    words_x, words_y = re.split(r"[\W_]+", x), re.split(r"[\W_]+", y)
    unlike_words = [(a, b) for a, b in zip(words_x, words_y, strict=False) if a != b]
    return len(words_x) == len(words_y) and len(unlike_words) == 1 and unlike_words[0] in _OPPOSITES


def _trust(x: Column, y: Column) -> Trust:
    if _READ_BACK.search(x.name):
        return Trust.READ_BACK
    if _SET_POINT.search(x.name):
        return Trust.SET_POINT
    if (_PLAIN_AFFIXES.sub("", x.name), _PLAIN_AFFIXES.sub("", y.name)) == ("x", "y"):
        return Trust.PLAIN
    return Trust.GRID if x.name.startswith("col") else Trust.NAMED
