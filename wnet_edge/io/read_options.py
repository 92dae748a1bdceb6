"""User options for reading a scan file, which supply or override parts of it."""

from dataclasses import dataclass

from wnet_edge.io.found import ZeroFrequency


@dataclass(frozen=True)
class ReadOptions:
    """Parts of a scan given by flags; each overrides that of the file, None keeps the file's.

    Attributes:
        entry: name of an entry, in a file with several.
        frames: path of a dataset in the scan file; geometry and mask of its detector are used.
        frames_axes: meaning of each axis of the frames' array, one letter each (`FRAMES_AXES`).
        frames_range: first and end (exclusive) of the frames to take, by index in the file.
        positions: `FILE`, `FILE:DATASET` or a dataset in the scan file; or two of them, rows and
            columns, separated by a comma.
        positions_unit: unit of the positions, such as "um", or "px" for object pixels; overrides
            their own.
        probe: `FILE`, `FILE:DATASET` or a dataset in the scan file; "none" ignores the file's.
        mask: likewise, nonzero for pixels that must not be used; "none" ignores the file's.
        mask_good: value of a good pixel in the mask from file or flag: "0", or "1" for anything
            but 0; None means "0".
        raster: rows, columns of a raster scan without positions.
        step_m: step of that raster along both axes.
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
    positions: str | None = None
    positions_unit: str | None = None
    probe: str | None = None
    mask: str | None = None
    mask_good: str | None = None
    raster: tuple[int, int] | None = None
    step_m: float | None = None
    energy_ev: float | None = None
    distance_m: float | None = None
    pixel_size_m: float | None = None
    beam_centre_px: tuple[float, float] | None = None
    zero_frequency: ZeroFrequency | None = None


NONE = "none"
"""Value of `probe` and `mask` for using none."""
