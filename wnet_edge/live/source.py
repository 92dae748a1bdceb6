"""Sources of a scan that is still running: what they give, one event at a time.

A growing file, a detector's PV or its ZeroMQ stream each become the same few events. Frames are
paired with their positions where they enter, by number or time, never later by their order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.io.found import Found, FoundScan
from wnet_edge.io.parts.complete_scan import detector_mask

Value = TypeVar("Value")


@dataclass(frozen=True, eq=False)
class Begin:
    """A scan begins; None for what its source does not say.

    Attributes:
        name: of the scan, for results and messages.
        energy_ev: photon energy.
        distance_m: sample-to-detector distance.
        pixel_size_m: edge of a pixel of the frames.
        mask: (H, W) bool, True for pixels that must not be used.
        probe: (modes, n, n) complex.
        binning: detector pixels along an edge that are already summed into one of the frames.
        beam_centre_px: row, column of zero frequency.
        positions_m: (N, 2) row, column of all frames to come, by their numbers.
        frame_count: frames to come.
    """

    name: str
    energy_ev: float | None = None
    distance_m: float | None = None
    pixel_size_m: float | None = None
    mask: NDArray[np.bool_] | None = None
    probe: NDArray[np.complex64] | None = None
    binning: int = 1
    beam_centre_px: tuple[float, float] | None = None
    positions_m: NDArray[np.float64] | None = None
    frame_count: int | None = None


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame.

    Attributes:
        number: as its source counts, from 0.
        counts: (H, W) as the detector stores them.
        received_s: when it was received, `time.perf_counter`.
        position_m: row, column on the object; None: by `Begin.positions_m` and the number.
        published_s: when its source published it, seconds since 1970; None if unknown.
    """

    number: int
    counts: NDArray[Any]
    received_s: float
    position_m: tuple[float, float] | None = None
    published_s: float | None = None


def begin_of(
    found: FoundScan,
    name: str,
    positions_m: NDArray[np.float64] | None,
    frame_count: int | None,
) -> Begin:
    """The beginning of a scan in a file, with what the file says of it.

    Raises:
        ScanError: if the mask does not fit the frames.
    """

    def value(part: Found[Value] | None) -> Value | None:
        return None if part is None else part.value

    return Begin(
        name=name,
        energy_ev=value(found.energy_ev),
        distance_m=value(found.distance_m),
        pixel_size_m=value(found.pixel_size_m),
        mask=None if found.mask is None else detector_mask(found),
        probe=value(found.probe),
        binning=found.binning,
        beam_centre_px=value(found.beam_centre_px),
        positions_m=positions_m,
        frame_count=frame_count,
    )


class Loss(str, Enum):
    """Why a frame that was sent is not in the image."""

    NEVER_RECEIVED = "never received"
    DROPPED = "dropped, as the network was behind"
    WITHOUT_POSITION = "without a position"
    DUPLICATE = "received twice"
    UNREADABLE = "of another shape or type, or damaged"
    UNUSABLE = "without usable counts: dark, saturated or NaN"


def told(lost: Mapping[Loss, int]) -> tuple[str, ...]:
    """For the user, a line for each reason: how many frames were lost."""
    return tuple(
        f"{frames} {'frame' if frames == 1 else 'frames'} {reason.value}"
        for reason, frames in lost.items()
        if frames
    )


@dataclass(frozen=True)
class Lost:
    """Frames that a source knows to be lost.

    Attributes:
        reason: why.
        frames: how many.
        note: a line for the user; empty where the reason says it all.
    """

    reason: Loss
    frames: int = 1
    note: str = ""


@dataclass(frozen=True)
class End:
    """The scan has ended.

    Attributes:
        reason: for the user: "the writer has closed the file", say.
    """

    reason: str


Event = Begin | Frame | Lost | End


class Source(Protocol):
    """Where a running scan comes from: `Begin`, then frames and losses, then `End`; then the next.

    A source bounds what it holds, and counts what it has to drop.
    """

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within `timeout_s`.

        Raises:
            ScanError: if the source is damaged or can't be reached.
        """
        ...

    def close(self) -> None:
        """Let everything go that it holds."""
        ...
