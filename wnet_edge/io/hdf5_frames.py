"""Frames in HDF5, read lazily: judged once, then the file is opened for each read.

Under every HDF5 layout's reader.
"""

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from wnet_edge.errors import ScanError
from wnet_edge.io.found import Found
from wnet_edge.io.hdf5 import bad, check_filters, opened
from wnet_edge.io.stacks import RasterFrames, check_stack
from wnet_edge.scan import FrameSource

MAX_CHUNK_BYTES = 256 << 20
"""HDF5 unpacks a chunk whole, however little of it is read."""


class Hdf5Frames:
    """Frames (N, H, W) of a file, of its own number type; each read opens and closes the file.

    Opening costs 0.3 ms, a batch of frames several; in return nothing holds the file, and the
    object can be handed to another process.
    """

    def __init__(self, path: Path, dataset: str, shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        self._path = path
        self._dataset = dataset
        self._shape = shape
        self._dtype: np.dtype[Any] = np.dtype(dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W)."""
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Number type as stored."""
        return self._dtype

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice.

        Raises:
            ScanError: if the file has gone, or its content is damaged or changed.
        """
        with opened(self._path) as file:
            dataset = file.get(self._dataset)
            if not isinstance(dataset, h5py.Dataset) or dataset.shape != self._shape:
                raise ScanError(
                    f"{self._path}: {self._dataset} has changed since it was opened; "
                    "wait until the file is complete and start again"
                )
            try:
                return dataset[key]
            except (OSError, RuntimeError) as error:
                reason = " ".join(str(error).split())[:200]
                raise ScanError(
                    f"{self._path}: {self._dataset} is damaged ({reason}); copy it again"
                ) from error


def frames_of(path: Path, dataset: h5py.Dataset) -> Found[FrameSource]:
    """A dataset (N, H, W), or a raster (rows, columns, H, W), as lazily read frames (N, H, W).

    Raises:
        ScanError: if it is no stack of numbers within limits, or can't be decompressed here.
    """
    home = Path(dataset.file.filename)  # another than `path` behind an external link
    if dataset.file.get(dataset.name) != dataset:  # a soft link to it leads into another file
        home = path
    where = dataset.name if home.name == path.name else f"{home.name}:{dataset.name}"
    check_stack(path, where, dataset.shape, dataset.dtype)
    chunk_bytes = math.prod(dataset.chunks or ()) * dataset.dtype.itemsize
    if chunk_bytes > MAX_CHUNK_BYTES:
        fault = f"has chunks of {chunk_bytes / 1e6:.0f} MB, unpacked whole for every frame"
        raise bad(path, dataset, fault, f"h5repack -l {where}:CHUNK=1xHxW makes them a frame each")
    check_filters(path, dataset)
    _check_sources(path, dataset)
    frames: FrameSource = Hdf5Frames(home, dataset.name, dataset.shape, dataset.dtype)
    return Found(RasterFrames(frames) if dataset.ndim == 4 else frames, where)


def _check_sources(path: Path, dataset: h5py.Dataset) -> None:
    """See that the files of a virtual dataset are there: HDF5 gives zeros for what is not."""
    if not dataset.is_virtual:
        return
    folder = Path(dataset.file.filename).parent
    for name in sorted({source.file_name for source in dataset.virtual_sources()} - {"."}):
        places = (folder / name, folder / Path(name).name)
        if "%" not in name and not any(place.is_file() for place in places):
            fault = f"is put together from {name}, which is not there"
            raise bad(path, dataset, fault, "copy that file beside this one")
