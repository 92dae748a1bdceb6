"""One known scan in every layout of arrays: NPZ of four programs, NPY and TIFF with a table.

Each writer gives the scan file and the flags without which it says too little.
"""

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from known_data import KnownScanData

from wnet_edge.io.read_options import ReadOptions

Writer = Callable[[Path, KnownScanData], tuple[Path, ReadOptions]]


def _corner(values):
    """Zero frequency from the centre to the corner."""
    return np.fft.ifftshift(values, axes=(-2, -1))


def _flags(folder: Path, known: KnownScanData, *, mask=None, probe=True) -> ReadOptions:
    """Geometry, mask and probe, which no archive has in full."""
    np.save(folder / "mask.npy", known.mask if mask is None else mask)
    np.save(folder / "probe.npy", known.probe)
    return ReadOptions(
        energy_ev=known.geometry.energy_ev,
        distance_m=known.geometry.distance_m,
        pixel_size_m=known.geometry.detector_pixel_size_m,
        mask=str(folder / "mask.npy"),
        probe=str(folder / "probe.npy") if probe else None,
    )


def _positions_px(known: KnownScanData):
    return known.positions_m / known.object_pixel_size_m


def npz_ptychonn_raster(folder: Path, known: KnownScanData) -> tuple[Path, ReadOptions]:
    """`arr_0` (rows, columns, H, W) and the step by flag."""
    rows, columns = (len(np.unique(np.rint(axis * 1e12))) for axis in known.positions_m.T)
    steps = np.ptp(known.positions_m, axis=0) / np.maximum([rows - 1, columns - 1], 1)
    if rows * columns != len(known.frames) or not np.isclose(*steps):
        pytest.skip("its positions are not a raster of one step")
    path = folder / "20191008_39_diff.npz"
    np.savez(path, known.frames.reshape(rows, columns, *known.frames.shape[1:]))
    return path, replace(_flags(folder, known), step_m=float(steps[0]))


def npz_ptychonn(folder: Path, known: KnownScanData) -> tuple[Path, ReadOptions]:
    """`reciprocal` and `scan`, in object pixels."""
    path = folder / "ptychonn.npz"
    np.savez_compressed(path, reciprocal=known.frames.astype(np.float32), scan=_positions_px(known))
    return path, _flags(folder, known)


def npz_ptychopinn(folder: Path, known: KnownScanData) -> tuple[Path, ReadOptions]:
    """Amplitudes, x and y apart, one probe mode or several."""
    path = folder / "pinn.npz"
    rows, columns = _positions_px(known).T
    np.savez_compressed(
        path,
        diffraction=np.sqrt(known.frames).astype(np.float32),
        xcoords=columns,
        ycoords=rows,
        probeGuess=known.probe,
        objectGuess=np.ones((64, 64), np.complex64),
    )
    return path, _flags(folder, known, probe=False)


def npz_tike(folder: Path, known: KnownScanData) -> tuple[Path, ReadOptions]:
    """Zero frequency in the corner, of frames and mask alike.

    Axes and order of the numbers as in siemens-star-small.npz of tike 0.26.0.
    """
    path = folder / "tike.npz"
    np.savez(
        path,
        data=_corner(known.frames).astype(np.float32)[None],
        scan=_positions_px(known)[None],
        probe=np.asfortranarray(known.probe[None, None, None]),
    )
    return path, _flags(folder, known, mask=_corner(known.mask), probe=False)


def npy_and_csv(folder: Path, known: KnownScanData) -> tuple[Path, ReadOptions]:
    """Everything in a file of its own; positions with a header in micrometres."""
    path = folder / "frames.npy"
    np.save(path, known.frames)
    with (folder / "positions.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["frame", "x (um)", "y (um)"])
        for index, (row, column) in enumerate(known.positions_m.tolist()):
            table.writerow([index, column * 1e6, row * 1e6])
    positions = str(folder / "positions.csv")
    return path, replace(_flags(folder, known), positions=positions)


def tiff_and_csv(folder: Path, known: KnownScanData) -> tuple[Path, ReadOptions]:
    """A page a frame; positions as np.savetxt writes them, the header commented out."""
    path = folder / "frames.tif"
    tifffile.imwrite(path, known.frames, compression="zlib")
    np.savetxt(folder / "positions.txt", known.positions_m[:, ::-1], header="x_m y_m")
    positions = str(folder / "positions.txt")
    return path, replace(_flags(folder, known), positions=positions)


LAYOUTS: dict[str, Writer] = {
    "npz_ptychonn_raster": npz_ptychonn_raster,
    "npz_ptychonn": npz_ptychonn,
    "npz_ptychopinn": npz_ptychopinn,
    "npz_tike": npz_tike,
    "npy_and_csv": npy_and_csv,
    "tiff_and_csv": tiff_and_csv,
}
