"""What a scan file was found to hold, and where, before anything is judged or assumed.

Every reader gives a `FoundScan`; command-line flags replace parts of it; `wnet_edge.io.complete`
makes the `Scan` of it that the flow frames → preprocess → graph → patches → stitch → image takes.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Generic, NoReturn, TypeVar, cast

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.scan import FrameSource

T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """A value, and where it was found: a dataset's path, a file, or the flag that gave it."""

    value: T
    where: str


class Unreadable:
    """Stands for a part that the file has but that can't be used; a flag may yet replace it.

    Whoever asks for its value gets the error that reading it met.
    """

    def __init__(self, error: ScanError) -> None:
        self.where = "unreadable"
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


class PositionUnit(str, Enum):
    """What positions are counted in."""

    METRE = "m"
    OBJECT_PIXEL = "px"


class ZeroFrequency(str, Enum):
    """Where in a frame the undiffracted beam lies."""

    CENTRE = "centre"
    CORNER = "corner"


@dataclass(frozen=True)
class Positions:
    """Positions (N, 2) float64 row, column; up to a constant, they need no origin."""

    values: NDArray[np.float64]
    unit: PositionUnit = PositionUnit.METRE


@dataclass(frozen=True)
class FoundScan:
    """The parts of a scan that a file holds; None where it has none.

    Attributes:
        path: the file.
        format: what it was taken for, such as "CXI 1.6".
        frames: (N, H, W) counts, read lazily.
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
        being_written: whether a program is adding to the file, or has died doing so (SWMR).
    """

    path: Path
    format: str
    frames: Found[FrameSource] | None = None
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
    being_written: bool = False


def usable(found: FoundScan) -> FoundScan:
    """The scan as if parts that can't be read were not there."""
    bad: dict[str, Any] = {
        f.name: None for f in fields(found) if isinstance(getattr(found, f.name), Unreadable)
    }
    return replace(found, **bad)


@dataclass(frozen=True)
class Hdf5Reader:
    """One HDF5 layout: how to tell it by content, and how to read it.

    Attributes:
        recognises: whether an open file is of this layout; cheap, raises nothing.
        read: what the open file holds; ScanError in one line where a part is damaged.
    """

    recognises: Callable[[h5py.File], bool]
    read: Callable[[h5py.File, Path], FoundScan]


def as_text(value: Any) -> str:  # noqa: ANN401 - an HDF5 attribute is of any type
    """An HDF5 attribute or scalar dataset as text; what is no text gives its repr."""
    if isinstance(value, np.ndarray) and value.size == 1:
        value = value.reshape(-1)[0]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
