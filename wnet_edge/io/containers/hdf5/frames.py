"""Lazily read frames in HDF5: checked once, then the file is opened for each read.

Used by the readers of all HDF5 layouts.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice, product
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.frame_axes import Stack, arrange, found_stack
from wnet_edge.io.containers.hdf5.chunks import check_chunks
from wnet_edge.io.containers.hdf5.faults import HDF5_ERRORS, Fault, known_fault, one_line
from wnet_edge.io.containers.hdf5.filters import register_filters
from wnet_edge.io.containers.hdf5.links import LinkedDataset
from wnet_edge.io.containers.hdf5.reader import (
    MATLAB_CLASS,
    check_filters,
    check_link,
    dataset_error,
    opened,
    opened_alone,
)
from wnet_edge.io.found import Found
from wnet_edge.scan.frame_source import FrameSource

_MOST_ASKED = 1000
"""Largest number of chunks that are looked up one by one; else all are listed, 2 µs each."""

_MAX_PIECES = 10_000
"""Largest number of chunks of one frame."""


class Hdf5Frames:
    """Frames (N, H, W) of a file in their stored dtype; each read opens and closes the file.

    Opening takes 0.3 ms, reading a batch several; in return the file is not kept open, and the
    object can be passed to another process. The files of a virtual dataset are checked again if
    they have changed.
    """

    def __init__(self, path: Path, dataset: LinkedDataset) -> None:
        self._path = path
        self._dataset = dataset.name
        self._shape: tuple[int, ...] = dataset.shape
        self._dtype: np.dtype[Any] = np.dtype(dataset.dtype)
        # A damaged dataset may have no axis at all.
        self._may_grow = bool(dataset.maxshape[:1] != dataset.shape[:1])
        self._sources = sorted(dataset.storage.files)
        self._seen = _stamps(self._sources)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        return self._dtype

    @property
    def may_grow(self) -> bool:
        """Whether the dataset can be extended."""
        return self._may_grow

    def written(self, since: int = 0) -> NDArray[np.bool_] | None:
        """Whether each frame, (N,) or of a raster row by row, has been written to the file.

        HDF5 stores a chunk when it is written. None if that doesn't tell: without chunks, with
        several frames in one, or if all are stored from the start.

        Args:
            since: number of frames, from the first on, that are known to have been written.

        Raises:
            ScanError: as on reading.
        """
        count = math.prod(self._shape[:-2])
        written = np.ones(count, np.bool_)
        if since >= count:
            return written
        with self._opened() as dataset:
            early = dataset.id.get_create_plist().get_alloc_time() == h5py.h5d.ALLOC_TIME_EARLY
            if dataset.chunks is None or early or set(dataset.chunks[:-2]) != {1}:
                return None
            frame = zip(dataset.shape[-2:], dataset.chunks[-2:], strict=True)
            corners = list(product(*(range(0, length, step) for length, step in frame)))
            if (count - since) * len(corners) <= _MOST_ASKED:
                places = product(*map(range, self._shape[:-2]))
                for number, place in enumerate(islice(places, since, None), since):
                    written[number] = all(_is_stored(dataset, place + at) for at in corners)
                return written
            stored: list[Any] = []
            dataset.id.chunk_iter(stored.append)
        places_of = np.array([chunk.chunk_offset[:-2] for chunk in stored], np.int64)
        places_of = places_of.reshape(-1, len(self._shape) - 2)
        inside = places_of[:, 0] < self._shape[0]  # more may have been added since
        counted = np.zeros(self._shape[:-2], np.int64)
        np.add.at(counted, tuple(places_of[inside].T), 1)
        written[since:] = counted.reshape(-1)[since:] >= len(corners)
        return written

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice.

        Raises:
            ScanError: if the file is gone, damaged, or has changed.
        """
        if self._seen != (now := _stamps(self._sources)):
            with opened(self._path) as root:
                check_link(root, self._path, self._dataset)
            self._seen = now
        with self._opened() as dataset:
            along, *within = key if isinstance(key, tuple) else (key,)
            if isinstance(along, slice):  # relative to the frames present at first
                along = slice(*along.indices(self._shape[0]))
            check_chunks(dataset, *_span(along, self._shape[0]))
            return dataset[(along, *within)]

    @contextmanager
    def _opened(self) -> Iterator[h5py.Dataset]:
        with opened_alone(self._path) as (file, being_written):
            dataset = file.get(self._dataset)
            if not isinstance(dataset, h5py.Dataset) or not self._fits(dataset, being_written):
                raise ScanError(
                    f"{self._path}: {self._dataset} has changed since it was opened; "
                    "wait until the file is complete and start again"
                )
            register_filters(dataset)  # for a process that has not found the scan itself
            try:
                yield dataset
            except HDF5_ERRORS as error:
                fault = known_fault(self._path) or Fault(
                    f"is damaged ({one_line(error)})", "copy it again"
                )
                raise ScanError(
                    f"{self._path}: {self._dataset} {fault.what}; {fault.cure}"
                ) from error

    def _fits(self, dataset: h5py.Dataset, being_written: bool) -> bool:
        """Whether the dataset is as found at first; it may have grown if the file is written to."""
        count, *frame = dataset.shape
        grown = being_written and count > self._shape[0]
        return tuple(frame) == self._shape[1:] and (grown or count == self._shape[0])


def frames_of(path: Path, dataset: LinkedDataset) -> Found[FrameSource]:
    """A dataset (N, H, W), or a raster (rows, columns, H, W), as lazily read frames (N, H, W).

    If the usual axis order does not give frames, another may: see
    `wnet_edge.io.containers.frame_axes`.

    Raises:
        ScanError: if it is no numeric stack within limits, or can't be decompressed here.
    """
    home = Path(dataset.file.filename)  # differs from `path` behind an external link
    where = dataset.name if home.name == path.name else f"{home.name}:{dataset.name}"
    frames = Hdf5Frames(home, dataset)
    found = found_stack(
        Stack(
            path,
            where,
            dataset.shape,
            dataset.dtype,
            partial(arrange, frames),
            matlab_axes(dataset),
        )
    )
    check_filters(path, dataset)
    if dataset.chunks is not None:
        pairs = zip(dataset.shape[-2:], dataset.chunks[-2:], strict=True)
        pieces = math.prod(-(-length // step) for length, step in pairs)
        if pieces > _MAX_PIECES:
            fault = f"has {pieces} chunks per frame"
            raise dataset_error(
                path, dataset, fault, f"h5repack -l {where}:CHUNK=1xHxW makes it one"
            )
    return found


def matlab_axes(dataset: h5py.Dataset) -> str:
    """Axis order of MATLAB's (H, W, N) and (H, W, rows, columns), reversed in HDF5; else empty."""
    if MATLAB_CLASS not in dataset.attrs:
        return ""
    return {3: "NWH", 4: "CRWH"}.get(dataset.ndim, "")


def _is_stored(dataset: h5py.Dataset, corner: tuple[int, ...]) -> bool:
    """Whether a chunk is there, by reading it as it is: asking for its place lists all chunks."""
    try:
        dataset.id.read_direct_chunk(corner)
    except (OSError, RuntimeError):
        return False
    return True


def _span(along: Any, count: int) -> tuple[int, int]:  # noqa: ANN401 - h5py's own signature
    """First and end (exclusive) frame of a slice, an index or a sequence of indices."""
    if isinstance(along, slice):
        numbers = range(count)[along]
        ends = sorted((numbers[0], numbers[-1])) if numbers else (0, -1)
        return ends[0], ends[1] + 1
    chosen = np.arange(count)[along]
    return (int(chosen.min()), int(chosen.max()) + 1) if chosen.size else (0, 0)


def _stamps(files: list[Path]) -> list[tuple[int, int, int]]:
    """Values that change when a file changes; zeros for a missing file."""
    return [_stamp(file) for file in files]


def _stamp(file: Path) -> tuple[int, int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)
