"""CXI 1.4 to 1.6 files, as the Coherent X-ray Imaging Data Bank defines them.

Maia, Nature Methods 9, 2012, 854; www.cxidb.org/cxi.html. The first entry is read, with the
detector that its frames are of; SI units throughout. Two things are ours: `detector_1/binning`
(absent: 1), for frames whose detector pixels are already summed, and the labels of simulated frames
in `/entry_1/labels`.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.beam_and_detector import energy_of_wavelength, optional_number, square_pixel
from wnet_edge.io.found import Found, FoundScan, Hdf5Reader, Positions, attempt
from wnet_edge.io.hdf5 import (
    array_of,
    bad,
    dataset_at,
    factor_of,
    followed,
    mask_of,
    modes_of,
    number_of,
    opened,
    optional_dataset,
)
from wnet_edge.io.hdf5_frames import Hdf5Frames, frames_of
from wnet_edge.io.units import Quantity
from wnet_edge.scan import FrameSource

ENTRY = "entry_1"
DETECTOR = f"{ENTRY}/instrument_1/detector_1"
SOURCE = f"{ENTRY}/instrument_1/source_1"
ILLUMINATION = f"{SOURCE}/illumination"
TRANSLATION = f"{ENTRY}/sample_1/geometry_1/translation"
LABELS = f"{ENTRY}/labels"
BAD_PIXEL_BITS = 0xFFFF
"""Mask bits that say why a pixel is bad; the upper half only informs (0x10000: has signal)."""

_MAX_DETECTORS = 16


@dataclass(frozen=True)
class Labels:
    """What a simulated scan knows of its own object.

    Attributes:
        amplitude: (N, h, h), relative to its illumination-weighted RMS, read lazily.
        phase: (N, h, h) rad, gauge-fixed, read lazily.
        window_px: h.
        binning: detector pixels along an edge that the network's frames sum.
    """

    amplitude: Hdf5Frames
    phase: Hdf5Frames
    window_px: int
    binning: int


def recognises(file: h5py.File) -> bool:
    """Whether the file says it is CXI, or is laid out like one."""
    return "cxi_version" in file or f"{ENTRY}/instrument_1" in file or f"{ENTRY}/data_1" in file


def read(file: h5py.File, path: Path) -> FoundScan:
    """What a CXI file holds, far-field or not.

    Raises:
        ScanError: in one line that names the file, the dataset and the cure.
    """
    detector = _detector(file)
    frames = attempt(lambda: _frames(file, path, detector))
    return FoundScan(
        path=path,
        format=f"CXI {_version(file)}",
        frames=frames,
        positions=attempt(lambda: _positions(file, path, detector, frames)),
        energy_ev=attempt(lambda: _energy(file, path)),
        distance_m=attempt(lambda: _distance(file, path, detector)),
        pixel_size_m=attempt(lambda: _pixel_size(file, path, detector)),
        mask=attempt(lambda: _mask(file, path, detector)),
        probe=attempt(lambda: _probe(file, path)),
        probe_pixel_size_m=_probe_pixel_size_m(file),
        binning=_binning(file, path, detector),
    )


READER = Hdf5Reader(recognises, read)


def is_simulated(path: Path) -> bool:
    """Whether a readable scan file, of any format, holds labels as `wnet-edge simulate` writes."""
    if not h5py.is_hdf5(path):
        return False
    with opened(path) as file:
        return LABELS in file


def read_labels(path: Path) -> Labels | None:
    """The labels in a simulated scan, or None where the file has none.

    Raises:
        ScanError: if there are labels that do not fit the frames.
    """
    with opened(path) as file:
        if LABELS not in file:
            return None
        frames = _frames(file, path, _detector(file))
        frame_count = 0 if frames is None else frames.value.shape[0]
        parts = [dataset_at(file, path, f"{LABELS}/{name}") for name in ("amplitude", "phase")]
        window_px = parts[0].shape[-1] if parts[0].shape else 0
        for part in parts:
            if part.dtype.kind != "f" or part.shape != (frame_count, window_px, window_px):
                raise bad(path, part, f"is not ({frame_count}, h, h) floating point", "simulate")
        attributes = parts[0].parent.attrs
        binning = attributes.get("binning")
        if attributes.get("window_px") != window_px or not isinstance(binning, np.integer):
            raise ScanError(
                f"{path}: {LABELS} lacks its attributes window_px = {window_px} and binning; "
                "simulate it again"
            )
        amplitude, phase = (Hdf5Frames(path, part) for part in parts)
        return Labels(amplitude, phase, window_px, int(binning))


def _version(file: h5py.File) -> str:
    """As people write it: 160 is 1.6."""
    stored = file.get("cxi_version")
    known = isinstance(stored, h5py.Dataset) and stored.shape == () and stored.dtype.kind in "ui"
    return f"{int(stored[()]) / 100:.1f}" if known else "of no stated version"


def _detector(file: h5py.File) -> str:
    """The detector whose frames `data_1` links to, else the first with frames, else the first."""
    names = [f"{ENTRY}/instrument_1/detector_{n}" for n in range(1, _MAX_DETECTORS + 1)]
    with_frames = [name for name in names if f"{name}/data" in file]
    linked = followed(file, f"{ENTRY}/data_1/data")
    of_data = [n for n in with_frames if linked and followed(file, f"{n}/data") == linked]
    return next(iter([*of_data, *with_frames]), DETECTOR)


def _frames(file: h5py.File, path: Path, detector: str) -> Found[FrameSource] | None:
    dataset = optional_dataset(file, path, f"{ENTRY}/data_1/data", f"{detector}/data")
    return None if dataset is None else frames_of(path, dataset)


def _binning(file: h5py.File, path: Path, detector: str) -> int:
    dataset = optional_dataset(file, path, f"{detector}/binning")
    if dataset is None:
        return 1
    binning = number_of(path, dataset).value
    if not (1 <= binning <= 64 and binning == int(binning)):
        raise bad(path, dataset, f"is {binning:g}, not a whole number of 1 … 64", "mend it")
    return int(binning)


def _positions(
    file: h5py.File, path: Path, detector: str, frames: Found[FrameSource] | None
) -> Found[Positions] | None:
    """(N, 2) row, column: y and x of `translation` (x, y, z)."""
    names = (
        TRANSLATION,
        f"{ENTRY}/data_1/translation",
        f"{detector}/translation",
    )
    dataset = optional_dataset(file, path, *names)
    if dataset is None:
        return None
    columns = dataset.shape[-1] if dataset.ndim == 2 and dataset.shape[-1] == 2 else 3
    count = frames.value.shape[0] if isinstance(frames, Found) else None
    values = array_of(path, dataset, "uif", (None, columns), "write x, y, z in metres", count)
    factor = factor_of(path, dataset, Quantity.LENGTH, "m")
    return Found(Positions(values[:, 1::-1].astype(np.float64) * factor), dataset.name)


def _energy(file: h5py.File, path: Path) -> Found[float] | None:
    """From `energy` in J, or from `wavelength` in m where that is all there is."""
    energy = optional_dataset(file, path, f"{SOURCE}/energy")
    wavelength = optional_dataset(file, path, f"{SOURCE}/wavelength")
    return optional_number(path, energy, Quantity.ENERGY, "J") or energy_of_wavelength(
        path, wavelength, "m"
    )


def _distance(file: h5py.File, path: Path, detector: str) -> Found[float] | None:
    distance = optional_dataset(file, path, f"{detector}/distance")
    return optional_number(path, distance, Quantity.LENGTH, "m")


def _pixel_size(file: h5py.File, path: Path, detector: str) -> Found[float] | None:
    x, y = (optional_dataset(file, path, f"{detector}/{axis}_pixel_size") for axis in "xy")
    return square_pixel(path, x, y, "m")


def _probe(file: h5py.File, path: Path) -> Found[NDArray[np.complex64]] | None:
    dataset = optional_dataset(file, path, ILLUMINATION)
    return None if dataset is None else modes_of(path, dataset)


def _probe_pixel_size_m(file: h5py.File) -> float | None:
    probe = followed(file, ILLUMINATION)
    if probe is None:
        return None
    given = probe.attrs.get("pixel_size_m", probe.attrs.get("pixel_size"))
    size_m = float(given) if isinstance(given, (np.floating, float)) else math.nan
    return size_m if 0 < size_m < 1 else None


def _mask(file: h5py.File, path: Path, detector: str) -> Found[NDArray[np.bool_]] | None:
    dataset = optional_dataset(file, path, f"{detector}/mask")
    if dataset is None:
        return None
    bits = mask_of(path, dataset)
    return Found((bits.value & BAD_PIXEL_BITS) != 0, bits.where)
