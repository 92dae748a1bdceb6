"""Positions from a table of text: CSV, TSV, or columns between blanks, as beamlines write them.

A line of names above the numbers, commented out or not, says which columns are meant and in what
unit: `x_m,y_m`, `# samx samy`, `x (um)`, `row,column`; units may have a line of their own. A column
that numbers frames pairs positions with them. Names that are there must be understood, and there
must be one for each column: what is left open is refused with the columns shown, and
`FILE:X,Y` then names them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.array_file import NamedArray
from wnet_edge.io.column_names import (
    Column,
    Pair,
    Trust,
    as_columns,
    as_unit,
    counts_something,
    numbers_frames,
    pairs_of,
)
from wnet_edge.io.pairing import as_frame_numbers
from wnet_edge.io.text_table import CURE, Line, TextTable, fields, number, read_table

_SHOWN = 8
_FEW_WORDS = 4
_SPEC_NAMES = re.compile(r"L\s+(?=\S)")
_PREFIX = re.compile(
    r"[^,;\t]*?(?:columns?|names?|fields?|motors?)[^,;\t:=]*[:=]\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class _Names:
    """A line of names: of each column, empty where a column has none."""

    line: Line
    columns: list[Column]


@dataclass(frozen=True)
class _Choice:
    """The columns to take.

    Attributes:
        x: index of the column that is counted along an image's columns.
        y: of the one along its rows.
        frame: of the one that numbers frames, None where there is none.
        unit: of x and y, None where the table has none.
        note: what was assumed.
    """

    x: int
    y: int
    frame: int | None = None
    unit: str | None = None
    note: str = ""


def read_positions_table(path: Path, columns: str | None = None) -> NamedArray:
    """The positions (N, 2) y, x in a table, with the numbers of their frames where it has them.

    Args:
        path: of the table.
        columns: which are x and y, by names or by numbers from 1: `samx,samy` or `2,3`.

    Raises:
        ScanError: naming the line or the columns, if this is no text, no table, or does not say
            which columns are meant.
    """
    table = read_table(path)
    if columns is not None:
        names, choice = _by_user(table, columns)
    else:
        names = _names(table)
        choice = _unnamed(table) if names is None else _named(table, names)
    values = np.array(table.numbers([choice.y, choice.x]), dtype=np.float64).T
    numbers = None if choice.frame is None else _frame_numbers(table, choice.frame, names)
    notes = (choice.note,) if choice.note else ()
    return NamedArray(values, choice.unit, ("y", "x"), str(path), numbers, notes)


def _names(table: TextTable) -> _Names | None:
    """The last line above the numbers that names positions, with units from a line of their own.

    Raises:
        ScanError: if there are names, but none of a position.
    """
    unit_line: list[str | None] = []
    unclear: tuple[Line, list[str]] | None = None
    for line in reversed(table.above):
        splits = _splits(table, line)
        units = next((s for s in splits if len(s) == table.width and any(map(as_unit, s))), None)
        if units is not None and not _has_pair(units):
            unit_line = [as_unit(text) for text in units]
            continue
        named = next((s for s in splits if _has_pair(s)), None)
        if named is not None:
            return _Names(line, _with_units(_aligned(table, line, named), unit_line))
        words = next((s for s in splits if len(s) == table.width and _are_names(s)), None)
        if unclear is None and (not line.comment or words is not None):
            unclear = line, words or splits[0]
        if not line.comment and line.number > 1 and table.line_numbers[0] - line.number == 1:
            break
    if unclear is None:
        return None
    line, words = unclear
    shown = ", ".join(words[:_SHOWN])[:100]
    raise ScanError(
        f"{table.path}: line {line.number} names {shown}, not x and y"
        f"{_decimal_hint(table, words)}{_say(table)}"
    )


def _splits(table: TextTable, line: Line) -> list[list[str]]:
    """The fields of a line of names, by the numbers' separators and by others, best first."""
    text = line.text
    if line.comment:
        text = _SPEC_NAMES.sub("", text, count=1) if _SPEC_NAMES.match(text) else text
    texts = [text.rstrip(",; ") if line.comment else text]
    if prefix := _PREFIX.match(text):
        texts.insert(0, text[prefix.end() :])
    splits = []
    for each in texts:
        closed = re.sub(r"\s+(?=[(\[{])", "", each)
        splits += [fields(closed, mark) for mark in (table.separator, ";", "\t", ",")]
        splits += [re.split(r"\s{2,}|\t", each.strip()), fields(closed, None), fields(each, None)]
    splits = [s for s in splits if s and not any(re.search(r"[,;]$", field) for field in s)]
    return sorted(splits, key=lambda split: abs(len(split) - table.width))


def _has_pair(names: Sequence[str]) -> bool:
    return bool(pairs_of(as_columns(names)))


def _are_names(names: Sequence[str]) -> bool:
    """Whether these are words without a number among them, as names are and remarks are not."""
    return all(re.match(r"[^\W\d]", name) and len(name.split()) < _FEW_WORDS for name in names)


def _aligned(table: TextTable, line: Line, names: list[str]) -> list[Column]:
    """A name for each column of numbers.

    Raises:
        ScanError: if there are more or fewer, and it is not clear which has none.
    """
    while len(names) > table.width and not names[-1]:
        names = names[:-1]
    missing = table.width - len(names)
    if missing == 1:
        first = table.column(0)
        if _counts(first) or all(number(field, comma=False) is None for field in first):
            names = ["", *names]  # R's write.table gives rows a name, and their column none
        elif any(not _is_whole(field) for field in first):
            names = [*names, ""]  # it has fractions, so it is no counter: the last has no name
    if len(names) != table.width:
        shown = ", ".join(names[:_SHOWN])[:100]
        raise ScanError(
            f"{table.path}: line {line.number} has {len(names)} names ({shown}), but line "
            f"{table.line_numbers[0]} has {table.width} fields"
            f"{_decimal_hint(table, names)}{_say(table)}"
        )
    return as_columns(names)


def _with_units(columns: list[Column], units: list[str | None]) -> list[Column]:
    if not units:
        return columns
    pairs = zip(columns, units, strict=True)
    return [replace(column, unit=column.unit or unit) for column, unit in pairs]


def _named(table: TextTable, names: _Names) -> _Choice:
    """The columns that their names say are the position."""
    pairs = pairs_of(names.columns)
    if len(pairs) > 1:
        shown = "; ".join(f"{pair.x.text}, {pair.y.text}" for pair in pairs[:_SHOWN])
        raise ScanError(
            f"{table.path}: line {names.line.number} names several positions ({shown}); say which, "
            f"--positions {table.path}:{pairs[0].x.text},{pairs[0].y.text}"
        )
    (pair,) = pairs
    note = ""
    if pair.trust is Trust.SET_POINT:
        note = f"{table.path} has set points only ({pair.x.text}, {pair.y.text}), no read-backs"
    return _Choice(
        pair.x.index, pair.y.index, _frame_column(table, names), _unit(table, names, pair), note
    )


def _unit(table: TextTable, names: _Names, pair: Pair) -> str | None:
    x, y = pair.x.unit, pair.y.unit
    if x != y:
        raise ScanError(
            f"{table.path}: line {names.line.number} gives {pair.y.name} in {y or 'no unit'} and "
            f"{pair.x.name} in {x or 'no unit'}; write both in one unit"
        )
    return x


def _frame_column(table: TextTable, names: _Names) -> int | None:
    """The column that numbers frames; a mere counter of the rows says nothing that they don't."""
    for column in names.columns:
        if numbers_frames(column):
            return column.index
    for column in names.columns:
        rows = table.column(column.index)
        unique = len(set(rows)) == len(rows) and all(map(_is_whole, rows))
        if unique and counts_something(column):
            return column.index
        if unique and column.index == 0 and not column.text.strip():
            return None if _counts(rows) else 0
    return None


def _frame_numbers(table: TextTable, index: int, names: _Names | None) -> NDArray[np.int64]:
    name = "" if names is None else names.columns[index].text
    (values,) = np.array(table.numbers([index]))
    return as_frame_numbers(f"{table.path}: column {name or index + 1}", values)


def _unnamed(table: TextTable) -> _Choice:
    """Columns without names: row, column, or x, y, z.

    Raises:
        ScanError: if they may be something else.
    """
    unclear = ScanError(f"{table.path}: {_shown(table, None)}{_say(table)}")
    if table.width == 2:
        note = (
            f"the columns of {table.path} have no names: they are taken as row, column (y, x); if "
            f"they are x, y, write so above them or say --positions {table.path}:1,2"
        )
        return _Choice(x=1, y=0, note=note)
    if table.width != 3:
        raise unclear
    first, second, third = (np.array(column) for column in table.numbers([0, 1, 2]))
    ordered = len(first) > 2 and bool((np.diff(first) > 0).all())
    if _counts(table.column(0)) or (ordered and np.ptp(second) > 0 and np.ptp(third) > 0):
        raise unclear  # frames or times, and then two axes in an order that nothing tells
    return _Choice(x=0, y=1)


def _by_user(table: TextTable, text: str) -> tuple[_Names | None, _Choice]:
    """The columns that the user names, or counts from 1.

    Raises:
        ScanError: if the table has no such columns.
    """
    try:
        names = _names(table)
    except ScanError:  # whatever they are, the user knows
        names = None
    known = as_columns([""] * table.width) if names is None else names.columns
    wanted = [part.strip() for part in text.split(",")]
    places = [_place(known, part) for part in wanted]
    if len(places) != 2 or None in places or places[0] == places[1]:
        raise ScanError(
            f"{table.path}: {text[:40]!r} does not name two of its columns; {_shown(table, names)}"
            f"{_say(table)}"
        )
    x, y = (known[place] for place in places if place is not None)
    frame = None if names is None else _frame_column(table, names)
    unit = None if names is None else _unit(table, names, Pair(x, y, Trust.NAMED))
    return names, _Choice(x.index, y.index, None if frame in (x.index, y.index) else frame, unit)


def _place(columns: Sequence[Column], wanted: str) -> int | None:
    by_name = [
        column.index
        for column in columns
        if wanted.lower() in (column.text.strip().lower(), column.name) and wanted
    ]
    if by_name:
        return by_name[0] if len(by_name) == 1 else None
    if wanted.isdecimal() and 1 <= int(wanted) <= len(columns):
        return int(wanted) - 1
    return None


def _counts(column: Sequence[str]) -> bool:
    """Whether a column counts its rows, from 0 or from 1."""
    if len(column) < 2 or not all(_is_whole(field) for field in column):
        return False
    values = np.array([float(field) for field in column])
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def _is_whole(field: str) -> bool:
    value = number(field, comma=False)
    return value is not None and value == np.rint(value)


def _decimal_hint(table: TextTable, names: Sequence[str]) -> str:
    if table.separator == "," and table.width == 2 * len(names):
        return "; if its commas are decimal marks, write points, or separate fields by ; or tabs"
    return ""


def _shown(table: TextTable, names: _Names | None) -> str:
    """The columns as they are, for a message."""
    first = ", ".join(table.rows[0][:_SHOWN])[:100]
    if names is None:
        return f"has {table.width} columns without names (line {table.line_numbers[0]}: {first})"
    return f"its columns are {', '.join(column.text for column in names.columns)[:200]}"


def _say(table: TextTable) -> str:
    places = "1,2" if table.width == 2 else "2,3"
    return f"; {CURE}, or say which columns are x and y: --positions {table.path}:{places} say"
