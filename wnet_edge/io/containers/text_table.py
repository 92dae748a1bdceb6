"""Parser of text tables with any encoding, line ends, separators, quotes and number format.

The meaning of the columns is left to `wnet_edge.io.parts.csv_positions`. The separator is the one
that gives the same number of fields in every line, most of them numbers.
"""

import codecs
import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wnet_edge.errors import ScanError

MAX_BYTES = 64 * 2**20
_MAX_LINE = 1 << 16
_SEPARATORS = ("\t", ";", ",", None)
_LOOKED_AT = 400
"""Number of lines examined to find the separator."""

CURE = "write x and y, or row and column, of each frame, one frame per line, with names above"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_COMMENT = re.compile(r"#|%|//|!")
_AS_ASCII = str.maketrans({"−": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})
_MISSING = ("", "na", "n/a", "null", "none", "-", "--", "nan")
_EXPONENT = re.compile(r"[dD](?=[+-]?\d+$)")
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:([,.' ])\d{3})(?:\1\d{3})*(?:[.,]\d*)?")
_LIKE_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")


@dataclass(frozen=True)
class Line:
    """A non-blank line of text.

    Attributes:
        number: line number in the file, from 1.
        text: text without surrounding blanks and comment mark.
        comment: whether it had a comment mark.
    """

    number: int
    text: str
    comment: bool


@dataclass(frozen=True)
class TextTable:
    """Rows of a table, and the lines above them.

    Attributes:
        path: path of the file.
        above: lines before the first row.
        rows: fields of each row, of equal number.
        line_numbers: line numbers of the rows in the file.
        separator: separator of the fields; None for blanks.
    """

    path: Path
    above: tuple[Line, ...]
    rows: list[list[str]]
    line_numbers: list[int]
    separator: str | None

    @property
    def width(self) -> int:
        """Number of fields per row."""
        return len(self.rows[0])

    def column(self, index: int) -> list[str]:
        """The fields of one column."""
        return [row[index] for row in self.rows]

    def numbers(self, indices: Sequence[int]) -> list[list[float]]:
        """The columns `indices` as numbers; missing ones are NaN.

        Raises:
            ScanError: naming the line, if a field is no number or is ambiguous.
        """
        columns = [self.column(index) for index in indices]
        comma = _decimal_comma(self.path, columns)
        return [self._as_numbers(column, comma=comma) for column in columns]

    def _as_numbers(self, column: list[str], *, comma: bool) -> list[float]:
        values = []
        for line, field in zip(self.line_numbers, column, strict=True):
            value = number(field, comma=comma)
            if value is None:
                raise ScanError(
                    f"{self.path}: line {line} is not a position ({field[:40]!r} is not a number); "
                    f"{CURE}"
                )
            values.append(value)
        return values


def read_table(path: Path) -> TextTable:
    """Read a text table.

    Raises:
        ScanError: naming the line, if the file is no text or no table.
    """
    lines = _lines(path)
    plain = [line for line in lines if not line.comment]
    separator, width = _separator_and_width([line.text for line in plain])
    above: list[Line] = []
    rows: list[list[str]] = []
    line_numbers: list[int] = []
    for line in lines:
        if line.comment:
            if not rows:
                above.append(line)
            continue
        row = _row(line.text, separator)
        if not rows and (len(row) != width or not _is_row(row)):
            above.append(line)
            continue
        if len(row) > width and not any(row[width:]):
            row = row[:width]
        if len(row) != width:
            raise ScanError(
                f"{path}: line {line.number} has {len(row)} columns, not {width}; {CURE}"
            )
        rows.append(row)
        line_numbers.append(line.number)
    if not rows:
        raise ScanError(f"{path}: has no line of numbers; {CURE}")
    while len(rows[0]) > 1 and not any(row[-1] for row in rows):  # lines end with a separator
        rows = [row[:-1] for row in rows]
    return TextTable(path, tuple(above), rows, line_numbers, separator)


def fields(text: str, separator: str | None) -> list[str]:
    """Split a line into fields, without surrounding blanks and quotes; at blanks if None."""
    if separator is None:
        return [quoted or plain for quoted, plain in re.findall(r'"([^"]*)"|([^\s"]+)', text)]
    row = next(csv.reader([text], delimiter=separator, skipinitialspace=True))
    return [field.strip().strip("'") for field in row]


def number(field: str, *, comma: bool) -> float | None:
    """Number in a field; NaN for a missing one, None for other text.

    Args:
        field: field of a table.
        comma: whether the comma is the decimal mark.
    """
    text = field.strip()
    if text.lower() in _MISSING:
        return math.nan
    if grouped := _GROUPED.fullmatch(text):
        mark = grouped[1]
        if mark != ("," if comma else ".") or text.count(mark) > 1:
            text = text.replace(mark, "")
    text = _EXPONENT.sub("e", text.replace(",", ".") if comma else text)
    if "_" in text or "," in text:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def _lines(path: Path) -> list[Line]:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise ScanError(f"{path}: is {size >> 20} MB of text, too much for positions; {CURE}")
    try:
        text = _decoded(path, path.read_bytes())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScanError(f"{path}: can't be read ({reason}); check its permissions") from error
    lines = []
    for count, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if len(line) > _MAX_LINE:
            raise ScanError(f"{path}: line {count} is too long for a table; {CURE}")
        stripped = line.strip()
        if not stripped.strip('"') or re.fullmatch(r"(?i)sep=.?", stripped):  # the latter: Excel
            continue
        mark = _COMMENT.match(stripped.lstrip('"'))
        if mark is None:
            lines.append(Line(count, re.split(r"\s#", line.strip(" \r\n"))[0], comment=False))
        else:
            rest = stripped.lstrip('"')[mark.end() :].lstrip("#%")
            lines.append(Line(count, rest.removesuffix('"').strip(" "), comment=True))
    return lines


def _decoded(path: Path, data: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and b"\0" in data[:_MAX_LINE]:
        head = data[:_MAX_LINE]
        zeros = [head[side::2].count(0) / max(len(head) // 2, 1) for side in (0, 1)]
        encoding = "utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"
        if min(zeros) > 0 or max(zeros) < 0.5:
            encoding = "utf-8"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        text = data.decode("latin-1")  # for example µ of an old Windows program
    if "\0" in text:
        raise ScanError(f"{path}: is not text; name a table, an NPY, or NPZ or HDF5 with a dataset")
    return text.lstrip("\ufeff").translate(_AS_ASCII)


def _separator_and_width(lines: list[str]) -> tuple[str | None, int]:
    """Separator and number of fields that give the most numbers."""
    step = max(1, len(lines) // _LOOKED_AT)
    looked_at = lines[::step] if len(lines) > 1 else lines
    best: tuple[float, ...] = ()
    told: tuple[str | None, int] = (None, 0)
    for rank, separator in enumerate(_SEPARATORS):
        rows = [_row(line, separator) for line in looked_at]
        numeric = [row for row in rows if any(_is_number(field) for field in row)]
        if not numeric:
            continue
        width, times = Counter(len(row) for row in numeric).most_common(1)[0]
        alike = [row for row in numeric if len(row) == width]
        # A separator at the end of each line gives an empty field that does not count.
        kept = width - all(not row[-1] for row in alike) if width > 1 else width
        share = sum(_is_number(f) or not f for row in alike for f in row[:kept]) / len(alike)
        score = (kept > 1, times / len(numeric) * share / kept, kept, -rank)
        if score > best:
            best, told = score, (separator, width)
    return told


def _row(text: str, separator: str | None) -> list[str]:
    return fields(text, separator)


def _is_number(field: str) -> bool:
    return bool(field) and any(number(field, comma=comma) is not None for comma in (False, True))


def _is_row(row: list[str]) -> bool:
    """Whether most fields are numbers or missing; a title may contain a number, too."""
    told = sum(_is_number(field) or not field for field in row)
    return 2 * told > len(row) or (2 * told == len(row) and len(row) > 2)


def _decimal_comma(path: Path, columns: list[list[str]]) -> bool:
    """Whether commas are decimal marks in these columns.

    Raises:
        ScanError: if they may also be thousands separators.
    """
    with_comma = [field for column in columns for field in column if "," in field]
    if not with_comma:
        return False
    if all(_LIKE_THOUSANDS.fullmatch(field) for field in with_comma):
        raise ScanError(
            f"{path}: {with_comma[0]} is a decimal comma, or a thousand and more; write decimal "
            "points, and no marks between thousands"
        )
    # English: 1,234.5. Elsewhere the last mark is the comma: 1.234,5.
    return not any("." in field and field.rindex(".") > field.rindex(",") for field in with_comma)
