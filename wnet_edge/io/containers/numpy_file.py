"""Safe reading of NumPy's .npy and .npz: no pickle, and headers are checked before data are read.

For whole arrays: reference images, positions, probes and masks; lazily read stacks are in
`wnet_edge.io.containers.numpy_frames`. Functions on open files raise ValueError, which `readable`
turns into one line that names the file.
"""

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.stacks import MAX_WHOLE_BYTES

_READ_BYTES = 2**24
_MAX_HEADER_BYTES = 1 << 16
_SUFFIX = ".npy"
_STORED_BY_NUMPY = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MOST_OF_DEFLATE = 1032
"""Largest compression ratio of deflate (zlib's technical notes)."""

_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    IndexError,
    RuntimeError,
    OverflowError,
    SyntaxError,
    MemoryError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class ArrayHeader:
    """Header of an array.

    Attributes:
        shape: shape of the array.
        dtype: stored dtype.
        fortran_order: whether the first axis varies fastest.
        offset: bytes from the start of the header to the first value.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran_order: bool
    offset: int

    @property
    def byte_count(self) -> int:
        """Size of the data in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


@contextmanager
def readable(path: Path, kind: str) -> Iterator[None]:
    """Context that turns errors of readers for damaged or invalid files into one line.

    Raises:
        ScanError: naming the file, what is wrong and the remedy.
    """
    try:
        yield
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ScanError(
            f"{path}: can't be read as {kind} ({reason}); copy it again, or save it again"
        ) from error


def read_header(file: IO[bytes], name: str) -> ArrayHeader:
    """Read the header of an array, leaving the file at its first value.

    Raises:
        ValueError: if it is no array, or a pickled one.
    """
    start = file.tell()
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        shape, fortran_order, dtype = np.lib.format.read_array_header_1_0(file)
    elif version in ((2, 0), (3, 0)):  # 3.0 only adds names of fields beyond Latin-1
        length = file.read(4)
        if int.from_bytes(length, "little") > _MAX_HEADER_BYTES:
            raise ValueError(f"`{name}` has a header of {int.from_bytes(length, 'little')} bytes")
        header = io.BytesIO(length + file.read(int.from_bytes(length, "little")))
        shape, fortran_order, dtype = np.lib.format.read_array_header_2_0(header)
    else:
        raise ValueError(f"`{name}` is an array of a version that is not known")
    if dtype.hasobject:
        raise ValueError(f"`{name}` is pickled, which is never loaded")
    if any(n < 0 for n in shape):
        raise ValueError(f"`{name}` claims the shape {shape}")
    return ArrayHeader(shape, dtype, bool(fortran_order), file.tell() - start)


def read_values(file: IO[bytes], name: str, max_values: int | None = None) -> NDArray[Any]:
    """Read an array whole from an open file, after a check of its header.

    Args:
        file: file at the start of the array, which must be the last one in it.
        name: name for messages.
        max_values: largest number of values; None for a limit of `MAX_WHOLE_BYTES`.

    Raises:
        ValueError: if it is not numeric, too large, or its length differs from its header.
    """
    header = read_header(file, name)
    count = math.prod(header.shape)
    too_many = header.byte_count > MAX_WHOLE_BYTES if max_values is None else count > max_values
    if too_many:
        raise ValueError(f"`{name}` claims {header.shape} values, too many to read")
    if header.dtype.kind not in "uifcb":
        raise ValueError(f"`{name}` holds {header.dtype}, not numbers")
    return read_rest(file, name, header)


def read_rest(file: IO[bytes], name: str, header: ArrayHeader) -> NDArray[Any]:
    """Read the values after a header that has been checked.

    Raises:
        ValueError: if there are more or fewer bytes than stated in the header.
    """
    values = np.empty(math.prod(header.shape), header.dtype)
    room = values.view(np.uint8)
    filled = 0
    while filled < len(room):
        data = file.read(min(_READ_BYTES, len(room) - filled))
        if not data:
            raise ValueError(f"`{name}` ends after {filled} of {len(room)} bytes")
        room[filled : filled + len(data)] = np.frombuffer(data, np.uint8)
        filled += len(data)
    if file.read(1):  # reading to the end of an archive's member also verifies its checksum
        raise ValueError(f"`{name}` continues after its {len(room)} bytes")
    return values.reshape(header.shape, order="F" if header.fortran_order else "C")


@contextmanager
def opened_npz(path: Path) -> Iterator[zipfile.ZipFile]:
    """Context with the archive, open for reading.

    Raises:
        ScanError: if it, or what is read of it in the context, is damaged.
    """
    with readable(path, "NPZ"), zipfile.ZipFile(path) as archive:
        names = member_names(archive)
        if len(set(names)) < len(names):
            twice = Counter(names).most_common(1)[0][0]
            raise ScanError(f"{path}: holds {twice} twice; save it with np.savez again")
        yield archive


def member_names(archive: zipfile.ZipFile) -> list[str]:
    """Names of the arrays in an archive, as in np.load."""
    names = archive.namelist()
    return [name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX)]


def open_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    """Open the stream of an array in an archive.

    Raises:
        ValueError: if its size is impossible, or it is not compressed as by NumPy.
    """
    info = archive.getinfo(name + _SUFFIX)
    if info.flag_bits & 1:
        raise ValueError(f"`{name}` is encrypted")
    if info.compress_type not in _STORED_BY_NUMPY:
        raise ValueError(f"`{name}` is compressed in a way that NumPy does not use")
    most = info.compress_size
    if info.compress_type == zipfile.ZIP_DEFLATED:
        most *= _MOST_OF_DEFLATE
    if info.file_size > most:
        raise ValueError(
            f"`{name}` claims {info.file_size} bytes of {info.compress_size}, which can't be"
        )
    return archive.open(info)


def read_member(
    archive: zipfile.ZipFile, name: str, max_values: int | None = None
) -> NDArray[Any] | None:
    """Read array `name` of an archive after a check of its header; None if there is none.

    Raises:
        ValueError: as `read_values`; zipfile.BadZipFile and zlib.error if it is damaged.
    """
    if name not in member_names(archive):
        return None
    with open_member(archive, name) as file:
        return read_values(file, name, max_values)
