"""A scan from a file or from arrays, its frames read when they are asked for."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.choices import chosen
from wnet_edge.embedded import path_of, resolved
from wnet_edge.io.found import FoundScan, ZeroFrequency
from wnet_edge.io.parts.complete_scan import (
    detector_mask,
    known_geometry,
    known_positions_m,
    required_frames,
)
from wnet_edge.io.read_options import RasterOrder, ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.physics.geometry import Geometry
from wnet_edge.scan.frame_source import FrameSource

File = str | os.PathLike[str]
"""Path of a file; `example:scan247` is the embedded scan."""

Part = File | NDArray[Any]
"""Of a scan: text or a path that names where it is, `FILE`, `FILE:DATASET` or a dataset of the
scan's file; or the array itself."""


@dataclass(frozen=True, eq=False)
class Scan:
    """A scan as its file has it, before any package looks at it.

    Attributes:
        source: its file, or its frames in memory.
        options: what replaced what the file says.
        found: its parts, and where each of them was found.
    """

    source: Path | NDArray[Any]
    options: ReadOptions
    found: FoundScan

    @property
    def path(self) -> Path:
        """Its file."""
        return self.found.path

    @property
    def frames(self) -> FrameSource:
        """(N, H, W) counts, read on slicing: `scan.frames[:10]`.

        Raises:
            ScanError: if it has none.
        """
        return required_frames(self.found).value

    @property
    def positions_m(self) -> NDArray[np.float64]:
        """(N, 2) float64 row, column of each frame on the object, metres; NaN where unknown.

        Raises:
            ScanError: if it has none, or they are in object pixels of unknown size.
        """
        return known_positions_m(self.found)

    @property
    def probe(self) -> NDArray[np.complex64] | None:
        """(modes, n, n) complex64, or None."""
        return None if self.found.probe is None else self.found.probe.value

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(H, W) True where a pixel must not be used.

        Raises:
            ScanError: if it is not of the frames' size.
        """
        return detector_mask(self.found)

    @property
    def geometry(self) -> Geometry | None:
        """Photon energy, distance and detector pixel; None where one of them is not known.

        Raises:
            ScanError: if one of them can't be.
        """
        return known_geometry(self.found)


def read_scan(
    source: File | NDArray[Any],
    *,
    positions: Part | None = None,
    positions_unit: str | None = None,
    probe: Part | None = None,
    mask: Part | None = None,
    mask_good: str | None = None,
    entry: str | None = None,
    frames: str | None = None,
    frames_axes: str | None = None,
    frames_range: tuple[int, int] | None = None,
    raster: tuple[int, int] | None = None,
    step_m: float | None = None,
    raster_order: str | None = None,
    energy_ev: float | None = None,
    distance_m: float | None = None,
    pixel_size_m: float | None = None,
    beam_centre_px: Sequence[float] | None = None,
    zero_frequency: str | None = None,
) -> Scan:
    """Find the parts of a scan; each argument replaces what its file says.

    Args:
        source: file of any format that `wnet-edge infer` reads, or (N, H, W) counts in memory.
        positions: file, dataset, or (N, 2) row, column in metres.
        positions_unit: unit of the positions: m, um, nm, px (object pixels).
        probe: file, dataset, or (modes, n, n) complex; "none" leaves out the file's.
        mask: file, dataset, or (H, W), not 0 where a pixel is bad; "none" leaves out the file's.
        mask_good: value of a good pixel in the mask: "0", or "1" for any but 0.
        entry: entry to read, in a file of several.
        frames: dataset of the frames.
        frames_axes: what each axis of the frames' array counts: "NHW", "HWN", "RCHW", "HWRC".
        frames_range: first and end of the frames to take, counted from 0, the end not among them.
        raster: rows, columns of a scan without positions.
        step_m: step of that raster.
        raster_order: of its frames: "rows", or "snake" if every second row ran backwards.
        energy_ev: photon energy.
        distance_m: sample to detector.
        pixel_size_m: edge of a pixel of the frames.
        beam_centre_px: row, column of zero frequency on the detector.
        zero_frequency: where in a frame it lies: "centre" or "corner".

    Raises:
        OptionError: if `zero_frequency` or `raster_order` is neither.
        ScanError: in one line with the cure, if the file is missing, damaged or of no known
            format, or a part is not what it should be.
    """
    where = None
    if zero_frequency is not None:
        where = chosen(ZeroFrequency, zero_frequency, "zero_frequency")
    order = None
    if raster_order is not None:
        order = chosen(RasterOrder, raster_order, "raster_order")
    options = ReadOptions(
        entry=entry,
        frames=frames,
        frames_axes=frames_axes,
        frames_range=frames_range,
        positions=part_of(positions),
        positions_unit=positions_unit,
        probe=part_of(probe),
        mask=part_of(mask),
        mask_good=mask_good,
        raster=raster,
        step_m=step_m,
        raster_order=order,
        energy_ev=energy_ev,
        distance_m=distance_m,
        pixel_size_m=pixel_size_m,
        beam_centre_px=None if beam_centre_px is None else _pair(beam_centre_px),
        zero_frequency=where,
    )
    stored = source if isinstance(source, np.ndarray) else path_of(source)
    found = find_scan(stored, options)
    for given, part in ((positions, found.positions), (probe, found.probe), (mask, found.mask)):
        if given is not None and part is not None:
            _ = part.value  # what can't be read is refused now
    return Scan(stored, options, found)


def part_of(part: Part | None) -> str | NDArray[Any] | None:
    """A part of a scan as the reader takes it: text, or an array.

    Raises:
        ScanError: if it names an example that there is not.
    """
    if part is None or isinstance(part, np.ndarray):
        return part
    return resolved(os.fspath(part))


def _pair(numbers: Sequence[float]) -> tuple[float, float]:
    row, column = numbers
    return float(row), float(column)
