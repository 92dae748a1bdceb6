"""File type of a path, by its first bytes and never by its name."""

from enum import Enum
from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.faults import HDF5_MAGIC, HDF5_OFFSETS
from wnet_edge.io.containers.hdf5.reader import check_file


class FileKind(Enum):
    """File types that hold scans or parts of scans."""

    HDF5 = "HDF5"
    NPZ = "NPZ"
    NPY = "NPY"
    TIFF = "TIFF"
    OTHER = "other"


_MAGICS = {
    b"PK\x03\x04": FileKind.NPZ,
    b"PK\x05\x06": FileKind.NPZ,  # an archive without members
    b"\x93NUMPY": FileKind.NPY,
    b"II*\0": FileKind.TIFF,
    b"MM\0*": FileKind.TIFF,
    b"II+\0": FileKind.TIFF,  # BigTIFF
    b"MM\0+": FileKind.TIFF,
}


def kind_of(path: Path) -> FileKind:
    """File type of the file at `path`.

    Raises:
        ScanError: if there is no such file, it is empty, or it can't be read.
    """
    check_file(path)
    try:
        with path.open("rb") as file:
            for offset in HDF5_OFFSETS:
                file.seek(offset)
                if file.read(len(HDF5_MAGIC)) == HDF5_MAGIC:
                    return FileKind.HDF5
            file.seek(0)
            first = file.read(len(HDF5_MAGIC))
    except OSError as error:
        raise ScanError(
            f"{path}: can't be read ({(error.strerror or str(error)).lower()}); "
            "check its permissions"
        ) from error
    if not first:
        raise ScanError(f"{path}: is empty; wait until it is written, or copy it again")
    return next(
        (kind for magic, kind in _MAGICS.items() if first.startswith(magic)), FileKind.OTHER
    )
