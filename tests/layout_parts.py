"""What the writers of HDF5 layouts share, and the second file for parts that a layout lacks."""

import h5py
import numpy as np

PARTS = "parts.h5"
"""Beside the scan: positions in µm, mask and probe."""


def put(group, name, value, units=None, **filters):
    """A dataset, with its unit where it has one."""
    dataset = group.create_dataset(name, data=value, **filters)
    if units is not None:
        dataset.attrs["units"] = units
    return dataset


def nx_group(parent, name, nx_class):
    """A group of a NeXus class."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    return group


def translation_of(known):
    """(N, 3) x, y, z in metres."""
    rows, columns = known.positions_m.T
    return np.stack([columns, rows, np.zeros_like(rows)], axis=1)


def write_parts(folder, known):
    """The file that flags name, and the flags for all that is in it."""
    with h5py.File(folder / PARTS, "w") as file:
        put(file, "positions", known.positions_m * 1e6, "um")
        put(file, "mask", known.mask)
        put(file, "probe", known.probe)
    at = folder / PARTS
    return {"positions": f"{at}:positions", "mask": f"{at}:mask", "probe": f"{at}:probe"}


def geometry_flags(known):
    """Flags for energy, distance and detector pixel."""
    return {
        "energy_ev": known.geometry.energy_ev,
        "distance_m": known.geometry.distance_m,
        "pixel_size_m": known.geometry.detector_pixel_size_m,
    }
