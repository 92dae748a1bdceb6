"""One running scan: from its first frames to its image, whenever somebody looks.

The same preparation, graph, stitcher, self-check and writers as for a recorded scan. Beam centre,
mask and odd pixels are found from the first frames; from then on frames go through in batches,
which are run when they are full or when their first frame has waited long enough.
"""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter, time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.framing.framing import FramedScan
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.snapshot import LastFrame, Snapshot
from wnet_edge.live.source import Begin, Frame, Loss, Lost
from wnet_edge.physics.orientation import Orientation, orient_positions
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.assembler import Assembled, Assembler
from wnet_edge.runner.image.infer import inference_of
from wnet_edge.runner.image.laps import Laps
from wnet_edge.runner.image.scan_image import ReadyScan, ScanImage, made_ready
from wnet_edge.runner.image.self_check import SelfCheck
from wnet_edge.scan.scan import Scan

_REMEMBERED = 4096
"""Latencies of the last frames."""

_OLDEST_S = 3600.0
"""Frames that say they are older were published by another clock."""

_COMPARED_FRAMES = 40
"""Frames that judge an image so far; the last one is judged by as many as a recorded scan's."""


_OF_SOURCES = (
    *("entry", "frames", "frames_axes", "frames_range"),
    *("raster", "step_m", "positions_unit"),
)
"""Options that a source has followed already."""


@dataclass(frozen=True)
class LiveOptions:
    """How a running scan is taken.

    Attributes:
        first_frames: frames from which beam centre, mask and odd pixels are found.
        batch_wait_s: longest time that a frame waits for its batch to be full.
        reading: what the user says of the scan, in place of its source.
        orientation: of the detector; None: found by trial on the first frames.
        position_orientation: of the positions; None: likewise.
    """

    first_frames: int = 64
    batch_wait_s: float = 0.01
    reading: ReadOptions = field(default_factory=ReadOptions)
    orientation: Orientation | None = None
    position_orientation: Orientation | None = Orientation.IDENTITY


@dataclass(frozen=True)
class _Judged:
    """An image, and whether it explains its frames."""

    assembled: Assembled
    check: SelfCheck


class LiveScan:
    """Takes the frames of one running scan and gives its image so far.

    A context manager: what lies on the disk goes when the block ends.

    Args:
        begin: what the source says of the scan.
        opened: graph of the package.
        options: how it is taken.

    Attributes:
        received: frames received.
        lost: frames lost, by reason.
    """

    def __init__(self, begin: Begin, opened: ChosenGraph, options: LiveOptions) -> None:
        self.received = 0
        self.lost: Counter[Loss] = Counter()
        self._lost_before = 0
        self._begin, self._opened, self._options = begin, opened, options
        self._waiting: list[Frame] = []
        self._seen: set[int] = set()
        self._shape: tuple[int, ...] = ()
        self._notes: list[str] = []
        self._numbers: list[int] = []
        self._positions_m: list[NDArray[np.float64]] = []
        self._latency_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._done_at: deque[tuple[float, int]] = deque(maxlen=_REMEMBERED)
        self._laps = Laps()
        self._ready: ReadyScan | None = None
        self._assembler: Assembler | None = None
        self._last: LastFrame | None = None
        self._judged: _Judged | None = None
        self._finished = False

    def __enter__(self) -> "LiveScan":
        return self

    def __exit__(self, *_: object) -> None:
        if self._assembler is not None:
            self._assembler.close()

    @property
    def processed(self) -> int:
        """Frames in the image, or found to be without use there."""
        return len(self._numbers)

    def lose(self, lost: Lost) -> None:
        """Count frames that the source has lost, before they could be added."""
        self._lost_before += lost.frames
        self._lose(lost)

    def _lose(self, lost: Lost) -> None:
        self.lost[lost.reason] += lost.frames
        if lost.note and lost.note not in self._notes:
            self._notes.append(lost.note)

    def add(self, frame: Frame) -> None:
        """Take a frame; a whole batch is processed at once.

        Raises:
            ScanError: if the first frames are no far-field scan that the package can take.
            ProviderError: if the graph's provider fails.
        """
        self.received += 1
        if frame.number in self._seen:
            self._lose(Lost(Loss.DUPLICATE))
            return
        position_m = self._position_of(frame)
        if position_m is None:
            self._lose(Lost(Loss.WITHOUT_POSITION))
            return
        shape = frame.counts.shape
        self._shape = self._shape or shape
        if shape != self._shape:
            self._lose(Lost(Loss.UNREADABLE, 1, f"frame {frame.number} is {shape}, unlike others"))
            return
        self._seen.add(frame.number)
        self._waiting.append(replace(frame, position_m=position_m))
        self.process()

    @property
    def wait_s(self) -> float | None:
        """Seconds until frames that wait have to be processed; None if none do."""
        if not self._waiting or self._ready is None:
            return None
        waited_s = perf_counter() - self._waiting[0].received_s
        return max(self._options.batch_wait_s - waited_s, 0.0)

    def process(self, *, everything: bool = False) -> None:
        """Process the frames that wait, if they are a batch, have waited enough, or all must.

        Raises:
            ScanError: if the first frames are no far-field scan that the package can take.
            ProviderError: if the graph's provider fails.
        """
        if self._ready is None:
            if not self._waiting or not (
                everything or len(self._waiting) >= self._options.first_frames
            ):
                return
            self._begin_image()
        size = self._opened.graph.batch_size
        while len(self._waiting) >= size or (self._waiting and (everything or self.wait_s == 0)):
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            self._process(batch)

    def snapshot(self, ended: str | None = None, queue_depth: int = 0) -> Snapshot | None:
        """The image so far, its phases settled a little; None while nothing can be shown.

        After `finish`, the image of all frames.
        """
        judged = self._judged if self._finished else self._look()
        assembler = self._assembler
        if judged is None or assembler is None or self._ready is None:
            return None
        stitched, check = judged.assembled.stitched, judged.check
        covered = stitched.coverage > 0
        row, column = stitched.origin_px.tolist()
        windows_px = np.concatenate(self._positions_m) / self._pixel_m + stitched.window_offset_px
        p50_s, p99_s = np.quantile(self._latency_s, (0.5, 0.99)) if self._latency_s else (0.0, 0.0)
        opened = self._opened
        return Snapshot(
            scan=self._begin.name,
            phase=np.where(covered, np.angle(stitched.image), np.float32(np.nan)),
            amplitude=np.where(covered, np.abs(stitched.image), np.float32(np.nan)),
            coverage=stitched.coverage,
            pixel_size_m=self._pixel_m,
            origin_px=(row, column),
            windows_px=windows_px,
            window_px=opened.package.manifest.window_px,
            frame_numbers=np.array(self._numbers, np.int64),
            kept=assembler.kept,
            received=self.received,
            processed=self.processed,
            lost=dict(self.lost),
            expected=self._begin.frame_count,
            queue_depth=queue_depth,
            frames_per_second=self._frames_per_second(),
            latency_p50_s=float(p50_s),
            latency_p99_s=float(p99_s),
            r_factor=None if check.fit is None else check.fit.r_factor,
            trusted=check.trusted,
            verdict=check.text,
            warnings=(*self._ready.choice.warnings, *self._framed.scan.notes, *self._notes),
            package=opened.package.name,
            precision=opened.precision.value,
            provider=opened.provider.value,
            ended=ended,
            last=self._last,
        )

    def so_far(self) -> ScanImage | None:
        """The image of the last snapshot, to be written; None if frames have come since."""
        if self._assembler is None or self._judged is None:
            return None
        return self._scan_image(self._assembler, self._judged)

    def _look(self) -> "_Judged | None":
        """Settle the phases a little, and judge the image so far."""
        if self._assembler is None:
            return None
        try:
            assembled = self._assembler.image()
        except ResultError:  # no frame so far has anything to show
            return None
        self._judged = _Judged(assembled, self._assembler.check(assembled, _COMPARED_FRAMES))
        return self._judged

    def finish(self) -> ScanImage:
        """The image of all frames, its phases settled, as `infer` would give it.

        Raises:
            ScanError: if no frame came, or they are no scan that the package can take.
            ResultError: if no frame has anything to show.
            ProviderError: if the graph's provider fails.
        """
        self.process(everything=True)
        if self._assembler is None:
            raise ScanError(f"{self._begin.name}: the scan ended without a frame")
        self._laps.lap("wait_for_frames")
        assembled = self._assembler.finish()
        self._laps.lap("stitch")
        self._judged = _Judged(assembled, self._assembler.check(assembled))
        self._finished = True
        return self._scan_image(self._assembler, self._judged)

    def _scan_image(self, assembler: Assembler, judged: "_Judged") -> ScanImage:
        """The image with all that is known of it, for every frame processed so far."""
        if self._ready is None:
            raise ValueError("no frame has been processed")
        self._laps.lap("check")
        scan = self._whole_scan()
        timing = self._laps.timing(self._opened.open_s)
        inference = inference_of(
            scan, self._opened, assembler, judged.assembled, judged.check, timing
        )
        sent = self.received + self._lost_before
        lost = [f"{count} frames {reason.value}" for reason, count in self.lost.items() if count]
        inference = replace(
            inference,
            frames_received=sent,
            frames_lost=sent - inference.frames_processed,
            warnings=(*self._notes, *lost, *inference.warnings),
        )
        context = replace(
            self._ready.context,
            positions_m=scan.positions_m,
            left_out=scan.left_out,
            frame_numbers=scan.frame_numbers,
        )
        choice = replace(self._ready.choice, framed=replace(self._framed, scan=scan))
        return ScanImage(replace(self._ready, choice=choice, context=context), inference)

    @property
    def _framed(self) -> FramedScan:
        if self._ready is None:
            raise ValueError("no frame has been processed")
        return self._ready.framed

    @property
    def _pixel_m(self) -> float:
        return self._framed.scan.object_pixel_size_m

    def _position_of(self, frame: Frame) -> tuple[float, float] | None:
        position_m = frame.position_m
        known = self._begin.positions_m
        if position_m is None and known is not None and 0 <= frame.number < len(known):
            row_m, column_m = known[frame.number].tolist()
            position_m = (row_m, column_m)
        if position_m is None or not np.isfinite(position_m).all():
            return None
        return position_m

    def _begin_image(self) -> None:
        """Find beam, mask and odd pixels from the frames that wait, and open the image."""
        begin, options = self._begin, self._options
        frames = np.stack([frame.counts for frame in self._waiting])
        positions_m = np.array([frame.position_m for frame in self._waiting])
        reading = options.reading
        said: dict[str, Any] = {
            "energy_ev": begin.energy_ev,
            "distance_m": begin.distance_m,
            "pixel_size_m": begin.pixel_size_m,
            "mask": begin.mask,
            "probe": begin.probe,
            "beam_centre_px": begin.beam_centre_px,
        }
        missing = {name: value for name, value in said.items() if getattr(reading, name) is None}
        # The rest of it says where in a file or among its frames a part is.
        of_sources = dict.fromkeys(_OF_SOURCES)
        reading = replace(reading, **missing, **of_sources, positions=positions_m)
        found = find_scan(frames, reading)
        found = replace(found, path=Path(begin.name), binning=begin.binning)
        self._ready = made_ready(
            found, self._opened, options.orientation, options.position_orientation
        )
        expected_m = None
        if begin.positions_m is not None and np.isfinite(begin.positions_m).all():
            expected_m = self._oriented(begin.positions_m)
        opened = self._opened
        self._assembler = Assembler(
            self._framed.scan.setup, opened.package, opened.graph.run, expected_m
        )

    def _process(self, batch: list[Frame]) -> None:
        if self._assembler is None:
            raise ValueError("the image has not begun")
        self._laps.lap("wait_for_frames")
        counts = self._framed.cropped(np.stack([frame.counts for frame in batch]))
        positions_m = self._oriented(np.array([frame.position_m for frame in batch]))
        prepared = self._assembler.prepare(counts)
        self._laps.lap("prepare")
        patches = self._assembler.patches(prepared)
        self._laps.lap("wait_for_network")
        self._assembler.lay(prepared, patches, positions_m)
        self._laps.lap("stitch")
        self._numbers += [frame.number for frame in batch]
        self._positions_m.append(positions_m)
        self._judged = None
        self._last = LastFrame(batch[-1].number, prepared.counts[-1, 0], patches[1][-1, 0])
        now, published_now = perf_counter(), time()
        self._done_at.append((now, len(batch)))
        for frame in batch:
            published = published_now - (frame.published_s or 0.0)
            # A detector's clock may be off, or the series an old one.
            known = frame.published_s is not None and 0 <= published < _OLDEST_S
            self._latency_s.append(published if known else now - frame.received_s)

    def _oriented(self, positions_m: NDArray[np.float64]) -> NDArray[np.float64]:
        return orient_positions(positions_m, self._framed.position_orientation)

    def _frames_per_second(self) -> float:
        if len(self._done_at) < 2:
            return 0.0
        first, last = self._done_at[0][0], self._done_at[-1][0]
        frames = sum(count for _, count in self._done_at) - self._done_at[0][1]
        return frames / (last - first) if last > first else 0.0

    def _whole_scan(self) -> Scan:
        """All frames that were processed, as if they had been recorded; their counts are gone."""
        count = len(self._numbers)
        numbers = np.array(self._numbers, np.int64)
        size_px = self._framed.scan.frame_px
        return replace(
            self._framed.scan,
            frames=np.broadcast_to(np.float32(0), (count, size_px, size_px)),
            positions_m=np.concatenate(self._positions_m),
            left_out=np.zeros(count, np.bool_),
            frame_numbers=numbers,
        )
