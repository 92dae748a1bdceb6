"""Positions from a table of text: CSV, TSV, or columns between blanks, as beamlines write them.

The separator is told from the first line of numbers. A line of names above it, commented out or
not, says which columns are meant and in what unit: `x_m,y_m`, `x (um)`, `y/um`, `row,column`.
Lines that begin with # are comments. A number that is missing or `nan` stays NaN.
"""

import math
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wnet_edge.errors import ScanError
from wnet_edge.io.array_file import NamedArray
from wnet_edge.io.found import PositionUnit
from wnet_edge.io.units import Quantity, unit_factor

MAX_BYTES = 256 * 2**20
_MAX_LINE_BYTES = 1 << 16

_CURE = "write x and y, or row and column, of each frame, one frame a line"
_NAMES = {"x": "x", "y": "y", "z": "z", "row": "row", "column": "column", "col": "column"}
_AFFIXES = re.compile(r"probe|positions?|pos|[ _.-]")
_PIXELS = ("px", "pixel", "pixels")
_PAIRS = (("y", "x"), ("row", "column"))
_SHOWN = 6


@dataclass(frozen=True)
class _Line:
    number: int
    text: str


def read_positions_table(path: Path) -> NamedArray:
    """The columns of positions in a table, (N, 2), (N, 3) or whatever it has without a header.

    Raises:
        ScanError: naming the line, if this is no text, no table, or has no such columns.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ScanError(f"{path}: is {size >> 20} MB of text, too much for positions; {_CURE}")
    header: _Line | None = None
    rows = array("d")
    separator: str | None = None
    wanted: list[int] = []
    names: tuple[str, ...] = ()
    unit: str | None = None
    for line in _lines(path):
        if line.text.startswith("#"):
            header = line if not rows else header
            continue
        if not rows and not _is_numbers(line.text):
            if header is not None and not header.text.startswith("#"):
                raise ScanError(f"{path}: line {line.number} is no line of numbers; {_CURE}")
            header = line
            continue
        if not wanted:
            separator = _separator(line.text)
            count = len(_filled(_fields(line.text, separator)))
            names, wanted, unit = _columns(path, header, separator, count)
        rows.extend(_numbers(path, line, separator, wanted))
    if not rows:
        raise ScanError(f"{path}: has no line of numbers; {_CURE}")
    values = np.frombuffer(rows, dtype=np.float64).reshape(-1, len(wanted))
    return NamedArray(values, unit, names, str(path))


def _lines(path: Path) -> Iterator[_Line]:
    """Lines that are not blank, counted from 1."""
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(iter(lambda: file.readline(_MAX_LINE_BYTES), b""), 1):
                if len(raw) == _MAX_LINE_BYTES:
                    raise ScanError(f"{path}: line {number} is too long for a table; {_CURE}")
                if b"\0" in raw:
                    raise ScanError(
                        f"{path}: is no text; name a table, an NPY, or NPZ or HDF5 with a dataset"
                    )
                try:
                    text = raw.decode("utf-8-sig")
                except UnicodeDecodeError:
                    text = raw.decode("latin-1")  # an old Windows program's µ
                if text.strip():
                    yield _Line(number, text.strip("\r\n ").replace('"', ""))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScanError(f"{path}: can't be read ({reason}); check its permissions") from error


def _separator(text: str) -> str | None:
    """What stands between fields; None for blanks."""
    return next((mark for mark in ";\t," if mark in text), None)


def _fields(text: str, separator: str | None) -> list[str]:
    return [field.strip() for field in text.split(separator)]


def _filled(fields: list[str]) -> list[str]:
    """Without the empty fields that a separator at a line's end leaves."""
    while fields and not fields[-1]:
        fields.pop()
    return fields


def _number(field: str, separator: str | None) -> float:
    """A number; with separators that leave it free, its decimal mark may be a comma."""
    if not field:
        return math.nan
    return float(field if separator in (",", None) else field.replace(",", "."))


def _is_numbers(text: str) -> bool:
    """Whether one of the fields is a number: a header has none, a line of numbers may have text."""
    separator = _separator(text)
    for field in _fields(text, separator):
        try:
            _number(field or "x", separator)
        except ValueError:
            continue
        return True
    return False


def _numbers(path: Path, line: _Line, separator: str | None, wanted: list[int]) -> list[float]:
    fields = _fields(line.text, separator)
    try:
        return [_number(fields[column], separator) for column in wanted]
    except IndexError as error:
        raise ScanError(
            f"{path}: line {line.number} has {len(fields)} columns, not {max(wanted) + 1}; {_CURE}"
        ) from error
    except ValueError as error:
        reason = " ".join(str(error).split())[:80]
        raise ScanError(f"{path}: line {line.number} is no position ({reason}); {_CURE}") from error


def _columns(
    path: Path, header: _Line | None, separator: str | None, count: int
) -> tuple[tuple[str, ...], list[int], str | None]:
    """Names, numbers and unit of the columns to take."""
    commented = header is not None and header.text.startswith("#")
    given = [] if header is None else _header_fields(header.text, separator, count)
    named = [_name_and_unit(field) for field in given]
    units = {name: unit for name, unit in named if name}
    pairs = [pair for pair in _PAIRS if all(name in units for name in pair)]
    if header is None or (commented and (len(given) != count or not pairs)):
        return (), list(range(count)), None
    if not pairs:
        shown = ", ".join(given[:_SHOWN])[:100]
        raise ScanError(f"{path}: line {header.number} names {shown}, not x and y; {_CURE}")
    pair = next((pair for pair in pairs if units[pair[0]] is not None), pairs[0])
    places = [[name for name, _ in named].index(name) for name in pair]
    first, second = (units[name] for name in pair)
    if first != second:
        raise ScanError(
            f"{path}: line {header.number} gives {pair[0]} in {first} and {pair[1]} in {second}; "
            "write both in one unit"
        )
    return pair, places, first


def _header_fields(text: str, separator: str | None, count: int) -> list[str]:
    """Names of columns, between the same separators as the numbers or any others."""
    text = re.sub(r"\s+(?=[(\[])", "", text.lstrip("#").strip())
    for mark in (separator or ";", ";", "\t", ",", None):
        fields = _filled(_fields(text, mark))
        if len(fields) == count:
            return fields
    return _filled(_fields(text, separator))


def _name_and_unit(field: str) -> tuple[str | None, str | None]:
    """The name as this file knows it, None for any other, and the unit, None where there is none.

    `x_um`, `x (um)`, `x [um]`, `x/um` and `x um` all are x in um.
    """
    text = field.strip().lower()
    found = re.fullmatch(r"(.+?)\s*[(\[]\s*(.*?)\s*[)\]]|(.+?)\s*/\s*(.+)", text)
    if found:
        name, unit = (found[1], found[2]) if found[1] else (found[3], found[4])
    else:
        name, _, unit = text.rpartition("_") if "_" in text else text.rpartition(" ")
        if unit_factor(unit, Quantity.LENGTH) is None and unit not in _PIXELS:
            name, unit = text, ""
    known = _NAMES.get(_AFFIXES.sub("", name))
    if unit in _PIXELS:
        unit = PositionUnit.OBJECT_PIXEL.value
    return known, unit or None
