"""What the tests of arrays as scans share: a scan, flags, how a refusal looks."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from known_data import KnownScanData, small

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import open_scan

GEOMETRY_FLAGS = ReadOptions(energy_ev=8_500.0, distance_m=1.25, pixel_size_m=75e-6)


def one_step_raster() -> KnownScanData:
    """A raster of one step, so that every layout can hold it."""
    scan = small()
    row, column = np.divmod(np.arange(len(scan.frames)), 4)
    return replace(scan, positions_m=np.stack([row, column], axis=1) * 90e-9)


def refused(path: Path, options: ReadOptions | None = None) -> str:
    """The one line that opening or reading the scan ends with."""
    options = options or replace(GEOMETRY_FLAGS, step_m=1e-7, raster=(3, 4))
    with pytest.raises(ScanError) as caught:
        open_scan(path, options).frames[:]
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 600
    return message


def peak_bytes(work: Callable[[], object]) -> int:
    """The most memory that Python and NumPy took meanwhile."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
