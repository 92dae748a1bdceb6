"""Reading HDF5 safely: what every HDF5 layout's reader shares.

Sizes and number types are judged before memory is taken; whatever HDF5 says of a damaged file
becomes one line that names file, dataset and cure.
"""

import math
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the compression filters that detectors write with
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.found import Found, as_text
from wnet_edge.io.stacks import MAX_FRAME_PX, MAX_FRAMES, MAX_MODES
from wnet_edge.io.units import Quantity, unit_factor

_SAME_NUMBER = 1e-3
"""Relative: a number that is logged for each frame may jitter so much."""


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; whatever HDF5 says of it becomes one line.

    Raises:
        ScanError: if there is no such file, or it can't be read.
    """
    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, ValueError, TypeError, KeyError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        if "unable to lock" in reason:
            raise ScanError(
                f"{path}: another program is writing it; wait until it is complete"
            ) from error
        raise ScanError(
            f"{path}: can't be read as HDF5 ({reason}); copy it again, or convert it to CXI"
        ) from error


def check_file(path: Path) -> None:
    """See that `path` is a file at all.

    Raises:
        ScanError: in one line with the cure.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise ScanError(f"{path}: no such file; check the path") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise ScanError(f"{path}: can't be read ({reason}); check the path") from error
    if stat.S_ISDIR(mode):
        raise ScanError(f"{path}: is a folder; name a scan file in it")
    if not stat.S_ISREG(mode):
        raise ScanError(f"{path}: is a device or a pipe, not a file; save it as a file first")


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
        found = followed(file, name)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            return found
        if found is None:
            check_link(file, path, name)
    return None


def followed(group: h5py.Group, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    """What a name leads to; None where a link leads nowhere, or to itself."""
    try:
        return group.get(name)
    except (OSError, RuntimeError):
        return None


def check_link(file: h5py.Group, path: Path, name: str) -> None:
    """See that no link on the way to `name` leads nowhere: that is a fault, not an absence.

    Raises:
        ScanError: naming the link and its target.
    """
    steps = name.strip("/").split("/")
    for count in range(1, len(steps) + 1):
        at = "/".join(steps[:count])
        if followed(file, at) is None:
            _refuse_broken_link(file, path, at)
            return


def _refuse_broken_link(file: h5py.Group, path: Path, name: str) -> None:
    try:
        link = file.get(name, getlink=True)
    except (KeyError, RuntimeError, ValueError):
        return
    where = f"{file.name.rstrip('/')}/{name}"
    if isinstance(link, h5py.ExternalLink):
        raise ScanError(
            f"{path}: {where} links to {link.filename}:{link.path}, which is not there; "
            "copy that file beside this one"
        )
    if isinstance(link, h5py.SoftLink):
        raise ScanError(f"{path}: {where} links to {link.path}, which is not there; mend the link")


def bad(path: Path, dataset: h5py.Dataset, fault: str, cure: str) -> ScanError:
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
            fault = f"is compressed with filter {code} ({as_text(name)[:40]}), which is not here"
            raise bad(path, dataset, fault, "update hdf5plugin, or rewrite it with h5repack")


def number_of(
    path: Path,
    dataset: h5py.Dataset,
    quantity: Quantity | None = None,
    unit: str | None = None,
) -> Found[float]:
    """A dataset of one number in metres, electronvolts or, without a quantity, as it is.

    Args:
        path: of the file.
        dataset: of one element, or of one per frame that are the same.
        quantity: what it measures.
        unit: where the dataset has no attribute `units`; None: it must have one.

    Raises:
        ScanError: if it is not one number, or its unit is missing or unknown.
    """
    if not 1 <= (dataset.size or 0) <= MAX_FRAMES or dataset.dtype.kind not in "uif":
        raise bad(path, dataset, "is not one number", "write a scalar")
    values = np.asarray(dataset[()], dtype=np.float64).reshape(-1)
    value = float(np.median(values))
    if np.ptp(values) > _SAME_NUMBER * abs(value):
        fault = f"is not one number but {values.min():.6g} … {values.max():.6g}"
        raise bad(path, dataset, fault, "write a scalar")
    if not math.isfinite(value):
        raise bad(path, dataset, f"is {value}", "write the number")
    if quantity is None:
        return Found(value, dataset.name)
    return Found(value * factor_of(path, dataset, quantity, unit), dataset.name)


def unit_of(dataset: h5py.Dataset) -> str:
    """The unit that is written beside a dataset, "" without one."""
    return as_text(dataset.attrs.get("units", dataset.attrs.get("unit", ""))).strip()


def factor_of(path: Path, dataset: h5py.Dataset, quantity: Quantity, unit: str | None) -> float:
    """Metres or electronvolts to one of the dataset's unit, `unit` where it names none.

    Raises:
        ScanError: if the unit is missing or unknown.
    """
    given = unit_of(dataset) or unit or ""
    factor = unit_factor(given, quantity)
    if factor is None:
        fault = f"is in {given[:20]!r}, which is no known unit" if given else "has no unit"
        raise bad(path, dataset, fault, f"write its attribute units, {quantity.value} say")
    return factor


def array_of(
    path: Path, dataset: h5py.Dataset, kinds: str, shape: tuple[int | None, ...], cure: str
) -> NDArray[Any]:
    """A dataset of known shape (None: any length), of a few numbers a frame at most, read whole.

    Raises:
        ScanError: if number type or shape differ, before anything is read.
    """
    expected = tuple("N" if n is None else n for n in shape)
    fits = len(dataset.shape) == len(shape) and all(
        wanted in (None, n) for n, wanted in zip(dataset.shape, shape, strict=True)
    )
    if fits and dataset.size > 4 * MAX_FRAMES:
        raise bad(path, dataset, f"claims {dataset.shape} numbers", cure)
    if dataset.dtype.kind not in kinds or not fits:
        fault = f"is {dataset.dtype} {dataset.shape}, not numbers {expected}".replace("'", "")
        raise bad(path, dataset, fault, cure)
    check_filters(path, dataset)
    array: NDArray[Any] = np.asarray(dataset[()])
    return array


def mask_of(path: Path, dataset: h5py.Dataset) -> Found[NDArray[np.int64]]:
    """A mask (H, W) of integers or truth values; what its bits mean is the format's business.

    Raises:
        ScanError: if it is not two-dimensional integers, or larger than any detector.
    """
    if dataset.ndim != 2 or max(dataset.shape) > MAX_FRAME_PX or dataset.dtype.kind not in "uib":
        fault = f"is {dataset.dtype} {dataset.shape}, not integers (H, W)"
        raise bad(path, dataset, fault, "write one mask for all frames, or give --mask none")
    check_filters(path, dataset)
    return Found(np.asarray(dataset[()]).astype(np.int64), dataset.name)


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
    if dataset.dtype.kind != "c" or not fits or (len(shape) == 3 and shape[0] > MAX_MODES):
        fault = f"is {dataset.dtype} {dataset.shape}, not complex (modes, n, n)"
        raise bad(path, dataset, fault, "write a probe, or name another with --probe")
    check_filters(path, dataset)
    probe = np.asarray(dataset[at], dtype=np.complex64).reshape(-1, *shape[-2:])
    return Found(probe, dataset.name)
