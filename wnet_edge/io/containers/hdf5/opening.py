"""Opening of HDF5 files and reading of attributes, with limits for a file and all it links to.

Used by `wnet_edge.io.containers.hdf5.links`.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.beside_writer import current_reading, is_locked_by_writer
from wnet_edge.io.containers.hdf5.faults import (
    HDF5_ERRORS,
    IN_A_WRITER,
    BrokenLinkError,
    FileRefusedError,
    cut_short,
    file_fault,
    open_fault,
    superblock,
)
from wnet_edge.io.containers.hdf5.storage import Storage

MAX_OBJECTS = 20_000
"""Largest number of groups and datasets visited in one file and all that it links to."""

MAX_FILES = 3_000
"""Largest number of files opened for one scan file."""

_MAX_TEXTS = 64
"""Largest number of strings in one attribute: a few bytes each may refer to all of the file."""

_SHOWN = 120


@dataclass
class Family:
    """A file given by the user, with all files that it links to.

    Attributes:
        path: path of the given file, for messages.
        left: number of groups and datasets that may still be visited.
        files_left: number of files that may still be opened.
        being_written: whether one of the files is being written to (SWMR).
        storages: storage of virtual datasets, by file number and address.
        broken: why virtual datasets can't be read, likewise.
        on_the_way: datasets whose sources are being checked.
    """

    path: Path
    left: int = MAX_OBJECTS
    files_left: int = MAX_FILES
    being_written: bool = False
    storages: dict[tuple[int, int], Storage] = field(default_factory=dict)
    broken: dict[tuple[int, int], BrokenLinkError] = field(default_factory=dict)
    on_the_way: list[tuple[int, int]] = field(default_factory=list)


def open_hdf5(path: Path) -> tuple[h5py.File, bool]:
    """Open a file for reading; returns it and whether a program is writing to it (SWMR).

    Raises:
        FileRefusedError: if it is no regular file, or HDF5 can't open it.
    """
    fault = file_fault(path)
    if fault is not None:
        raise FileRefusedError(fault)
    reading = current_reading()
    if reading is not None:
        block = superblock(path)
        is_swmr = block is not None and block.has_swmr_writer
        if not is_swmr and is_locked_by_writer(path):
            raise FileRefusedError(IN_A_WRITER)
        reading.note(path)
    locking = None if reading is None else False
    try:
        return h5py.File(path, "r", locking=locking), False
    except HDF5_ERRORS as error:
        block = superblock(path)
        if block is not None and block.has_swmr_writer:
            fault = cut_short(path, block)
            if fault is not None:
                raise FileRefusedError(fault) from error
            try:
                file = h5py.File(path, "r", swmr=True, locking=locking)
            except HDF5_ERRORS:
                pass  # the file was changing; the first error is raised
            else:
                if reading is not None:
                    reading.forget(path)
                return file, True
        raise FileRefusedError(open_fault(path, error)) from error


class BoundedAttributes(h5py.AttributeManager):  # type: ignore[misc]
    """Attributes, with a limit on the size of what is read."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - an attribute is of any type
        attribute = h5py.h5a.open(self._id, self._e(name))
        size = attribute.get_space().get_simple_extent_npoints()
        if size > _MAX_TEXTS and attribute.get_type().get_class() in (
            h5py.h5t.STRING,
            h5py.h5t.VLEN,
        ):
            raise ScanError(
                f"{h5py.h5f.get_name(self._id).decode()}: attribute {name[:_SHOWN]!r} holds {size} "
                f"texts; write at most {_MAX_TEXTS}"
            )
        return super().__getitem__(name)
