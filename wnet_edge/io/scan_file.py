"""Reading of scan files in any format: detection of the format, and the user's overrides.

A file's format is detected from its content, never from its name: HDF5 layouts by their groups,
archives and arrays by their first bytes. Flags override the content of the file.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.file_kind import FileKind, kind_of
from wnet_edge.io.containers.frame_axes import settled_axes
from wnet_edge.io.containers.hdf5.links import LinkedGroup
from wnet_edge.io.containers.hdf5.reader import Hdf5Reader, opened
from wnet_edge.io.containers.image_files import is_of_images
from wnet_edge.io.found import FoundScan, Wanted
from wnet_edge.io.parts.complete_scan import complete_scan
from wnet_edge.io.parts.pairing import paired
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.scan.scan import Scan

HDF5_READERS = (
    "nexus_ptychography",
    "cxi",
    "ptychodus",
    "ptylab",
    "ptypy",
    "eiger",
    "nexus",
    "any_hdf5",
)
"""Modules of `wnet_edge.io.readers`, each with a `READER`, in the order in which they are loaded
and tried: layouts with more specific features come first."""

_Find = Callable[[Path, ReadOptions | None], FoundScan]


def find_scan(source: Path | NDArray[Any], options: ReadOptions | None = None) -> FoundScan:
    """Find the parts of a scan in a file, overridden by `options`.

    Args:
        source: the file; or frames in memory, (N, H, W) counts.
        options: parts that replace those of the file.

    Raises:
        ScanError: in one line with the remedy, if it is no file, of unknown format, or damaged.
    """
    options = options or ReadOptions()
    found = _overridden(_read(source, _wanted(options)), options, find_scan)
    return paired(settled_axes(found), options.frames_range)


def find_growing_scan(path: Path, options: ReadOptions | None = None) -> FoundScan:
    """Find the parts of a scan in a file that is being written, not paired with one another yet.

    Frames and positions are those so far, as many as there are of each; frames are (N, H, W) or
    (rows, columns, H, W) unless `options` says otherwise, and all of them are taken.

    Raises:
        ScanError: as `find_scan`.
    """
    options = options or ReadOptions()
    wanted = replace(_wanted(options), growing=True)
    return _overridden(_read(path, wanted), options, find_growing_scan)


def open_scan(path: Path, options: ReadOptions | None = None) -> Scan:
    """Open a scan file whose frames are already square and centred.

    Raises:
        ScanError: as `find_scan`, or if a part is missing or makes no sense.
    """
    return complete_scan(find_scan(path, options))


def _wanted(options: ReadOptions) -> Wanted:
    unit = options.positions_unit if options.positions is None else None
    return Wanted(options.entry, options.frames, unit)


def _overridden(found: FoundScan, options: ReadOptions, find: _Find) -> FoundScan:
    """The scan with all parts in `options` replaced; `find` reads another scan file."""
    if not options.given:
        return found
    # With what reads arrays and tables of every kind.
    from wnet_edge.io.readers.flag_overrides import named_parts

    return named_parts(found, options, find)


def _read(path: Path | NDArray[Any], wanted: Wanted) -> FoundScan:
    """Content of a file; what reads its kind is loaded when such a file is met."""
    if isinstance(path, np.ndarray):
        from wnet_edge.io.containers.numpy_frames import read_frames_array

        return read_frames_array(path)
    if is_of_images(path):
        from wnet_edge.io.containers.tiff.frames import read_images

        return read_images(path)
    kind = kind_of(path)
    if kind is FileKind.HDF5:
        with opened(path) as file:
            found = _reader_of(file).read(file, path, wanted)
            return replace(found, being_written=file.being_written)
    return _read_arrays(path, kind)


def _reader_of(file: LinkedGroup) -> Hdf5Reader:
    """The first reader that recognises the file; the last one recognises any."""
    modules = (import_module(f"wnet_edge.io.readers.{name}") for name in HDF5_READERS)
    readers: Iterator[Hdf5Reader] = (module.READER for module in modules)
    return next(reader for reader in readers if reader.recognises(file))


def _read_arrays(path: Path, kind: FileKind) -> FoundScan:
    """Content of a file that is not HDF5.

    Raises:
        ScanError: if it holds no scan.
    """
    if kind is FileKind.NPZ:
        from wnet_edge.io.readers.npz import read_npz

        return read_npz(path)
    if kind is FileKind.NPY:
        from wnet_edge.io.containers.numpy_frames import read_npy

        return read_npy(path)
    if kind is FileKind.TIFF:
        from wnet_edge.io.containers.tiff.frames import read_tiff

        return read_tiff(path)
    raise ScanError(
        f"{path}: is not a scan file: neither HDF5, NumPy nor TIFF; convert it to CXI or NPZ"
    )
