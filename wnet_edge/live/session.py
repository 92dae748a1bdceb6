"""One running scan: from its first frames to a look at its image, whenever somebody wants one.

The same preparation, graph, stitcher, self-check and writers as for a recorded scan. Beam centre,
mask and odd pixels are found from the first frames; from then on frames go through in batches,
which are run when they are full or when their first frame has waited long enough. The network has a
thread of its own, so that one batch is stitched while the next is inferred.
"""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.framing.framing import FramedScan
from wnet_edge.host.array_file import ArrayFile
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.look import LOOKED_AT_FRAMES, Look, settled_a_little
from wnet_edge.live.losses import Losses
from wnet_edge.live.pace import PaceMeter
from wnet_edge.live.snapshot import LastFrame
from wnet_edge.live.source import Begin, Frame, Loss, Lost
from wnet_edge.package.golden import PatchArrays
from wnet_edge.physics.orientation import Orientation, orient_positions
from wnet_edge.refining.options import RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.assembler import Assembler
from wnet_edge.runner.image.gathered import COMPARED_FRAMES, Gathered
from wnet_edge.runner.image.laps import Laps
from wnet_edge.runner.image.refinement import refine
from wnet_edge.runner.image.scan_image import ReadyScan, made_ready
from wnet_edge.scan.preparation import Prepared

_AHEAD = 2
"""Batches handed to the network: one that it runs, one that waits."""

_POLL_S = 0.002
"""Between looks whether the network is done."""

_OF_SOURCES = (
    *("entry", "frames", "frames_axes", "frames_range"),
    *("raster", "step_m", "raster_order", "positions_unit"),
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
        refining: how far the image is refined at the end; None: not at all. Frames then wait in a
            temporary file, as float32.
    """

    first_frames: int = 64
    batch_wait_s: float = 0.02
    reading: ReadOptions = field(default_factory=ReadOptions)
    orientation: Orientation | None = None
    position_orientation: Orientation | None = Orientation.IDENTITY
    refining: RefineOptions | None = None


@dataclass(frozen=True, eq=False)
class _InNetwork:
    """A batch that the network has been given."""

    frames: list[Frame]
    counts: NDArray[np.float32]
    prepared: Prepared
    patches: Future[PatchArrays]


class LiveScan:
    """Takes the frames of one running scan and gives its image so far.

    A context manager: what lies on the disk goes when the block ends.

    Args:
        begin: what the source says of the scan.
        opened: graph of the package.
        options: how it is taken.

    Attributes:
        received: frames received.
    """

    def __init__(self, begin: Begin, opened: ChosenGraph, options: LiveOptions) -> None:
        self.received = 0
        self._losses = Losses()
        self._begin, self._opened, self._options = begin, opened, options
        self._waiting: list[Frame] = []
        self._in_network: deque[_InNetwork] = deque()
        self._network = ThreadPoolExecutor(1, "network")
        self._seen: set[int] = set()
        self._shape: tuple[int, ...] = ()
        self._numbers: list[NDArray[np.int64]] = []
        self._processed = 0
        self._pace = PaceMeter()
        self._laps = Laps()
        self._ready: ReadyScan | None = None
        self._assembler: Assembler | None = None
        self._kept: ArrayFile[np.float32] | None = None  # frames, to refine the image by
        self._last: LastFrame | None = None

    def __enter__(self) -> "LiveScan":
        return self

    def __exit__(self, *_: object) -> None:
        self._network.shutdown(cancel_futures=True)
        if self._assembler is not None:
            self._assembler.close()
        if self._kept is not None:
            self._kept.close()

    @property
    def processed(self) -> int:
        """Frames in the image, or found to be without use there."""
        return self._processed

    def lose(self, lost: Lost) -> None:
        """Count frames that are lost, by the source or here."""
        self._losses.add(lost)

    def add(self, frame: Frame) -> None:
        """Take a frame; a whole batch is processed at once.

        Raises:
            ScanError: if the first frames are no far-field scan that the package can take.
            ProviderError: if the graph's provider fails.
        """
        self.received += 1
        if frame.number in self._seen:
            self.lose(Lost(Loss.DUPLICATE))
            return
        position_m = self._position_of(frame)
        if position_m is None:
            self.lose(Lost(Loss.WITHOUT_POSITION))
            return
        shape = frame.counts.shape
        self._shape = self._shape or shape
        if shape != self._shape:
            note = f"a frame is of shape {shape}, the first of {self._shape}"
            self.lose(Lost(Loss.UNREADABLE, 1, note))
            return
        self._seen.add(frame.number)
        self._waiting.append(replace(frame, position_m=position_m))
        self.process()

    @property
    def wait_s(self) -> float | None:
        """Seconds until `process` has something to do; None if nothing waits."""
        if self._in_network:
            return _POLL_S
        if not self._waiting or self._ready is None:
            return None
        return self._batch_wait_s

    @property
    def _is_due(self) -> bool:
        """Whether frames that are no whole batch go to the network, which is not busy."""
        return len(self._in_network) < _AHEAD and self._batch_wait_s == 0

    @property
    def _batch_wait_s(self) -> float:
        """Seconds that the first frame that waits may still wait for others."""
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
        while self._in_network and self._in_network[0].patches.done():
            self._lay()
        size = self._opened.graph.batch_size
        while len(self._waiting) >= size or (self._waiting and (everything or self._is_due)):
            if len(self._in_network) == _AHEAD:
                self._lay()
            batch, self._waiting = self._waiting[:size], self._waiting[size:]
            self._infer(batch)
        while everything and self._in_network:
            self._lay()

    def look(self, queue_depth: int = 0) -> Look | None:
        """The scan so far; None before its first frames are in.

        Its phases are settled a little when it is judged, in whichever thread.
        """
        if self._assembler is None or not self._processed:
            return None
        gather = partial(settled_a_little, self._assembler, self._processed)
        return self._look(gather, LOOKED_AT_FRAMES, queue_depth, None)

    def finish(self, ended: str, queue_depth: int = 0) -> Look:
        """The scan with all its frames, its phases settled.

        Args:
            ended: why the scan has ended.
            queue_depth: frames that wait in the source.

        Raises:
            ScanError: if no frame came, or they are no scan that the package can take.
            ResultError: if no frame has anything to show.
            ProviderError: if the graph's provider fails.
        """
        self.process(everything=True)
        if self._assembler is None:
            why = self._losses.text
            raise ScanError(f"{self._begin.name}: the scan ended without a frame{why}")
        self._laps.lap("wait_for_frames")
        gathered = self._assembler.finish()
        self._laps.lap("stitch")
        look = self._look(lambda: gathered, COMPARED_FRAMES, queue_depth, ended)
        refining, kept = self._options.refining, self._kept
        if refining is None or kept is None:
            return look
        return replace(
            look, refine=lambda assembled: refine(gathered, assembled, kept.read, refining)
        )

    def _look(
        self,
        gather: Callable[[], Gathered],
        compared_frames: int,
        queue_depth: int,
        ended: str | None,
    ) -> Look:
        if self._ready is None:
            raise ValueError("no frame has been processed")
        return Look(
            begin=self._begin,
            opened=self._opened,
            ready=self._ready,
            gather=gather,
            numbers=np.concatenate(self._numbers),
            received=self.received,
            lost=dict(self._losses.counts),
            notes=tuple(self._losses.notes),
            pace=self._pace.pace(recent=ended is None),
            timing=self._laps.timing(self._opened.open_s),
            compared_frames=compared_frames,
            last=self._last,
            queue_depth=queue_depth,
            ended=ended,
        )

    @property
    def _framed(self) -> FramedScan:
        if self._ready is None:
            raise ValueError("no frame has been processed")
        return self._ready.framed

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
        if options.refining is not None:
            size_px = self._framed.scan.frame_px
            self._kept = ArrayFile(
                (size_px, size_px), np.float32, begin.frame_count or 0, "frames to refine by"
            )

    def _infer(self, batch: list[Frame]) -> None:
        """Hand a batch to the network."""
        if self._assembler is None:
            raise ValueError("the image has not begun")
        self._laps.lap("wait_for_frames")
        counts = self._framed.cropped(np.stack([frame.counts for frame in batch]))
        prepared = self._assembler.prepare(counts)
        self._laps.lap("prepare")
        patches = self._network.submit(
            self._laps.beside("network", self._assembler.patches), prepared
        )
        self._in_network.append(_InNetwork(batch, counts, prepared, patches))

    def _lay(self) -> None:
        """Stitch the batch that was handed to the network first, once that is done with it."""
        if self._assembler is None:
            raise ValueError("the image has not begun")
        first = self._in_network.popleft()
        batch, prepared = first.frames, first.prepared
        self._laps.lap("wait_for_frames")
        patches = first.patches.result()
        self._laps.lap("wait_for_network")
        positions_m = self._oriented(np.array([frame.position_m for frame in batch]))
        if self._kept is not None:
            self._kept.write(self._processed, first.counts)
        self._assembler.lay(prepared, patches, positions_m)
        self._laps.lap("stitch")
        self._numbers.append(np.array([frame.number for frame in batch], np.int64))
        self._processed += len(batch)
        self._last = LastFrame(batch[-1].number, prepared.counts[-1, 0], patches[1][-1, 0])
        self._pace.add(batch)

    def _oriented(self, positions_m: NDArray[np.float64]) -> NDArray[np.float64]:
        return orient_positions(positions_m, self._framed.position_orientation)
