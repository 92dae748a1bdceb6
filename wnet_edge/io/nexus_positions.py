"""Positions in a NeXus file, in whatever of its places they are: N points, or axes of a raster.

A part of `wnet_edge.io.nexus`. The sign is CXI's: a position is +(y, x) as written, whether it is
called a translation of the probe or of the sample; files that mean the opposite need the flags for
orientation.
"""

import math
import re
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.found import Found, Positions
from wnet_edge.io.hdf5 import array_of, factor_of, optional_dataset
from wnet_edge.io.nexus_tree import axes_of, groups_of
from wnet_edge.io.stacks import MAX_FRAMES
from wnet_edge.io.units import Quantity

_COLUMNS = re.compile(r"x(?![a-z])|col|hor", re.IGNORECASE)
_ROWS = re.compile(r"y(?![a-z])|row|ver", re.IGNORECASE)


@dataclass(frozen=True)
class Places:
    """Groups in which positions may be, each kind in the order in which they are tried.

    Attributes:
        translations: with a dataset `translation` (N, 3) x, y, z.
        data: NXdata whose axes are positions.
        samples: NXsample with motors x and y, in NXtransformations or directly.
    """

    translations: list[h5py.Group]
    data: list[h5py.Group]
    samples: list[h5py.Group]


def positions_of(path: Path, places: Places, counts: tuple[int, ...]) -> Found[Positions] | None:
    """Positions of the frames, None where no place has them.

    Args:
        path: of the file.
        places: where to look.
        counts: (N,) frames, or (rows, columns) of a raster.

    Raises:
        ScanError: if what is there has an unknown unit, or is no list of numbers.
    """
    for group in places.translations:
        dataset = optional_dataset(group, path, "translation")
        if dataset is not None:
            return _translation(path, dataset, counts)
    for group in places.data:
        axes = [group[name] for name in axes_of(group, len(counts))]
        found = _of_axes(path, axes, counts)
        if found is not None:
            return found
    transformations = groups_of(path, places.samples, "NXtransformations", "transformations")
    for group in (*transformations, *places.samples):
        axes = [optional_dataset(group, path, name, f"{name}_translation") for name in "yx"]
        found = _of_axes(path, [axis for axis in axes if axis is not None], counts)
        if found is not None:
            return found
    return None


def _translation(path: Path, dataset: h5py.Dataset, counts: tuple[int, ...]) -> Found[Positions]:
    """(N, 3) or, of a raster, (rows, columns, 3), in the order x, y, z."""
    columns = dataset.shape[-1] if dataset.shape and dataset.shape[-1] == 2 else 3
    points = (None,) * max(dataset.ndim - 1, 1)
    frame_count = math.prod(counts) if counts else None
    cure = "write x, y, z in metres"
    values = array_of(path, dataset, "uif", (*points, columns), cure, frame_count)
    factor = factor_of(path, dataset, Quantity.LENGTH, "m")
    xyz = values.reshape(-1, columns).astype(np.float64) * factor
    return Found(Positions(xyz[:, 1::-1]), dataset.name)


def _of_axes(
    path: Path, axes: list[h5py.Dataset], counts: tuple[int, ...]
) -> Found[Positions] | None:
    """From one dataset a direction; None unless there are two that fit the frames."""
    pair = _rows_and_columns(axes)
    if pair is None:
        return None
    rows, columns = pair
    frame_count = math.prod(counts)
    if frame_count > MAX_FRAMES:  # the frames' own check says so
        return None
    if rows.size == columns.size == frame_count:
        values = np.stack([_metres(path, axis).reshape(-1) for axis in pair], axis=1)
    elif (rows.size, columns.size) == counts and axes.index(rows) < axes.index(columns):
        grid = np.meshgrid(*(_metres(path, axis).reshape(-1) for axis in pair), indexing="ij")
        values = np.stack([part.reshape(-1) for part in grid], axis=1)
    elif (columns.size, rows.size) == counts:
        grid = np.meshgrid(*(_metres(path, axis).reshape(-1) for axis in pair), indexing="xy")
        values = np.stack([part.reshape(-1) for part in grid], axis=1)
    else:
        return None
    return Found(Positions(values), f"{rows.name}, {columns.name}")


def _rows_and_columns(axes: list[h5py.Dataset]) -> tuple[h5py.Dataset, h5py.Dataset] | None:
    """Which axis runs along the object's rows' numbers (y) and which along its columns' (x).

    By their names; axes that are named otherwise are taken as (slow, fast) = (row, column).
    """
    named = [(axis, axis.name.rsplit("/", 1)[-1]) for axis in axes]
    rows = next((axis for axis, name in named if _ROWS.search(name)), None)
    columns = next((axis for axis, name in named if _COLUMNS.search(name)), None)
    if rows is not None and columns is not None and rows != columns:
        return rows, columns
    return (axes[0], axes[1]) if len(axes) == 2 else None


def _metres(path: Path, axis: h5py.Dataset) -> NDArray[np.float64]:
    shape = (None,) * min(max(axis.ndim, 1), 2)
    values = array_of(path, axis, "uif", shape, "write one number a position")
    metres: NDArray[np.float64] = values * factor_of(path, axis, Quantity.LENGTH, "m")
    return metres
