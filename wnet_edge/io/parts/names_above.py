"""Header line of a text table: finding it and assigning names to columns.

Names must be understood, and there must be one per column, or for all but one column whose lack of
a name is a known convention; ambiguous headers are refused with the columns shown.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.text_table import CURE, Line, TextTable, fields, number
from wnet_edge.io.parts.column_names import Column, as_columns, as_unit, pairs_of

SHOWN = 8
_FEW_WORDS = 3
_SPEC_NAMES = re.compile(r"L\s+(?=\S)")
_PREFIX = re.compile(
    r"[^,;\t]*?(?:columns?|names?|fields?|motors?)[^,;\t:=]*[:=]\s*", re.IGNORECASE
)


@dataclass(frozen=True)
class NamesAbove:
    """A header line with one name per column, empty for a column without one."""

    line: Line
    columns: list[Column]


def names_above(table: TextTable) -> NamesAbove | None:
    """The last line above the numbers with names of positions, with units from a separate line.

    Raises:
        ScanError: if there are names, but none of a position.
    """
    unit_line: list[str | None] = []
    unclear: tuple[Line, list[str]] | None = None
    for line in reversed(table.above):
        splits = _splits(table, line)
        units = next((s for s in splits if _are_units(table, s)), None)
        if units is not None:
            unit_line = [as_unit(text) for text in units]
            continue
        near = [s for s in splits if not line.comment or abs(len(s) - table.width) <= 1]
        named = next((s for s in near if _has_pair(s)), None)  # a remark may mention x and y, too
        if named is not None:
            return NamesAbove(line, _with_units(_aligned(table, line, named), unit_line))
        words = next((s for s in splits if len(s) == table.width and _are_names(s)), None)
        if unclear is None and (not line.comment or words is not None):
            unclear = line, words or splits[0]
        if not line.comment and line.number > 1 and table.line_numbers[0] - line.number == 1:
            break
    if unclear is None:
        return None
    line, words = unclear
    shown = ", ".join(words[:SHOWN])[:100]
    raise ScanError(
        f"{table.path}: line {line.number} names {shown}, not x and y"
        f"{_decimal_hint(table, words)}{say_which(table)}"
    )


def _splits(table: TextTable, line: Line) -> list[list[str]]:
    """Fields of a header line by the numbers' separator and by others, best first."""
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


def _are_units(table: TextTable, texts: list[str]) -> bool:
    """Whether these are units of the columns, at least two of them."""
    return len(texts) == table.width and sum(map(bool, map(as_unit, texts))) > 1


def _has_pair(names: Sequence[str]) -> bool:
    return bool(pairs_of(as_columns(names)))


def _are_names(names: Sequence[str]) -> bool:
    """Whether these are words without numbers, as in a header rather than a remark."""
    return all(re.match(r"[^\W\d]", name) and len(name.split()) < _FEW_WORDS for name in names)


def _aligned(table: TextTable, line: Line, names: list[str]) -> list[Column]:
    """Assign the names to the columns of numbers.

    Raises:
        ScanError: if their numbers differ, and it is unclear which column has no name.
    """
    while len(names) > table.width and not names[-1]:
        names = names[:-1]
    missing = table.width - len(names)
    if missing == 1:
        first = table.column(0)
        if counts_rows(first) or all(number(field, comma=False) is None for field in first):
            names = ["", *names]  # R's write.table: an unnamed column of row names
        elif any(not is_whole(field) for field in first):
            names = [*names, ""]  # it has fractions, so it is not a counter: the last has no name
    if len(names) != table.width:
        shown = ", ".join(names[:SHOWN])[:100]
        raise ScanError(
            f"{table.path}: line {line.number} has {len(names)} names ({shown}), but line "
            f"{table.line_numbers[0]} has {table.width} fields"
            f"{_decimal_hint(table, names)}{say_which(table)}"
        )
    return as_columns(names)


def _with_units(columns: list[Column], units: list[str | None]) -> list[Column]:
    if not units:
        return columns
    pairs = zip(columns, units, strict=True)
    return [replace(column, unit=column.unit or unit) for column, unit in pairs]


def counts_rows(column: Sequence[str]) -> bool:
    """Whether a column is a row counter from 0 or 1."""
    if len(column) < 2 or not all(is_whole(field) for field in column):
        return False
    values = np.array([float(field) for field in column])
    return bool(values[0] in (0, 1) and (np.diff(values) == 1).all())


def is_whole(field: str) -> bool:
    """Whether a field is a whole number."""
    value = number(field, comma=False)
    return value is not None and value == np.rint(value)


def _decimal_hint(table: TextTable, names: Sequence[str]) -> str:
    if table.separator == "," and table.width == 2 * len(names):
        return "; if its commas are decimal marks, write points, or separate fields by ; or tabs"
    return ""


def columns_shown(table: TextTable, names: NamesAbove | None) -> str:
    """Text of the columns as they are, for a message."""
    first = ", ".join(table.rows[0][:SHOWN])[:100]
    if names is None:
        return f"has {table.width} columns without names (line {table.line_numbers[0]}: {first})"
    return f"its columns are {', '.join(column.text for column in names.columns)[:200]}"


def say_which(table: TextTable) -> str:
    """Remedy for unknown columns, for the end of a message."""
    places = "1,2" if table.width == 2 else "2,3"
    return f"; {CURE}, or say which columns are x and y, e.g. --positions {table.path}:{places}"
