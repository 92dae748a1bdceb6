"""Positions from CXI's `translation`, (N, 3) x, y, z or (N, 2) x, y, in CXI, NeXus or by flag."""

from pathlib import Path

import h5py
import numpy as np

from wnet_edge.io.containers.hdf5.quantities import factor_of
from wnet_edge.io.containers.hdf5.reader import array_of
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import Found, Positions, PositionUnit

NAME = "translation"
COLUMNS = {2: ("x", "y"), 3: ("x", "y", "z")}
"""Column names by number of columns; everywhere else two columns are row, column."""


def translation_of(
    path: Path, dataset: h5py.Dataset, unit: str | None, frame_count: int | None = None
) -> Found[Positions]:
    """Read positions (N, 2) row, column = +(y, x) from a `translation` dataset.

    Args:
        path: path of the file.
        dataset: (N, 2 or 3), or (rows, columns, 2 or 3) for a raster.
        unit: overrides the dataset's own; metres without either.
        frame_count: number of frames; a dataset with many more positions is refused. None if
            unknown.

    Raises:
        ScanError: if it has another shape, or its unit is unknown.
    """
    width = dataset.shape[-1] if dataset.ndim >= 2 and dataset.shape[-1] in COLUMNS else 3
    points = (None,) * (2 if dataset.ndim == 3 else 1)
    cure = "write x, y, z in metres"
    values = array_of(path, dataset, "uif", (*points, width), cure, frame_count)
    rows_columns = values.reshape(-1, width)[:, 1::-1].astype(np.float64)
    may_grow = dataset.maxshape[:1] != dataset.shape[:1]
    if unit == PositionUnit.OBJECT_PIXEL.value:
        pixels = Positions(rows_columns, PositionUnit.OBJECT_PIXEL, may_grow=may_grow)
        return Found(pixels, dataset.name)
    said = None if unit is None else unit_factor(unit, Quantity.LENGTH)
    factor = said or factor_of(path, dataset, Quantity.LENGTH, "m")
    return Found(Positions(rows_columns * factor, may_grow=may_grow), dataset.name)
