"""Files of Ptychodus: products (probe and positions, no frames) and assembled diffraction.

Ptychodus 1.7.0 (Argonne National Laboratory), `ptychodus.api.io`. Positions are those of the
probe's centre on the object, x along columns and y along rows. A pixel size of 0 is unknown.
Frames and positions have frame numbers, counted from 0; frames that were never filled have -1.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.containers.hdf5.frames import frames_of
from wnet_edge.io.containers.hdf5.reader import (
    Hdf5Reader,
    array_of,
    dataset_at,
    followed,
    mask_of,
    modes_of,
)
from wnet_edge.io.found import (
    NEVER_FILLED,
    Found,
    FoundScan,
    FrameNumbers,
    Positions,
    Wanted,
    attempt,
)
from wnet_edge.io.parts.pairing import as_frame_numbers

PATTERNS = "patterns"
_X, _Y, _INDICES = "probe_position_x_m", "probe_position_y_m", "probe_position_indexes"
_FRAME_INDICES = "indexes"
_CURE = "save the file again with Ptychodus"
_PIXEL = ("pixel_height_m", "pixel_width_m")
_DETECTOR_PIXEL = ("detector_pixel_height_m", "detector_pixel_width_m")


def recognises(file: h5py.File) -> bool:
    """Whether the file has a product's positions, or patterns with a detector pixel size."""
    return _X in file or _is_diffraction(file)


def read(file: h5py.File, path: Path, _: Wanted) -> FoundScan:
    """Read a product, or a file of assembled diffraction.

    Raises:
        ScanError: in one line that names the file, the dataset and the remedy.
    """
    return _diffraction(file, path) if _is_diffraction(file) else _product(file, path)


READER = Hdf5Reader(recognises, read)


def _is_diffraction(file: h5py.File) -> bool:
    patterns = file.get(PATTERNS) if PATTERNS in file else None
    return isinstance(patterns, h5py.Dataset) and _DETECTOR_PIXEL[0] in patterns.attrs


def _diffraction(file: h5py.File, path: Path) -> FoundScan:
    patterns = dataset_at(file, path, PATTERNS)
    return FoundScan(
        path=path,
        format="Ptychodus diffraction",
        frames=attempt(lambda: frames_of(path, patterns)),
        frame_numbers=attempt(lambda: _numbers(file, path, _FRAME_INDICES, None, NEVER_FILLED)),
        pixel_size_m=_attribute(patterns, *_DETECTOR_PIXEL),
        mask=attempt(lambda: _mask(file, path)),
    )


def _mask(file: h5py.File, path: Path) -> Found[NDArray[np.bool_]] | None:
    if "bad_pixels" not in file:
        return None
    bits = mask_of(path, dataset_at(file, path, "bad_pixels"))
    return Found(bits.value != 0, bits.where)


def _product(file: h5py.File, path: Path) -> FoundScan:
    probe = dataset_at(file, path, "probe") if "probe" in file else None
    far_field = bool(file.attrs.get("far_field", True))
    pixel_size = None if probe is None else _attribute(probe, *_PIXEL)
    sample = followed(file, "object") if "object" in file else None
    object_pixel_size = None if sample is None else _attribute(sample, *_PIXEL)
    return FoundScan(
        path=path,
        format="Ptychodus product",
        positions=attempt(lambda: _positions(file, path)),
        energy_ev=_attribute(file, "photon_energy_eV") or _attribute(file, "probe_energy_eV"),
        distance_m=_attribute(file, "detector_object_distance_m"),
        probe=None if probe is None else attempt(lambda: _modes(path, probe)),
        probe_pixel_size_m=None if pixel_size is None else pixel_size.value,
        object_pixel_size_m=None if object_pixel_size is None else object_pixel_size.value,
        near_field=None if far_field else "the product's attribute far_field is false",
    )


def _modes(path: Path, probe: h5py.Dataset) -> Found[NDArray[np.complex64]]:
    """The incoherent modes; of several coherent ones (position-dependent), the first."""
    return modes_of(path, probe, (0,) if probe.ndim == 4 else ())


def _positions(file: h5py.File, path: Path) -> Found[Positions]:
    """Positions with their frame numbers."""
    y, x = (dataset_at(file, path, name) for name in (_Y, _X))
    rows = array_of(path, y, "uif", (None,), _CURE)
    columns = array_of(path, x, "uif", (len(rows),), _CURE)
    values = np.stack([rows, columns], axis=1).astype(np.float64)
    numbers = _numbers(file, path, _INDICES, len(rows))
    positions = Positions(values, numbers=None if numbers is None else numbers.value)
    return Found(positions, f"{y.name}, {x.name}")


def _numbers(
    file: h5py.File, path: Path, name: str, count: int | None, lowest: int = 0
) -> Found[FrameNumbers] | None:
    if name not in file:
        return None
    dataset = dataset_at(file, path, name)
    values = array_of(path, dataset, "uif", (count,), _CURE)
    numbers = as_frame_numbers(f"{path}: {dataset.name}", values, lowest)
    return Found(FrameNumbers(numbers), dataset.name)


def _attribute(item: h5py.Group | h5py.Dataset, *names: str) -> Found[float] | None:
    """The first of these attributes, None if it is missing or not positive (unknown)."""
    for name in names:
        value = item.attrs.get(name)
        if isinstance(value, (float, int, np.number)) and np.isfinite(value) and value > 0:
            return Found(float(value), f"{item.name} attribute {name}")
    return None
