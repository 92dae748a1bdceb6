"""What a scan file was found to hold, and where, before anything is judged or assumed.

Every reader gives a `FoundScan`; command-line flags replace parts of it;
`wnet_edge.io.parts.complete_scan` makes the `Scan` of it that the flow frames → preprocess → graph
→ patches → stitch → image takes.
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
    """A value, and where it was found.

    Attributes:
        value: in the units of this program.
        where: a dataset's path, a file, or the flag that gave it.
        notes: what was assumed or chosen in finding it, one line each.
    """

    value: T
    where: str
    notes: tuple[str, ...] = field(default=(), kw_only=True)


class Unreadable:
    """Stands for a part that the file has but that can't be used; a flag may yet replace it.

    Whoever asks for its value gets the error that reading it met.
    """

    def __init__(self, error: ScanError) -> None:
        self.where = "unreadable"
        self.notes: tuple[str, ...] = ()
        self.error = error

    @property
    def value(self) -> NoReturn:
        """Never.

        Raises:
            ScanError: why the part can't be used.
        """
        raise self.error


def attempt(read: Callable[[], Found[T] | None]) -> Found[T] | None:
    """What `read` finds, or in its place the error it meets, for when the part is needed."""
    try:
        return read()
    except ScanError as error:
        return cast("Found[T]", Unreadable(error))


def noted(part: Found[T], notes: tuple[str, ...]) -> Found[T]:
    """The part with notes before its own; what stands for an unreadable one keeps them, too."""
    if isinstance(part, Unreadable):
        part.notes = (*notes, *part.notes)
        return part
    return replace(part, notes=(*notes, *part.notes))


def required(part: Found[T] | None) -> Found[T]:
    """A part that the caller knows to be there."""
    if part is None:
        raise ValueError("a part of the scan is missing that was there before")
    return part


class PositionUnit(str, Enum):
    """What positions are counted in."""

    METRE = "m"
    OBJECT_PIXEL = "px"


class ZeroFrequency(str, Enum):
    """Where in a frame the undiffracted beam lies."""

    CENTRE = "centre"
    CORNER = "corner"


@dataclass(frozen=True)
class FrameNumbers:
    """Which frame of the scan each frame, or each position, of a file is.

    Attributes:
        values: (N,) int64; `NEVER_FILLED` for a frame that was allocated and never filled.
        from_zero: whether the format says that they count from 0; else they may from 1, or from
            any other number.
    """

    values: NDArray[np.int64]
    from_zero: bool = True


NEVER_FILLED = -1
"""Ptychodus' number of a frame that it has room for, but no counts."""


@dataclass(frozen=True)
class Positions:
    """Positions (N, 2) float64 row, column; up to a constant, they need no origin.

    Attributes:
        values: of the frames, in their order, or of those that `numbers` name.
        unit: that they are counted in.
        numbers: of the frames that they belong to; None where the file has none.
    """

    values: NDArray[np.float64]
    unit: PositionUnit = PositionUnit.METRE
    numbers: FrameNumbers | None = None


@dataclass(frozen=True)
class FoundScan:
    """The parts of a scan that a file holds; None where it has none.

    Attributes:
        path: the file.
        format: what it was taken for, such as "CXI 1.6".
        frames: (N, H, W) counts, read lazily.
        frame_numbers: of `frames`; None: in the order of the positions.
        positions: of the frames.
        raster: rows, columns of a raster whose step the file does not say; (N = rows × columns).
        energy_ev: photon energy.
        distance_m: sample to detector.
        pixel_size_m: edge of a pixel of `frames`, binned or not.
        mask: (H, W) bool, True where a pixel must not be used.
        probe: (modes, h, w) complex64.
        probe_pixel_size_m: edge of a pixel of `probe`.
        object_pixel_size_m: edge of a pixel of an object that lies in the file beside the probe.
        binning: detector pixels along an edge that are already summed into one of `frames`.
        beam_centre_px: row, column of zero frequency in `frames`, fractions allowed.
        zero_frequency: where the format, or the user, puts it; None where that is not said.
        near_field: why the frames are no far field, where the file says so.
        candidates: names of what may be frames, in a file of no known layout.
        entry: which of its entries was read, in a format that has several.
        notes: what reading has found odd or assumed, one line each.
        being_written: whether a program is adding to the file, or has died doing so (SWMR).
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
        """What was assumed or chosen in finding the parts."""
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
    """The scan as if parts that can't be read were not there."""
    bad: dict[str, Any] = {
        f.name: None for f in fields(found) if isinstance(getattr(found, f.name), Unreadable)
    }
    return replace(found, **bad)


@dataclass(frozen=True)
class Wanted:
    """What of a file with several entries and detectors the user asks for; None: what fits best.

    Attributes:
        entry: name of an entry.
        frames: path of a dataset; geometry and mask are those of its detector.
        positions_unit: a unit of length or "px", in place of the positions' own.
    """

    entry: str | None = None
    frames: str | None = None
    positions_unit: str | None = None
