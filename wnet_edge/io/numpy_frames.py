"""Stacks of frames in .npy and .npz, read lazily: a stack is larger than memory.

An .npy is opened for each read. A member of an .npz can only be read from its begin, so its
stream stays open, goes forward from batch to batch, and starts again when an earlier frame is
asked for.
"""

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.frame_by_frame import FrameByFrame
from wnet_edge.io.kept_open import KeptOpen
from wnet_edge.io.numpy_file import (
    ArrayHeader,
    open_member,
    read_header,
    read_rest,
    readable,
)
from wnet_edge.io.stacks import MAX_WHOLE_BYTES, check_stack
from wnet_edge.scan import FrameSource


class NpyFrames(FrameByFrame):
    """Frames that lie bare in a file, from an offset on; nothing holds the file between reads."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        super().__init__(shape, dtype)
        self._path = path
        self._offset = offset
        self._stored: np.dtype[Any] = np.dtype(dtype)

    def each(self, numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Frames (H, W) of ascending numbers."""
        with readable(self._path, "a stack of frames"), self._path.open("rb") as file:
            for number in numbers:
                yield _frame(file, self._offset, number, self._shape, self._stored)


class NpzFrames(FrameByFrame):
    """Frames in a member of an .npz, stored or deflated."""

    def __init__(self, path: Path, name: str, header: ArrayHeader, shape: tuple[int, ...]) -> None:
        super().__init__(shape, header.dtype)
        self._path = path
        self._name = name
        self._header = header
        self._member = KeptOpen(partial(_OpenMember, path, name, header))

    def each(self, numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Frames (H, W) of ascending numbers."""
        header = self._header
        with readable(self._path, "NPZ"), self._member.use() as member:
            for number in numbers:
                yield _frame(member.stream, header.offset, number, self._shape, header.dtype)
                if number == self._shape[0] - 1:
                    member.stream.read(1)  # at its end a member's checksum is compared


def npy_stack(path: Path) -> tuple[FrameSource, tuple[int, ...]]:
    """The frames (N, H, W) of an .npy, and the shape it has in the file, (rows, columns, H, W) say.

    Raises:
        ScanError: if it is no stack of numbers within limits, or ends before its last frame.
    """
    with readable(path, "NPY"), path.open("rb") as file:
        header = read_header(file, path.name)
        check_stack(path, "the array", header.shape, header.dtype)
        held = path.stat().st_size - header.offset
        if held != header.byte_count:
            raise ValueError(f"holds {held} bytes of numbers, not {header.byte_count}")
        if header.fortran_order:
            return _whole(path, "the array", file, header), header.shape
    shape = (math.prod(header.shape[:-2]), *header.shape[-2:])
    return NpyFrames(path, header.offset, shape, header.dtype), header.shape


def npz_stack(path: Path, archive: zipfile.ZipFile, name: str) -> tuple[FrameSource, ArrayHeader]:
    """The frames (N, H, W) of a member, and its header.

    Raises:
        ScanError: if it is no stack of numbers within limits.
        ValueError: as `open_member` and `read_header`.
    """
    with open_member(archive, name) as file:
        header = read_header(file, name)
        check_stack(path, name, header.shape, header.dtype)
        size = archive.getinfo(f"{name}.npy").file_size
        if size != header.offset + header.byte_count:
            raise ValueError(
                f"`{name}` holds {size - header.offset} bytes of numbers, not {header.byte_count}"
            )
        if header.fortran_order:
            return _whole(path, name, file, header), header
    shape = (math.prod(header.shape[:-2]), *header.shape[-2:])
    return NpzFrames(path, name, header, shape), header


def _whole(path: Path, name: str, file: IO[bytes], header: ArrayHeader) -> FrameSource:
    """A stack whose frames do not lie one after another, as an array."""
    if header.byte_count > MAX_WHOLE_BYTES:
        raise ScanError(
            f"{path}: {name} is in Fortran order and larger than {MAX_WHOLE_BYTES >> 20} MB; "
            "save it with np.ascontiguousarray first"
        )
    values = read_rest(file, name, header)
    native = values.astype(values.dtype.newbyteorder("="), order="C")
    return native.reshape(-1, *header.shape[-2:])


class _OpenMember:
    """A member's stream together with the archive it hangs on: both are closed, and at once."""

    def __init__(self, path: Path, name: str, expected: ArrayHeader) -> None:
        with ExitStack() as opened:
            opened.enter_context(readable(path, "NPZ"))
            archive = opened.enter_context(zipfile.ZipFile(path))
            self.stream = opened.enter_context(open_member(archive, name))
            if read_header(self.stream, name) != expected:
                raise ScanError(
                    f"{path}: {name} has changed since it was opened; wait until the file is "
                    "complete and start again"
                )
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Let go of both."""
        self._opened.close()


def _frame(
    file: IO[bytes], offset: int, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> NDArray[Any]:
    byte_count = math.prod(shape[1:]) * dtype.itemsize
    file.seek(offset + number * byte_count)
    data = file.read(byte_count)
    if len(data) != byte_count:
        raise ValueError(f"ends in frame {number}")
    return np.frombuffer(data, dtype=dtype).reshape(shape[1:])
