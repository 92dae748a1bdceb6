"""A picture of a scan before it is worked on: mean frame, positions, probe."""

from pathlib import Path

from wnet_edge.io.found import FoundScan
from wnet_edge.runner.survey import survey


def write_preview(path: Path, found: FoundScan, *, force: bool = False) -> None:
    """Write a PNG of the mean frame (log counts), the positions and the probe's modes.

    Raises:
        ScanError: if the scan has no frames.
        ResultError: if the file can't be written.
    """
    survey(found)
    raise RuntimeError(path, force)
