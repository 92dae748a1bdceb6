"""Parts of a scan given by flags, which override those of the file.

`--positions` and `--probe` may name another scan file, such as a Ptychodus product; energy and
distance that the scan itself lacks are then taken from there, too.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.file_kind import FileKind, kind_of
from wnet_edge.io.containers.frame_axes import columns_first, raster_of, with_axes
from wnet_edge.io.containers.hdf5.frames import frames_of
from wnet_edge.io.containers.hdf5.reader import dataset_at, opened
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import Found, FoundScan, Positions, PositionUnit
from wnet_edge.io.parts.array_parts import as_mask, as_position_pair, as_positions, as_probe
from wnet_edge.io.parts.csv_positions import read_positions_table
from wnet_edge.io.parts.named_array import NamedArray, locate, read_array, read_npy_array
from wnet_edge.io.read_options import NONE, Part, RasterOrder, ReadOptions
from wnet_edge.io.readers.npz import named_frames

T = TypeVar("T")
Find = Callable[[Path, ReadOptions | None], FoundScan]


def named_parts(found: FoundScan, options: ReadOptions, find: Find) -> FoundScan:
    """The scan with all parts in `options` replaced; `find` reads another scan file.

    Raises:
        ScanError: if a given part does not exist, or is not of the right kind.
    """
    found = _numbers(found, options)
    if options.frames is not None and found.entry is None:  # else the reader has used it
        found = _frames(found, options.frames)
    if options.frames_axes is not None:
        found = with_axes(found, options.frames_axes)
    if options.raster is not None:
        found = replace(found, raster=options.raster)
    _check_flags(found, options)
    if options.step_m is not None:
        found = replace(
            found, positions=_raster_positions(found, options.step_m, options.raster_order)
        )
    if options.positions is not None:
        found = _positions(found, options, options.positions, find)
    if isinstance(options.probe, np.ndarray):
        probe = as_probe(_named(options.probe, "probe"))
        found = replace(found, probe=probe, probe_pixel_size_m=None)
    elif options.probe == NONE:
        found = replace(found, probe=None, probe_pixel_size_m=None)
    elif options.probe is not None:
        found = _probe(found, options.probe, find)
    return replace(found, mask=_given_mask(found, options.mask, options.mask_good))


def _given_mask(
    found: FoundScan, text: Part | None, mask_good: str | None
) -> Found[NDArray[np.bool_]] | None:
    """The mask from the file, from `text` or none, inverted if `mask_good` requires it.

    Readers assume that 0 is good.
    """
    mask = found.mask
    if isinstance(text, np.ndarray):
        mask = as_mask(_named(text, "mask"))
    elif text == NONE:
        mask = None
    elif text is not None:
        mask = _mask(found, text)
    if mask_good is None:
        return mask
    if mask is None:
        raise ScanError(f"{found.path}: --mask-good goes with a mask; name one with --mask")
    if mask_good == "0":
        return mask
    return Found(~mask.value, f"{mask.where}, --mask-good {mask_good},")


def _check_flags(found: FoundScan, options: ReadOptions) -> None:
    """Refuse flags that contradict each other, or have no effect alone."""
    if options.entry is not None and found.entry is None:
        raise ScanError(f"{found.path}: {found.format} has no entries; leave out --entry")
    if options.positions is not None and options.step_m is not None:
        raise ScanError(f"{found.path}: give either --positions or --step-m")
    if options.positions_unit is not None and options.positions is None and found.entry is None:
        where = "" if found.positions is None else f" {found.positions.where}"
        raise ScanError(f"{found.path}: --positions-unit goes with --positions{where}; give both")
    unit = options.positions_unit if options.positions is None else None
    is_px = unit == PositionUnit.OBJECT_PIXEL.value
    if unit is not None and not is_px and unit_factor(unit, Quantity.LENGTH) is None:
        raise ScanError(
            f"{found.path}: --positions-unit {unit[:20]} is not a unit of length; give um or px"
        )
    if options.raster is not None and options.step_m is None:
        raise ScanError(f"{found.path}: --raster goes with --step-m; give both")
    if options.raster_order is not None and options.step_m is None:
        raise ScanError(f"{found.path}: --raster-order goes with --step-m; give both")


def _numbers(found: FoundScan, options: ReadOptions) -> FoundScan:
    def given(value: T | None, flag: str, otherwise: Found[T] | None) -> Found[T] | None:
        return otherwise if value is None else Found(value, flag)

    return replace(
        found,
        energy_ev=given(options.energy_ev, "--energy-ev", found.energy_ev),
        distance_m=given(options.distance_m, "--distance-m", found.distance_m),
        pixel_size_m=given(options.pixel_size_m, "--pixel-size-m", found.pixel_size_m),
        beam_centre_px=given(options.beam_centre_px, "--beam-centre", found.beam_centre_px),
        zero_frequency=given(options.zero_frequency, "--zero-frequency", found.zero_frequency),
    )


def _frames(found: FoundScan, name: str) -> FoundScan:
    kind = kind_of(found.path)
    if kind is FileKind.NPZ:
        frames = named_frames(found.path, name)
    elif kind is FileKind.HDF5:
        with opened(found.path) as file:
            frames = frames_of(found.path, dataset_at(file, found.path, name.strip("/")))
    else:
        raise ScanError(f"{found.path}: holds one stack of frames; leave out --frames {name}")
    return replace(found, frames=frames, raster=raster_of(frames) or found.raster)


def _raster_positions(
    found: FoundScan, step_m: float, order: RasterOrder | None
) -> Found[Positions]:
    """Positions of a raster, row by row from left to right, or in the order of the stored array.

    As a snake, every second row (or column of the stored array) runs backwards.
    """
    if found.raster is None:
        raise ScanError(f"{found.path}: --step-m needs a raster; give --raster ROWSxCOLUMNS")
    rows, columns = found.raster
    if min(rows, columns) < 1 or rows * columns > MAX_FRAMES or not 0 < step_m < 1:
        raise ScanError(
            f"{found.path}: a raster of {rows} × {columns} steps of {step_m:g} m is impossible; "
            "correct --raster or --step-m"
        )
    by_columns = columns_first(found.frames)
    length = rows if by_columns else columns
    line, along = np.divmod(np.arange(rows * columns), length)
    if order is RasterOrder.SNAKE:
        along = np.where(line % 2 == 1, length - 1 - along, along)
    grid = np.stack([along, line] if by_columns else [line, along], axis=1)
    positions = Positions(grid.astype(np.float64) * step_m)
    return Found(positions, f"raster of {rows} × {columns}, --step-m")


def _named(values: NDArray[Any], name: str) -> NamedArray:
    """An array of the caller's; positions are in metres unless said otherwise."""
    return NamedArray(values, "m" if name == "positions" else None, (), f"the array {name}")


def _positions(found: FoundScan, options: ReadOptions, text: Part, find: Find) -> FoundScan:
    if isinstance(text, np.ndarray):
        given = as_positions(_named(text, "positions"), options.positions_unit)
        return replace(found, positions=given)
    path, name = locate(text, found.path)
    kind = kind_of(path)
    if kind is not FileKind.OTHER and name is not None and "," in name:
        rows, _, columns = name.partition(",")
        pair = (read_array(path, rows), read_array(path, columns))
        return replace(
            found, positions=as_position_pair(pair, options.positions_unit, found.raster)
        )
    if kind is FileKind.OTHER:
        array = read_positions_table(path, name)
    elif name is not None:
        array = read_array(path, name)
    elif kind is FileKind.NPY:
        array = read_npy_array(path)
    else:
        other_options = ReadOptions(positions_unit=options.positions_unit)
        other = _other_scan(path, find, "positions", other_options)
        return replace(
            found,
            positions=other.positions,
            energy_ev=found.energy_ev or other.energy_ev,
            distance_m=found.distance_m or other.distance_m,
        )
    unit = options.positions_unit
    notes = array.notes
    if (
        unit is not None
        and array.unit is not None
        and unit_factor(unit, Quantity.LENGTH) != unit_factor(array.unit, Quantity.LENGTH)
    ):
        notes += (f"{array.where} says {array.unit}, but --positions-unit {unit} is taken",)
    return replace(found, positions=as_positions(array, unit), notes=(*found.notes, *notes))


def _probe(found: FoundScan, text: str, find: Find) -> FoundScan:
    path, name = locate(text, found.path)
    if name is not None:
        array = read_array(path, name)
    elif kind_of(path) is FileKind.NPY:
        array = read_npy_array(path)
    else:
        other = _other_scan(path, find, "probe")
        return replace(found, probe=other.probe, probe_pixel_size_m=other.probe_pixel_size_m)
    return replace(found, probe=as_probe(array), probe_pixel_size_m=None)


def _mask(found: FoundScan, text: str) -> Found[NDArray[np.bool_]]:
    path, name = locate(text, found.path)
    if name is not None:
        return as_mask(read_array(path, name))
    if kind_of(path) is FileKind.NPY:
        return as_mask(read_npy_array(path))
    raise ScanError(
        f"{path}: holds no mask by itself; give an .npy, or FILE:DATASET of HDF5 or NPZ"
    )


def _other_scan(path: Path, find: Find, part: str, options: ReadOptions | None = None) -> FoundScan:
    other = find(path, options)
    if getattr(other, part) is None:
        raise ScanError(f"{path}: {other.format} has no {part}; name the dataset, {path}:/PATH")
    return other
