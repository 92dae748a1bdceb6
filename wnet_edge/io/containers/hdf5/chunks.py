"""Check of compressed HDF5 chunks: none may decompress to more than the chunk's size.

Used by `wnet_edge.io.containers.hdf5.reader`. HDF5 and its filters trust the size stated in a
chunk. Most filters store that size before the data, where it is checked here; deflate and bzip2 do
not, and are decompressed up to the chunk's size if they could exceed it by much.
"""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import h5py

from wnet_edge.io.containers.unfolding import bzip2_beyond, deflate_beyond

_BZIP2, _BLOSC, _LZ4, _BITSHUFFLE, _ZSTD = 307, 32001, 32004, 32008, 32015
_MAX_LOOKED_AT = 1_000_000
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_CHECKED = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SZIP, _BZIP2, _BLOSC, _LZ4, _BITSHUFFLE, _ZSTD)


def check_chunks(dataset: h5py.Dataset, first: int = 0, end: int | None = None) -> None:
    """Check that the chunks of rows `first` to `end` decompress to no more than the chunk's size.

    Raises:
        ValueError: if one does, or its compressed size is impossible.
    """
    if dataset.chunks is None:
        return
    creation = dataset.id.get_create_plist()
    filters = [creation.get_filter(index) for index in range(creation.get_nfilters())]
    place, code, values = next(
        ((n, code, values) for n, (code, _, values, _) in enumerate(filters) if code in _CHECKED),
        (0, 0, ()),
    )
    if not filters:
        return
    held = math.prod(dataset.chunks) * dataset.dtype.itemsize
    room = bytearray(_room(held))
    for corner in _corners(dataset, first, dataset.shape[0] if end is None else end):
        try:
            skipped, data = dataset.id.read_direct_chunk(corner, out=room)
        except (OSError, RuntimeError):  # never written
            continue
        except ValueError as error:
            raise ValueError(f"a chunk of {held} bytes takes more than that") from error
        if not skipped >> place & 1 and _unfolds_beyond(code, values, data, held):
            raise ValueError(f"a chunk unfolds to more than its {held} bytes")


def check_chunk_sizes(dataset: h5py.Dataset) -> None:
    """Check, without reading data, that no chunk has an impossible compressed size.

    Raises:
        ValueError: if one has.
    """
    if dataset.chunks is None:
        return
    held = math.prod(dataset.chunks) * dataset.dtype.itemsize
    sizes: list[int] = []

    def look(info: Any) -> bool | None:  # noqa: ANN401 - h5py has no types
        sizes.append(info.size)
        return True if len(sizes) == _MAX_LOOKED_AT else None  # anything but None stops

    dataset.id.chunk_iter(look)
    if max(sizes, default=0) > _room(held):
        raise ValueError(f"a chunk of {held} bytes takes more than that")


def _room(held: int) -> int:
    """Largest compressed size of a chunk of `held` bytes: compression can add a little."""
    return held + held // 50 + 4096


def _corners(dataset: h5py.Dataset, first: int, end: int) -> Iterator[tuple[int, ...]]:
    """First indices of the chunks of these rows; for all rows, of all written chunks."""
    if first == 0 and end == dataset.shape[0]:
        written: list[Any] = []
        dataset.id.chunk_iter(written.append)
        yield from (info.chunk_offset for info in written)
        return
    steps = dataset.chunks
    rows = range(first // steps[0] * steps[0], end, steps[0])
    rest = zip(dataset.shape[1:], steps[1:], strict=True)
    yield from product(rows, *(range(0, length, step) for length, step in rest))


def _unfolds_beyond(code: int, values: tuple[int, ...], data: Any, held: int) -> bool:  # noqa: ANN401
    """Whether a stored chunk decompresses to more than `held` bytes."""
    data = memoryview(data)
    if code == h5py.h5z.FILTER_DEFLATE:
        return deflate_beyond(data, held)
    if code == _BZIP2:
        return bzip2_beyond(data, held)
    if code == _LZ4 or (code == _BITSHUFFLE and len(values) > 4 and values[4]):
        return int.from_bytes(data[:8], "big") > held
    if code == _BLOSC:
        return int.from_bytes(data[4:8], "little") > held
    if code == h5py.h5z.FILTER_SZIP:
        return int.from_bytes(data[:4], "little") > held
    return code == _ZSTD and _zstd_size(data) > held


def _zstd_size(data: memoryview) -> int:
    """Content size stated in a zstd frame header, 0 if absent (RFC 8878, 3.1.1.1)."""
    if bytes(data[:4]) != _ZSTD_MAGIC or len(data) < 5:
        return 0
    descriptor = data[4]
    single = descriptor >> 5 & 1
    size = (single, 2, 4, 8)[descriptor >> 6]
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    return int.from_bytes(data[start : start + size], "little") + (256 if size == 2 else 0)
