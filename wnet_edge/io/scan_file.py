"""Reading of scan files in any format: detection of the format, and the user's overrides.

A file's format is detected from its content, never from its name: HDF5 layouts by their groups,
archives and arrays by their first bytes. Flags override the content of the file.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.file_kind import FileKind, kind_of
from wnet_edge.io.containers.frame_axes import settled_axes
from wnet_edge.io.containers.hdf5.reader import opened
from wnet_edge.io.containers.image_files import is_of_images
from wnet_edge.io.containers.numpy_frames import read_frames_array, read_npy
from wnet_edge.io.containers.tiff.frames import read_images, read_tiff
from wnet_edge.io.found import FoundScan, Wanted
from wnet_edge.io.parts.complete_scan import complete_scan
from wnet_edge.io.parts.pairing import paired
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.readers import any_hdf5, cxi, eiger, nexus, ptychodus, ptylab, ptypy
from wnet_edge.io.readers.flag_overrides import named_parts
from wnet_edge.io.readers.npz import read_npz
from wnet_edge.scan.scan import Scan

HDF5_READERS = (
    nexus.PTYCHOGRAPHY_READER,
    cxi.READER,
    ptychodus.READER,
    ptylab.READER,
    ptypy.READER,
    eiger.READER,
    nexus.READER,
    any_hdf5.READER,
)
"""Readers in the order in which they are tried: layouts with more specific features come first."""

_OTHER_READERS = {FileKind.NPZ: read_npz, FileKind.NPY: read_npy, FileKind.TIFF: read_tiff}


def find_scan(source: Path | NDArray[Any], options: ReadOptions | None = None) -> FoundScan:
    """Find the parts of a scan in a file, overridden by `options`.

    Args:
        source: the file; or frames in memory, (N, H, W) counts.
        options: parts that replace those of the file.

    Raises:
        ScanError: in one line with the remedy, if it is no file, of unknown format, or damaged.
    """
    options = options or ReadOptions()
    found = named_parts(_read(source, _wanted(options)), options, find_scan)
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
    return named_parts(_read(path, wanted), options, find_growing_scan)


def open_scan(path: Path, options: ReadOptions | None = None) -> Scan:
    """Open a scan file whose frames are already square and centred.

    Raises:
        ScanError: as `find_scan`, or if a part is missing or makes no sense.
    """
    return complete_scan(find_scan(path, options))


def _wanted(options: ReadOptions) -> Wanted:
    unit = options.positions_unit if options.positions is None else None
    return Wanted(options.entry, options.frames, unit)


def _read(path: Path | NDArray[Any], wanted: Wanted) -> FoundScan:
    if isinstance(path, np.ndarray):
        return read_frames_array(path)
    if is_of_images(path):
        return read_images(path)
    kind = kind_of(path)
    if kind is FileKind.HDF5:
        with opened(path) as file:
            reader = next(reader for reader in HDF5_READERS if reader.recognises(file))
            found = reader.read(file, path, wanted)
            return replace(found, being_written=file.being_written)
    if kind in _OTHER_READERS:
        return _OTHER_READERS[kind](path)
    raise ScanError(
        f"{path}: is not a scan file: neither HDF5, NumPy nor TIFF; convert it to CXI or NPZ"
    )
