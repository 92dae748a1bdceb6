"""A recorded scan through an opened graph, to an image: batch by batch, in bounded memory.

The steps are the assembler's; here they are timed, and what happened on the way is recorded.
Reading and network each have a thread; whatever stops one of the three threads, Ctrl-C included,
stops all.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.framing.compatibility import remaining_binning
from wnet_edge.host.prefetch import prefetched
from wnet_edge.io.parts.complete_scan import LARGEST_BAD_SHARE
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.refining.options import RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.image.amplitude_scale import AmplitudeScale
from wnet_edge.runner.image.assembler import Assembler
from wnet_edge.runner.image.gathered import COMPARED_FRAMES, Assembled, Faults
from wnet_edge.runner.image.laps import Laps, Timing
from wnet_edge.runner.image.self_check import SelfCheck
from wnet_edge.scan.preparation import Prepared, check_lost, fault_lines
from wnet_edge.scan.scan import Scan
from wnet_edge.stitching.laid_sums import Stitched
from wnet_edge.stitching.layout import first_pixels
from wnet_edge.stitching.stitcher import StitchOptions

if TYPE_CHECKING:
    from wnet_edge.runner.image.refinement import Refinement

_BATCH_BYTES = 64 << 20
"""Of frames as they are read."""


@dataclass(frozen=True)
class Effort:
    """How much work an image is worth.

    Attributes:
        stitch_rounds: rounds of the stitcher at most.
        compared_frames: frames that judge the image.
        largest_lost_share: of the frames that may be bad.
    """

    stitch_rounds: int = StitchOptions().max_rounds
    compared_frames: int = COMPARED_FRAMES
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
        refinement: of the image; None if there was none.
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
    refinement: "Refinement | None" = None

    @property
    def frames_per_second(self) -> float:
        """Frames received over the whole time."""
        return self.frames_received / self.timing.total_s


def infer(
    scan: Scan,
    opened: ChosenGraph,
    progress: Callable[[int], None] | None = None,
    effort: Effort | None = None,
    refining: RefineOptions | None = None,
) -> Inference:
    """Take a scan to an image.

    Args:
        scan: far-field frames with their positions.
        opened: graph of a package that fits the scan; it may serve many scans, one after the other.
        progress: called after each batch with the number of frames in it.
        effort: None takes the full one.
        refining: how far the image is refined; None: not at all.

    Raises:
        ScanError: if its file fails on the way, or too many frames are bad.
        PackageError: if the package does not fit the scan.
        ProviderError: if the graph's provider fails.
        ResultError: if no frame has anything to show.
    """
    laps = Laps()
    effort = effort or Effort()
    package, graph = opened.package, opened.graph
    remaining_binning(scan, package.manifest)
    stitch_options = StitchOptions(max_rounds=effort.stitch_rounds)
    parts = _parts(scan, graph.batch_size)

    def read(part: slice) -> NDArray[np.float32]:
        return np.asarray(scan.frames[part], dtype=np.float32)

    def network(work: tuple[slice, Prepared]) -> PatchArrays:
        return assembler.patches(work[1])

    with (
        Assembler(scan.setup, package, graph.run, scan.positions_m, stitch_options) as assembler,
        prefetched(laps.beside("read", read), parts, "read") as frames,
        prefetched(
            laps.beside("network", network), _prepared(frames, scan, assembler, laps), "network"
        ) as patches,
    ):
        laps.lap("stitch")
        for (part, batch), found in patches:
            laps.lap("wait_for_network")
            assembler.lay(batch, found, scan.positions_m[part])
            laps.lap("stitch")
            if progress is not None:
                progress(len(batch.totals))
        check_lost(scan, assembler.lost, assembler.faults.frames_flat, effort.largest_lost_share)
        gathered = assembler.finish()
        assembled = gathered.assembled()
        laps.lap("stitch")
        refinement = None
        if refining is not None:
            from wnet_edge.runner.image.refinement import refine

            assembled, refinement = refine(
                gathered,
                assembled,
                lambda first, last: read(slice(first, last)),
                refining,
                progress,
            )
            gathered = refinement.applied_to(gathered)
            laps.lap("refine")
        refined = refinement is not None and refinement.passes > 0
        checked = gathered.check(assembled, effort.compared_frames, refined=refined)
        laps.lap("check")
    timing = laps.timing(opened.open_s)
    inference = inference_of(scan, opened, assembled, checked, gathered.faults, timing)
    return replace(inference, refinement=refinement)


def inference_of(
    scan: Scan,
    opened: ChosenGraph,
    assembled: Assembled,
    checked: SelfCheck,
    faults: Faults,
    timing: Timing,
) -> Inference:
    """The image of a scan with all that is known of it.

    Args:
        scan: all of whose frames the assembler has had.
        opened: the graph.
        assembled: the image.
        checked: whether that explains the frames.
        faults: of the frames.
        timing: of the work.
    """
    processed = int(assembled.stitched.used.sum())
    inference = Inference(
        stitched=assembled.stitched,
        pixel_size_m=scan.object_pixel_size_m,
        frames_received=scan.frame_count,
        frames_processed=processed,
        frames_lost=scan.frame_count - processed,
        values_masked=faults.values_masked,
        values_clipped=faults.values_clipped,
        frames_flat=faults.frames_flat,
        amplitude_scale=assembled.amplitude_scale,
        transmission=assembled.transmission,
        median_counts=assembled.median_counts,
        self_check=checked,
        precision=opened.precision,
        provider=opened.provider,
        reason=opened.reason,
        timing=timing,
        warnings=(),
    )
    return replace(inference, warnings=_warnings(scan, opened, inference))


def check_scan(scan: Scan, package: Package) -> None:
    """See all that `infer` refuses of a scan before its first frame is read.

    Raises:
        ScanError: if the image would be too large.
        PackageError: if the package does not fit the scan.
    """
    remaining_binning(scan, package.instrument)
    positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
    try:
        first_pixels(
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
    assembler: Assembler,
    laps: Laps,
) -> Iterator[tuple[slice, Prepared]]:
    """Batches as they are read to what the graph takes."""
    for part, frames in batches:
        laps.lap("wait_for_frames")
        batch = assembler.prepare(frames, scan.left_out[part])
        laps.lap("prepare")
        yield part, batch


def _warnings(scan: Scan, opened: ChosenGraph, inference: Inference) -> tuple[str, ...]:
    lines = [*opened.warnings, *scan.notes]
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
