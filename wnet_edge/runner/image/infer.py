"""A scan through a package, to an image: the whole flow, batch by batch, in bounded memory.

frames → preprocess → graph → patches → stitch → image, each step's own module doing the work; here
they are joined, timed, and what happened on the way is recorded. Reading and network each have a
thread; whatever stops one of the three threads, Ctrl-C included, stops all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.framing.compatibility import remaining_binning
from wnet_edge.io.parts.complete_scan import LARGEST_BAD_SHARE
from wnet_edge.package.golden import Patches
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.physics.instrument import Instrument
from wnet_edge.runner.choosing.choice import ChosenGraph, open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.amplitude_scale import AmplitudeScale, Light
from wnet_edge.runner.image.laps import Laps, Timing
from wnet_edge.runner.image.prefetch import prefetched
from wnet_edge.runner.image.self_check import FrameSample, SelfCheck, self_check
from wnet_edge.scan.preparation import Preparation, Prepared, check_lost, fault_lines
from wnet_edge.scan.scan import Scan
from wnet_edge.stitching.layout import lay_out
from wnet_edge.stitching.stitcher import Stitched, Stitcher, StitchOptions

_BATCH_BYTES = 64 << 20
"""Of frames as they are read."""


@dataclass(frozen=True)
class Effort:
    """How much work an image is worth.

    Attributes:
        stitch_rounds: passes of the stitcher at most.
        compared_frames: frames that judge the image.
        largest_lost_share: of the frames that may be bad.
    """

    stitch_rounds: int = 50
    compared_frames: int = 100
    largest_lost_share: float = LARGEST_BAD_SHARE


@dataclass(frozen=True)
class Inference:
    """An image, and how it came to be.

    Attributes:
        stitched: the image and where it lies.
        pixel_size_m: of the image.
        frames_received: frames in the scan.
        frames_processed: frames that are in the image.
        frames_lost: frames without counts or without a finite patch.
        values_masked: pixel values that are no counts (NaN, detector gaps) outside the scan's mask,
            each left out of its frame.
        values_clipped: negative values outside the scan's mask that were taken as zero.
        frames_flat: lost frames that are as bright everywhere.
        amplitude_scale: what the amplitude is relative to.
        transmission: median share of the probe's power that reached the detector, None without a
            probe.
        median_counts: of the frames in the image.
        self_check: whether the image explains its frames.
        precision: of the graph.
        provider: that ran it.
        reason: why this provider and precision.
        timing: seconds of every step.
        warnings: what a user should know, one line each.
    """

    stitched: Stitched
    pixel_size_m: float
    frames_received: int
    frames_processed: int
    frames_lost: int
    values_masked: int
    values_clipped: int
    frames_flat: int
    amplitude_scale: AmplitudeScale
    transmission: float | None
    median_counts: float
    self_check: SelfCheck
    precision: Precision
    provider: Provider
    reason: str
    timing: Timing
    warnings: tuple[str, ...]

    @property
    def frames_per_second(self) -> float:
        """Frames received over the whole time."""
        return self.frames_received / self.timing.total_s


def infer(
    scan: Scan,
    package: Package,
    options: RunnerOptions,
    progress: Callable[[int], None] | None = None,
    effort: Effort | None = None,
) -> Inference:
    """Take a scan to an image.

    Args:
        scan: far-field frames with their positions.
        package: a verified package that fits the scan.
        options: precision, provider, threads, batch size.
        progress: called after each batch with the number of frames in it.
        effort: None takes the full one.

    Raises:
        ScanError: if its file fails on the way, or too many frames are bad.
        PackageError: if the package does not fit the scan.
        ProviderError: if the provider can't be had or fails.
        ResultError: if no frame has anything to show.
    """
    laps = Laps()
    effort = effort or Effort()
    instrument = package.instrument
    binning = remaining_binning(scan, instrument)
    choice = open_best_graph(package, options)
    graph = choice.graph
    light = Light(scan)
    sample = FrameSample.of(scan.frame_count)
    values_masked = values_clipped = frames_flat = 0
    laps.lap("open")

    def read(part: slice) -> NDArray[np.float32]:
        return np.asarray(scan.frames[part], dtype=np.float32)

    def run(batch: Prepared) -> Patches:
        return graph.run(batch.counts)

    parts = _parts(scan, graph.batch_size)
    with (
        _stitcher(scan, instrument, effort) as stitcher,
        prefetched(laps.beside("read", read), parts, "read") as frames,
        prefetched(
            laps.beside("network", run), _prepared(frames, scan, binning, sample, laps), "network"
        ) as patches,
    ):
        for batch, (amplitude, phase) in patches:
            laps.lap("wait_for_network")
            values_masked += batch.values_masked
            values_clipped += batch.values_clipped
            frames_flat += batch.frames_flat
            stitcher.add(amplitude[:, 0], phase[:, 0], light.scale(batch.totals))
            laps.lap("stitch")
            if progress is not None:
                progress(len(batch.totals))
        check_lost(scan, light.totals == 0, frames_flat, effort.largest_lost_share)
        stitched = stitcher.finish()
    amplitude_scale, factor, transmission = light.settle(stitched.used)
    stitched = replace(stitched, image=stitched.image * np.float32(factor))
    laps.lap("stitch")
    checked = self_check(sample, scan, package, stitched, effort.compared_frames)
    laps.lap("check")
    processed = int(stitched.used.sum())
    inference = Inference(
        stitched=stitched,
        pixel_size_m=scan.object_pixel_size_m,
        frames_received=scan.frame_count,
        frames_processed=processed,
        frames_lost=scan.frame_count - processed,
        values_masked=values_masked,
        values_clipped=values_clipped,
        frames_flat=frames_flat,
        amplitude_scale=amplitude_scale,
        transmission=transmission,
        median_counts=float(np.median(light.totals[stitched.used])),
        self_check=checked,
        precision=choice.precision,
        provider=choice.provider,
        reason=choice.reason,
        timing=laps.timing(),
        warnings=(),
    )
    return replace(inference, warnings=_warnings(scan, choice, inference))


def check_scan(scan: Scan, package: Package) -> None:
    """See all that `infer` refuses of a scan before its first frame is read.

    Raises:
        ScanError: if the image would be too large.
        PackageError: if the package does not fit the scan.
    """
    remaining_binning(scan, package.instrument)
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    try:
        lay_out(
            positions, scan.full_window_px, package.manifest.window_px, StitchOptions().max_image_px
        )
    except ScanError as error:
        raise ScanError(f"{scan.path}: {error}") from error


def _parts(scan: Scan, batch_size: int) -> list[slice]:
    """The scan in batches; frames of a large detector come in smaller ones."""
    size = max(1, min(batch_size, _BATCH_BYTES // (4 * scan.frame_px**2)))
    return [slice(start, start + size) for start in range(0, scan.frame_count, size)]


def _prepared(
    batches: Iterable[tuple[slice, NDArray[np.float32]]],
    scan: Scan,
    binning: int,
    sample: FrameSample,
    laps: Laps,
) -> Iterator[Prepared]:
    """Batches as they are read to what the graph takes; some frames are kept in `sample`."""
    preparation = Preparation(scan.mask, binning)
    for part, frames in batches:
        laps.lap("wait_for_frames")
        batch = preparation.prepare(frames)
        batch.totals[scan.left_out[part]] = 0
        sample.add(part.start, batch.counts)
        laps.lap("prepare")
        yield batch


def _stitcher(scan: Scan, instrument: Instrument, effort: Effort) -> Stitcher:
    """Room for the scan's image and patches; the error of one that is too large names the file."""
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    try:
        options = StitchOptions(max_rounds=effort.stitch_rounds)
        return Stitcher(
            positions, scan.full_window_px, instrument.window_px, instrument.weight, options
        )
    except ScanError as error:
        raise ScanError(f"{scan.path}: {error}") from error


def _warnings(scan: Scan, choice: ChosenGraph, inference: Inference) -> tuple[str, ...]:
    lines = [*choice.warnings, *scan.notes]
    lines += fault_lines(
        inference.frames_lost,
        inference.frames_flat,
        inference.values_masked,
        inference.values_clipped,
    )
    if scan.geometry is None:
        size_nm = 1e9 * scan.object_pixel_size_m
        lines.append(f"the scan has no geometry: the package's object pixel, {size_nm:.4g} nm")
    if inference.amplitude_scale is AmplitudeScale.SCAN_MEDIAN:
        given = inference.transmission
        why = (
            "the scan has no probe"
            if given is None
            else f"the probe's power puts transmission at {given:.3g}, which can't be"
        )
        lines.append(f"{why}: amplitude is relative to the median frame")
    if inference.precision is Precision.FP16 and inference.provider is Provider.CPU:
        lines.append("fp16 is made for graphics cards: the processor computes much of it in fp32")
    if inference.self_check.warning is not None:
        lines.append(inference.self_check.warning)
    return tuple(lines)
