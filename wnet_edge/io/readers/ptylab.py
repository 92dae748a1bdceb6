"""Files of PtyLab: measured data and saved reconstructions.

PtyLab 0.3.7 (Loetgering et al., Opt. Express 31, 2023, 13763): all lengths in metres; `encoder`
is (N, 2) row, column of the probe on the object, +encoder / object pixel in pixels. `dxd` is the
edge of a pixel as stored, binned or not. Fourier ptychography uses the same names and `zled`.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np

from wnet_edge.io.containers.hdf5.frames import frames_of
from wnet_edge.io.containers.hdf5.quantities import factor_of, number_of
from wnet_edge.io.containers.hdf5.reader import (
    Hdf5Reader,
    array_of,
    dataset_error,
    modes_of,
    optional_dataset,
)
from wnet_edge.io.containers.units import Quantity
from wnet_edge.io.found import Found, FoundScan, Positions, Wanted, attempt
from wnet_edge.io.parts.beam_and_detector import energy_of_wavelength, optional_number
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.scan.frame_source import FrameSource

_ORIENTATIONS = (
    Orientation.IDENTITY,
    Orientation.FLIP_COLUMNS,
    Orientation.FLIP_ROWS,
    Orientation.ROTATE_180,
    Orientation.TRANSPOSE,
    Orientation.FLIP_ROWS_TRANSPOSE,
    Orientation.FLIP_COLUMNS_TRANSPOSE,
    Orientation.ROTATE_180_TRANSPOSE,
)
"""Orientations by PtyLab's number; PtyLab transposes first, wnet-edge last, which swaps flips."""


class TurnedFrames:
    """Frames (N, H, W) that are flipped and transposed on reading."""

    def __init__(self, source: FrameSource, orientation: Orientation) -> None:
        self._source = source
        self._orientation = orientation

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, H, W) after transposition."""
        count, *frame = self._source.shape
        return (count, *(reversed(frame) if self._orientation.transposes else frame))

    @property
    def dtype(self) -> np.dtype[Any]:
        """Stored dtype."""
        return self._source.dtype

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice or an index; rows and columns may be sliced too."""
        along, *within = key if isinstance(key, tuple) else (key,)
        turned = orient(np.asarray(self._source[along]), self._orientation)
        return turned[(..., *within)] if len(within) == 2 else turned


def recognises(file: h5py.File) -> bool:
    """Whether the file has a ptychogram and its encoder, or a reconstruction's encoder."""
    return ("ptychogram" in file and "encoder" in file) or (
        "encoder_corrected" in file and "probe" in file
    )


def read(file: h5py.File, path: Path, _: Wanted) -> FoundScan:
    """Read a file of PtyLab.

    Raises:
        ScanError: in one line that names the file, the dataset and the remedy.
    """
    probe = optional_dataset(file, path, "probe")
    wavelength = optional_dataset(file, path, "wavelength")
    probe_pixel = attempt(lambda: _length(file, path, "dxp"))
    fourier = "zled" in file and "zo" not in file
    return FoundScan(
        path=path,
        format="PtyLab",
        frames=attempt(lambda: _frames(file, path)),
        positions=attempt(lambda: _positions(file, path)),
        energy_ev=attempt(lambda: energy_of_wavelength(path, wavelength, "m")),
        distance_m=attempt(lambda: _length(file, path, "zo")),
        pixel_size_m=attempt(lambda: _length(file, path, "dxd")),
        probe=None if probe is None else attempt(lambda: modes_of(path, probe)),
        probe_pixel_size_m=probe_pixel.value if isinstance(probe_pixel, Found) else None,
        near_field="it is Fourier ptychography, its frames are images" if fourier else None,
    )


READER = Hdf5Reader(recognises, read)


def _length(file: h5py.File, path: Path, name: str) -> Found[float] | None:
    return optional_number(path, optional_dataset(file, path, name), Quantity.LENGTH, "m")


def _frames(file: h5py.File, path: Path) -> Found[FrameSource] | None:
    dataset = optional_dataset(file, path, "ptychogram")
    if dataset is None:
        return None
    frames = frames_of(path, dataset)
    turning = optional_dataset(file, path, "orientation")
    number = 0.0 if turning is None else number_of(path, turning).value
    if number not in range(len(_ORIENTATIONS)):
        raise dataset_error(
            path, turning, f"is {number:g}, not 0 … 7", "write one of PtyLab's numbers"
        )
    orientation = _ORIENTATIONS[int(number)]
    if orientation is Orientation.IDENTITY:
        return frames
    turned: FrameSource = TurnedFrames(frames.value, orientation)
    return Found(turned, frames.where)


def _positions(file: h5py.File, path: Path) -> Found[Positions] | None:
    """Positions (N, 2) row, column; PtyLab also accepts (2, N)."""
    dataset = optional_dataset(file, path, "encoder", "encoder_corrected")
    if dataset is None:
        return None
    lying = dataset.ndim == 2 and dataset.shape[0] == 2 < dataset.shape[1]
    shape = (2, None) if lying else (None, 2)
    values = array_of(path, dataset, "uif", shape, "write (N, 2) row, column in metres")
    factor = factor_of(path, dataset, Quantity.LENGTH, "m")
    rows_columns = (values.T if lying else values).astype(np.float64) * factor
    return Found(Positions(rows_columns), dataset.name)
