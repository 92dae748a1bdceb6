"""Reading CXI 1.4 to 1.6 files: where frames, positions, geometry and probe enter the flow.

The HDF5 layout of the Coherent X-ray Imaging Data Bank (Maia, Nature Methods 9, 2012, 854;
www.cxidb.org/cxi.html), of which one entry with one detector is read. Everything but the frames is
read and checked at once; frames stay in the file, which is opened for each read and closed again.

Two things are ours: `detector_1/binning` (absent: 1), for frames whose detector pixels are already
summed, and the labels of simulated frames in `/entry_1/labels`.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401 - registers the compression filters that detectors write with
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.geometry import PLANCK_EV_M, Geometry
from wnet_edge.scan import Scan

JOULE_PER_EV = 1.602176634e-19
"""Exact since the SI of 2019."""

DETECTOR = "entry_1/instrument_1/detector_1"
SOURCE = "entry_1/instrument_1/source_1"
LABELS = "entry_1/labels"
FRAMES = ("entry_1/data_1/data", f"{DETECTOR}/data")
TRANSLATION = (
    "entry_1/sample_1/geometry_1/translation",
    "entry_1/data_1/translation",
    f"{DETECTOR}/translation",
)
BAD_PIXEL_BITS = 0xFFFF
"""Mask bits that say why a pixel is bad; the upper half only informs (0x10000: has signal)."""

MAX_FRAMES = 10_000_000
MAX_FRAME_PX = 8192
MAX_MODES = 64


class CxiFrames:
    """Frames (N, n, n) of a file, of its own number type; each read opens and closes the file.

    Opening costs 0.3 ms, a batch of frames several; in return nothing holds the file, and the
    object can be handed to another process.
    """

    def __init__(self, path: Path, dataset: str, shape: tuple[int, ...]) -> None:
        self._path = path
        self._dataset = dataset
        self._shape = shape

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, n, n)."""
        return self._shape

    def __getitem__(self, key: Any, /) -> Any:  # noqa: ANN401 - h5py's own signature
        """Frames of a slice.

        Raises:
            ScanError: if the file has gone, or its content is damaged or changed.
        """
        with _opened(self._path) as file:
            dataset = file.get(self._dataset)
            if not isinstance(dataset, h5py.Dataset) or dataset.shape != self._shape:
                raise ScanError(
                    f"{self._path}: {self._dataset} has changed since it was opened; "
                    "wait until the file is complete and start again"
                )
            return dataset[key]


@dataclass(frozen=True)
class Labels:
    """What a simulated scan knows of its own object.

    Attributes:
        amplitude: (N, h, h), relative to its illumination-weighted RMS, read lazily.
        phase: (N, h, h) rad, gauge-fixed, read lazily.
        window_px: h.
        binning: detector pixels along an edge that the network's frames sum.
    """

    amplitude: CxiFrames
    phase: CxiFrames
    window_px: int
    binning: int


def read_cxi(path: Path) -> Scan:
    """The scan in a CXI file, far-field or not; frames are read when they are asked for.

    Raises:
        ScanError: in one line that names the file, the dataset and the cure.
    """
    with _opened(path) as file:
        frames = _frames(file, path)
        frame_count, frame_px = frames.shape[:2]
        binning = int(_number(file, path, f"{DETECTOR}/binning", (1, 64), otherwise=1))
        pixel_size_m = _pixel_size_m(file, path)
        geometry = Geometry(
            energy_ev=_energy_ev(file, path),
            distance_m=_number(file, path, f"{DETECTOR}/distance", (1e-4, 1e3), units="m"),
            detector_pixel_size_m=pixel_size_m / binning,
        )
        probe, probe_pixel_size_m = _probe(file, path, frame_px * binning)
        return Scan(
            path=path,
            frames=frames,
            positions_m=_positions_m(file, path, frame_count),
            geometry=geometry,
            mask=_mask(file, path, frame_px),
            probe=probe,
            binning=binning,
            probe_pixel_size_m=probe_pixel_size_m,
        )


def read_labels(path: Path) -> Labels | None:
    """The labels in a simulated scan, or None where the file has none.

    Raises:
        ScanError: if there are labels that do not fit the frames.
    """
    with _opened(path) as file:
        if LABELS not in file:
            return None
        frame_count = _frames(file, path).shape[0]
        parts = [_dataset(file, path, f"{LABELS}/{name}") for name in ("amplitude", "phase")]
        window_px = parts[0].shape[-1] if parts[0].shape else 0
        for part in parts:
            if part.dtype.kind != "f" or part.shape != (frame_count, window_px, window_px):
                raise _bad(path, part, f"is not ({frame_count}, h, h) floating point", "simulate")
        attributes = parts[0].parent.attrs
        binning = attributes.get("binning")
        if attributes.get("window_px") != window_px or not isinstance(binning, np.integer):
            raise ScanError(
                f"{path}: {LABELS} lacks its attributes window_px = {window_px} and binning; "
                "simulate it again"
            )
        amplitude, phase = (CxiFrames(path, part.name, part.shape) for part in parts)
        return Labels(amplitude, phase, window_px, int(binning))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The file, open for reading; whatever HDF5 says of it becomes one line."""
    if path.is_dir():
        raise ScanError(f"{path}: is a folder; name a CXI file")
    if not path.exists():
        raise ScanError(f"{path}: no such file; check the path")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ScanError(
            f"{path}: can't be read as HDF5 ({reason}); copy it again, or convert it to CXI"
        ) from error


def _dataset(file: h5py.File, path: Path, *names: str) -> h5py.Dataset:
    """The first of these datasets that the file has."""
    for name in names:
        found = file.get(name)
        if isinstance(found, h5py.Dataset) and found.shape is not None:
            return found
    raise ScanError(f"{path}: has no dataset /{names[0]}; write it, or convert the file to CXI")


def _bad(path: Path, dataset: h5py.Dataset, fault: str, cure: str) -> ScanError:
    return ScanError(f"{path}: {dataset.name} {fault}; {cure}")


def _frames(file: h5py.File, path: Path) -> CxiFrames:
    dataset = _dataset(file, path, *FRAMES)
    shape = dataset.shape
    if dataset.dtype.kind not in "uif":
        raise _bad(path, dataset, f"holds {dataset.dtype}, not counts", "write integers")
    if len(shape) != 3 or shape[1] != shape[2]:
        raise _bad(path, dataset, f"is {shape}, not (N, n, n)", "cut frames to a square")
    if not 1 <= shape[0] <= MAX_FRAMES:
        raise _bad(path, dataset, f"holds {shape[0]} frames", f"write 1 to {MAX_FRAMES}")
    if not 2 <= shape[1] <= MAX_FRAME_PX:
        raise _bad(path, dataset, f"has frames of {shape[1]} px", f"cut to {MAX_FRAME_PX} px")
    return CxiFrames(path, dataset.name, shape)


def _positions_m(file: h5py.File, path: Path, frame_count: int) -> NDArray[np.float64]:
    """(N, 2) row, column: y and x of `translation` (x, y, z)."""
    dataset = _dataset(file, path, *TRANSLATION)
    if dataset.dtype.kind not in "uif" or dataset.ndim != 2 or dataset.shape[1] not in (2, 3):
        fault = f"is {dataset.dtype} {dataset.shape}, not (N, 3) numbers"
        raise _bad(path, dataset, fault, "write x, y, z in metres")
    if dataset.shape[0] != frame_count:
        fault = f"holds {dataset.shape[0]} positions for {frame_count} frames"
        raise _bad(path, dataset, fault, "write one position a frame")
    _check_units(path, dataset, "m")
    positions = np.asarray(dataset[:, :2], dtype=np.float64)[:, ::-1]
    wrong = np.flatnonzero(~np.isfinite(positions).all(axis=1))
    if len(wrong):
        fault = f"is not a number at frame {wrong[0]}"
        raise _bad(path, dataset, fault, "remove frames without a position")
    span_m = float(np.ptp(positions, axis=0).max())
    if span_m > 1:
        fault = f"spans {span_m:.3g} m, which no scan does"
        raise _bad(path, dataset, fault, "write metres, as CXI has it")
    return positions


def _energy_ev(file: h5py.File, path: Path) -> float:
    """From `energy` in J, or from `wavelength` in m where that is all there is."""
    ev_range = (20.0, 1e6)
    if f"{SOURCE}/energy" not in file and f"{SOURCE}/wavelength" in file:
        limits = (PLANCK_EV_M / ev_range[1], PLANCK_EV_M / ev_range[0])
        return PLANCK_EV_M / _number(file, path, f"{SOURCE}/wavelength", limits, units="m")
    limits = (ev_range[0] * JOULE_PER_EV, ev_range[1] * JOULE_PER_EV)
    return _number(file, path, f"{SOURCE}/energy", limits, units="J") / JOULE_PER_EV


def _pixel_size_m(file: h5py.File, path: Path) -> float:
    limits = (1e-8, 1e-1)
    x_m, y_m = (
        _number(file, path, f"{DETECTOR}/{axis}_pixel_size", limits, units="m") for axis in "xy"
    )
    if not math.isclose(x_m, y_m, rel_tol=1e-3):
        raise ScanError(
            f"{path}: /{DETECTOR} has pixels of {x_m:.4g} m × {y_m:.4g} m; bin it to square pixels"
        )
    return x_m


def _number(
    file: h5py.File,
    path: Path,
    name: str,
    limits: tuple[float, float],
    *,
    units: str = "",
    otherwise: float | None = None,
) -> float:
    """A scalar within `limits`; CXI fixes its units."""
    if otherwise is not None and name not in file:
        return otherwise
    dataset = _dataset(file, path, name)
    if dataset.size != 1 or dataset.dtype.kind not in "uif":
        raise _bad(path, dataset, "is not one number", "write a scalar")
    _check_units(path, dataset, units)
    value = float(np.asarray(dataset[()]).reshape(-1)[0])
    if not limits[0] <= value <= limits[1]:
        fault = f"is {value:.6g}, not within {limits[0]:.3g} … {limits[1]:.3g} {units}".rstrip()
        raise _bad(path, dataset, fault, f"write it in {units}, as CXI has it" if units else "fix")
    return value


def _check_units(path: Path, dataset: h5py.Dataset, units: str) -> None:
    given = dataset.attrs.get("units", units)
    text = given.decode("utf-8", "replace") if isinstance(given, bytes) else str(given)
    if units and text.strip().lower() not in {units.lower(), *_SPELLED_OUT[units]}:
        raise _bad(path, dataset, f"is in {text[:20]!r}, not in {units}", f"write it in {units}")


_SPELLED_OUT = {
    "m": ("metre", "metres", "meter", "meters"),
    "J": ("joule", "joules"),
}


def _mask(file: h5py.File, path: Path, frame_px: int) -> NDArray[np.bool_]:
    """(n, n), True where a pixel is bad; no mask means none is."""
    if f"{DETECTOR}/mask" not in file:
        return np.zeros((frame_px, frame_px), dtype=np.bool_)
    dataset = _dataset(file, path, f"{DETECTOR}/mask")
    if dataset.shape != (frame_px, frame_px) or dataset.dtype.kind not in "uib":
        fault = f"is {dataset.dtype} {dataset.shape}, not integers ({frame_px}, {frame_px})"
        raise _bad(path, dataset, fault, "write one mask for all frames")
    mask: NDArray[np.bool_] = (np.asarray(dataset[()]).astype(np.int64) & BAD_PIXEL_BITS) != 0
    if mask.all():
        raise _bad(path, dataset, "marks every pixel as bad", "write 0 for good pixels")
    return mask


def _probe(
    file: h5py.File, path: Path, full_px: int
) -> tuple[NDArray[np.complex64] | None, float | None]:
    """Modes (modes, full, full) and their pixel size, each None where the file has none."""
    if f"{SOURCE}/illumination" not in file:
        return None, None
    dataset = _dataset(file, path, f"{SOURCE}/illumination")
    shape = dataset.shape if dataset.ndim == 3 else (1, *dataset.shape)
    if dataset.dtype.kind != "c" or shape[1:] != (full_px, full_px) or shape[0] > MAX_MODES:
        fault = f"is {dataset.dtype} {dataset.shape}, not complex (modes, {full_px}, {full_px})"
        cure = f"write it for the full window, or say /{DETECTOR}/binning if frames are binned"
        raise _bad(path, dataset, fault, cure)
    probe = np.asarray(dataset[()], dtype=np.complex64).reshape(shape)
    if not np.isfinite(probe).all() or not probe.any():
        raise _bad(path, dataset, "is dark or holds NaN", "remove it or write a measured probe")
    given = dataset.attrs.get("pixel_size_m", dataset.attrs.get("pixel_size"))
    size_m = float(given) if isinstance(given, (np.floating, float)) else math.nan
    return probe, size_m if 0 < size_m < 1 else None
