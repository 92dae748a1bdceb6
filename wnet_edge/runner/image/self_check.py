"""Self-check of an image: R-factor of frames simulated from it against the measured ones.

A fast wrong image is worse than none. From the stitched object and the package's probe, a sample of
the frames is simulated (all modes, binned as measured, one fitted scale per frame) and compared
with the measurement: R = Σ|√I − |Ψ|| / Σ√I. The same is done for a blank object, and for the image
with its contrast scaled up and down. `wnet_edge.runner.image.verdict` judges these numbers.
"""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.manifest import FrameFit, Manifest
from wnet_edge.package.opening import Package
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import far_field
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.geometry import central_window_start_px, positions_px
from wnet_edge.physics.poisson import expected_root_deviation
from wnet_edge.physics.probe import fitted_probe, shifted_probe
from wnet_edge.runner.image.verdict import Cause, Verdict, judge
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.stitching.laid_sums import Stitched

_KEPT_FRAMES = 300
"""Size of the sample; more than are compared, since some lie at the border of the image."""

_COVERED_POWER = 0.999
"""Fraction of the probe's power that must fall on covered pixels."""

_CONTRASTS = np.geomspace(1 / 4, 4, 9)
"""Contrast factors that are tried; the minimum is interpolated by a parabola."""


@dataclass(frozen=True)
class SelfCheck:
    """Result of the self-check: R-factors of the image against its own frames, and the verdict.

    Attributes:
        fit: R-factors; None if in no frame the whole probe was covered.
        verdict: whether the image is trusted.
        cause: why it is not trusted, and what to try; None if it is.
    """

    fit: FrameFit | None
    verdict: Verdict
    cause: Cause | None

    @property
    def trusted(self) -> bool | None:
        """Whether the image is trusted; None if unknown."""
        return {Verdict.TRUSTED: True, Verdict.NOT_TRUSTED: False}.get(self.verdict)

    @property
    def text(self) -> str:
        """One line: R-factors of image and blank object, explained part, contrast, verdict."""
        if self.fit is None:
            return f"not compared with the frames: {self.verdict.value}"
        fit = self.fit
        return (
            f"R-factor {fit.r_factor:.3f} (blank object {fit.r_blank:.3f}), explains "
            f"{100 * fit.explained:.0f} %, contrast {fit.contrast:.2f}: {self.verdict.value}"
        )

    @property
    def warning(self) -> str | None:
        """One line if the image is not trusted or could not be judged; else None."""
        if self.cause is None:
            return None
        reason = self.cause.value
        return reason if self.fit is None else f"{self.text}: {reason}"


class FrameSample:
    """Sample of the network's input frames, evenly spread over the scan, for the self-check.

    Args:
        frame_count: number of frames of the scan; None if unknown: then every frame is kept at
            first, and every second one is dropped whenever there are twice too many.

    Attributes:
        counts: counts (h, w) float32 of each kept frame by number, masked pixels negative.
    """

    def __init__(self, frame_count: int | None) -> None:
        self.counts: dict[int, NDArray[np.float32]] = {}
        self._wanted: NDArray[np.int64] | None = None
        self._step = 1
        if frame_count is not None:
            size = min(frame_count, _KEPT_FRAMES)
            self._wanted = np.unique(np.linspace(0, frame_count - 1, size).astype(np.int64))

    def of_first(self, count: int) -> "FrameSample":
        """The same of the scan's first `count` frames, which knows of no later one."""
        copied = copy(self)
        kept = dict(self.counts)  # at once: others may be added by another thread
        copied.counts = {number: counts for number, counts in kept.items() if number < count}
        return copied

    def add(self, first: int, counts: NDArray[np.float32]) -> None:
        """Keep those of the frames (B, 1, h, w) from number `first` on that are in the sample."""
        last = first + len(counts)
        if self._wanted is not None:
            start, stop = np.searchsorted(self._wanted, (first, last)).tolist()
            frames = self._wanted[start:stop].tolist()
        else:
            frames = range(-(-first // self._step) * self._step, last, self._step)
        for frame in frames:
            self.counts[frame] = counts[frame - first, 0].copy()
        while self._wanted is None and len(self.counts) >= 2 * _KEPT_FRAMES:
            self._step *= 2
            self.counts = {n: kept for n, kept in self.counts.items() if n % self._step == 0}


def self_check(
    sample: FrameSample,
    setup: FrameSetup,
    positions_m: NDArray[np.float64],
    probe: NDArray[np.complex64],
    package: Package,
    stitched: Stitched,
    compared_frames: int,
) -> SelfCheck:
    """Simulate up to `compared_frames` frames of the sample from the image, and judge the image.

    Frames whose probe is not covered by the image are skipped.

    Args:
        sample: frames of the scan.
        setup: detector and probe of the scan.
        positions_m: (N, 2) row, column of all frames of the scan, metres.
        probe: (modes, n, n) complex64.
        package: package with the R-factors to compare with.
        stitched: the image.
        compared_frames: largest number of frames to compare.
    """
    model = _Model.of(setup, positions_m, probe, package.manifest, stitched)
    usable = [frame for frame in sample.counts if stitched.used[frame] and model.covers(frame)]
    chosen = np.linspace(0, len(usable) - 1, min(len(usable), compared_frames)).astype(int)
    fit = _fit(model, {usable[index]: sample.counts[usable[index]] for index in chosen})
    return SelfCheck(fit, *judge(fit, package.manifest.self_check))


def _fit(model: "_Model", frames: dict[int, NDArray[np.float32]]) -> FrameFit | None:
    """R-factors of the model for measured frames by number; None if there are no counts."""
    deviation = blank_deviation = noise = total = 0.0
    fractions = values = 0
    misfit = np.zeros(len(_CONTRASTS))
    for frame, counts in frames.items():
        valid = counts >= 0
        root = np.sqrt(counts[valid], dtype=np.float64)
        blank, image, double = model.counts(frame)[:, valid].astype(np.float64)
        modelled, modelled_blank = _scaled(root, image), _scaled(root, blank)
        deviation += float(np.abs(root - modelled).sum())
        blank_deviation += float(np.abs(root - modelled_blank).sum())
        noise += float(expected_root_deviation(modelled**2).sum())
        total += float(root.sum())
        fractions += int(np.count_nonzero(counts[valid] % 1))
        values += root.size
        # The intensity is quadratic in the contrast, so that three points determine it.
        curvature = (double - 2 * image + blank) / 2
        slope = image - blank - curvature
        misfit += [
            float(np.sum((root - _scaled(root, blank + c * slope + c**2 * curvature)) ** 2))
            for c in _CONTRASTS
        ]
    if not total:
        return None
    return FrameFit(
        r_factor=deviation / total,
        # The noise of normalised frames is unknown, since their photon counts are.
        r_floor=0.0 if 2 * fractions > values else noise / total,
        r_blank=blank_deviation / total,
        contrast=1 / _lowest(misfit),
        frames=len(frames),
    )


def _lowest(misfit: NDArray[np.float64]) -> float:
    """Contrast factor of least misfit, by a parabola through the smallest value and its neighbours.

    In the logarithm of the factor; at either end of `_CONTRASTS` that factor itself.
    """
    best = int(np.argmin(misfit))
    if best in (0, len(misfit) - 1):
        return float(_CONTRASTS[best])
    below, at, above = misfit[best - 1 : best + 2]
    step = (below - above) / (2 * (below - 2 * at + above)) if below + above > 2 * at else 0.0
    return float(_CONTRASTS[best] * (_CONTRASTS[1] / _CONTRASTS[0]) ** step)


def _scaled(root: NDArray[np.float64], modelled: NDArray[np.float64]) -> NDArray[np.float64]:
    """|Ψ| of modelled counts, scaled by least squares to √I (`root`)."""
    magnitude = np.sqrt(np.maximum(modelled, 0))
    scale = float(root @ magnitude) / max(float(magnitude @ magnitude), 1e-30)
    scaled: NDArray[np.float64] = scale * magnitude
    return scaled


@dataclass(frozen=True)
class _Model:
    """Forward model that simulates frames from an image.

    Attributes:
        stitched: the image.
        probe: (modes, n, n), padded if the detector's pixels are finer than the package's.
        wave: (modes, n, n), far field of the probe.
        power: (n, n), probe intensity, normalised to sum 1.
        corner_px: (N, 2) float64, top-left pixel of each probe window in the image.
        binning: simulated pixels along an edge that one of the network's input pixels sums.
    """

    stitched: Stitched
    probe: NDArray[np.complex64]
    wave: NDArray[np.complex64]
    power: NDArray[np.float64]
    corner_px: NDArray[np.float64]
    binning: int

    @classmethod
    def of(
        cls,
        setup: FrameSetup,
        positions_m: NDArray[np.float64],
        probe: NDArray[np.complex64],
        manifest: Manifest,
        stitched: Stitched,
    ) -> "_Model":
        size_px = max(setup.frame_px, manifest.frame_px)
        probe = fitted_probe(probe, size_px)
        power = probe_intensity(probe).astype(np.float64)
        top_left = positions_px(positions_m, setup.object_pixel_size_m)
        start = central_window_start_px(setup.full_window_px, size_px)
        return cls(
            stitched=stitched,
            probe=probe,
            wave=far_field(probe).astype(np.complex64),
            power=power / power.sum(),
            corner_px=top_left + start - stitched.origin_px,
            binning=size_px // manifest.window_px,
        )

    def covers(self, frame: int) -> bool:
        """Whether the image covers the area illuminated by the probe."""
        coverage = self._cut(self.stitched.coverage, frame)
        return bool(np.sum(self.power[coverage > 0]) >= _COVERED_POWER)

    def counts(self, frame: int) -> NDArray[np.float32]:
        """Expected counts of a frame, (3, h, w) float32, in the units of the probe's power.

        For a blank object, for the image, and for the image with doubled contrast: contrast scales
        the patch's deviation from its mean under the probe.
        """
        patch = self._cut(self.stitched.image, frame)
        shift_px = self.corner_px[frame] % 1
        exit_wave = shifted_probe(self.probe, shift_px) * patch
        image = far_field(exit_wave)
        lit = self.wave * self._ramp(shift_px)
        # The mean of O under |P|² is ⟨P|P·O⟩ / ⟨P|P⟩, in real or Fourier space.
        mean = np.vdot(lit, image) / np.vdot(lit, lit)
        blank = np.complex64(mean) * lit
        simulated = probe_intensity(np.stack([blank, image, 2 * image - blank], axis=1))
        return bin_frames(simulated, self.binning)

    def _ramp(self, shift_px: NDArray[np.float64]) -> NDArray[np.complex64]:
        """Phase ramp (n, n) on the far field for a shift of the probe (Fourier shift theorem)."""
        q = np.fft.fftshift(np.fft.fftfreq(self.probe.shape[-1]))
        rows, columns = np.exp(-2j * np.pi * shift_px[:, None] * q)
        ramp: NDArray[np.complex64] = np.outer(rows, columns).astype(np.complex64)
        return ramp

    def _cut(self, image: NDArray[Any], frame: int) -> NDArray[Any]:
        """A frame's probe window cut from an image, zero outside it."""
        size = self.probe.shape[-1]
        start = np.floor(self.corner_px[frame]).astype(int)
        window = np.zeros((size, size), dtype=image.dtype)
        low = np.maximum(start, 0)
        high = np.minimum(start + size, image.shape)
        if (high > low).all():
            inside = tuple(slice(a, b) for a, b in zip(low - start, high - start, strict=True))
            window[inside] = image[low[0] : high[0], low[1] : high[1]]
        return window
