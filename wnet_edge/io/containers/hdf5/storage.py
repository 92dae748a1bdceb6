"""Check of an HDF5 dataset's storage (chunks, external files, virtual sources) before reading.

Used by `wnet_edge.io.containers.hdf5.links`. HDF5 silently returns zeros for missing files of a
virtual dataset; it trusts the stated size of a chunk and decompresses it without a limit.
"""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.containers.hdf5.chunks import check_chunk_sizes
from wnet_edge.io.containers.hdf5.faults import (
    BEING_WRITTEN,
    HDF5_ERRORS,
    MISSING,
    BrokenLinkError,
    FileRefusedError,
    file_fault,
    links_fault,
)
from wnet_edge.io.containers.hdf5.filters import register_filters
from wnet_edge.io.containers.stacks import MAX_FRAMES

if TYPE_CHECKING:
    from wnet_edge.io.containers.hdf5.links import OpenFile

MAX_CHUNK_BYTES = 256 << 20
"""Largest chunk; HDF5 decompresses a chunk whole, however little of it is read."""

MAX_MISSING_SHARE = 0.1
"""Largest fraction of frames that a virtual dataset may lack, as for other bad frames."""

_MAX_ELEMENT_BYTES = 1 << 20
_MAX_SOURCES = 5_000
_MAX_READS = 100_000
"""Largest number of datasets read for one, through nested virtual datasets."""

_MAX_CHAIN = 8
_MAX_OVERLAP = 4
"""Largest number of times that the sources of a virtual dataset may cover it."""

_MAX_PLACED = 10 * MAX_FRAMES
"""Largest number of frames in all sources together that are checked."""

_FOLDERS = "HDF5_VDS_PREFIX"
_RAW_FOLDER = "HDF5_EXTFILE_PREFIX"
_NUMBER = "%b"
_COPY = "copy that file next to this one"
_BITSHUFFLE = 32008
_KEEP_SIZE = (
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_NBIT,
    h5py.h5z.FILTER_SCALEOFFSET,
)


@dataclass(frozen=True)
class Storage:
    """Files and datasets that are read for a dataset.

    Attributes:
        shape: shape of the dataset; None for several numbered ones.
        files: files with its data.
        reads: number of datasets that are read for it.
    """

    shape: tuple[int, ...] | None = None
    files: frozenset[Path] = frozenset()
    reads: int = 0


def check_storage(home: "OpenFile", dataset: h5py.Dataset) -> Storage:
    """Check that a dataset's data exist, and that parts of it can be read separately.

    Raises:
        BrokenLinkError: in one line with the remedy.
    """
    register_filters(dataset)
    creation = dataset.id.get_create_plist()
    layout = creation.get_layout()
    fault = cure = ""
    element_bytes = dataset.id.get_type().get_size()
    try:
        known = dataset.dtype is not None
    except HDF5_ERRORS:
        known = False
    chunk_bytes = element_bytes
    if layout == h5py.h5d.CHUNKED:
        chunk_bytes *= math.prod(creation.get_chunk())
    where = home.where(dataset.name)
    if not known:
        fault, cure = "holds values of a type that NumPy does not know", "write integers or floats"
    elif element_bytes > _MAX_ELEMENT_BYTES:
        fault, cure = f"holds values of {element_bytes / 1e6:.0f} MB each", "name another"
    elif chunk_bytes > MAX_CHUNK_BYTES:
        fault = f"has chunks of {chunk_bytes / 1e6:.0f} MB, unpacked whole for every frame"
        cure = f"h5repack -l {where}:CHUNK=1xHxW gives each frame one"
    elif layout == h5py.h5d.CHUNKED and _compressors(creation) > 1:
        fault = f"is compressed {_compressors(creation)} times over"
        cure = "rewrite it with h5repack, if you trust it"
    if fault:
        raise _error(home, dataset, fault, cure)
    if layout == h5py.h5d.VIRTUAL:
        return _virtual(home, dataset, creation)
    if creation.get_external_count():
        return Storage(dataset.shape, _external(home, dataset, creation), 1)
    return Storage(dataset.shape, reads=1)


def _compressors(creation: Any) -> int:  # noqa: ANN401 - h5py has no types
    filters = [creation.get_filter(index) for index in range(creation.get_nfilters())]
    return sum(
        code not in _KEEP_SIZE and not (code == _BITSHUFFLE and len(values) > 4 and not values[4])
        for code, _, values, _ in filters
    )


def _external(home: "OpenFile", dataset: h5py.Dataset, creation: Any) -> frozenset[Path]:  # noqa: ANN401
    """External raw data files, checked to be regular files of sufficient length."""
    files = []
    left = math.prod(dataset.shape or ()) * dataset.id.get_type().get_size()
    for index in range(min(creation.get_external_count(), _MAX_SOURCES)):
        name, offset, size = creation.get_external(index)
        shown = f"keeps its numbers in {os.fsdecode(name)}, which"
        folder = os.environ.get(_RAW_FOLDER, "").replace("${ORIGIN}", str(home.folder))
        place = Path(folder) / os.fsdecode(name)
        fault = links_fault() or file_fault(place)
        if fault is not None:
            raise _error(home, dataset, f"{shown} {fault.what}", fault.cure)
        end = offset + min(size, left)
        if place.stat().st_size < end:
            cut = f"is cut short, {place.stat().st_size} of {end} bytes"
            raise _error(home, dataset, f"{shown} {cut}", "copy that file again")
        left -= min(size, left)
        files.append(place)
    return frozenset(files)


def _virtual(home: "OpenFile", dataset: h5py.Dataset, creation: Any) -> Storage:  # noqa: ANN401
    """Check that all sources of a virtual dataset exist.

    Raises:
        BrokenLinkError: if a file or dataset is missing, can't be read, or refers back to it.
    """
    family, key = home.family, address_of(dataset)
    if key in family.storages:
        return family.storages[key]
    if key in family.broken:
        raise family.broken[key]
    if key in family.on_the_way:
        raise _error(home, dataset, "is assembled from itself", "name another")
    if len(family.on_the_way) == _MAX_CHAIN:
        fault = f"is assembled through more than {_MAX_CHAIN} virtual datasets"
        raise _error(home, dataset, fault, "write it as one dataset")
    names = [
        (creation.get_virtual_filename(index), creation.get_virtual_dsetname(index))
        for index in range(min(creation.get_virtual_count(), _MAX_READS + 1))
    ]
    distinct = sorted(set(names))
    if len(names) > _MAX_READS or len(distinct) > _MAX_SOURCES:
        fault = f"is assembled from {len(distinct)} datasets in {len(names)} parts"
        raise _error(home, dataset, fault, "write it as one dataset")
    family.on_the_way.append(key)
    try:
        sources = {pair: _source(home, dataset, *pair) for pair in distinct}
    except BrokenLinkError as error:
        family.broken[key] = error
        raise
    finally:
        family.on_the_way.pop()
    reads = sum(sources[pair].reads for pair in names)
    if reads > _MAX_READS:
        raise _error(home, dataset, f"is assembled by {reads} reads", "write it as one dataset")
    _check_coverage(home, dataset, creation, [sources[pair] for pair in names])
    files = frozenset().union(*(source.files for source in sources.values()))
    family.storages[key] = Storage(dataset.shape, files, 1 + reads)
    return family.storages[key]


def _source(home: "OpenFile", dataset: h5py.Dataset, name: str, target: str) -> Storage:
    """The source of that name, or all numbered ones up to the first missing one, as in HDF5.

    Raises:
        BrokenLinkError: if it is missing, or can't be read.
    """
    if _NUMBER not in name + target:
        return _one_source(home, dataset, name, target)
    found: list[Storage] = []
    for number in range(_MAX_SOURCES):
        file, inner = (text.replace(_NUMBER, str(number)) for text in (name, target))
        if number and not _is_there(home, file):
            after = name.replace(_NUMBER, str(number + 1))
            if _is_there(home, after):
                fault = f"is assembled from {file}, which {MISSING}, and {after}, which is"
                raise _error(home, dataset, fault, _COPY)
            break
        try:
            found.append(_one_source(home, dataset, file, inner))
        except BrokenLinkError:
            if number and _NUMBER in target:
                break
            raise
    files = frozenset().union(*(source.files for source in found))
    return Storage(None, files, sum(source.reads for source in found))


def _one_source(home: "OpenFile", dataset: h5py.Dataset, name: str, target: str) -> Storage:
    shown = f"is assembled from {name}"
    try:
        other = home if name == "." else home.linked(name, _FOLDERS)
    except FileRefusedError as error:
        fault = error.fault
        raise _error(home, dataset, f"{shown}, which {fault.what}", fault.cure) from error
    if other.being_written and not home.being_written:  # HDF5 opens both in the same mode
        raise _error(home, dataset, f"{shown}, which {BEING_WRITTEN.what}", BEING_WRITTEN.cure)
    found = other.source(target)
    if found is None:
        shown += f":{target}, which is not in that file"
        raise _error(home, dataset, shown, "name another with --frames, or correct it")
    try:
        check_chunk_sizes(found)
    except ValueError as error:
        damage = f"{shown}:{target}, which is damaged: {error}"
        raise _error(home, dataset, damage, "copy it again") from error
    files = found.storage.files if other is home else found.storage.files | {other.path}
    return replace(found.storage, files=files)


def _is_there(home: "OpenFile", name: str) -> bool:
    if name == ".":
        return True
    try:
        home.beside(name, _FOLDERS)
    except FileRefusedError:
        return False
    return True


def _check_coverage(
    home: "OpenFile",
    dataset: h5py.Dataset,
    creation: Any,  # noqa: ANN401 - h5py has no types
    sources: list[Storage],
) -> None:
    """Check that the sources cover nearly every frame, and none many times.

    HDF5 itself limits an unlimited virtual dataset to the existing sources.

    Raises:
        BrokenLinkError: with the number of missing frames.
    """
    shape = dataset.shape
    if not shape or not 0 < shape[0] <= MAX_FRAMES or any(s.shape is None for s in sources):
        return
    covered = np.zeros(shape[0], np.bool_)
    points = placed = 0
    for index, source in enumerate(sources):
        here = creation.get_virtual_vspace(index)
        there = creation.get_virtual_srcspace(index)
        try:
            points += here.get_select_npoints()
            target = _along_first_axis(here)
            whole = there.get_select_type() == h5py.h5s.SEL_ALL
            origin = np.arange(len(target)) if whole else _along_first_axis(there)
        except HDF5_ERRORS:  # unlimited
            return
        placed += len(target)
        if points > _MAX_OVERLAP * math.prod(shape) or placed > _MAX_PLACED:
            fault = "is assembled from parts that lie over each other"
            raise _error(home, dataset, fault, "write it as one dataset")
        if len(target) == len(origin) and len(source.shape or ()) == len(shape):
            target = target[: int(np.searchsorted(origin, (source.shape or ())[0]))]
        covered[target[target < shape[0]]] = True
    missing = shape[0] - int(np.count_nonzero(covered))
    if missing > MAX_MISSING_SHARE * shape[0]:
        fault = f"is assembled from files that hold {shape[0] - missing} of {shape[0]} frames"
        raise _error(home, dataset, fault, "wait until they are complete, or copy the others, too")


def _along_first_axis(space: Any) -> NDArray[np.int64]:  # noqa: ANN401 - h5py has no types
    """Indices along the first axis in a selection, ascending.

    Raises:
        OverflowError: for an unlimited selection; also any error of HDF5.
    """
    if space.get_select_type() == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab():
        start, stride, count, block = (int(part[0]) for part in space.get_regular_hyperslab())
        if count * block > _MAX_PLACED:
            raise ValueError("is unlimited")
        blocks = start + stride * np.arange(count)
        return np.asarray((blocks[:, None] + np.arange(block)).reshape(-1), np.int64)
    low, high = (int(corner[0]) for corner in space.get_select_bounds())
    return np.arange(low, min(high, low + _MAX_PLACED) + 1)


def address_of(item: h5py.Group | h5py.Dataset) -> tuple[int, int]:
    """File number and address, which identify an object while its file is open."""
    info = h5py.h5o.get_info(item.id)
    return info.fileno, info.addr


def _error(home: "OpenFile", dataset: h5py.Dataset, fault: str, cure: str) -> BrokenLinkError:
    return BrokenLinkError(f"{home.where(dataset.name)} {fault}; {cure}")
