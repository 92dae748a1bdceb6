"""Files of Ptychodus: products (probe and positions, no frames) and its assembled diffraction.

Ptychodus 1.7.0 (Argonne National Laboratory), `ptychodus.api.io`. Positions are those of the
probe's centre on the object, x along columns and y along rows. A pixel size of 0 is not known.
"""

from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.found import (
    Found,
    FoundScan,
    Hdf5Reader,
    Positions,
    attempt,
)
from wnet_edge.io.hdf5 import array_of, bad, dataset_at, followed, mask_of, modes_of
from wnet_edge.io.hdf5_frames import frames_of
from wnet_edge.io.stacks import MAX_FRAMES

PATTERNS = "patterns"
_X, _Y, _INDICES = "probe_position_x_m", "probe_position_y_m", "probe_position_indexes"
_PIXEL = ("pixel_height_m", "pixel_width_m")
_DETECTOR_PIXEL = ("detector_pixel_height_m", "detector_pixel_width_m")


def recognises(file: h5py.File) -> bool:
    """Whether there are a product's positions, or patterns that know their detector's pixel."""
    return _X in file or _is_diffraction(file)


def read(file: h5py.File, path: Path) -> FoundScan:
    """What a product, or a file of assembled diffraction, holds.

    Raises:
        ScanError: in one line that names the file, the dataset and the cure.
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
    """The incoherent modes; of several coherent ones, for single positions, the first."""
    return modes_of(path, probe, (0,) if probe.ndim == 4 else ())


def _positions(file: h5py.File, path: Path) -> Found[Positions]:
    """In the order of the frames; frames that `probe_position_indexes` leaves out have NaN."""
    y, x = (dataset_at(file, path, name) for name in (_Y, _X))
    cure = "save the product again"
    rows = array_of(path, y, "uif", (None,), cure)
    columns = array_of(path, x, "uif", (len(rows),), cure)
    values = np.stack([rows, columns], axis=1).astype(np.float64)
    if _INDICES in file:
        dataset = dataset_at(file, path, _INDICES)
        indices = array_of(path, dataset, "ui", (len(rows),), cure)
        if len(indices) and not 0 <= indices.min() <= indices.max() < MAX_FRAMES:
            raise bad(path, dataset, f"is not within 0 … {MAX_FRAMES - 1}", cure)
        values = _in_order_of_frames(values, indices)
    return Found(Positions(values), f"{y.name}, {x.name}")


def _in_order_of_frames(
    values: NDArray[np.float64], indices: NDArray[np.integer]
) -> NDArray[np.float64]:
    ordered = np.full((int(indices.max(initial=-1)) + 1, 2), np.nan)
    ordered[indices] = values
    return ordered


def _attribute(item: h5py.Group | h5py.Dataset, *names: str) -> Found[float] | None:
    """The first of these numbers, None where it is missing or not positive: not known."""
    for name in names:
        value = item.attrs.get(name)
        if isinstance(value, (float, int, np.number)) and np.isfinite(value) and value > 0:
            return Found(float(value), f"{item.name} attribute {name}")
    return None
