"""Does the image explain the frames? A fast wrong image is worse than none.

From the stitched object and the package's probe a sample of the measured frames is simulated anew,
all modes, binned as measured, one fitted scale a frame, and held against what was measured:
R = Σ|√I − |Ψ|| / Σ√I. Counting noise alone gives the floor; the package holds the level that it
reached on a scan of its own instrument.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.gauge import probe_intensity
from wnet_edge.geometry import central_window_start_px, positions_px
from wnet_edge.manifest import SelfCheckLevel
from wnet_edge.package import Package
from wnet_edge.physics.forward import expected_counts
from wnet_edge.physics.poisson import expected_root_deviation
from wnet_edge.physics.probe import fitted_probe, shifted_probe
from wnet_edge.preprocess import bin_frames
from wnet_edge.scan import Scan
from wnet_edge.stitch import Stitched

_KEPT_FRAMES = 300
"""More than are compared, since some lie at the border of the image."""

_DIM_RATIO = 1.3
"""Of an R-factor over what noise alone gives, below which it is the noise that is to blame: scan
247 thinned to 1e4 counts has 1.07 and is rightly not trusted (docs/trust.md)."""

_COVERED_POWER = 0.999
"""Share of the probe's power that must fall on covered object."""

TRUSTED_RATIO = 1.2
"""Of a scan's R-factor over the package's own, both freed of noise, up to which it is trusted:
twenty frames anywhere in scan 247 stay below 1.05, a pixel size 10 % off reaches 1.23, another
orientation 2 (docs/trust.md)."""


@dataclass(frozen=True)
class SelfCheck:
    """How well the image explains the frames it came from.

    Attributes:
        r_factor: Σ|√I − |Ψ|| / Σ√I over the compared frames; None where none was covered.
        r_floor: what Poisson noise alone would give; None likewise.
        frames: compared.
        trusted: whether the R-factor is near the package's own; None where either is not known.
    """

    r_factor: float | None
    r_floor: float | None
    frames: int
    trusted: bool | None

    @property
    def warning(self) -> str | None:
        """One line where the image is not to be trusted, or could not be checked."""
        if self.trusted:
            return None
        if self.r_factor is None:
            return "the image is too small to be checked against its frames: trust it with care"
        if self.trusted is None:
            return "the package holds no R-factor to judge the image by: trust it with care"
        if self.r_floor is not None and self.r_factor < _DIM_RATIO * self.r_floor:
            return (
                f"too few counts to trust the image: R-factor {self.r_factor:.2f}, of which noise "
                f"alone gives {self.r_floor:.2f}; expose longer"
            )
        return (
            f"the image does not explain its frames (R-factor {self.r_factor:.2f}): these are of "
            "another instrument, orientation, position sign, pixel size or probe than the package's"
        )


@dataclass
class FrameSample:
    """Some frames as the network saw them, kept on their way for the comparison.

    Attributes:
        frames: (K,) frame numbers, ascending.
        counts: of each that has passed, (h, w) float32, masked pixels negative.
    """

    frames: NDArray[np.int64]
    counts: dict[int, NDArray[np.float32]] = field(default_factory=dict)

    @classmethod
    def of(cls, frame_count: int) -> "FrameSample":
        """Evenly spread over the scan."""
        size = min(frame_count, _KEPT_FRAMES)
        return cls(np.unique(np.linspace(0, frame_count - 1, size).astype(np.int64)))

    def add(self, first: int, counts: NDArray[np.float32]) -> None:
        """Keep what belongs to the sample of frames `first` and after, (B, 1, h, w)."""
        start, stop = np.searchsorted(self.frames, (first, first + len(counts))).tolist()
        for frame in self.frames[start:stop].tolist():
            self.counts[frame] = counts[frame - first, 0].copy()


def self_check(
    sample: FrameSample, scan: Scan, package: Package, stitched: Stitched, compared_frames: int
) -> SelfCheck:
    """Simulate up to `compared_frames` frames of the sample from the image, and compare.

    Frames of which the image does not cover the probe are passed over.
    """
    model = _Model.of(scan, package, stitched)
    deviation = noise = total = 0.0
    compared = 0
    usable = [frame for frame in sample.counts if stitched.used[frame] and model.covers(frame)]
    chosen = np.linspace(0, len(usable) - 1, min(len(usable), compared_frames)).astype(int)
    for frame in (usable[index] for index in chosen):
        counts = sample.counts[frame]
        valid = counts >= 0
        root = np.sqrt(counts[valid], dtype=np.float64)
        modelled = np.sqrt(model.counts(frame)[valid], dtype=np.float64)
        # Least squares of √I on |Ψ|.
        modelled *= float(root @ modelled) / max(float(modelled @ modelled), 1e-30)
        deviation += float(np.abs(root - modelled).sum())
        noise += float(expected_root_deviation(modelled**2).sum())
        total += float(root.sum())
        compared += 1
    if not total:
        return SelfCheck(None, None, 0, None)
    r_factor, r_floor = deviation / total, noise / total
    level = package.manifest.self_check
    trusted = None if level is None else is_trusted(r_factor, r_floor, level)
    return SelfCheck(r_factor, r_floor, compared, trusted)


def is_trusted(r_factor: float, r_floor: float, level: SelfCheckLevel) -> bool:
    """Whether an R-factor, freed of noise, is within `TRUSTED_RATIO` of the package's own."""
    own = noise_free(level.r_factor, level.r_floor)
    return noise_free(r_factor, r_floor) <= TRUSTED_RATIO * own


def noise_free(r_factor: float, r_floor: float) -> float:
    """R-factor less its floor; independent deviations add in quadrature."""
    return math.sqrt(max(r_factor**2 - r_floor**2, 0.0))


@dataclass(frozen=True)
class _Model:
    """Frames simulated from an image.

    Attributes:
        stitched: the image.
        probe: (modes, n, n), padded where the detector's pixels are finer than the package's.
        power: (n, n), its intensity, sum 1.
        corner_px: (N, 2), top-left pixel of each probe window in the image, fractions included.
        binning: simulated pixels along an edge that one of the network's input pixels sums.
    """

    stitched: Stitched
    probe: NDArray[np.complex64]
    power: NDArray[np.float64]
    corner_px: NDArray[np.float64]
    binning: int

    @classmethod
    def of(cls, scan: Scan, package: Package, stitched: Stitched) -> "_Model":
        manifest = package.manifest
        size_px = max(scan.frame_px, manifest.frame_px)
        probe = fitted_probe(package.probe, size_px)
        power = probe_intensity(probe).astype(np.float64)
        top_left = positions_px(scan.positions_m, scan.object_pixel_size_m)
        start = central_window_start_px(scan.full_window_px, size_px)
        return cls(
            stitched=stitched,
            probe=probe,
            power=power / power.sum(),
            corner_px=top_left + start - stitched.origin_px,
            binning=size_px // manifest.window_px,
        )

    def covers(self, frame: int) -> bool:
        """Whether the image covers what the probe lights."""
        coverage = self._cut(self.stitched.coverage, frame)
        return bool(np.sum(self.power[coverage > 0]) >= _COVERED_POWER)

    def counts(self, frame: int) -> NDArray[np.float32]:
        """Expected counts (h, w) of a frame, in the probe's own unit."""
        fraction = self.corner_px[frame] % 1
        patch = self._cut(self.stitched.image, frame)
        probe = shifted_probe(self.probe, fraction)
        simulated: NDArray[np.float32] = expected_counts(patch[None], probe)[0]
        return bin_frames(simulated, self.binning)

    def _cut(self, image: NDArray[Any], frame: int) -> NDArray[Any]:
        """The probe's window of an image, zero beyond its edge."""
        size = self.probe.shape[-1]
        start = np.floor(self.corner_px[frame]).astype(int)
        window = np.zeros((size, size), dtype=image.dtype)
        low = np.maximum(start, 0)
        high = np.minimum(start + size, image.shape)
        if (high > low).all():
            inside = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
            window[inside] = image[low[0] : high[0], low[1] : high[1]]
        return window
