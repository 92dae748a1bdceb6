"""A look at a running scan: all that its image is made of at one moment, judged in any thread."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from wnet_edge.live.pace import Pace
from wnet_edge.live.snapshot import LastFrame, Snapshot
from wnet_edge.live.source import Begin, Loss, told
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.assembler import Assembler
from wnet_edge.runner.image.gathered import Assembled, Gathered
from wnet_edge.runner.image.infer import inference_of
from wnet_edge.runner.image.laps import Timing
from wnet_edge.runner.image.refinement import Refinement
from wnet_edge.runner.image.scan_image import ReadyScan, ScanImage
from wnet_edge.runner.image.self_check import SelfCheck
from wnet_edge.scan.scan import Scan

_RELAXED_FRAMES = 256
"""Whose phases are relaxed for a look."""

LOOKED_AT_FRAMES = 6
"""Frames that judge an image so far; the last one is judged by as many as a recorded scan's."""


def settled_a_little(assembler: Assembler, count: int) -> Gathered:
    """The first `count` frames of a running scan, some of their phases relaxed."""
    assembler.relax(_RELAXED_FRAMES)
    return assembler.so_far(count)


@dataclass(frozen=True, eq=False, kw_only=True)
class Look:
    """What a running scan has come to, apart from it.

    Attributes:
        begin: of the scan.
        opened: graph that processes it.
        ready: the scan as the package sees it.
        gather: gives its frames, when first asked to.
        numbers: (N,) int64, of the frames.
        received: frames received.
        lost: frames lost, by reason.
        notes: on losses, a line each.
        pace: over the last seconds, or over the whole scan once it has ended.
        timing: of the steps.
        compared_frames: frames that judge the image.
        last: frame that was processed last.
        queue_depth: frames that wait.
        ended: why the scan has ended; None while it runs.
        refine: improves the image by its frames; None if it stays as it is.
    """

    begin: Begin
    opened: ChosenGraph
    ready: ReadyScan
    gather: Callable[[], Gathered]
    numbers: NDArray[np.int64]
    received: int
    lost: Mapping[Loss, int]
    notes: Sequence[str]
    pace: Pace
    timing: Timing
    compared_frames: int
    last: LastFrame | None
    queue_depth: int
    ended: str | None
    refine: Callable[[Assembled], tuple[Assembled, Refinement]] | None = None

    @cached_property
    def gathered(self) -> Gathered:
        """Its frames."""
        return self.gather()

    @cached_property
    def _refined(self) -> tuple[Assembled, Refinement | None]:
        """The image, refined if it should be."""
        assembled = self.gathered.assembled()
        return (assembled, None) if self.refine is None else self.refine(assembled)

    @cached_property
    def _judged(self) -> tuple[Assembled, SelfCheck, float]:
        """The image, whether it explains its frames, and the seconds that took."""
        assembled, refinement = self._refined
        began, refined = perf_counter(), refinement is not None and refinement.passes > 0
        check = self.gathered.check(assembled, self.compared_frames, refined=refined)
        return assembled, check, perf_counter() - began

    def snapshot(self) -> Snapshot:
        """The image and its numbers, to be shown.

        Raises:
            ResultError: if no frame so far has anything to show.
        """
        assembled, check, _ = self._judged
        stitched, opened, pace = assembled.stitched, self.opened, self.pace
        in_image = int(stitched.used.sum())
        lost = Counter(self.lost) + Counter({Loss.UNUSABLE: len(self.numbers) - in_image})
        row, column = stitched.origin_px.tolist()
        framed = self.ready.framed
        pixel_m = framed.scan.object_pixel_size_m
        return Snapshot(
            scan=self.begin.name,
            image=stitched.image,
            coverage=stitched.coverage,
            pixel_size_m=pixel_m,
            origin_px=(row, column),
            windows_px=self.gathered.positions_m / pixel_m + stitched.window_offset_px,
            window_px=opened.package.manifest.window_px,
            frame_numbers=self.numbers,
            kept=self.gathered.sample.counts,
            received=self.received,
            processed=in_image,
            lost=dict(lost),
            expected=self.begin.frame_count,
            queue_depth=self.queue_depth,
            frames_per_second=pace.frames_per_second,
            latency_p50_s=pace.latency_quantile_s(0.5),
            latency_p99_s=pace.latency_quantile_s(0.99),
            r_factor=None if check.fit is None else check.fit.r_factor,
            trusted=check.trusted,
            verdict=check.text,
            warnings=(*self.ready.choice.warnings, *framed.scan.notes, *self.notes),
            package=opened.package.name,
            precision=opened.precision.value,
            provider=opened.provider.value,
            ended=self.ended,
            last=self.last,
        )

    def scan_image(self) -> ScanImage:
        """The image with all that is known of it, to be written, as `infer` would give it.

        Raises:
            ResultError: if no frame so far has anything to show.
        """
        assembled, check, check_s = self._judged
        scan = self._whole_scan()
        timing = replace(self.timing, check_s=check_s, total_s=self.timing.total_s + check_s)
        inference = inference_of(scan, self.opened, assembled, check, self.gathered.faults, timing)
        sent = len(self.numbers) + sum(self.lost.values())
        inference = replace(
            inference,
            refinement=self._refined[1],
            frames_received=sent,
            frames_lost=sent - inference.frames_processed,
            warnings=(*self._not_whole(sent), *self.notes, *told(self.lost), *inference.warnings),
        )
        ready = self.ready
        context = replace(
            ready.context,
            positions_m=scan.positions_m,
            left_out=scan.left_out,
            frame_numbers=scan.frame_numbers,
        )
        choice = replace(ready.choice, framed=replace(ready.framed, scan=scan))
        return ScanImage(replace(ready, choice=choice, context=context), inference)

    def _not_whole(self, sent: int) -> tuple[str, ...]:
        """Says of an image that its scan went on, or should have."""
        expected = self.begin.frame_count
        of = "" if expected is None else f" of {expected}"
        if self.ended is None:
            return (f"the scan was still running, after {sent}{of} frames",)
        if expected is not None and sent < expected:
            return (f"the scan was stopped after {sent}{of} frames",)
        return ()

    def _whole_scan(self) -> Scan:
        """All frames that were processed, as if they had been recorded; their counts are gone."""
        count = len(self.numbers)
        scan = self.ready.framed.scan
        return replace(
            scan,
            frames=np.broadcast_to(np.float32(0), (count, scan.frame_px, scan.frame_px)),
            positions_m=self.gathered.positions_m,
            left_out=np.zeros(count, np.bool_),
            frame_numbers=self.numbers,
        )
