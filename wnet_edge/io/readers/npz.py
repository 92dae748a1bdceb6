"""NPZ archives of other programs, recognised by the names of their arrays.

- PtychoNN (Cherukara et al., Appl. Phys. Lett. 117, 2020, 044103): `arr_0`, a raster
  (rows, columns, H, W) of counts without positions; the user gives the step.
- ptychonn, its package: `reciprocal` (N, H, W) counts and `scan` (N, 2) row, column.
- PtychoPINN (Hoidn et al., Sci. Rep. 13, 2023, 22789): `diff3d`, formerly `diffraction`,
  (N, H, W), and `xcoords`, `ycoords` in object pixels. Floating-point values are amplitudes unless
  all are whole numbers: its data contract allows both, and detector integers are counts.
- tike: `data` (…, N, H, W) counts, `scan` (…, N, 2) row, column in object pixels and `probe`
  (…, modes, H, W), zero frequency at the corner of each frame.
- Ptychodus: a product, with the names of its HDF5 file (`wnet_edge.io.readers.ptychodus`) and the
  attributes as members; no frames.

Only the last one has energy and distance, and none has the detector pixel.
"""

import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.frame_axes import FoundStack, UnarrangedStack, raster_of, with_axes
from wnet_edge.io.containers.frame_by_frame import FrameByFrame
from wnet_edge.io.containers.numpy_file import member_names, opened_npz, read_member
from wnet_edge.io.containers.numpy_frames import npz_stack
from wnet_edge.io.found import (
    Found,
    FoundScan,
    FrameNumbers,
    Positions,
    PositionUnit,
    ZeroFrequency,
    attempt,
    required,
)
from wnet_edge.io.parts.array_parts import as_positions, as_probe
from wnet_edge.io.parts.named_array import NamedArray
from wnet_edge.io.parts.pairing import as_frame_numbers
from wnet_edge.package.manifest import MANIFEST_FILE
from wnet_edge.scan.frame_source import FrameSource

_SHOWN = 12
_LOOKED_AT = 4
"""Number of frames examined to distinguish counts from amplitudes."""

_LARGEST_SCAN_M = 0.01
"""Largest span of a scan in metres; smaller than any in object pixels."""


class SquaredFrames(FrameByFrame):
    """Frames of amplitudes, squared to counts, float32."""

    def __init__(self, amplitudes: FrameSource) -> None:
        super().__init__(amplitudes.shape, np.float32)
        self._amplitudes = amplitudes

    def each(self, numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Frames (H, W) of ascending numbers."""
        for number in numbers:
            yield np.square(np.asarray(self._amplitudes[number], dtype=np.float32))


def read_npz(path: Path) -> FoundScan:
    """Read an archive; for an unknown layout only the names of its arrays.

    Raises:
        ScanError: in one line with the remedy, if the archive is damaged or an array is invalid.
    """
    with opened_npz(path) as archive:
        if MANIFEST_FILE in archive.namelist():
            raise ScanError(f"{path}: is a package, not a scan; name it with --package")
        names = set(member_names(archive))
        if names >= {"probe_position_x_m", "probe_position_y_m"}:
            return _ptychodus(path, archive)
        if names & {"diff3d", "diffraction"} and names >= {"xcoords", "ycoords"}:
            return _ptychopinn(path, archive)
        if "reciprocal" in names:
            return _ptychonn(path, archive)
        if names >= {"data", "scan"}:
            return _tike(path, archive)
        if "arr_0" in names:
            return _raster(path, archive)
        shown = ", ".join(sorted(names)[:_SHOWN])
        return FoundScan(path=path, format=f"NPZ of {shown}" if names else "NPZ of no arrays")


def named_frames(path: Path, name: str) -> Found[FrameSource]:
    """A member of an archive as frames of counts.

    Raises:
        ScanError: if it does not exist, or is no stack.
    """
    with opened_npz(path) as archive:
        names = member_names(archive)
        if name not in names:
            shown = ", ".join(sorted(names)[:_SHOWN])
            raise ScanError(f"{path}: has no array {name}; name one of what it holds: {shown}")
        return npz_stack(path, archive, name)


def _raster(path: Path, archive: zipfile.ZipFile) -> FoundScan:
    frames = npz_stack(path, archive, "arr_0")
    return FoundScan(path=path, format="PtychoNN NPZ", frames=frames, raster=raster_of(frames))


def _ptychonn(path: Path, archive: zipfile.ZipFile) -> FoundScan:
    frames = npz_stack(path, archive, "reciprocal")
    scan = _array(path, archive, "scan")
    return FoundScan(
        path=path,
        format="ptychonn NPZ",
        frames=frames,
        positions=attempt(lambda: _ptychonn_positions(scan)),
    )


def _ptychonn_positions(scan: NamedArray | None) -> Found[Positions] | None:
    return None if scan is None else as_positions(scan, _metres_or_pixels(scan.values))


def _metres_or_pixels(positions: NDArray[Any]) -> str:
    """Unit of ptychonn's `scan`: its stitching uses metres, its command line object pixels."""
    if positions.dtype.kind not in "uif" or not np.isfinite(positions).any():
        return PositionUnit.OBJECT_PIXEL.value
    spans = np.nanmax(positions, axis=0) - np.nanmin(positions, axis=0)
    if np.max(spans) < _LARGEST_SCAN_M:
        return PositionUnit.METRE.value
    return PositionUnit.OBJECT_PIXEL.value


def _ptychopinn(path: Path, archive: zipfile.ZipFile) -> FoundScan:
    x, y = (_array(path, archive, f"{axis}coords") for axis in "xy")
    if x is None or y is None or x.values.ndim != 1 or x.values.shape != y.values.shape:
        raise ScanError(f"{path}: xcoords and ycoords are not both (N,); write one each per frame")
    name = "diff3d" if "diff3d" in member_names(archive) else "diffraction"
    frames = _ptychopinn_frames(path, archive, name, len(x.values))
    amplitudes = _are_amplitudes(frames)
    rows_columns = NamedArray(np.stack([y.values, x.values], axis=1), "px", (), "xcoords, ycoords")
    probe = _array(path, archive, "probeGuess")
    return FoundScan(
        path=path,
        format=f"PtychoPINN NPZ of {'amplitudes' if amplitudes else 'counts'}",
        frames=Found(SquaredFrames(frames) if amplitudes else frames, name),
        positions=as_positions(rows_columns),
        probe=None if probe is None else attempt(lambda: as_probe(probe)),
    )


def _ptychopinn_frames(
    path: Path, archive: zipfile.ZipFile, name: str, frame_count: int
) -> FrameSource:
    """Frames as stored, or from the last axis, as in older archives."""
    frames = npz_stack(path, archive, name)
    shape = frames.stack.shape if isinstance(frames, (FoundStack, UnarrangedStack)) else ()
    if len(shape) == 3 and shape[0] != frame_count == shape[2]:
        frames = required(with_axes(FoundScan(path, "NPZ", frames=frames), "HWN").frames)
    return frames.value


def _are_amplitudes(frames: FrameSource) -> bool:
    """Whether values are square roots of counts: no integer dtype, and not whole beyond 1."""
    if frames.dtype.kind != "f":
        return False
    first = np.asarray(frames[:_LOOKED_AT])
    first = first[np.isfinite(first)]
    whole = bool((first == np.rint(first)).all())
    return not whole or not (first > 1).any()


def _tike(path: Path, archive: zipfile.ZipFile) -> FoundScan:
    frames = npz_stack(path, archive, "data")
    raster = raster_of(frames)
    if raster is not None and raster[0] != 1:
        shape = (*raster, *frames.value.shape[1:])
        raise ScanError(f"{path}: data is {shape}, several scans; save one of them, (N, H, W)")
    scan, probe = _array(path, archive, "scan"), _array(path, archive, "probe")
    return FoundScan(
        path=path,
        format="tike NPZ",
        frames=frames,
        positions=None
        if scan is None
        else attempt(lambda: as_positions(scan, PositionUnit.OBJECT_PIXEL.value)),
        probe=None if probe is None else attempt(lambda: as_probe(probe)),
        zero_frequency=Found(ZeroFrequency.CORNER, "tike keeps it there"),
    )


def _ptychodus(path: Path, archive: zipfile.ZipFile) -> FoundScan:
    probe, far_field = _array(path, archive, "probe"), _array(path, archive, "far_field")
    near = far_field is not None and far_field.values.size == 1 and not far_field.values.item()
    pixel_size = _number(path, archive, "probe_pixel_height_m")
    return FoundScan(
        path=path,
        format="Ptychodus product",
        positions=attempt(lambda: _ptychodus_positions(path, archive)),
        energy_ev=_number(path, archive, "photon_energy_eV")
        or _number(path, archive, "probe_energy_eV"),
        distance_m=_number(path, archive, "detector_object_distance_m"),
        probe=None if probe is None else attempt(lambda: _main_modes(probe)),
        probe_pixel_size_m=None if pixel_size is None else pixel_size.value,
        near_field="the product's far_field is false" if near else None,
    )


def _ptychodus_positions(path: Path, archive: zipfile.ZipFile) -> Found[Positions]:
    x, y = (_array(path, archive, f"probe_position_{axis}_m") for axis in "xy")
    if x is None or y is None or x.values.ndim != 1 or x.values.shape != y.values.shape:
        raise ScanError(f"{path}: its positions are not (N,) x and y; save the product again")
    indices = _array(path, archive, "probe_position_indexes")
    where = f"{path}: probe_position_y_m, probe_position_x_m"
    rows_columns = NamedArray(np.stack([y.values, x.values], axis=1), "m", (), where)
    positions = as_positions(rows_columns)
    if indices is None:
        return positions
    if indices.values.shape != x.values.shape or indices.values.dtype.kind not in "uif":
        raise ScanError(f"{indices.where} are not one a position; save the product again")
    numbers = FrameNumbers(as_frame_numbers(indices.where, indices.values))
    return replace(positions, value=replace(positions.value, numbers=numbers))


def _main_modes(probe: NamedArray) -> Found[NDArray[np.complex64]]:
    """The incoherent modes; of several coherent ones (position-dependent), the first."""
    several = probe.values.ndim == 4
    return as_probe(replace(probe, values=probe.values[0]) if several else probe)


def _number(path: Path, archive: zipfile.ZipFile, name: str) -> Found[float] | None:
    """A member that is one positive number; else None (unknown)."""
    array = _array(path, archive, name)
    if array is None or array.values.size != 1 or array.values.dtype.kind not in "uif":
        return None
    value = float(array.values.item())
    return Found(value, array.where) if np.isfinite(value) and value > 0 else None


def _array(path: Path, archive: zipfile.ZipFile, name: str) -> NamedArray | None:
    values = read_member(archive, name)
    return None if values is None else NamedArray(values, None, (), f"{path}: {name}")
