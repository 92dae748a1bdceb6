"""The parts of a scan that the user names by flag, in place of what the file holds.

`--positions` and `--probe` may name another scan file, a Ptychodus product say; what the scan
itself lacks of energy and distance is then taken from there, too.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.array_file import NamedArray, locate, read_hdf5_array
from wnet_edge.io.found import Found, FoundScan, Positions, PositionUnit
from wnet_edge.io.hdf5 import dataset_at, frames_of, opened
from wnet_edge.io.read_options import NONE, ReadOptions
from wnet_edge.io.units import Quantity, unit_factor

T = TypeVar("T")
Find = Callable[[Path], FoundScan]


def named_parts(found: FoundScan, options: ReadOptions, find: Find) -> FoundScan:
    """The scan with every part that `options` name; `find` reads another scan file.

    Raises:
        ScanError: if what is named is not there, or is not what it should be.
    """
    found = _numbers(found, options)
    if options.frames is not None:
        found = _frames(found, options.frames)
    if options.raster is not None:
        found = replace(found, raster=options.raster)
    if options.step_m is not None:
        found = replace(found, positions=_raster_positions(found, options.step_m))
    if options.positions is not None:
        found = _positions(found, options, options.positions, find)
    if options.probe == NONE:
        found = replace(found, probe=None, probe_pixel_size_m=None)
    elif options.probe is not None:
        found = _probe(found, options.probe, find)
    if options.mask == NONE:
        found = replace(found, mask=None)
    elif options.mask is not None:
        found = replace(found, mask=_mask(found, options.mask))
    return found


def _numbers(found: FoundScan, options: ReadOptions) -> FoundScan:
    def given(value: T | None, flag: str, otherwise: Found[T] | None) -> Found[T] | None:
        return otherwise if value is None else Found(value, flag)

    return replace(
        found,
        energy_ev=given(options.energy_ev, "--energy-ev", found.energy_ev),
        distance_m=given(options.distance_m, "--distance-m", found.distance_m),
        pixel_size_m=given(options.pixel_size_m, "--pixel-size-m", found.pixel_size_m),
        beam_centre_px=given(options.beam_centre_px, "--beam-centre", found.beam_centre_px),
        zero_frequency=options.zero_frequency or found.zero_frequency,
    )


def _frames(found: FoundScan, dataset_path: str) -> FoundScan:
    with opened(found.path) as file:
        dataset = dataset_at(file, found.path, dataset_path.strip("/"))
        raster = (dataset.shape[0], dataset.shape[1]) if dataset.ndim == 4 else None
        return replace(found, frames=frames_of(found.path, dataset), raster=raster or found.raster)


def _raster_positions(found: FoundScan, step_m: float) -> Found[Positions]:
    """Row by row, each from left to right, as a raster is scanned."""
    if found.raster is None:
        raise ScanError(f"{found.path}: --step-m needs a raster; give --raster ROWSxCOLUMNS")
    rows, columns = found.raster
    if not 0 < step_m < 1 or rows * columns > 10_000_000:
        raise ScanError(f"{found.path}: a raster of {rows} × {columns} × {step_m:g} m can't be")
    grid = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
    return Found(Positions(grid * step_m), f"raster of {rows} × {columns}, --step-m")


def _positions(found: FoundScan, options: ReadOptions, text: str, find: Find) -> FoundScan:
    path, dataset = locate(text, found.path)
    if dataset is None:
        other = _other_scan(path, find, "positions")
        return replace(
            found,
            positions=other.positions,
            energy_ev=found.energy_ev or other.energy_ev,
            distance_m=found.distance_m or other.distance_m,
        )
    array = read_hdf5_array(path, dataset)
    return replace(found, positions=_as_positions(array, options.positions_unit))


def _as_positions(array: NamedArray, unit: str | None) -> Found[Positions]:
    """Two columns are row, column; three are x, y, z as in CXI; names of columns go before that."""
    values = array.values
    if values.ndim != 2 or values.shape[1] not in (2, 3) or values.dtype.kind not in "uif":
        raise ScanError(
            f"{array.where} is {values.dtype} {values.shape}, not (N, 2) numbers; "
            "write row, column or x, y, z of each frame"
        )
    rows_columns = values[:, 1::-1] if values.shape[1] == 3 else values
    written = unit or array.unit
    if written is None:
        raise ScanError(f"{array.where} has no unit; give --positions-unit, um say, or px")
    if written == PositionUnit.OBJECT_PIXEL.value:
        pixels = Positions(rows_columns.astype(np.float64), PositionUnit.OBJECT_PIXEL)
        return Found(pixels, array.where)
    factor = unit_factor(written, Quantity.LENGTH)
    if factor is None:
        raise ScanError(f"{array.where} is in {written[:20]!r}, which is no unit of length")
    return Found(Positions(rows_columns.astype(np.float64) * factor), array.where)


def _probe(found: FoundScan, text: str, find: Find) -> FoundScan:
    path, dataset = locate(text, found.path)
    if dataset is None:
        other = _other_scan(path, find, "probe")
        return replace(found, probe=other.probe, probe_pixel_size_m=other.probe_pixel_size_m)
    array = read_hdf5_array(path, dataset)
    values = array.values
    if values.dtype.kind != "c" or values.ndim < 2 or values.shape[-1] != values.shape[-2]:
        raise ScanError(
            f"{array.where} is {values.dtype} {values.shape}, not complex (modes, n, n); "
            "name a probe"
        )
    modes = values.astype(np.complex64).reshape(-1, *values.shape[-2:])
    return replace(found, probe=Found(modes, array.where), probe_pixel_size_m=None)


def _mask(found: FoundScan, text: str) -> Found[NDArray[np.bool_]]:
    path, dataset = locate(text, found.path)
    if dataset is None:
        raise ScanError(f"{path}: name the mask in it, {path}:/mask say")
    array = read_hdf5_array(path, dataset)
    if array.values.ndim != 2 or array.values.dtype.kind not in "uib":
        raise ScanError(
            f"{array.where} is {array.values.dtype} {array.values.shape}, not integers (H, W); "
            "write one mask for all frames"
        )
    return Found(array.values != 0, array.where)


def _other_scan(path: Path, find: Find, part: str) -> FoundScan:
    other = find(path)
    if getattr(other, part) is None:
        raise ScanError(f"{path}: {other.format} has no {part}; name the dataset, {path}:/PATH")
    return other
