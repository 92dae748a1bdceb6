"""A scan under given conditions, as a detector records it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from benchmarks.robustness.conditions import Conditions
from benchmarks.robustness.light import first_light, geometry_of, lights, propagated
from benchmarks.robustness.sample import sample
from wnet_edge.api.scans import Scan, read_scan
from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.package.opening import Package
from wnet_edge.physics.forward import far_field
from wnet_edge.physics.probe import probe_diameter_px

FRAMES = 306
_COLUMNS = 18
_MARGIN_PX = 24
"""Around the windows of the raster: no position's noise reaches further."""
_SEED = 23


@dataclass(frozen=True)
class Measurement:
    """A simulated scan, the truth, and what can be said of it.

    Attributes:
        scan: with the probe that lit its first frame.
        truth: the object.
        hidden: share of the counts that the mask hides.
    """

    scan: Scan
    truth: ObjectImage
    hidden: float


def measured(package: Package, conditions: Conditions, frames: int = FRAMES) -> Measurement:
    """Simulate a scan of `frames` frames with the package's probe."""
    rng = np.random.default_rng(_SEED)
    probe, pixel_m = package.probe, package.manifest.object_pixel_size_m
    size_px = probe.shape[-1]
    known_px = _raster(frames, conditions.step * probe_diameter_px(probe), rng)
    true_px = known_px + conditions.position_noise_px * _noise(frames, rng)
    corners_px = np.floor(true_px).astype(int)
    drawn = sample(int(known_px.max()) + size_px + _MARGIN_PX, conditions)
    expected = np.empty((frames, size_px, size_px), np.float32)
    lit = lights(probe, conditions, true_px - corners_px, pixel_m)
    for frame, (light, (row, column)) in enumerate(zip(lit, corners_px, strict=True)):
        patch = drawn[row : row + size_px, column : column + size_px]
        expected[frame] = _intensity(light, patch, conditions, pixel_m)
    dead = rng.random((size_px, size_px)) < conditions.dead_fraction
    stopped = _beamstop(size_px, conditions.beamstop_px)
    counts = _counts(expected, conditions, rng)
    counts[:, dead | stopped] = 0
    mask = dead | stopped if conditions.dead_masked else stopped
    geometry = geometry_of(pixel_m, size_px)
    scan = read_scan(
        counts,
        positions=known_px * pixel_m,
        probe=first_light(probe, conditions, pixel_m) * np.float32(math.sqrt(conditions.photons)),
        mask=mask.astype(np.uint8),
        energy_ev=geometry.energy_ev,
        distance_m=geometry.distance_m,
        pixel_size_m=geometry.detector_pixel_size_m,
    )
    hidden = float(expected[:, mask].sum() / expected.sum())
    return Measurement(scan, ObjectImage("truth", drawn, None, pixel_m), hidden)


def _raster(frames: int, step_px: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, 2) row, column, jittered by up to an eighth of the step either way."""
    grid = np.stack(np.divmod(np.arange(frames), _COLUMNS), axis=1) * step_px
    jitter = rng.uniform(-step_px / 8, step_px / 8, grid.shape)
    whole: NDArray[np.float64] = np.round(np.maximum(grid + jitter, 0)) + _MARGIN_PX
    return whole


def _noise(frames: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """(N, 2), RMS distance 1, none beyond two of it: within the margin."""
    drawn = rng.standard_normal((frames, 2))
    distance = np.linalg.norm(drawn, axis=1, keepdims=True)
    drawn *= np.minimum(1, 2 / distance)
    unit: NDArray[np.float64] = drawn / math.sqrt(np.mean(np.sum(drawn**2, axis=1)))
    return unit


def _intensity(
    light: NDArray[np.complex64],
    patch: NDArray[np.complex64],
    conditions: Conditions,
    pixel_m: float,
) -> NDArray[np.float32]:
    """Far field (n, n) of a patch, or of equal layers of it with the probe's plane in the middle.

    Multislice: Maiden, Humphry and Rodenburg, JOSA A 29, 1606 (2012).
    """
    if conditions.slices == 1:
        wave = light * patch
    else:
        layer = np.exp(np.log(np.abs(patch)) / conditions.slices).astype(np.complex64)
        layer = layer * np.exp(1j * np.angle(patch) / conditions.slices).astype(np.complex64)
        gap_um = conditions.thickness_um / (conditions.slices - 1)
        wave = propagated(light, -conditions.thickness_um / 2, pixel_m) * layer
        for _ in range(conditions.slices - 1):
            wave = propagated(wave, gap_um, pixel_m) * layer
    intensity: NDArray[np.float32] = np.sum(np.abs(far_field(wave)) ** 2, axis=0)
    if conditions.blur_px:
        intensity = gaussian_filter(intensity, conditions.blur_px, mode="wrap")
    return intensity


def _counts(
    expected: NDArray[np.float32], conditions: Conditions, rng: np.random.Generator
) -> NDArray[np.uint32]:
    mean = expected.astype(np.float64) * conditions.photons
    mean += conditions.background * mean.mean(axis=(1, 2), keepdims=True)
    return rng.poisson(mean).astype(np.uint32)


def _beamstop(size_px: int, diameter: int) -> NDArray[np.bool_]:
    """(n, n) bool, a disc around zero frequency."""
    off_px = np.arange(size_px) - size_px // 2
    disc: NDArray[np.bool_] = off_px[:, None] ** 2 + off_px[None, :] ** 2 < (diameter / 2) ** 2
    return disc
