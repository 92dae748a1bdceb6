"""A recorded scan, written as a detector and its stage would: a CXI file that grows under SWMR.

For `wnet-edge replay --file`, to rehearse `wnet-edge follow`, and for its tests.
"""

import math
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Event as Signal

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.host.outputs import check_output
from wnet_edge.io.containers.units import JOULE_PER_EV
from wnet_edge.io.readers.cxi import DETECTOR, SOURCE, TRANSLATION
from wnet_edge.io.writers.cxi_writer import CXI_VERSION, DEAD_PIXEL, put
from wnet_edge.physics.geometry import Geometry
from wnet_edge.scan.frame_source import FrameSource

_MOST_BYTES = 64 << 20
"""Frames that are written at once, if the rate can't be kept."""

_PAUSE_S = 0.005
"""Between two writes: at high rates several frames are written together."""


@dataclass(frozen=True, eq=False)
class Recording:
    """A scan to be published.

    Attributes:
        frames: (N, H, W) counts, written in their dtype.
        positions_m: (N, 2) row, column.
        geometry: energy, distance, unbinned detector pixel; None if unknown.
        mask: (H, W) bool, True for pixels that must not be used; None if all are good.
        probe: (modes, n, n) complex64 in square-root counts, or None.
        binning: detector pixels along an edge that are already summed in the frames.
    """

    frames: FrameSource
    positions_m: NDArray[np.float64]
    geometry: Geometry | None = None
    mask: NDArray[np.bool_] | None = None
    probe: NDArray[np.complex64] | None = None
    binning: int = 1


def publish_file(
    path: Path,
    recording: Recording,
    rate_hz: float = math.inf,
    *,
    force: bool = False,
    stop: Signal | None = None,
) -> int:
    """Write the scan frame by frame, each after its position; returns the number of frames.

    Args:
        path: of the new file, which can be read from the first frame on.
        recording: the scan.
        rate_hz: frames per second.
        force: whether an existing file may be replaced.
        stop: ends the writing when set.

    Raises:
        ScanError: if `path` exists and `force` is False, or it can't be written.
    """
    check_output(path, ScanError, force=force)
    try:
        path.unlink(missing_ok=True)  # whoever reads the old file keeps it
        with h5py.File(path, "w-", libver="latest") as file:
            _write_header(file, recording)
            frames, translation = _create_stacks(file, recording)
            file.swmr_mode = True
            return _write_frames(recording, frames, translation, rate_hz, stop or Signal())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScanError(f"{path}: can't be written ({reason}); name another file") from error


def _write_header(file: h5py.File, recording: Recording) -> None:
    file["cxi_version"] = CXI_VERSION
    file["number_of_entries"] = 1
    geometry = recording.geometry
    if geometry is not None:
        put(file, f"{SOURCE}/energy", geometry.energy_ev * JOULE_PER_EV, "J")
        put(file, f"{DETECTOR}/distance", geometry.distance_m, "m")
        for axis in "xy":
            pixel_size_m = geometry.detector_pixel_size_m * recording.binning
            put(file, f"{DETECTOR}/{axis}_pixel_size", pixel_size_m, "m")
    file[f"{DETECTOR}/binning"] = recording.binning
    if recording.mask is not None:
        file[f"{DETECTOR}/mask"] = np.where(recording.mask, DEAD_PIXEL, 0).astype(np.uint32)
    if recording.probe is not None:
        file[f"{SOURCE}/illumination"] = recording.probe


def _create_stacks(file: h5py.File, recording: Recording) -> tuple[h5py.Dataset, h5py.Dataset]:
    """Create empty datasets for frames and positions."""
    frame = tuple(recording.frames.shape[1:])
    frames = file.create_dataset(
        f"{DETECTOR}/data",
        shape=(0, *frame),
        maxshape=(None, *frame),
        dtype=recording.frames.dtype,
        chunks=(1, *frame),
    )
    translation = file.create_dataset(
        TRANSLATION, shape=(0, 3), maxshape=(None, 3), dtype=np.float64, chunks=(256, 3)
    )
    translation.attrs["units"] = "m"
    file["entry_1/data_1/data"] = h5py.SoftLink(frames.name)
    file["entry_1/data_1/translation"] = h5py.SoftLink(translation.name)
    return frames, translation


def _write_frames(
    recording: Recording,
    frames: h5py.Dataset,
    translation: h5py.Dataset,
    rate_hz: float,
    stop: Signal,
) -> int:
    """Write what is due, again and again; returns the number of frames written."""
    count = len(recording.positions_m)
    frame_bytes = math.prod(frames.shape[1:]) * frames.dtype.itemsize
    most = max(1, _MOST_BYTES // frame_bytes)
    start_s, written = time.perf_counter(), 0
    while written < count and not stop.is_set():
        elapsed_s = time.perf_counter() - start_s
        due = count if math.isinf(rate_hz) else min(count, int(elapsed_s * rate_hz) + 1)
        due = min(due, written + most)
        if due > written:
            rows_m, columns_m = recording.positions_m[written:due].T
            translation.resize(due, axis=0)
            translation[written:due] = np.stack([columns_m, rows_m, 0 * rows_m], axis=1)
            translation.flush()
            frames.resize(due, axis=0)
            frames[written:due] = recording.frames[written:due]
            frames.flush()
            written = due
        if written < count:
            stop.wait(max(_PAUSE_S, start_s + written / rate_hz - time.perf_counter()))
    return written
