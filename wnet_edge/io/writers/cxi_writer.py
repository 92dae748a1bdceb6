"""Writing scans as CXI 1.6 files, for `wnet_edge.io.readers.cxi` and other readers of the format.

Used for simulated scans and the embedded example: frames are written in batches, so that memory
does not grow with the scan, and the file gets its name when it is complete.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from wnet_edge.errors import ScanError
from wnet_edge.host.outputs import replacing
from wnet_edge.io.containers.units import JOULE_PER_EV
from wnet_edge.io.readers.cxi import DETECTOR, LABELS, SOURCE, TRANSLATION
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.labelled_frames import LabelledFrames

CXI_VERSION = 160
DEAD_PIXEL = 0x8
"""Mask bit of a pixel that must not be used (CXI 1.6, table of pixel masks)."""


@dataclass(frozen=True)
class CxiHeader:
    """Everything of a scan except its frames.

    Attributes:
        geometry: energy, distance, unbinned detector pixel.
        positions_m: (N, 2) row, column of each frame's full window; N is the number of frames.
        frame_px: edge n of the frames as written.
        frame_dtype: dtype of the frames in the file; an integer type for integer counts.
        mask: (n, n) bool, True for pixels that must not be used; None if all are good.
        probe: (modes, full, full) complex64 in square-root counts, full = n × binning, or None.
        binning: detector pixels along an edge that are already summed in the frames.
        label_px: edge h of the labels, None without labels.
        label_binning: detector pixels along an edge that a network for these labels sums.
        label_dtype: dtype of the labels in the file; half precision keeps phases to a milliradian.
        title: title of the entry, one line.
        note: origin of the data, and which values are measured or inferred.
    """

    geometry: Geometry
    positions_m: NDArray[np.float64]
    frame_px: int
    frame_dtype: DTypeLike = np.uint32
    mask: NDArray[np.bool_] | None = None
    probe: NDArray[np.complex64] | None = None
    binning: int = 1
    label_px: int | None = None
    label_binning: int = 1
    label_dtype: DTypeLike = np.float16
    title: str = ""
    note: str = ""


def write_cxi(
    path: Path, header: CxiHeader, batches: Iterable[LabelledFrames], *, force: bool = False
) -> None:
    """Write a scan batch by batch, atomically.

    Gzip with byte shuffle comes within 2 % of bitshuffle with zstd on counts, and every HDF5
    reader supports it. One frame is one chunk.

    Raises:
        ScanError: if `path` exists and `force` is False, can't be written, or a count does not fit
            `frame_dtype`.
        ValueError: if the batches do not match the header.
    """
    with (
        replacing(path, ScanError, force=force) as temporary,
        h5py.File(temporary, "w-") as file,
    ):
        _write_header(file, header)
        targets = _create_stacks(file, header)
        written = 0
        for batch in batches:
            stacks = (batch.frames, *(batch.labels or (None, None)))
            count = len(batch.frames)
            for target, stack in zip(targets, stacks, strict=True):
                if (target is None) != (stack is None):
                    raise ValueError("labels are in the header or in the batches, but not in both")
                if target is None or stack is None:
                    continue
                if written + count > len(target) or stack.shape != (count, *target.shape[1:]):
                    raise ValueError(f"a batch of {stack.shape} does not fit {target.shape}")
                target[written : written + count] = _as_stored(path, stack, target.dtype)
            written += count
        if written != len(header.positions_m):
            raise ValueError(f"{written} frames for {len(header.positions_m)} positions")


def _write_header(file: h5py.File, header: CxiHeader) -> None:
    file["cxi_version"] = CXI_VERSION
    file["number_of_entries"] = 1
    file["entry_1/title"] = header.title
    file["entry_1/note"] = header.note
    geometry = header.geometry
    put(file, f"{SOURCE}/energy", geometry.energy_ev * JOULE_PER_EV, "J")
    put(file, f"{SOURCE}/wavelength", geometry.wavelength_m, "m")
    put(file, f"{DETECTOR}/distance", geometry.distance_m, "m")
    for axis in "xy":
        pixel_size_m = geometry.detector_pixel_size_m * header.binning
        put(file, f"{DETECTOR}/{axis}_pixel_size", pixel_size_m, "m")
    file[f"{DETECTOR}/binning"] = header.binning
    mask = np.zeros((header.frame_px,) * 2, bool) if header.mask is None else header.mask
    file[f"{DETECTOR}/mask"] = np.where(mask, DEAD_PIXEL, 0).astype(np.uint32)
    if header.probe is not None:
        file[f"{SOURCE}/illumination"] = header.probe.astype(np.complex64, copy=False)
        file[f"{SOURCE}/illumination"].attrs["pixel_size_m"] = geometry.object_pixel_size_m(
            header.frame_px * header.binning
        )
    put_translation(file, header.positions_m)


def _create_stacks(
    file: h5py.File, header: CxiHeader
) -> tuple[h5py.Dataset, h5py.Dataset | None, h5py.Dataset | None]:
    """Create empty datasets for frames, amplitude and phase, one chunk per frame."""
    count = len(header.positions_m)

    def stack(name: str, edge_px: int, dtype: DTypeLike) -> h5py.Dataset:
        return file.create_dataset(
            name,
            shape=(count, edge_px, edge_px),
            dtype=dtype,
            chunks=(1, edge_px, edge_px),
            compression="gzip",
            shuffle=True,
        )

    frames = stack(f"{DETECTOR}/data", header.frame_px, header.frame_dtype)
    file["entry_1/data_1/data"] = h5py.SoftLink(frames.name)
    file["entry_1/data_1/translation"] = h5py.SoftLink(f"/{TRANSLATION}")
    if header.label_px is None:
        return frames, None, None
    amplitude = stack(f"{LABELS}/amplitude", header.label_px, header.label_dtype)
    phase = stack(f"{LABELS}/phase", header.label_px, header.label_dtype)
    phase.attrs["units"] = "rad"
    file[LABELS].attrs["window_px"] = header.label_px
    file[LABELS].attrs["binning"] = header.label_binning
    return frames, amplitude, phase


def put_translation(file: h5py.File, positions_m: NDArray[np.float64]) -> None:
    """Write positions (N, 2) row, column in metres in CXI's form, (N, 3) x, y, z."""
    rows_m, columns_m = positions_m.T
    translation = np.stack([columns_m, rows_m, np.zeros_like(rows_m)], axis=1)
    put(file, TRANSLATION, translation, "m")


def put(file: h5py.File, name: str, value: float | NDArray[np.float64], units: str) -> None:
    """Write a dataset with the attribute `units`."""
    file[name] = value
    file[name].attrs["units"] = units


def _as_stored(
    path: Path, stack: NDArray[np.generic], dtype: np.dtype[np.generic]
) -> NDArray[np.generic]:
    """Convert a stack to `dtype`; refuses counts that would change."""
    with np.errstate(invalid="ignore"):
        stored = stack.astype(dtype)
    if dtype.kind in "ui" and not np.array_equal(stored, stack):
        raise ScanError(
            f"{path}: counts up to {stack.max()} are not all whole numbers that fit {dtype}; "
            "choose a wider type"
        )
    return stored
