"""Prepared scans of ptypy (`.ptyd`): chunks of frames, weights and positions.

ptypy (Enders, Thibault, Proc. R. Soc. A 472, 2016, 20160640), its modules `core.data` and
`io.h5rw`: energy in keV, lengths in metres, positions (N, 2) in the order row, column, `psize` and
`center` for the frames as stored, binned and cropped. None is stored as a number with the attribute
`type` = "None". A pixel is bad if its weight is 0 in every frame.
"""

import math
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.containers.concatenated import concatenated
from wnet_edge.io.containers.hdf5.frames import frames_of
from wnet_edge.io.containers.hdf5.quantities import factor_of
from wnet_edge.io.containers.hdf5.reader import (
    Hdf5Reader,
    array_of,
    as_text,
    check_filters,
    dataset_error,
    optional_dataset,
    read_whole,
)
from wnet_edge.io.containers.stacks import MAX_FRAME_PX
from wnet_edge.io.containers.units import Quantity
from wnet_edge.io.found import Found, FoundScan, Positions, Wanted, attempt
from wnet_edge.io.readers.nexus_tree import child_of
from wnet_edge.scan.frame_source import FrameSource

CHUNKS = "chunks"
_SAMPLED_WEIGHTS = 64
"""Number of frames per chunk whose weights are read: a bad pixel is bad in all frames."""


def recognises(file: h5py.File) -> bool:
    """Whether the file has groups of chunks and of metadata."""
    return all(isinstance(child_of(file, name), h5py.Group) for name in (CHUNKS, "meta"))


def read(file: h5py.File, path: Path, _: Wanted) -> FoundScan:
    """Read a prepared scan.

    Raises:
        ScanError: in one line that names the file, the dataset and the remedy.
    """
    numbers = sorted((name for name in file[CHUNKS] if name.isdecimal()), key=int)
    chunks = [f"{CHUNKS}/{number}" for number in numbers]
    frames = attempt(lambda: _frames(file, path, chunks))
    return FoundScan(
        path=path,
        format="ptypy",
        frames=frames,
        positions=attempt(lambda: _positions(file, path, chunks)),
        energy_ev=attempt(lambda: _number(file, path, "energy", 1e3)),
        distance_m=attempt(lambda: _number(file, path, "distance", 1.0)),
        pixel_size_m=attempt(lambda: _pixel_size(file, path)),
        mask=attempt(lambda: _mask(file, path, chunks, frames)),
        beam_centre_px=attempt(lambda: _centre(file, path)),
    )


READER = Hdf5Reader(recognises, read)


def _frames(file: h5py.File, path: Path, chunks: list[str]) -> Found[FrameSource] | None:
    stacks = [optional_dataset(file, path, f"{chunk}/data") for chunk in chunks]
    found = [frames_of(path, stack) for stack in stacks if stack is not None]
    return concatenated(path, found) if found else None


def _written(file: h5py.File, path: Path, *names: str) -> h5py.Dataset | None:
    """The first of these datasets, None if ptypy stored None."""
    for name in names:
        dataset = optional_dataset(file, path, name)
        if dataset is not None and as_text(dataset.attrs.get("type", "")) != "None":
            return dataset
    return None


def _meta(
    file: h5py.File, path: Path, name: str, longest: int = 2
) -> Found[tuple[float, ...]] | None:
    """Up to `longest` numbers of an entry of the metadata."""
    dataset = _written(file, path, f"meta/{name}")
    if dataset is None:
        return None
    if dataset.dtype.kind not in "uif" or not 1 <= dataset.size <= longest:
        wanted = "one number" if longest == 1 else "one or two numbers"
        raise dataset_error(
            path, dataset, f"is {dataset.dtype} {dataset.shape}, not {wanted}", "correct it"
        )
    values = tuple(float(value) for value in read_whole(path, dataset).reshape(-1))
    if not all(map(math.isfinite, values)):
        listed = ", ".join(map(str, values))
        raise dataset_error(path, dataset, f"is {listed}", "write the number")
    return Found(values, dataset.name)


def _number(file: h5py.File, path: Path, name: str, factor: float) -> Found[float] | None:
    number = _meta(file, path, name, 1)
    return None if number is None else Found(number.value[0] * factor, number.where)


def _pixel_size(file: h5py.File, path: Path) -> Found[float] | None:
    psize = _meta(file, path, "psize")
    if psize is None:
        return None
    rows_m, columns_m = psize.value[0], psize.value[-1]
    if not math.isclose(rows_m, columns_m, rel_tol=1e-3):
        fault = f"is {rows_m:.4g} m × {columns_m:.4g} m"
        raise dataset_error(path, file["meta/psize"], fault, "bin frames to square pixels")
    return Found(rows_m, psize.where)


def _centre(file: h5py.File, path: Path) -> Found[tuple[float, float]] | None:
    """Beam centre (row, column); a text before any frame was prepared, then None."""
    dataset = _written(file, path, "meta/center")
    if dataset is None or dataset.dtype.kind not in "uif" or dataset.size != 2:
        return None
    row, column = read_whole(path, dataset).reshape(-1).tolist()
    return Found((float(row), float(column)), dataset.name)


def _positions(file: h5py.File, path: Path, chunks: list[str]) -> Found[Positions] | None:
    parts = []
    for chunk in chunks:
        dataset = _written(file, path, f"{chunk}/positions")
        if dataset is None:
            return None
        values = array_of(path, dataset, "uif", (None, 2), "write (N, 2) row, column in metres")
        parts.append(values * factor_of(path, dataset, Quantity.LENGTH, "m"))
    if not parts:
        return None
    return Found(Positions(np.concatenate(parts)), f"/{CHUNKS}/…/positions")


def _mask(
    file: h5py.File, path: Path, chunks: list[str], frames: Found[FrameSource] | None
) -> Found[NDArray[np.bool_]] | None:
    """Mask from the weights of the frames, or from ptypy's common weights."""
    if frames is None:
        return None
    frame = tuple(frames.value.shape[1:])
    used = np.zeros(frame, np.bool_)
    where = ""
    for chunk in chunks:
        weights = optional_dataset(file, path, f"{chunk}/weights")
        if weights is not None and weights.size:
            used |= _used(path, weights, frame)
            where = where or weights.name
    if not where:
        weights = _written(file, path, "meta/weight2d", "info/weight2d")
        if weights is None or weights.ndim != 2:
            return None
        used, where = _used(path, weights, frame), weights.name
    return Found(~used, where)


def _used(path: Path, weights: h5py.Dataset, frame: tuple[int, ...]) -> NDArray[np.bool_]:
    """(H, W) bool, True where any of the weights (H, W) or (N, H, W) is positive."""
    fits = weights.shape[-2:] == frame and weights.ndim in (2, 3) and max(frame) <= MAX_FRAME_PX
    if not fits or weights.dtype.kind not in "uifb":
        fault = f"is {weights.dtype} {weights.shape}, not numbers for frames of {frame}"
        raise dataset_error(path, weights, fault, "prepare the scan again, or leave weights out")
    check_filters(path, weights)
    if weights.ndim == 2:
        return np.asarray(read_whole(path, weights) > 0)
    used = np.zeros(frame, np.bool_)
    sample = np.linspace(0, weights.shape[0] - 1, min(weights.shape[0], _SAMPLED_WEIGHTS))
    for index in np.unique(sample.astype(np.int64)).tolist():
        used |= np.asarray(weights[index] > 0)
    return used
