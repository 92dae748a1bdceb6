"""What a user says of a scan that its file does not say, or says wrongly."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from wnet_edge.io.found import ZeroFrequency

Part = str | NDArray[Any]
"""Of a scan: text that names where it is, or the array itself."""


@dataclass(frozen=True)
class ReadOptions:
    """Parts of a scan given by flag; each replaces what the file holds, None leaves it.

    Attributes:
        entry: name of an entry, in a file of several.
        frames: path of a dataset in the scan file; geometry and mask of its detector come along.
        frames_axes: what each axis of the frames' array counts, a letter each (`FRAMES_AXES`).
        frames_range: first and end (exclusive) of the frames to take, by their places in the file.
        positions: `FILE`, `FILE:DATASET` or a dataset in the scan file; or two of them, rows and
            columns, with a comma between; or an array (N, 2) row, column in metres, unless
            `positions_unit` says another unit.
        positions_unit: of positions, "um" say, or "px" for object pixels; before their own.
        probe: likewise, or an array (modes, n, n) complex; "none" leaves the file's probe out.
        mask: likewise, or an array (H, W), not zero where a pixel must not be used; "none" leaves
            the file's mask out.
        mask_good: what a good pixel holds in the mask, wherever that is from: "0", or "1" for
            anything but 0; None: "0".
        raster: rows, columns of a raster scan that has no positions.
        step_m: step of that raster along both axes.
        energy_ev: photon energy.
        distance_m: sample to detector.
        pixel_size_m: edge of a pixel of the frames.
        beam_centre_px: row, column of zero frequency in the frames.
        zero_frequency: where zero frequency lies.
    """

    entry: str | None = None
    frames: str | None = None
    frames_axes: str | None = None
    frames_range: tuple[int, int] | None = None
    positions: Part | None = None
    positions_unit: str | None = None
    probe: Part | None = None
    mask: Part | None = None
    mask_good: str | None = None
    raster: tuple[int, int] | None = None
    step_m: float | None = None
    energy_ev: float | None = None
    distance_m: float | None = None
    pixel_size_m: float | None = None
    beam_centre_px: tuple[float, float] | None = None
    zero_frequency: ZeroFrequency | None = None


NONE = "none"
"""Of `probe` and `mask`: do without."""
