"""Reading HDF5 safely: what every HDF5 layout's reader shares.

Sizes and number types are judged before memory is taken; whatever HDF5 says of a damaged file
becomes one line that names file, dataset and cure.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.host.inputs import note_input
from wnet_edge.io.containers.hdf5.chunks import check_chunks
from wnet_edge.io.containers.hdf5.faults import (
    HDF5_ERRORS,
    MISSING,
    BrokenLinkError,
    Fault,
    FileRefusedError,
    file_fault,
    open_fault,
)
from wnet_edge.io.containers.hdf5.links import LinkedGroup, OpenFile
from wnet_edge.io.containers.hdf5.opening import Family, open_hdf5
from wnet_edge.io.containers.stacks import MAX_FRAME_PX, MAX_FRAMES, MAX_MODES, MAX_WHOLE_BYTES
from wnet_edge.io.found import Found, FoundScan, Wanted

_MASK = np.dtype(np.int32)
_LAST_BIT = 30
_MANY_MORE = 10


@contextmanager
def opened(path: Path) -> Iterator[LinkedGroup]:
    """The root of the file, open for reading; whatever HDF5 says of it becomes one line.

    Raises:
        ScanError: if there is no such file, or it can't be read.
    """
    note_input(path, ScanError)
    try:
        home = OpenFile(path, Family(path))
        with home.file:
            yield home.root
    except FileRefusedError as refused:
        raise _refusal(path, refused.fault) from refused
    except HDF5_ERRORS as error:
        raise _refusal(path, open_fault(path, error)) from error


@contextmanager
def opened_alone(path: Path) -> Iterator[tuple[h5py.File, bool]]:
    """The file itself, for what is known to be in it, and whether it is being written (SWMR).

    Raises:
        ScanError: as `opened`.
    """
    try:
        file, being_written = open_hdf5(path)
    except FileRefusedError as refused:
        raise _refusal(path, refused.fault) from refused
    with file:
        yield file, being_written


def check_file(path: Path) -> None:
    """See that `path` is a file at all, and keep it from being written over.

    Raises:
        ScanError: in one line with the cure.
    """
    fault = file_fault(path)
    if fault is not None:
        raise _refusal(path, fault)
    note_input(path, ScanError)


def _refusal(path: Path, fault: Fault) -> ScanError:
    what = "no such file" if fault.what == MISSING else fault.what
    return ScanError(f"{path}: {what}; {fault.cure}")


def dataset_at(file: h5py.Group, path: Path, *names: str) -> h5py.Dataset:
    """The first of these datasets that the file has.

    Raises:
        ScanError: if it has none, or only a link that leads nowhere.
    """
    found = optional_dataset(file, path, *names)
    if found is None:
        raise ScanError(f"{path}: has no dataset /{names[0]}; write it, or convert the file to CXI")
    return found


def optional_dataset(file: h5py.Group, path: Path, *names: str) -> h5py.Dataset | None:
    """The first of these datasets that the file has, None where it has none.

    Raises:
        ScanError: if one of them is a link that leads nowhere.
    """
    for name in names:
        found = _child(file, path, name)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            return found
    return None


def followed(group: LinkedGroup, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    """What a name leads to; None where there is none, or where a link leads nowhere."""
    return group.get(name)


def check_link(group: LinkedGroup, path: Path, name: str) -> None:
    """See that no link on the way to `name` leads nowhere: that is a fault, not an absence.

    Raises:
        ScanError: naming the link and its target.
    """
    _child(group, path, name)


def _child(group: LinkedGroup, path: Path, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    try:
        return group[name]
    except BrokenLinkError as broken:
        raise ScanError(f"{path}: {broken.args[0]}") from broken
    except KeyError:
        return None


def dataset_error(path: Path, dataset: h5py.Dataset, fault: str, cure: str) -> ScanError:
    """The error of a dataset: file, dataset, what is wrong, what to do."""
    return ScanError(f"{path}: {dataset.name} {fault}; {cure}")


def check_filters(path: Path, dataset: h5py.Dataset) -> None:
    """See that every compression filter of a dataset can be undone here.

    Raises:
        ScanError: naming the filter.
    """
    creation = dataset.id.get_create_plist()
    for index in range(creation.get_nfilters()):
        code, _, _, name = creation.get_filter(index)
        if not h5py.h5z.filter_avail(code):
            known = as_text(name)[:40]
            fault = f"is compressed with filter {code} ({known}), which is not installed"
            raise dataset_error(
                path, dataset, fault, "update hdf5plugin, or rewrite it with h5repack"
            )


def read_whole(path: Path, dataset: h5py.Dataset, at: tuple[int, ...] = ()) -> NDArray[Any]:
    """A dataset that is small enough, whole, or what lies at indices along its leading axes.

    Raises:
        ScanError: if it is larger than anything but frames, was never written, or is packed in a
            way that can't be undone.
    """
    size = math.prod(dataset.shape[len(at) :]) * dataset.dtype.itemsize
    if size > MAX_WHOLE_BYTES:
        raise dataset_error(
            path, dataset, f"claims {dataset.shape}, {size / 1e6:.0f} MB", "name another"
        )
    check_filters(path, dataset)
    try:
        check_chunks(dataset)
    except ValueError as error:
        raise dataset_error(path, dataset, f"is damaged: {error}", "copy it again") from error
    return np.asarray(dataset[at])


def array_of(
    path: Path,
    dataset: h5py.Dataset,
    kinds: str,
    shape: tuple[int | None, ...],
    cure: str,
    frame_count: int | None = None,
) -> NDArray[Any]:
    """A dataset of known shape (None: any length), of a few numbers a frame at most, read whole.

    Args:
        path: of the file.
        dataset: of a few numbers for each frame.
        kinds: of numbers, as NumPy's `dtype.kind`.
        shape: None for any length.
        cure: of another type or shape.
        frame_count: of the scan, where it is known; far more numbers than that are not read.

    Raises:
        ScanError: if number type or shape differ, before anything is read.
    """
    expected = tuple("N" if n is None else n for n in shape)
    fits = len(dataset.shape) == len(shape) and all(
        wanted in (None, n) for n, wanted in zip(dataset.shape, shape, strict=True)
    )
    if fits and dataset.size > 4 * MAX_FRAMES:
        raise dataset_error(path, dataset, f"claims {dataset.shape} numbers", cure)
    if dataset.dtype.kind not in kinds or not fits:
        fault = f"is {dataset.dtype} {dataset.shape}, not numbers {expected}".replace("'", "")
        raise dataset_error(path, dataset, fault, cure)
    if frame_count is not None and dataset.shape[0] > _MANY_MORE * (frame_count + _MANY_MORE):
        raise dataset_error(
            path, dataset, f"holds {dataset.shape[0]} positions for {frame_count} frames", cure
        )
    return read_whole(path, dataset)


def mask_of(path: Path, dataset: h5py.Dataset) -> Found[NDArray[np.int32]]:
    """A mask (H, W) of numbers or truth values; what its bits mean is the format's business.

    Fractions have no bits: any but 0 is 1. Bits beyond the 30th are set as the 30th.

    Raises:
        ScanError: if it is not two-dimensional numbers, or larger than any detector.
    """
    if dataset.ndim != 2 or max(dataset.shape) > MAX_FRAME_PX or dataset.dtype.kind not in "uibf":
        fault = f"is {dataset.dtype} {dataset.shape}, not numbers (H, W)"
        raise dataset_error(
            path, dataset, fault, "write one mask for all frames, or give --mask none"
        )
    values = read_whole(path, dataset)
    if values.dtype.kind == "f":
        return Found((values != 0).astype(_MASK), dataset.name)
    if values.dtype.itemsize < _MASK.itemsize:
        return Found(values.astype(_MASK), dataset.name)
    bits = np.empty(values.shape, _MASK)
    for row, stored in enumerate(values):  # row by row: a mask of 64 bits fills memory as it is
        bits[row] = (stored & (1 << _LAST_BIT) - 1).astype(_MASK)
        bits[row][stored >> _LAST_BIT != 0] |= 1 << _LAST_BIT
    return Found(bits, dataset.name)


def modes_of(
    path: Path, dataset: h5py.Dataset, at: tuple[int, ...] = ()
) -> Found[NDArray[np.complex64]]:
    """A probe (modes, h, w) or (h, w) complex, whatever further axes of length 1 it has.

    Args:
        path: of the file.
        dataset: of the probe.
        at: indices along leading axes that are no modes.

    Raises:
        ScanError: if it is not complex, not square or too large.
    """
    stored = dataset.shape[len(at) :]
    shape = tuple(n for n in stored[:-2] if n != 1) + stored[-2:]
    fits = 2 <= len(shape) <= 3 and shape[-1] == shape[-2] <= MAX_FRAME_PX
    if not is_complex(dataset) or not fits or (len(shape) == 3 and shape[0] > MAX_MODES):
        fault = f"is {dataset.dtype} {dataset.shape}, not complex (modes, n, n)"
        raise dataset_error(path, dataset, fault, "write a probe, or name another with --probe")
    values = decoded(dataset, read_whole(path, dataset, at))
    probe = values.astype(np.complex64).reshape(-1, *shape[-2:])
    return Found(probe, dataset.name)


MATLAB_CLASS = "MATLAB_class"
"""Attribute of every array that MATLAB writes (-v7.3): it stores the last axis first."""

_COMPLEX_PARTS = (("real", "imag"), ("r", "i"), ("re", "im"))


def is_complex(dataset: h5py.Dataset) -> bool:
    """Whether it holds complex numbers, or pairs of their parts as MATLAB writes them."""
    return dataset.dtype.kind == "c" or dataset.dtype.names in _COMPLEX_PARTS


def decoded(dataset: h5py.Dataset, values: NDArray[Any]) -> NDArray[Any]:
    """What was read of a dataset: pairs of parts as complex numbers, MATLAB's rows as rows."""
    if values.dtype.names in _COMPLEX_PARTS:
        real, imaginary = (values[part] for part in values.dtype.names)
        values = real + np.complex64(1j) * imaginary
    if MATLAB_CLASS in dataset.attrs and values.ndim >= 2:
        values = values.swapaxes(-1, -2)
    return values


@dataclass(frozen=True)
class Hdf5Reader:
    """One HDF5 layout: how to tell it by content, and how to read it.

    Attributes:
        recognises: whether an open file is of this layout; cheap, raises nothing.
        read: what the open file holds, of that what is wanted where there are entries; ScanError
            in one line where a part is damaged.
    """

    recognises: Callable[[h5py.File], bool]
    read: Callable[[h5py.File, Path, Wanted], FoundScan]


def as_text(value: Any) -> str:  # noqa: ANN401 - an HDF5 attribute is of any type
    """An HDF5 attribute or scalar dataset as text; what is no text gives its repr."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
