"""Single named arrays from HDF5, .npz and .npy files, for flags: positions, a probe, a mask."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.file_kind import FileKind, kind_of
from wnet_edge.io.containers.hdf5.reader import (
    as_text,
    dataset_error,
    decoded,
    is_complex,
    opened,
    optional_dataset,
    read_whole,
)
from wnet_edge.io.containers.numpy_file import (
    member_names,
    opened_npz,
    read_member,
    read_values,
    readable,
)
from wnet_edge.io.parts import translations


@dataclass(frozen=True)
class NamedArray:
    """An array with its metadata.

    Attributes:
        values: array of any shape and numeric dtype.
        unit: unit as written, None if the file has none.
        columns: names of the entries of the last axis if the file has them, lower case.
        where: file and dataset, for messages and reports.
        frame_numbers: (N,) frame numbers of positions; None if the file has none.
        notes: assumptions made on reading, one line each.
    """

    values: NDArray[Any]
    unit: str | None
    columns: tuple[str, ...]
    where: str
    frame_numbers: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()


def read_array(path: Path, name: str) -> NamedArray:
    """Read a dataset of an HDF5 file, or a member of an .npz.

    Raises:
        ScanError: if it does not exist, is not numeric, or is implausibly large.
    """
    kind = kind_of(path)
    if kind is FileKind.NPZ:
        return read_npz_array(path, name)
    if kind is FileKind.NPY:
        raise ScanError(f"{path}: holds one array without a name; leave out {name}")
    return read_hdf5_array(path, name)


def read_hdf5_array(path: Path, dataset_path: str) -> NamedArray:
    """Read a dataset of an HDF5 file whole.

    Raises:
        ScanError: if it does not exist, is not numeric, or is implausibly large.
    """
    with opened(path) as file:
        dataset = optional_dataset(file, path, dataset_path.strip("/"))
        if dataset is None:
            raise ScanError(
                f"{path}: has no dataset {dataset_path}, nor is there a file of that name; check it"
            )
        if dataset.dtype.kind not in "uifb" and not is_complex(dataset):
            raise dataset_error(
                path, dataset, f"holds {dataset.dtype}, not numbers", "name another"
            )
        unit = dataset.attrs.get("units", dataset.attrs.get("unit"))
        return NamedArray(
            values=decoded(dataset, read_whole(path, dataset)),
            unit=None if unit is None else as_text(unit),
            columns=_columns_of(dataset),
            where=f"{path}:{dataset.name}",
        )


def _columns_of(dataset: h5py.Dataset) -> tuple[str, ...]:
    """Column names of CXI's `translation`, also when a flag names it; else none."""
    is_translation = dataset.name.rpartition("/")[2] == translations.NAME
    width = dataset.shape[-1] if dataset.ndim else 0
    return translations.COLUMNS.get(width, ()) if is_translation else ()


def read_npz_array(path: Path, name: str) -> NamedArray:
    """Read a member of an .npz whole.

    Raises:
        ScanError: if it does not exist, is damaged or pickled, or too large.
    """
    name = name.strip("/")
    with opened_npz(path) as archive:
        values = read_member(archive, name)
        if values is None:
            names = ", ".join(sorted(member_names(archive))[:12]) or "nothing"
            raise ScanError(f"{path}: has no array {name}; name one of what it holds: {names}")
    return NamedArray(values, unit=None, columns=(), where=f"{path}:{name}")


def read_npy_array(path: Path) -> NamedArray:
    """Read the array of an .npy whole.

    Raises:
        ScanError: if it is damaged or pickled, or too large.
    """
    with readable(path, "NPY"), path.open("rb") as file:
        return NamedArray(read_values(file, path.name), unit=None, columns=(), where=str(path))


def locate_file(text: str) -> tuple[Path, str | None]:
    """Split `FILE` or `FILE:DATASET` into file and dataset, without checking that they exist."""
    file, colon, dataset = text.rpartition(":")
    return (Path(file), dataset) if colon and _is_file(file) else (Path(text), None)


def locate(text: str, scan: Path) -> tuple[Path, str | None]:
    """Resolve `FILE`, `FILE:DATASET` or `DATASET` (of the scan file) to file and dataset.

    Raises:
        ScanError: if it is none of these.
    """
    path, dataset = locate_file(text)
    if dataset is not None or _is_file(text):
        return path, dataset
    if ":" in text or not text or kind_of(scan) not in (FileKind.HDF5, FileKind.NPZ):
        raise ScanError(f"{text}: no such file; give FILE, FILE:DATASET or a dataset of {scan}")
    return scan, text


def _is_file(text: str) -> bool:
    """Whether it is a file or a pipe (refused later); a folder may have the name of a dataset."""
    try:
        return Path(text).exists() and not Path(text).is_dir()
    except (OSError, ValueError):  # for example a name that is too long
        return False
