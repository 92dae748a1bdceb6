"""The embedded scan as a file that grows, for `growing_files.Writer`: its names after an import."""

import h5py
import numpy as np
from live_faults import stored

from wnet_edge.io.readers.cxi import DETECTOR, TRANSLATION
from wnet_edge.live.file_publisher import Recording, _create_stacks, _write_header
from wnet_edge.physics.geometry import Geometry

GEOMETRY = Geometry(10_000, 0.9, 55e-6)


def begun(name, dtype="u4"):
    """The file, empty, under SWMR."""
    frames, positions_m = stored()
    recording = Recording(frames.astype(dtype), positions_m, GEOMETRY, binning=2)
    file = h5py.File(name, "w-", libver="latest")
    _write_header(file, recording)
    _create_stacks(file, recording)
    file.swmr_mode = True
    return file


def add_positions(file, first, end, missing=()):
    """Write positions, NaN for those that are missing."""
    rows_m, columns_m = stored()[1][first:end].T
    values = np.stack([columns_m, rows_m, 0 * rows_m], axis=1)
    values[[number - first for number in missing]] = np.nan
    _append(file[TRANSLATION], values, first, end)


def add_frames(file, first, end, bad=(), part=np.s_[:]):
    """Write frames, NaN in this part of those that are bad."""
    frames = stored()[0][first:end].astype(file[f"{DETECTOR}/data"].dtype)
    for number in bad:
        frames[number - first][part] = np.nan
    _append(file[f"{DETECTOR}/data"], frames, first, end)


def add(file, first, end):
    """Write positions, then frames."""
    add_positions(file, first, end)
    add_frames(file, first, end)


def _append(dataset, values, first, end):
    dataset.resize(end, axis=0)
    dataset[first:end] = values
    dataset.flush()
