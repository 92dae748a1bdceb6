"""Conversion of named arrays to positions, a probe or a mask."""

import math
import re

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.stacks import MAX_FRAME_PX, MAX_FRAMES, MAX_MODES
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import Found, FrameNumbers, Positions, PositionUnit
from wnet_edge.io.parts.axis_names import Direction, readings_of
from wnet_edge.io.parts.named_array import NamedArray

_ROW_NAMES = ("row", "y")
_COLUMN_NAMES = ("column", "x")


def as_positions(array: NamedArray, unit: str | None = None) -> Found[Positions]:
    """Convert an array to positions (N, 2) row, column.

    Two columns are row, column; three are x, y, z as in CXI; names of columns take precedence.

    Args:
        array: (N, columns), or (rows, columns, columns) of a raster, or (2, N) or (3, N).
        unit: overrides the array's own.

    Raises:
        ScanError: if these are no positions, or their unit is missing or unknown.
    """
    values = array.values
    if values.ndim == 3 or (values.ndim > 2 and math.prod(values.shape[:-2]) == 1):
        values = values.reshape(-1, values.shape[-1])
    if values.ndim == 2 and len(values) in (2, 3) and values.shape[1] > 3 and not array.columns:
        values = values.T  # stored as one row per axis
    width = values.shape[-1] if values.ndim else 0
    columns = array.columns or _unnamed_columns(array.where, width)
    if values.ndim != 2 or not columns or values.dtype.kind not in "uif":
        raise ScanError(
            f"{array.where} is {values.dtype} {array.values.shape}, not (N, 2) numbers; "
            "write row, column or x, y, z of each frame"
        )
    if len(values) > MAX_FRAMES:
        raise ScanError(f"{array.where} holds {len(values)} positions; name another")
    order = [
        next(index for index, name in enumerate(columns) if name in names)
        for names in (_ROW_NAMES, _COLUMN_NAMES)
    ]
    rows_columns = values[:, order].astype(np.float64)
    factor, position_unit = _unit_of(array, unit)
    numbers = None
    if array.frame_numbers is not None:
        numbers = FrameNumbers(array.frame_numbers, from_zero=False)
    return Found(Positions(rows_columns * factor, position_unit, numbers), array.where)


def as_position_pair(
    pair: tuple[NamedArray, NamedArray],
    unit: str | None = None,
    raster: tuple[int, int] | None = None,
) -> Found[Positions]:
    """Convert two arrays to positions: rows and columns, unless their names state the reverse.

    Args:
        pair: each with one number per frame, or with one per row and one per column of `raster`.
        unit: overrides the arrays' own.
        raster: rows, columns of the frames.

    Raises:
        ScanError: if these are no positions, differ in length, or lack a unit.
    """
    for array in pair:
        if array.values.dtype.kind not in "uif" or array.values.size > MAX_FRAMES:
            raise ScanError(
                f"{array.where} is {array.values.dtype} {array.values.shape}, not one number per "
                "frame; name another"
            )
    read = [readings_of(array.where.rpartition("/")[2]) for array in pair]
    if any(
        row.direction is Direction.X and column.direction is Direction.Y and row.rest == column.rest
        for row in read[0]
        for column in read[1]
    ):
        pair = (pair[1], pair[0])
    rows, columns = pair
    (row_factor, row_unit), (column_factor, column_unit) = (_unit_of(a, unit) for a in pair)
    y = rows.values.reshape(-1).astype(np.float64) * row_factor
    x = columns.values.reshape(-1).astype(np.float64) * column_factor
    if raster is not None and (len(y), len(x)) == raster:
        y, x = (grid.reshape(-1) for grid in np.meshgrid(y, x, indexing="ij"))
    where = f"{rows.where},{columns.where.rpartition(':')[2]}"
    if len(y) != len(x) or row_unit is not column_unit:
        raise ScanError(
            f"{where} hold {len(y)} and {len(x)} numbers in {row_unit.value} and "
            f"{column_unit.value}; name two datasets of the same frames"
        )
    return Found(Positions(np.stack([y, x], axis=1), row_unit), where)


def _unit_of(array: NamedArray, unit: str | None) -> tuple[float, PositionUnit]:
    """Factor to metres or object pixels, from the user's unit or else the array's own."""
    written = unit or array.unit
    if written is None:
        raise ScanError(f"{array.where} has no unit; give --positions-unit, e.g. um, or px")
    if written == PositionUnit.OBJECT_PIXEL.value:
        return 1.0, PositionUnit.OBJECT_PIXEL
    factor = unit_factor(written, Quantity.LENGTH)
    if factor is None:
        raise ScanError(
            f"{array.where} is in {written[:20]!r}, which is not a unit of length; "
            "give --positions-unit, e.g. um, or px"
        )
    return factor, PositionUnit.METRE


def _unnamed_columns(where: str, width: int) -> tuple[str, ...]:
    """Default column names: two are row, column (or x, y by the dataset's name); three x, y, z."""
    if width == 2 and re.search(r"(?:^|[^a-z])xy$", where.lower()):
        return "x", "y"
    return {2: ("row", "column"), 3: ("x", "y", "z")}.get(width, ())


def as_probe(array: NamedArray) -> Found[NDArray[np.complex64]]:
    """Convert an array (n, n), or (…, modes, n, n) with leading axes of length 1, to a probe.

    Returns:
        (modes, n, n) complex64.

    Raises:
        ScanError: if it is not complex, not square or too large.
    """
    values = array.values
    before = [n for n in values.shape[:-2] if n != 1]
    fits = values.ndim >= 2 and values.shape[-1] == values.shape[-2] <= MAX_FRAME_PX
    if (
        values.dtype.kind != "c"
        or not fits
        or len(before) > 1
        or max(before, default=1) > MAX_MODES
    ):
        raise ScanError(
            f"{array.where} is {values.dtype} {values.shape}, not complex (modes, n, n); "
            "name a probe"
        )
    modes = values.astype(np.complex64).reshape(-1, *values.shape[-2:])
    return Found(modes, array.where)


def as_mask(array: NamedArray) -> Found[NDArray[np.bool_]]:
    """Convert an array to a mask (H, W) bool, True where it is not zero.

    Raises:
        ScanError: if it is not a two-dimensional numeric or Boolean array.
    """
    if array.values.ndim != 2 or array.values.dtype.kind not in "uibf":
        raise ScanError(
            f"{array.where} is {array.values.dtype} {array.values.shape}, not numbers (H, W); "
            "write one mask for all frames"
        )
    return Found(array.values != 0, array.where)
