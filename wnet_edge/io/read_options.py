"""What a user says of a scan, in place of its file or beyond it."""

from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wnet_edge.io.found import ZeroFrequency

Part = str | NDArray[Any]
"""Of a scan: text that names where it is, or the array itself."""


class RasterOrder(str, Enum):
    """How the frames of a raster follow each other."""

    ROWS = "rows"  # every row in the same direction
    SNAKE = "snake"  # every second one backwards


@dataclass(frozen=True)
class ReadOptions:
    """Parts of a scan given by flags; each overrides that of the file, None keeps the file's.

    Attributes:
        entry: name of an entry, in a file with several.
        frames: path of a dataset in the scan file; geometry and mask of its detector are used.
        frames_axes: meaning of each axis of the frames' array, one letter each (`FRAMES_AXES`).
        frames_range: first and end (exclusive) of the frames to take, by index in the file.
        positions: `FILE`, `FILE:DATASET` or a dataset in the scan file; or two of them, rows and
            columns, separated by a comma; or an array (N, 2) row, column in metres unless
            `positions_unit` says otherwise.
        positions_unit: unit of the positions, such as "um", or "px" for object pixels; overrides
            their own.
        probe: `FILE`, `FILE:DATASET` or a dataset in the scan file, or an array (modes, n, n)
            complex; "none" ignores the file's.
        mask: likewise, or an array (H, W), nonzero for pixels that must not be used; "none"
            ignores the file's.
        mask_good: value of a good pixel in the mask from file or flag: "0", or "1" for anything
            but 0; None means "0".
        raster: rows, columns of a raster scan without positions.
        step_m: step of that raster along both axes.
        raster_order: of its frames; None means rows.
        energy_ev: photon energy.
        distance_m: sample-to-detector distance.
        pixel_size_m: edge of a pixel of the frames.
        beam_centre_px: row, column of zero frequency in the frames.
        zero_frequency: location of zero frequency.
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
    raster_order: RasterOrder | None = None
    energy_ev: float | None = None
    distance_m: float | None = None
    pixel_size_m: float | None = None
    beam_centre_px: tuple[float, float] | None = None
    zero_frequency: ZeroFrequency | None = None

    @property
    def given(self) -> bool:
        """Whether any of them is."""
        return any(getattr(self, part.name) is not None for part in fields(self))

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that positions, probe and mask may name, with a dataset's path or without."""
        texts = [one for one in (self.positions, self.probe, self.mask) if isinstance(one, str)]
        return tuple(
            Path(named) for text in texts for named in (text, text.rpartition(":")[0]) if named
        )


NONE = "none"
"""Value of `probe` and `mask` for using none."""
