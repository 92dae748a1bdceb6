"""A scan through a package, to an image: the whole flow, batch by batch, in bounded memory.

frames → preprocess → graph → patches → stitch → image, each step's own module doing the work; here
they are joined, timed, and what happened on the way is recorded.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import PackageError
from wnet_edge.gauge import illumination_weight, probe_intensity
from wnet_edge.geometry import central_window_start_px, positions_px
from wnet_edge.manifest import Precision
from wnet_edge.orientation import Orientation, orient
from wnet_edge.package import Package
from wnet_edge.preprocess import network_counts
from wnet_edge.runner.fit import check_far_field, remaining_binning
from wnet_edge.runner.session import GraphSession, Provider, RunnerOptions
from wnet_edge.scan import Scan
from wnet_edge.stitch import Stitched, Stitcher

PLAUSIBLE_TRANSMISSION = (0.02, 1.2)
"""Median share of incident counts that reaches the detector, if the probe's power means anything:
thick samples let 2 % through, and probes from a reconstruction are 20 % wrong at times."""

_NOT_A_COUNT = 4e9
"""32-bit detectors mark gaps and overflow with 2³² − 1; no pixel counts so far in one frame."""


class AmplitudeScale(str, Enum):
    """What the image's amplitude is relative to."""

    PROBE = "probe"  # the scan's own probe: amplitude² is transmission
    SCAN_MEDIAN = "scan-median"  # the median frame, whose RMS amplitude is 1


@dataclass(frozen=True)
class Timing:
    """Seconds that each step took, and all of them together."""

    open_s: float
    read_s: float
    prepare_s: float
    network_s: float
    stitch_s: float
    total_s: float


@dataclass(frozen=True)
class Inference:
    """An image, and how it came to be.

    Attributes:
        stitched: the image and where it lies.
        pixel_size_m: of the image.
        frames_received: frames in the scan.
        frames_processed: frames that are in the image.
        frames_lost: frames without counts or without a finite patch.
        values_masked: pixel values that are no counts (negative, NaN, detector gaps) outside the
            scan's mask, each left out of its frame.
        amplitude_scale: what the amplitude is relative to.
        transmission: median share of the probe's power that reached the detector, None without a
            probe.
        precision: of the graph.
        provider: that ran it.
        reason: why this provider and precision.
        timing: seconds a step.
        warnings: what a user should know, one line each.
    """

    stitched: Stitched
    pixel_size_m: float
    frames_received: int
    frames_processed: int
    frames_lost: int
    values_masked: int
    amplitude_scale: AmplitudeScale
    transmission: float | None
    precision: Precision
    provider: Provider
    reason: str
    timing: Timing
    warnings: tuple[str, ...]

    @property
    def frames_per_second(self) -> float:
        """Frames received over the whole time."""
        return self.frames_received / self.timing.total_s


@dataclass(frozen=True)
class Prepared:
    """A batch as the graph takes it.

    Attributes:
        counts: (B, 1, h, w) float32, masked pixels negative.
        totals: (B,) float64, counts of the whole unmasked frame.
        values_masked: values that were no counts, outside the scan's mask.
    """

    counts: NDArray[np.float32]
    totals: NDArray[np.float64]
    values_masked: int


def infer(
    scan: Scan,
    package: Package,
    options: RunnerOptions,
    progress: Callable[[int], None] | None = None,
) -> Inference:
    """Take a scan to an image.

    Args:
        scan: far-field frames with their positions.
        package: a verified package that fits the scan.
        options: precision, provider, threads, batch size.
        progress: called after each batch with the number of frames in it.

    Raises:
        ScanError: if the scan is not far-field, or its file fails on the way.
        PackageError: if the package does not fit the scan.
        ProviderError: if the provider can't be had or fails.
        ResultError: if no frame has anything to show.
    """
    laps = _Laps()
    check_far_field(scan)
    binning = remaining_binning(scan, package.manifest)
    orientation = package.manifest.orientation
    weight = window_weight(package)
    session = GraphSession(package, options)
    light = _Light(scan)
    values_masked = 0
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    laps.lap("open")
    with Stitcher(positions, scan.full_window_px, session.window_px, weight) as stitcher:
        for frames in scan.batches(options.batch_size):
            laps.lap("read")
            batch = prepare(frames, scan.mask, orientation, binning)
            values_masked += batch.values_masked
            laps.lap("prepare")
            amplitude, phase = session.run(batch.counts)
            laps.lap("network")
            stitcher.add(amplitude[:, 0], phase[:, 0], light.scale(batch.totals))
            laps.lap("stitch")
            if progress is not None:
                progress(len(frames))
        stitched = stitcher.finish()
    amplitude_scale, factor, transmission = light.settle(stitched.used)
    stitched = replace(stitched, image=stitched.image * np.float32(factor))
    laps.lap("stitch")
    processed = int(stitched.used.sum())
    lost = scan.frame_count - processed
    return Inference(
        stitched=stitched,
        pixel_size_m=scan.object_pixel_size_m,
        frames_received=scan.frame_count,
        frames_processed=processed,
        frames_lost=lost,
        values_masked=values_masked,
        amplitude_scale=amplitude_scale,
        transmission=transmission,
        precision=session.precision,
        provider=session.provider,
        reason=session.reason,
        timing=laps.timing(),
        warnings=_warnings(lost, values_masked, amplitude_scale, transmission),
    )


def prepare(
    frames: NDArray[np.float32], mask: NDArray[np.bool_], orientation: Orientation, binning: int
) -> Prepared:
    """Frames (B, n, n) float32 and mask (n, n) to what the graph takes.

    A value that is no count (negative, NaN, or the mark of a detector gap) is masked in its frame.
    """
    wrong = ~((frames >= 0) & (frames < _NOT_A_COUNT)) & ~mask
    values_masked = int(np.count_nonzero(wrong))
    left_out = mask | wrong if values_masked else mask
    kept = np.where(left_out, np.float32(0), frames)
    totals = kept.sum(axis=(1, 2), dtype=np.float64)
    counts = network_counts(orient(kept, orientation), orient(left_out, orientation), binning)
    return Prepared(counts, totals, values_masked)


def window_weight(package: Package) -> NDArray[np.float32]:
    """Illumination weight of the network's window, (window, window) float32, mean 1.

    Raises:
        PackageError: if the package's probe is dark there.
    """
    manifest = package.manifest
    start = central_window_start_px(manifest.frame_px, manifest.window_px)
    window = slice(start, start + manifest.window_px)
    try:
        return illumination_weight(probe_intensity(package.probe)[window, window])
    except ValueError as error:
        raise PackageError(f"{package.path}: {error}; export it with a measured probe") from error


class _Light:
    """The amplitude scale of patches, s = sqrt(total counts / incident counts).

    Whether the probe's power is worth anything shows only when all frames have passed, and the
    image is proportional to s: so a reference is taken first, and put right at the end.
    """

    def __init__(self, scan: Scan) -> None:
        self._incident = None if scan.probe is None else float(probe_intensity(scan.probe).sum())
        self._reference = self._incident
        self._totals: list[NDArray[np.float64]] = []

    def scale(self, totals: NDArray[np.float64]) -> NDArray[np.float32]:
        """(B,) for the totals of the next batch; zero for a dead frame."""
        self._totals.append(totals)
        if self._reference is None and totals.any():
            self._reference = float(np.median(totals[totals > 0]))
        return np.sqrt(totals / (self._reference or 1.0)).astype(np.float32)

    def settle(self, used: NDArray[np.bool_]) -> tuple[AmplitudeScale, float, float | None]:
        """What the scale is relative to, the factor that makes it so, the probe's transmission."""
        median = float(np.median(np.concatenate(self._totals)[used]))
        transmission = median / self._incident if self._incident else None
        low, high = PLAUSIBLE_TRANSMISSION
        if transmission is not None and low < transmission < high:
            return AmplitudeScale.PROBE, 1.0, transmission
        factor = float(np.sqrt((self._reference or median) / median))
        return AmplitudeScale.SCAN_MEDIAN, factor, transmission


class _Laps:
    """Adds the time since the last lap to the step that took it."""

    def __init__(self) -> None:
        self._began = self._last = perf_counter()
        self._seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        """`step` ends now."""
        now = perf_counter()
        self._seconds[step] = self._seconds.get(step, 0.0) + now - self._last
        self._last = now

    def timing(self) -> Timing:
        """All laps so far."""
        steps = {f"{step}_s": seconds for step, seconds in self._seconds.items()}
        return Timing(**steps, total_s=self._last - self._began)


def _warnings(
    lost: int, values_masked: int, scale: AmplitudeScale, transmission: float | None
) -> tuple[str, ...]:
    lines = []
    if lost:
        lines.append(f"{lost} frames have no counts or give no finite patch and are left out")
    if values_masked:
        lines.append(f"{values_masked} values are no counts (negative, NaN, gaps) and are left out")
    if scale is AmplitudeScale.SCAN_MEDIAN and transmission is None:
        lines.append("the scan has no probe: amplitude is relative to the median frame")
    elif scale is AmplitudeScale.SCAN_MEDIAN:
        lines.append(
            f"the probe's power puts transmission at {transmission:.3g}, which can't be: "
            "amplitude is relative to the median frame"
        )
    return tuple(lines)
