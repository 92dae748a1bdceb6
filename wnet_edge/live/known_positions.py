"""Positions that are known before the scan: of a file, or of a raster."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.found import FoundScan, PositionUnit
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.readers.flag_overrides import named_parts
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.source import Begin, Event, Source


def known_positions_m(reading: ReadOptions) -> NDArray[np.float64] | None:
    """(N, 2) row, column of the frames 0 to N − 1; None where neither file nor raster is given.

    Raises:
        ScanError: if the file can't be read, or gives object pixels, whose size is not known yet.
    """
    if reading.positions is None and reading.step_m is None:
        return None
    alone = ReadOptions(
        positions=reading.positions,
        positions_unit=reading.positions_unit,
        raster=reading.raster,
        step_m=reading.step_m,
        raster_order=reading.raster_order,
    )
    found = named_parts(FoundScan(Path("positions"), "positions"), alone, find_scan)
    if found.positions is None:
        return None
    positions = found.positions.value
    if positions.unit is not PositionUnit.METRE:
        raise ScanError(f"{found.positions.where} is in object pixels; give positions in metres")
    return positions.values


class WithPositions:
    """A source whose frames lie where is known beforehand, by their numbers.

    Args:
        source: of the frames.
        positions_m: (N, 2) row, column.
    """

    def __init__(self, source: Source, positions_m: NDArray[np.float64]) -> None:
        self._source, self._positions_m = source, positions_m

    def next(self, timeout_s: float) -> Event | None:
        """The source's next event; each scan begins with the positions.

        Raises:
            ScanError: as the source.
        """
        event = self._source.next(timeout_s)
        if not isinstance(event, Begin):
            return event
        count = event.frame_count or len(self._positions_m)
        return replace(event, positions_m=self._positions_m, frame_count=count)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
