"""Positions from a text table: CSV, TSV, or columns separated by blanks, as beamlines write them.

A header line above the numbers, commented out or not, states the columns and their unit: `x_m,y_m`,
`# samx samy`, `x (um)`, `row,column`; units may have a line of their own. A column of frame numbers
pairs positions with frames. Header names must be understood, and there must be one per column:
ambiguous tables are refused with their columns shown, and `FILE:X,Y` then names them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.text_table import TextTable, read_table
from wnet_edge.io.parts.column_names import (
    Column,
    Pair,
    Trust,
    as_columns,
    counts_something,
    numbers_frames,
    pairs_of,
)
from wnet_edge.io.parts.named_array import NamedArray
from wnet_edge.io.parts.names_above import (
    SHOWN,
    NamesAbove,
    columns_shown,
    counts_rows,
    is_whole,
    names_above,
    say_which,
)
from wnet_edge.io.parts.pairing import as_frame_numbers


@dataclass(frozen=True)
class _Choice:
    """Chosen columns of a table.

    Attributes:
        x: index of the column with the coordinate along image columns.
        y: index of that along image rows.
        frame: index of the column of frame numbers, None if there is none.
        unit: unit of x and y, None if the table has none.
        note: assumption that was made, or empty.
    """

    x: int
    y: int
    frame: int | None = None
    unit: str | None = None
    note: str = ""


def read_positions_table(path: Path, columns: str | None = None) -> NamedArray:
    """Read positions (N, 2) y, x from a table, with frame numbers if it has them.

    Args:
        path: path of the table.
        columns: x and y columns, by name or by number from 1: `samx,samy` or `2,3`.

    Raises:
        ScanError: naming the line or the columns, if this is no text table, or the columns are
            ambiguous.
    """
    table = read_table(path)
    if columns is not None:
        names, choice = _by_user(table, columns)
    else:
        names = names_above(table)
        choice = _unnamed(table) if names is None else _named(table, names)
    values = np.array(table.numbers([choice.y, choice.x]), dtype=np.float64).T
    numbers = None if choice.frame is None else _frame_numbers(table, choice.frame, names)
    notes = (choice.note,) if choice.note else ()
    return NamedArray(values, choice.unit, ("y", "x"), str(path), numbers, notes)


def _named(table: TextTable, names: NamesAbove) -> _Choice:
    """Choose the position columns by their names."""
    pairs = pairs_of(names.columns)
    if len(pairs) > 1:
        shown = "; ".join(f"{pair.x.text}, {pair.y.text}" for pair in pairs[:SHOWN])
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


def _unit(table: TextTable, names: NamesAbove, pair: Pair) -> str | None:
    x, y = pair.x.unit, pair.y.unit
    if x != y:
        raise ScanError(
            f"{table.path}: line {names.line.number} gives {pair.y.name} in {y or 'no unit'} and "
            f"{pair.x.name} in {x or 'no unit'}; write both in one unit"
        )
    return x


def _frame_column(table: TextTable, names: NamesAbove) -> int | None:
    """Index of the column of frame numbers; a mere row counter adds nothing and is ignored."""
    for column in names.columns:
        if numbers_frames(column):
            return column.index
    for column in names.columns:
        rows = table.column(column.index)
        unique = len(set(rows)) == len(rows) and all(map(is_whole, rows))
        if unique and counts_something(column):
            return column.index
        if unique and column.index == 0 and not column.text.strip():
            return None if counts_rows(rows) else 0
    return None


def _frame_numbers(table: TextTable, index: int, names: NamesAbove | None) -> NDArray[np.int64]:
    name = "" if names is None else names.columns[index].text
    (values,) = np.array(table.numbers([index]))
    return as_frame_numbers(f"{table.path}: column {name or index + 1}", values)


def _unnamed(table: TextTable) -> _Choice:
    """Choose the columns of a table without names: row, column, or x, y, z.

    Raises:
        ScanError: if they may be something else.
    """
    unclear = ScanError(f"{table.path}: {columns_shown(table, None)}{say_which(table)}")
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
    if counts_rows(table.column(0)) or (ordered and np.ptp(second) > 0 and np.ptp(third) > 0):
        raise unclear  # frame numbers or times, followed by two axes in unknown order
    return _Choice(x=0, y=1)


def _by_user(table: TextTable, text: str) -> tuple[NamesAbove | None, _Choice]:
    """Choose the columns that the user gives by name or number.

    Raises:
        ScanError: if the table has no such columns.
    """
    try:
        names = names_above(table)
    except ScanError:  # names that are not understood do not matter here
        names = None
    known = as_columns([""] * table.width) if names is None else names.columns
    wanted = [part.strip() for part in text.split(",")]
    places = [_place(known, part) for part in wanted]
    if len(places) != 2 or None in places or places[0] == places[1]:
        raise ScanError(
            f"{table.path}: {text[:40]!r} does not name two of its columns; "
            f"{columns_shown(table, names)}{say_which(table)}"
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
