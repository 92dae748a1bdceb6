"""What the page shows of a snapshot: pictures no larger than a screen, and numbers.

Lengths are in µm, in the object's coordinates, so that a view stays where it is as the image grows.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from time import time
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.live.snapshot import Snapshot
from wnet_edge.live.source import told

MOST_PX = 1500
"""Longest edge of an image that is sent; a screen hardly shows more."""
_MOST_COVERAGE_PX = 400
_RANGE_PERCENT = (0.5, 99.5)
"""Of the values where coverage is at least half its median: what automatic colours span."""

Number = TypeVar("Number", np.float32, np.complex64)


@dataclass(frozen=True, eq=False)
class Picture:
    """Values with their place, µm: left and top edge, width and height.

    Attributes:
        values: (h, w) float32, NaN where there is nothing.
    """

    values: NDArray[np.float32]
    x_um: float
    y_um: float
    width_um: float
    height_um: float

    def is_as(self, other: "Picture | None") -> bool:
        """Whether it shows the same at the same place."""
        return (
            other is not None
            and (self.x_um, self.y_um) == (other.x_um, other.y_um)
            and (self.width_um, self.height_um) == (other.width_um, other.height_um)
            and np.array_equal(self.values, other.values, equal_nan=True)
        )


@dataclass(frozen=True, eq=False)
class PageLook:
    """A snapshot, as the page shows it.

    Attributes:
        number: of the look, from 1.
        scan_number: of its scan, from 1.
        snapshot: the scan.
        taken_s: when, seconds since 1970.
    """

    number: int
    scan_number: int
    snapshot: Snapshot
    taken_s: float = field(default_factory=time)

    @cached_property
    def pictures(self) -> dict[str, Picture]:
        """By the name of their source: `phase`, `amplitude`, `coverage`, `frame`, `patch`."""
        shot = self.snapshot
        phase, amplitude = shown(shot, MOST_PX)
        coverage = shrunk(shot.coverage, _MOST_COVERAGE_PX)
        pictures = {
            "phase": self._placed(phase, MOST_PX),
            "amplitude": self._placed(amplitude, MOST_PX),
            "coverage": self._placed(coverage, _MOST_COVERAGE_PX),
        }
        if shot.last is not None:
            pictures["frame"] = of_frame(shot.last.counts)
            height, width = shot.last.phase_rad.shape
            pictures["patch"] = Picture(shot.last.phase_rad, 0, 0, width, height)
        return pictures

    @property
    def windows_um(self) -> NDArray[np.float32]:
        """(N, 2) x, y of the corners of the frames' windows."""
        rows = self.snapshot.windows_px + np.array(self.snapshot.origin_px)
        corners: NDArray[np.float32] = (rows[:, ::-1] * self._pixel_um).astype(np.float32)
        return corners

    @cached_property
    def status(self) -> dict[str, Any]:
        """What JSON can say of it."""
        shot = self.snapshot
        height, width = shot.phase.shape
        top, left = shot.origin_px
        pixel = self._pixel_um
        return {
            "look": self.number,
            "taken_s": self.taken_s,
            "scan_number": self.scan_number,
            "scan": shot.scan,
            "ended": shot.ended,
            "bounds_um": [
                left * pixel,
                top * pixel,
                (left + width) * pixel,
                (top + height) * pixel,
            ],
            "pixel_um": pixel,
            "window_um": shot.window_px * pixel,
            "ranges": self._ranges(),
            "received": shot.received,
            "processed": shot.processed,
            "expected": shot.expected,
            "lost": sum(shot.lost.values()),
            "losses": told(shot.lost),
            "queue_depth": shot.queue_depth,
            "frames_per_second": shot.frames_per_second,
            "latency_ms": [1e3 * shot.latency_p50_s, 1e3 * shot.latency_p99_s],
            "r_factor": _finite(shot.r_factor),
            "trusted": shot.trusted,
            "verdict": shot.verdict,
            "warnings": list(shot.warnings),
            "package": shot.package,
            "precision": shot.precision,
            "provider": shot.provider,
            "last": None if shot.last is None else shot.last.number,
        }

    @property
    def _pixel_um(self) -> float:
        return 1e6 * self.snapshot.pixel_size_m

    def _placed(self, values: NDArray[np.float32], most_px: int) -> Picture:
        """An image, shrunk to `most_px`, on the object."""
        top, left = self.snapshot.origin_px
        pixel = self._pixel_um
        step = pixel * _block_px(self.snapshot.phase.shape, most_px)
        height, width = values.shape
        return Picture(values, left * pixel, top * pixel, width * step, height * step)

    def _ranges(self) -> dict[str, list[float]]:
        """Lowest and highest value that automatic colours span, by image."""
        every = _block_px(self.snapshot.coverage.shape, MOST_PX)
        coverage = self.snapshot.coverage[::every, ::every]
        image = self.snapshot.image[::every, ::every]
        covered = coverage[coverage > 0]
        sure = image[coverage >= 0.5 * np.median(covered)] if len(covered) else image[:0, 0]
        return {"phase": _range(np.angle(sure)), "amplitude": _range(np.abs(sure))}


def of_frame(counts: NDArray[np.float32]) -> Picture:
    """A frame, its masked pixels empty, in pixels."""
    height, width = counts.shape
    return Picture(np.where(counts < 0, np.float32(np.nan), counts), 0, 0, width, height)


def shown(snapshot: Snapshot, most_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Phase and amplitude, as means over blocks such that no edge is longer than `most_px`.

    Phases are averaged as angles: the mean of 179° and −179° is 180°, not 0°.
    """
    block = _block_px(snapshot.image.shape, most_px)
    if block == 1:
        return snapshot.phase, snapshot.amplitude
    count = _block_sums((snapshot.coverage > 0).astype(np.float32), block)
    count[count == 0] = np.nan
    phase: NDArray[np.float32] = np.angle(_block_sums(snapshot.image, block)) + 0 * count
    moduli: NDArray[np.float32] = np.abs(snapshot.image)
    return phase, _block_sums(moduli, block) / count


def shrunk(image: NDArray[np.float32], most_px: int) -> NDArray[np.float32]:
    """Means over blocks such that no edge is longer than `most_px`."""
    block = _block_px(image.shape, most_px)
    return image if block == 1 else _block_sums(image, block) / np.float32(block**2)


def _block_px(shape: tuple[int, ...], most_px: int) -> int:
    return max(1, math.ceil(max(shape) / most_px))


def _block_sums(image: NDArray[Number], block: int) -> NDArray[Number]:
    """Sums over blocks; the last ones may be cut off."""
    rows = np.add.reduceat(image, np.arange(0, image.shape[0], block), axis=0)
    sums: NDArray[Number] = np.add.reduceat(rows, np.arange(0, image.shape[1], block), axis=1)
    return sums


def _range(values: NDArray[np.float32]) -> list[float]:
    low, high = np.percentile(values, _RANGE_PERCENT).tolist() if len(values) else (0.0, 1.0)
    return [low, high if high > low else low + 1e-3]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
