"""From a path to what lies there: the one place that knows all formats of scans.

A file's format is told by its content, never by its name: HDF5 layouts by their groups, archives
and arrays by their first bytes. What a flag says replaces what the file says.
"""

from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.io import any_hdf5, cxi
from wnet_edge.io.complete import complete_scan
from wnet_edge.io.found import FoundScan
from wnet_edge.io.hdf5 import check_file, opened
from wnet_edge.io.named_parts import named_parts
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.scan import Scan

HDF5_READERS = (cxi.READER, any_hdf5.READER)
"""Tried in this order: a layout that is told by a more particular sign comes first."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_MAGIC_OFFSETS = (0, 512, 1024, 2048)
"""HDF5 may begin with a user block whose length is a power of two."""


def find_scan(path: Path, options: ReadOptions | None = None) -> FoundScan:
    """What the file holds and where, with what `options` say in place of it.

    Raises:
        ScanError: in one line with the cure, if it is no file, of no known format, or damaged.
    """
    options = options or ReadOptions()
    return named_parts(_read(path), options, find_scan)


def open_scan(path: Path, options: ReadOptions | None = None) -> Scan:
    """The scan in a file whose frames are square and centred already.

    Raises:
        ScanError: as `find_scan`, or if a part is missing or makes no sense.
    """
    return complete_scan(find_scan(path, options))


def _read(path: Path) -> FoundScan:
    check_file(path)
    magic = _first_bytes(path)
    if magic is _HDF5_MAGIC:
        with opened(path) as file:
            reader = next(reader for reader in HDF5_READERS if reader.recognises(file))
            return reader.read(file, path)
    if not path.stat().st_size:
        raise ScanError(f"{path}: is empty; wait until it is written, or copy it again")
    raise ScanError(
        f"{path}: is no scan file: neither HDF5, NumPy nor TIFF; convert it to CXI or NPZ"
    )


def _first_bytes(path: Path) -> bytes:
    """The first bytes of the file, `_HDF5_MAGIC` itself wherever HDF5 begins."""
    try:
        with path.open("rb") as file:
            for offset in _MAGIC_OFFSETS:
                file.seek(offset)
                if file.read(len(_HDF5_MAGIC)) == _HDF5_MAGIC:
                    return _HDF5_MAGIC
            file.seek(0)
            return file.read(len(_HDF5_MAGIC))
    except OSError as error:
        raise ScanError(
            f"{path}: can't be read ({(error.strerror or str(error)).lower()}); "
            "check its permissions"
        ) from error
