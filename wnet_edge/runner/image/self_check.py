"""Self-check of an image: R-factor of frames simulated from it against the measured ones.

A fast wrong image is worse than none. From the stitched object and the package's probe, a sample of
the frames is simulated (all modes, binned as measured, one fitted scale per frame) and compared
with the measurement: R = Σ|√I − |Ψ|| / Σ√I. The same is done for a blank object, and for the image
with its contrast scaled up and down. `wnet_edge.runner.image.verdict` judges these numbers.
"""

from collections.abc import Collection
from copy import copy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.framing.mean_frame import background_level
from wnet_edge.framing.training_domain import MOST_BACKGROUND
from wnet_edge.judging.frame_fit import ImageModel, frame_fit
from wnet_edge.package.manifest import CalibrationSource, FrameFit
from wnet_edge.package.opening import Package
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.runner.image.verdict import Cause, Verdict, judge
from wnet_edge.scan.frame_setup import FrameSetup
from wnet_edge.stitching.laid_sums import Stitched

_KEPT_FRAMES = 300
"""Size of the sample; more than are compared, since some lie at the border of the image."""


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
    *,
    refined: bool = False,
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
        refined: whether the image is refined: it is judged by what refinement has reached on the
            package's own scan, where that is known.
    """
    model = ImageModel.of(setup, positions_m, probe, package.manifest, stitched)
    usable = [frame for frame in sample.counts if stitched.used[frame] and model.covers(frame)]
    chosen = np.linspace(0, len(usable) - 1, min(len(usable), compared_frames)).astype(int)
    frames = {usable[index]: sample.counts[usable[index]] for index in chosen}
    fit = frame_fit(model, frames)
    manifest = package.manifest
    source = None if manifest.calibration is None else manifest.calibration.source
    simulated = source is CalibrationSource.SIMULATED
    level = manifest.self_check
    if refined and manifest.adaptation is not None:
        level = manifest.adaptation.refined
    lit = refined and _have_background(frames.values(), model)
    return SelfCheck(fit, *judge(fit, level, simulated=simulated, absorbs_background=lit))


def _have_background(frames: Collection[NDArray[np.float32]], model: ImageModel) -> bool:
    """Whether even the darkest pixels of the frames (h, w) are lit."""
    if not frames:
        return False
    counts = np.stack(list(frames))
    masked = np.any(counts < 0, axis=0)
    mean: NDArray[np.float32] = np.maximum(counts, 0).mean(axis=0, dtype=np.float32)
    empty = bin_frames(probe_intensity(model.wave), model.binning)
    return background_level(mean, empty, masked) > MOST_BACKGROUND
