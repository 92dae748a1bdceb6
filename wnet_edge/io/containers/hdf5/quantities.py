"""Physical quantities in HDF5 files: one value, converted to metres or electronvolts."""

import math
from pathlib import Path

import h5py
import numpy as np

from wnet_edge.io.containers.hdf5.reader import as_text, dataset_error, read_whole
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import Found

_SAME_NUMBER = 1e-3
"""Largest relative variation of a number that is logged per frame."""


def number_of(
    path: Path,
    dataset: h5py.Dataset,
    quantity: Quantity | None = None,
    unit: str | None = None,
) -> Found[float]:
    """Read a dataset of one number, converted to metres or electronvolts if `quantity` is given.

    Args:
        path: path of the file.
        dataset: dataset of one element, or of equal ones.
        quantity: quantity that it measures; None for a plain number.
        unit: default if the dataset has no attribute `units`; None if it must have one.

    Raises:
        ScanError: if it is not one number, or its unit is missing or unknown.
    """
    if not 1 <= (dataset.size or 0) <= MAX_FRAMES or dataset.dtype.kind not in "uif":
        raise dataset_error(path, dataset, "is not one number", "write a scalar")
    values = read_whole(path, dataset).astype(np.float64).reshape(-1)
    value = float(np.median(values))
    if np.ptp(values) > _SAME_NUMBER * abs(value):
        fault = f"is not one number but {values.min():.6g} … {values.max():.6g}"
        raise dataset_error(path, dataset, fault, "write a scalar")
    if not math.isfinite(value):
        raise dataset_error(path, dataset, f"is {value}", "write the number")
    if quantity is None:
        return Found(value, dataset.name)
    return Found(value * factor_of(path, dataset, quantity, unit), dataset.name)


def unit_of(dataset: h5py.Dataset) -> str:
    """The unit in a dataset's attribute `units`, "" without one."""
    return as_text(dataset.attrs.get("units", dataset.attrs.get("unit", ""))).strip()


def factor_of(path: Path, dataset: h5py.Dataset, quantity: Quantity, unit: str | None) -> float:
    """Factor from the dataset's unit (default `unit`) to metres or electronvolts.

    Raises:
        ScanError: if the unit is missing or unknown.
    """
    given = unit_of(dataset) or unit or ""
    factor = unit_factor(given, quantity)
    if factor is None:
        fault = f"is in {given[:20]!r}, which is not a known unit" if given else "has no unit"
        raise dataset_error(
            path, dataset, fault, f"write its attribute units, e.g. {quantity.value}"
        )
    return factor
