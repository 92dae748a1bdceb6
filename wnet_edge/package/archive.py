"""Canonical zip archives and `.npy` arrays: exactly one sequence of bytes for a given content.

The lowest layer of the package file. Reading does not trust headers: it extracts the members,
writes the archive anew and compares the bytes, so that no byte can differ unnoticed. Stored, never
deflated, so that the content is never larger than the file. No pickle.
"""

import math
import struct
import zlib
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Scalar = TypeVar("Scalar", bound=np.generic)

# PKWARE APPNOTE 6.3.10, sections 4.3.7, 4.3.12 and 4.3.16. Version 2.0, made on Unix, no flags,
# stored, 1980-01-01 00:00, -rw-r--r--: nothing in a header depends on when or where it was written.
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
_VERSION, _MADE_BY_UNIX = 20, (3 << 8) | 20
_MIDNIGHT, _FIRST_DAY = 0, 0x21
_REGULAR_FILE_644 = 0o100644 << 16

MAX_MEMBERS = 64
"""Largest number of members, more than any package has: bounds the work for a malicious file."""


def archive_bytes(members: Mapping[str, bytes], comment: bytes = b"") -> bytes:
    """The canonical zip archive of `members` (ASCII name to content), in order, with `comment`."""
    parts: list[bytes] = []
    central: list[bytes] = []
    offset = 0
    for name, content in members.items():
        raw_name = name.encode("ascii")
        size = len(content)
        shared = (0, 0, _MIDNIGHT, _FIRST_DAY, zlib.crc32(content), size, size, len(raw_name), 0)
        local = _LOCAL.pack(_LOCAL_MAGIC, _VERSION, *shared) + raw_name
        parts += [local, content]
        central.append(
            _CENTRAL.pack(
                _CENTRAL_MAGIC, _MADE_BY_UNIX, _VERSION, *shared, 0, 0, 0, _REGULAR_FILE_644, offset
            )
            + raw_name
        )
        offset += len(local) + size
    directory = b"".join(central)
    count = len(members)
    end = _END.pack(_END_MAGIC, 0, 0, count, count, len(directory), offset, len(comment))
    return b"".join([*parts, directory, end, comment])


def archive_members(data: bytes) -> tuple[dict[str, bytes], bytes]:
    """Members (name to content, in order) and comment of a canonical archive.

    Raises:
        ValueError: if `data` differs in any byte from `archive_bytes` of its members.
    """
    members: dict[str, bytes] = {}
    offset = 0
    while data[offset : offset + 4] == _LOCAL_MAGIC:
        start = offset + _LOCAL.size
        if start > len(data) or len(members) == MAX_MEMBERS:
            raise ValueError("cut short, or too many members")
        fields = _LOCAL.unpack_from(data, offset)
        size, name_length = fields[7], fields[9]
        raw_name = data[start : start + name_length]
        if not raw_name.isascii() or raw_name.decode("ascii") in members:
            raise ValueError("a member name is not ASCII or comes twice")
        offset = start + name_length + size
        if offset > len(data):
            raise ValueError("cut short")
        members[raw_name.decode("ascii")] = data[start + name_length : offset]
    directory_bytes = sum(_CENTRAL.size + len(name) for name in members)
    comment = data[offset + directory_bytes + _END.size :]
    if len(comment) > 0xFFFF or archive_bytes(members, comment) != data:
        raise ValueError("not canonical: some byte differs")
    return members, comment


def npy_bytes(array: NDArray[np.generic]) -> bytes:
    """`.npy` version 1.0 bytes of an array in C order and little-endian (NEP 1)."""
    array = np.ascontiguousarray(array)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return _npy_header(little.dtype, little.shape) + little.tobytes()


def array_from_npy(
    data: bytes, dtype: type[Scalar], shape: tuple[int | None, ...]
) -> NDArray[Scalar]:
    """Read-only array on `data`, which must be the canonical `.npy` of that dtype and shape.

    At most one entry of `shape` is None; its length follows from the number of bytes.

    Raises:
        ValueError: if dtype, shape or length differ.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    known_bytes = kind.itemsize * math.prod(n for n in shape if n is not None)
    # Headers are padded to a multiple of 64 bytes; with shapes as short as these, to 128.
    header_bytes = 128
    free, rest = divmod(max(len(data) - header_bytes, 0), known_bytes)
    full = tuple(free if n is None else n for n in shape)
    if rest or free < 1 or (None not in shape and free != 1):
        raise ValueError(f"not an array {shape} of {kind.name}")
    if data[:header_bytes] != _npy_header(kind, full):
        raise ValueError(f"not an array {shape} of {kind.name}")
    return (
        np.frombuffer(data, dtype=kind, offset=header_bytes)
        .reshape(full)
        .astype(dtype, "C", copy=False)
    )


def _npy_header(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    """The header as NumPy's writer makes it, independent of NumPy's version."""
    text = f"{{'descr': '{dtype.str}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    padding = -(10 + len(text) + 1) % 64
    text += b" " * padding + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
