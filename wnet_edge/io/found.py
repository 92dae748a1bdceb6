"""Content of a scan file as found, with the origin of every part, before validation.

Every reader returns a `FoundScan`; command-line flags replace parts of it;
`wnet_edge.io.parts.complete_scan` validates it and makes the `Scan` for frames → preprocess → graph
→ patches → stitch → image.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.scan.frame_source import FrameSource

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """A value with its origin.

    Attributes:
        value: value in the units of wnet-edge.
        where: dataset path, file or flag that it comes from.
        notes: assumptions and choices made in finding it, one line each.
    """

    value: T
    where: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)


class Unreadable:
    """Placeholder for a part of the file that can't be used; a flag may still replace it.

    Accessing its value raises the error met on reading.
    """

    def __init__(self, error: ScanError) -> None:
        self.where = "unreadable"
        self.notes: tuple[str, ...] = ()
        self.error = error

    @property
    def value(self) -> NoReturn:
        """Never returns.

        Raises:
            ScanError: why the part can't be used.
        """
        raise self.error


def attempt(read: Callable[[], Found[T] | None]) -> Found[T] | None:
    """Result of `read`, or a placeholder that raises its error when the part is needed."""
    try:
        return read()
    except ScanError as error:
        return cast("Found[T]", Unreadable(error))


def noted(part: Found[T], notes: tuple[str, ...]) -> Found[T]:
    """The part (or its placeholder) with `notes` before its own."""
    if isinstance(part, Unreadable):
        part.notes = (*notes, *part.notes)
        return part
    return replace(part, notes=(*notes, *part.notes))


def required(part: Found[T] | None) -> Found[T]:
    """The part, which the caller knows to exist."""
    if part is None:
        raise ValueError("a part of the scan is missing that was there before")
    return part


class PositionUnit(str, Enum):
    """Unit of positions."""

    METRE = "m"
    OBJECT_PIXEL = "px"


class ZeroFrequency(str, Enum):
    """Location of zero frequency (the undiffracted beam) in a frame."""

    CENTRE = "centre"
    CORNER = "corner"


@dataclass(frozen=True)
class FrameNumbers:
    """Frame numbers of the frames, or of the positions, of a file.

    Attributes:
        values: (N,) int64; `NEVER_FILLED` for a frame that was allocated but never filled.
        from_zero: whether the format counts from 0; otherwise from 1 or any other number.
    """

    values: NDArray[np.int64]
    from_zero: bool = True


NEVER_FILLED = -1
"""Frame number by which Ptychodus marks a frame without counts."""


@dataclass(frozen=True)
class Positions:
    """Positions (N, 2) float64 row, column, with an arbitrary origin.

    Attributes:
        values: (N, 2), in the order of the frames, or of `numbers`.
        unit: unit of the values.
        numbers: frame numbers of the positions; None if the file has none.
        may_grow: whether their dataset can be extended, so that more may follow.
    """

    values: NDArray[np.float64]
    unit: PositionUnit = PositionUnit.METRE
    numbers: FrameNumbers | None = None
    may_grow: bool = False


@dataclass(frozen=True)
class FoundScan:
    """Parts of a scan found in a file; None for missing ones.

    Attributes:
        path: the file.
        format: detected format, such as "CXI 1.6".
        frames: (N, H, W) counts, read lazily.
        frame_numbers: frame numbers of `frames`; None if in the order of the positions.
        positions: positions of the frames.
        raster: rows, columns of a raster with unknown step (N = rows × columns).
        energy_ev: photon energy.
        distance_m: sample-to-detector distance.
        pixel_size_m: edge of a pixel of `frames`, binned or not.
        mask: (H, W) bool, True for pixels that must not be used.
        probe: (modes, h, w) complex64.
        probe_pixel_size_m: edge of a pixel of `probe`.
        object_pixel_size_m: edge of a pixel of an object stored beside the probe.
        binning: detector pixels along an edge that are already summed into one pixel of `frames`.
        beam_centre_px: row, column of zero frequency in `frames`, fractions allowed.
        zero_frequency: its location by the format or the user; None if not stated.
        near_field: why the frames are not far-field, if the file states so.
        candidates: names of possible frames, in a file of unknown layout.
        entry: name of the entry that was read, in a format with several.
        notes: oddities and assumptions on reading, one line each.
        being_written: whether a program is writing to the file, or has died doing so (SWMR).
    """

    path: Path
    format: str
    frames: Found[FrameSource] | None = None
    frame_numbers: Found[FrameNumbers] | None = None
    positions: Found[Positions] | None = None
    raster: tuple[int, int] | None = None
    energy_ev: Found[float] | None = None
    distance_m: Found[float] | None = None
    pixel_size_m: Found[float] | None = None
    mask: Found[NDArray[np.bool_]] | None = None
    probe: Found[NDArray[np.complex64]] | None = None
    probe_pixel_size_m: float | None = None
    object_pixel_size_m: float | None = None
    binning: int = 1
    beam_centre_px: Found[tuple[float, float]] | None = None
    zero_frequency: Found[ZeroFrequency] | None = None
    near_field: str | None = None
    candidates: tuple[str, ...] = ()
    entry: str | None = None
    notes: tuple[str, ...] = ()
    being_written: bool = False

    @property
    def part_notes(self) -> tuple[str, ...]:
        """Notes of all parts: assumptions and choices made in finding them."""
        parts = (
            self.frames,
            self.positions,
            self.energy_ev,
            self.distance_m,
            self.pixel_size_m,
            self.mask,
            self.probe,
            self.beam_centre_px,
        )
        return tuple(note for part in parts if part is not None for note in part.notes)


def usable(found: FoundScan) -> FoundScan:
    """The scan without the parts that can't be read."""
    bad: dict[str, Any] = {
        f.name: None for f in fields(found) if isinstance(getattr(found, f.name), Unreadable)
    }
    return replace(found, **bad)


@dataclass(frozen=True)
class Wanted:
    """The user's choice in a file with several entries and detectors; None for the likeliest.

    Attributes:
        entry: name of an entry.
        frames: path of a dataset; geometry and mask are those of its detector.
        positions_unit: unit of length or "px", overrides that of the positions.
        growing: the file is being written: frames and positions may differ in number so far.
    """

    entry: str | None = None
    frames: str | None = None
    positions_unit: str | None = None
    growing: bool = False
