"""A known scan as a NeXus file with motors, detectors and entries of any names."""

from contextlib import contextmanager

import h5py
import numpy as np
from layout_parts import nx_group, put


@contextmanager
def nexus_scan(path, known, entry="entry", detector="eiger"):
    """The entry, open: energy, detector with geometry and mask, NXdata of its frames, no motors."""
    with h5py.File(path, "a") as file:
        group = nx_group(file, entry, "NXentry")
        instrument = nx_group(group, "instrument", "NXinstrument")
        beam = nx_group(instrument, "beam", "NXbeam")
        put(beam, "incident_energy", known.geometry.energy_ev, "eV")
        at = add_detector(group, detector, known.frames, known.geometry.distance_m)
        put(at, "pixel_mask", known.mask.astype(np.uint32))
        yield group


def add_detector(entry, name, stack, distance_m=None):
    """An NXdetector with an NXdata of the same name; its geometry where a distance is given."""
    detector = nx_group(entry["instrument"], name, "NXdetector")
    put(detector, "data", stack)
    if distance_m is not None:
        put(detector, "distance", distance_m, "m")
        for axis in "xy":
            put(detector, f"{axis}_pixel_size", 75e-6, "m")
    data = nx_group(entry, name, "NXdata")
    data["data"] = h5py.SoftLink(detector["data"].name)
    data.attrs["signal"] = "data"
    return detector


def um(known):
    """Rows and columns, µm."""
    return known.positions_m.T * 1e6


def add_motors(group, known, rows, columns, off_um=0.0):
    """Positions in µm by the names of two datasets; `off_um` is how far off set points are."""
    noise = np.random.default_rng(1).normal(0, off_um, (2, len(known.frames)))
    for name, values in zip((rows, columns), um(known) + noise, strict=True):
        put(group, name, values, "um")
