"""Procedural objects: training data in place of measured samples.

Each family draws a relief in [0, 1] on a square canvas; `draw_object` turns a relief into a complex
transmission, with absorption tied to phase as in one material, or free as in a mixture.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError

Relief = NDArray[np.float32]


class Family(str, Enum):
    """Families of reliefs."""

    THRESHOLDED = "thresholded"
    LABYRINTH = "labyrinth"
    EDGES = "edges"
    LINES = "lines"
    DOTS = "dots"
    SMOOTH = "smooth"


@dataclass(frozen=True)
class Contrast:
    """How strong objects are.

    Attributes:
        phase_rad: phase of the whole relief (lowest, highest), drawn evenly.
        absorption: largest −log |O| of objects whose absorption does not follow their phase.
        odd: fraction of objects outside that: as many weaker ones, down to a tenth of the lowest
            phase, as stronger ones, up to twice both.
    """

    phase_rad: tuple[float, float] = (0.2, 3.0)
    absorption: float = 0.7
    odd: float = 0.0

    @classmethod
    def up_to(cls, phase_rad: float) -> "Contrast":
        """Phases up to this and down to a fifteenth of it, as in the default; none outside."""
        return cls((phase_rad / 15, phase_rad))

    def draw(self, rng: np.random.Generator) -> tuple[float, float]:
        """Phase in rad, and largest absorption, of one object."""
        low, high = self.phase_rad
        if not self.odd or rng.random() >= self.odd:
            return rng.uniform(low, high), self.absorption
        if rng.random() < 0.5:
            return float(np.exp(rng.uniform(np.log(low / 10), np.log(low)))), self.absorption
        return rng.uniform(high, 2 * high), 2 * self.absorption


def draw_object(
    family: Family,
    size_px: int,
    *,
    rng: np.random.Generator,
    contrast: Contrast | None = None,
) -> NDArray[np.complex64]:
    """Draw an object of a family, (size_px, size_px) complex64, |O| ≤ 1.

    O = exp(−(2π/λ)(β + iδ)t) with thickness t ∝ relief: phase −φ·relief and log-amplitude
    −(β/δ)·φ·relief, φ between 0.2 and 3 rad by default, β/δ between 0.005 and 0.3 (log-uniform).
    One in three objects has absorption independent of phase, from a second relief; half of the
    reliefs are inverted.

    Raises:
        SimulationError: if the canvas is smaller than 32 px.
    """
    if size_px < 32:
        raise SimulationError(f"an object needs at least 32 pixels, not {size_px}")
    relief = _relief(family, size_px, rng)
    phase, most_absorption = (contrast or Contrast()).draw(rng)
    phase_rad = np.float32(phase) * relief
    if rng.random() < 1 / 3:
        other = _relief(list(Family)[rng.integers(len(Family))], size_px, rng)
        absorption = np.float32(rng.uniform(0.0, most_absorption)) * other
    else:
        absorption = np.float32(np.exp(rng.uniform(np.log(0.005), np.log(0.3)))) * phase_rad
    drawn: NDArray[np.complex64] = np.exp(-absorption - 1j * phase_rad).astype(np.complex64)
    return drawn


def _relief(family: Family, size_px: int, rng: np.random.Generator) -> Relief:
    relief = _FAMILIES[family](size_px, rng)
    if rng.random() < 0.5:
        relief = 1 - relief
    if rng.random() < 0.5:
        rough = _band(size_px, rng.uniform(2, 6), 1.0, rng)
        relief = relief + np.float32(rng.uniform(0, 0.06)) * rough
    clipped: Relief = np.clip(relief, 0, 1)
    return clipped


def _band(size_px: int, period_px: float, bandwidth: float, rng: np.random.Generator) -> Relief:
    """Gaussian random field around one spatial period, unit variance; bandwidth 1 is a low-pass."""
    noise = np.fft.rfft2(rng.standard_normal((size_px, size_px), dtype=np.float32))
    q = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None])
    centre = 1 / period_px
    envelope = (
        np.exp(-((q / centre) ** 2))
        if bandwidth >= 1
        else np.exp(-(((q - centre) / (bandwidth * centre)) ** 2))
    )
    envelope[0, 0] = 0
    field = np.fft.irfft2(noise * envelope, s=(size_px, size_px))
    unit: Relief = (field / field.std()).astype(np.float32)
    return unit


def _step(distance_px: Relief, rng: np.random.Generator) -> Relief:
    """Edge profile from 0 to 1 across zero distance, of random width."""
    width_px = rng.uniform(0.4, 2.5)
    step: Relief = np.clip(np.float32(0.5) + distance_px / np.float32(2 * width_px), 0, 1)
    return step


def _level_distance(field: Relief, level: float) -> Relief:
    """Distance of each pixel from a level line of the field, to first order, pixels."""
    rows, columns = np.gradient(field)
    slope = np.sqrt(rows**2 + columns**2) + 1e-3
    distance: Relief = (field - np.float32(level)) / slope
    return distance


def _thresholded(size_px: int, rng: np.random.Generator) -> Relief:
    field = _band(size_px, rng.uniform(10, 60), 1.0, rng)
    return _step(_level_distance(field, rng.uniform(-0.8, 0.8)), rng)


def _labyrinth(size_px: int, rng: np.random.Generator) -> Relief:
    field = _band(size_px, rng.uniform(12, 50), rng.uniform(0.15, 0.5), rng)
    return _step(_level_distance(field, rng.uniform(-0.5, 0.5)), rng)


def _grid(size_px: int) -> tuple[Relief, Relief]:
    axis = np.arange(size_px, dtype=np.float32)
    return axis[:, None], axis[None, :]


def _edges(size_px: int, rng: np.random.Generator) -> Relief:
    """Polygons: the canvas divided by random straight lines, one step per half-plane."""
    rows, columns = _grid(size_px)
    relief = np.zeros((size_px, size_px), np.float32)
    for _ in range(rng.integers(size_px // 40, size_px // 8)):
        angle, row, column = rng.uniform(0, 2 * np.pi), *rng.uniform(0, size_px, 2)
        distance = (rows - row) * np.float32(np.sin(angle)) + (columns - column) * np.float32(
            np.cos(angle)
        )
        relief += np.float32(rng.uniform(-1, 1)) * _step(distance, rng)
    low, high = relief.min(), relief.max()
    normalised: Relief = (relief - low) / np.maximum(high - low, np.float32(1e-6))
    return normalised


def _lines(size_px: int, rng: np.random.Generator) -> Relief:
    """Gratings at random angles within random outlines."""
    rows, columns = _grid(size_px)
    relief = np.zeros((size_px, size_px), np.float32)
    for _ in range(3):
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 50)
        across = rows * np.float32(np.sin(angle)) + columns * np.float32(np.cos(angle))
        duty = rng.uniform(0.25, 0.75)
        distance = np.abs((across / np.float32(period)) % 1 - np.float32(0.5)) * np.float32(period)
        bars = _step(distance - np.float32((1 - duty) * period / 2), rng)
        where = _step(_level_distance(_band(size_px, 150, 1.0, rng), rng.uniform(-0.5, 0.5)), rng)
        relief = relief * (1 - where) + bars * where
    return relief


def _dots(size_px: int, rng: np.random.Generator) -> Relief:
    """Overlapping discs of random size and height."""
    relief = np.zeros((size_px, size_px), np.float32)
    largest = rng.uniform(6, 30)
    level = rng.random() < 0.5
    for _ in range(int(rng.uniform(0.2, 1.2) * (size_px / largest) ** 2)):
        radius = rng.uniform(0.3, 1) * largest
        row, column = rng.uniform(0, size_px, 2)
        top, left = max(int(row - radius) - 3, 0), max(int(column - radius) - 3, 0)
        bottom, right = int(row + radius) + 4, int(column + radius) + 4
        window = relief[top:bottom, left:right]
        rows = np.arange(top, top + window.shape[0], dtype=np.float32)[:, None] - np.float32(row)
        columns = np.arange(left, left + window.shape[1], dtype=np.float32) - np.float32(column)
        disc = _step(np.float32(radius) - np.hypot(rows, columns), rng)
        height = np.float32(1 if level else rng.uniform(0.2, 1))
        np.maximum(window, disc * height, out=window)
    return relief


def _smooth(size_px: int, rng: np.random.Generator) -> Relief:
    """Smooth relief with a power-law spectrum."""
    noise = np.fft.rfft2(rng.standard_normal((size_px, size_px), dtype=np.float32))
    q = np.hypot(np.fft.fftfreq(size_px)[:, None], np.fft.rfftfreq(size_px)[None])
    q[0, 0] = 1
    spectrum = np.maximum(q, 1 / 120) ** -rng.uniform(1.5, 3.0)
    field = np.fft.irfft2(noise * spectrum, s=(size_px, size_px))
    low, high = np.percentile(field, [1, 99])
    clipped: Relief = np.clip((field - low) / (high - low), 0, 1).astype(np.float32)
    return clipped


_FAMILIES: dict[Family, Callable[[int, np.random.Generator], Relief]] = {
    Family.THRESHOLDED: _thresholded,
    Family.LABYRINTH: _labyrinth,
    Family.EDGES: _edges,
    Family.LINES: _lines,
    Family.DOTS: _dots,
    Family.SMOOTH: _smooth,
}
