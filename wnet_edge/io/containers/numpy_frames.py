"""Lazily read stacks of frames in .npy and .npz, since a stack can be larger than memory.

An .npy is opened for each read. A member of an .npz can only be read from its start, so its stream
stays open, advances from batch to batch, and restarts when an earlier frame is requested.
"""

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.frame_axes import Stack, arrange, found_stack, raster_of
from wnet_edge.io.containers.frame_by_frame import FrameByFrame
from wnet_edge.io.containers.numpy_file import (
    ArrayHeader,
    open_member,
    read_header,
    read_rest,
    readable,
)
from wnet_edge.io.containers.reopened_file import KeptOpen
from wnet_edge.io.containers.stacks import MAX_WHOLE_BYTES, ArrangedFrames
from wnet_edge.io.found import Found, FoundScan
from wnet_edge.scan.frame_source import FrameSource

_ONE_BY_ONE = ("NHW", "RCHW")
"""Axis orders of arrays whose frames are stored one after another."""

_CHANGED = "has changed since it was opened; wait until the file is complete and start again"


class NpyFrames(FrameByFrame):
    """Frames stored raw in a file from an offset on; the file is not kept open between reads."""

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
                    member.stream.read(1)  # reading to the end verifies the member's checksum


class NpyArray:
    """An array of any axes stored raw in a file; the file is not kept open between reads."""

    def __init__(self, path: Path, offset: int, shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        self._path = path
        self._offset = offset
        self._stored: np.dtype[Any] = np.dtype(dtype)
        self.shape = shape
        self.dtype = self._stored.newbyteorder("=")

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """A part of the array, in this machine's byte order."""
        with readable(self._path, "NPY"):
            mapped = np.memmap(self._path, self._stored, "r", self._offset, self.shape)
            return np.array(mapped[key], dtype=self.dtype)


class NpzArray:
    """A member of an .npz whose frames are not stored one after another: read whole, lazily."""

    def __init__(self, path: Path, name: str, header: ArrayHeader, shape: tuple[int, ...]) -> None:
        if header.byte_count > MAX_WHOLE_BYTES:
            raise ScanError(
                f"{path}: {name} is larger than {MAX_WHOLE_BYTES >> 20} MB, and its frames do not "
                "lie one after another; save it as (N, H, W) with np.ascontiguousarray first"
            )
        self._path = path
        self._name = name
        self._header = header
        self.shape = shape
        self.dtype = header.dtype.newbyteorder("=")

    @cached_property
    def _values(self) -> NDArray[Any]:
        with (
            readable(self._path, "NPZ"),
            zipfile.ZipFile(self._path) as archive,
            open_member(archive, self._name) as file,
        ):
            if read_header(file, self._name) != self._header:
                raise ScanError(f"{self._path}: {self._name} {_CHANGED}")
            values = read_rest(file, self._name, self._header)
        return values.ravel(order="K").reshape(self.shape).astype(self.dtype, copy=False)

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - numpy's own signature
        """A part of the array, in this machine's byte order."""
        return self._values[key]


def npy_stack(path: Path) -> Found[FrameSource]:
    """Frames of an .npy, (N, H, W) or a raster (rows, columns, H, W), or in an order set by flags.

    Raises:
        ScanError: if it is no numeric stack within limits, or is truncated.
    """
    with readable(path, "NPY"), path.open("rb") as file:
        header = read_header(file, path.name)
        held = path.stat().st_size - header.offset
        stack = Stack(
            path, "the array", header.shape, header.dtype, partial(_arrange_npy, path, header)
        )
        found = found_stack(stack)
        if held != header.byte_count:
            raise ValueError(f"holds {held} bytes of numbers, not {header.byte_count}")
    return found


def read_npy(path: Path) -> FoundScan:
    """Read the frames in an .npy; everything else is given by flags.

    Raises:
        ScanError: as `npy_stack`.
    """
    frames = npy_stack(path)
    return FoundScan(path, "NPY", frames=frames, raster=raster_of(frames))


def read_frames_array(frames: NDArray[Any]) -> FoundScan:
    """Frames in memory; everything else comes by options.

    Raises:
        ScanError: if they are no stack of numbers within limits.
    """
    path = Path("frames")
    stack = Stack(path, "the array", frames.shape, frames.dtype, partial(arrange, frames))
    found = found_stack(stack)
    return FoundScan(path, "NumPy array", frames=found, raster=raster_of(found))


def npz_stack(path: Path, archive: zipfile.ZipFile, name: str) -> Found[FrameSource]:
    """Frames of a member of an .npz, as `npy_stack`.

    Raises:
        ScanError: if it is no numeric stack within limits.
        ValueError: as `open_member` and `read_header`.
    """
    with open_member(archive, name) as file:
        header = read_header(file, name)
    stack = Stack(path, name, header.shape, header.dtype, partial(_arrange_npz, path, name, header))
    found = found_stack(stack)
    size = archive.getinfo(f"{name}.npy").file_size
    if size != header.offset + header.byte_count:
        raise ValueError(
            f"`{name}` holds {size - header.offset} bytes of numbers, not {header.byte_count}"
        )
    return found


def _arrange_npy(path: Path, header: ArrayHeader, axes: str) -> FrameSource:
    shape, stored = _as_stored(header, axes)
    if stored.replace("1", "") in _ONE_BY_ONE:
        return NpyFrames(path, header.offset, _stacked(shape, stored), header.dtype)
    array = NpyArray(path, header.offset, shape, header.dtype)
    return ArrangedFrames(array, stored, slow_to_fast=axes)


def _arrange_npz(path: Path, name: str, header: ArrayHeader, axes: str) -> FrameSource:
    shape, stored = _as_stored(header, axes)
    if stored.replace("1", "") in _ONE_BY_ONE:
        return NpzFrames(path, name, header, _stacked(shape, stored))
    return ArrangedFrames(NpzArray(path, name, header, shape), stored, slow_to_fast=axes)


def _as_stored(header: ArrayHeader, axes: str) -> tuple[tuple[int, ...], str]:
    """Shape and axes in storage order, with the fastest-varying axis last."""
    return (header.shape[::-1], axes[::-1]) if header.fortran_order else (header.shape, axes)


def _stacked(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """Shape (N, H, W) of frames that are stored one after another."""
    length = dict(zip(axes, shape, strict=True))
    return math.prod(length[a] for a in axes if a in "NRC"), length["H"], length["W"]


class _OpenMember:
    """A member's stream together with its archive, closed together."""

    def __init__(self, path: Path, name: str, expected: ArrayHeader) -> None:
        with ExitStack() as opened:
            opened.enter_context(readable(path, "NPZ"))
            archive = opened.enter_context(zipfile.ZipFile(path))
            self.stream = opened.enter_context(open_member(archive, name))
            if read_header(self.stream, name) != expected:
                raise ScanError(f"{path}: {name} {_CHANGED}")
            self._opened = opened.pop_all()

    def close(self) -> None:
        """Close both."""
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
