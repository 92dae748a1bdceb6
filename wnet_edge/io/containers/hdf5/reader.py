"""Safe reading of HDF5, common to the readers of all HDF5 layouts.

Sizes and dtypes are checked before memory is allocated; errors of HDF5 for damaged files become
one line that names file, dataset and remedy.
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
    """Context with the root group of the file, open for reading; HDF5's errors become one line.

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
    """Context with the plain h5py file, without link handling, and whether it is written to (SWMR).

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
    """Check that `path` is a regular file, and register it as input.

    Raises:
        ScanError: in one line with the remedy.
    """
    fault = file_fault(path)
    if fault is not None:
        raise _refusal(path, fault)
    note_input(path, ScanError)


def _refusal(path: Path, fault: Fault) -> ScanError:
    what = "no such file" if fault.what == MISSING else fault.what
    return ScanError(f"{path}: {what}; {fault.cure}")


def dataset_at(file: h5py.Group, path: Path, *names: str) -> h5py.Dataset:
    """The first of these datasets that exists.

    Raises:
        ScanError: if none exists, or only a broken link.
    """
    found = optional_dataset(file, path, *names)
    if found is None:
        raise ScanError(f"{path}: has no dataset /{names[0]}; write it, or convert the file to CXI")
    return found


def optional_dataset(file: h5py.Group, path: Path, *names: str) -> h5py.Dataset | None:
    """The first of these datasets that exists, None if none does.

    Raises:
        ScanError: if one of them is a broken link.
    """
    for name in names:
        found = _child(file, path, name)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            return found
    return None


def followed(group: LinkedGroup, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    """The item of that name; None if it does not exist, or is a broken link."""
    return group.get(name)


def check_link(group: LinkedGroup, path: Path, name: str) -> None:
    """Check that no link on the way to `name` is broken, which is an error, unlike a missing name.

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
    """The error for a dataset: file, dataset, what is wrong, remedy."""
    return ScanError(f"{path}: {dataset.name} {fault}; {cure}")


def check_filters(path: Path, dataset: h5py.Dataset) -> None:
    """Check that all compression filters of a dataset are available here.

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
    """Read a small dataset whole, or the part at indices `at` along its leading axes.

    Raises:
        ScanError: if it is larger than anything but frames, was never written, or can't be
            decompressed.
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
    """Read a dataset of known shape, with at most a few numbers per frame.

    Args:
        path: path of the file.
        dataset: the dataset.
        kinds: permitted kinds of dtype, as in NumPy's `dtype.kind`.
        shape: expected shape, None for any length.
        cure: remedy for another dtype or shape, for the message.
        frame_count: number of frames if known; a dataset with far more entries is refused.

    Raises:
        ScanError: if dtype or shape differ, before anything is read.
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
    """Read a mask (H, W) of numbers or Booleans as int32; its bits depend on the format.

    Floating-point values other than 0 become 1. Bits beyond the 30th are merged into the 30th.

    Raises:
        ScanError: if it is not two-dimensional and numeric, or larger than any detector.
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
    for row, stored in enumerate(values):  # row by row, since a 64-bit mask takes much memory
        bits[row] = (stored & (1 << _LAST_BIT) - 1).astype(_MASK)
        bits[row][stored >> _LAST_BIT != 0] |= 1 << _LAST_BIT
    return Found(bits, dataset.name)


def modes_of(
    path: Path, dataset: h5py.Dataset, at: tuple[int, ...] = ()
) -> Found[NDArray[np.complex64]]:
    """Read a probe, (modes, h, w) or (h, w) complex, with any further axes of length 1.

    Args:
        path: path of the file.
        dataset: dataset of the probe.
        at: indices along leading axes that are not modes.

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
"""Attribute of arrays written by MATLAB (-v7.3), whose axes are in reverse order."""

_COMPLEX_PARTS = (("real", "imag"), ("r", "i"), ("re", "im"))


def is_complex(dataset: h5py.Dataset) -> bool:
    """Whether it holds complex numbers, or real and imaginary parts as MATLAB writes them."""
    return dataset.dtype.kind == "c" or dataset.dtype.names in _COMPLEX_PARTS


def decoded(dataset: h5py.Dataset, values: NDArray[Any]) -> NDArray[Any]:
    """Decode values read from a dataset: MATLAB's complex numbers and axis order."""
    if values.dtype.names in _COMPLEX_PARTS:
        real, imaginary = (values[part] for part in values.dtype.names)
        values = real + np.complex64(1j) * imaginary
    if MATLAB_CLASS in dataset.attrs and values.ndim >= 2:
        values = values.swapaxes(-1, -2)
    return values


@dataclass(frozen=True)
class Hdf5Reader:
    """Reader of one HDF5 layout.

    Attributes:
        recognises: whether an open file has this layout; cheap, raises nothing.
        read: reads the open file, with the user's choice of entry and frames; raises ScanError in
            one line if a part is damaged.
    """

    recognises: Callable[[h5py.File], bool]
    read: Callable[[h5py.File, Path, Wanted], FoundScan]


def as_text(value: Any) -> str:  # noqa: ANN401 - an HDF5 attribute is of any type
    """An HDF5 attribute or scalar dataset as text; the repr of a value that is not text."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
