"""One running scan whose patches are made elsewhere: stitched and looked at here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.live.look import LOOKED_AT_FRAMES, Look, settled_a_little
from wnet_edge.live.losses import Losses
from wnet_edge.live.pace import PaceMeter
from wnet_edge.live.patch import Maker, Patch
from wnet_edge.live.shared_setup import SharedSetup
from wnet_edge.live.snapshot import LastFrame, Snapshot
from wnet_edge.live.source import Begin, Frame, Loss, Lost
from wnet_edge.physics.orientation import orient_positions
from wnet_edge.runner.image.assembler import Assembler
from wnet_edge.runner.image.gathered import COMPARED_FRAMES, Gathered
from wnet_edge.runner.image.laps import Laps
from wnet_edge.runner.image.scan_image import ScanImage
from wnet_edge.scan.preparation import Prepared

_BATCH = 32
"""Patches that are stitched at a time."""

_OTHER_SETUP = (
    "a consumer works by another setup; give all of them and the collector the same scan, package "
    "and options"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class CollectedLook(Look):
    """A look at a scan whose patches were made elsewhere.

    Attributes:
        maker: of the first patch; its graph stands for all in the result.
    """

    maker: Maker

    def snapshot(self) -> Snapshot:
        """As `Look.snapshot`."""
        precision, provider = self.maker.precision.value, self.maker.provider.value
        return replace(super().snapshot(), precision=precision, provider=provider)

    def scan_image(self) -> ScanImage:
        """As `Look.scan_image`."""
        image = super().scan_image()
        inference = replace(
            image.inference,
            precision=self.maker.precision,
            provider=self.maker.provider,
            reason="as the consumers were told",
        )
        return replace(image, inference=inference)


class CollectedScan:
    """Takes the patches of one running scan and gives its image so far.

    A context manager: what lies on the disk goes when the block ends.

    Args:
        begin: of the scan.
        setup: that the patches were made by.

    Attributes:
        received: patches received.
    """

    def __init__(self, begin: Begin, setup: SharedSetup) -> None:
        self.received = 0
        self._losses = Losses()
        self._begin, self._setup = begin, setup
        self._ready = setup.ready_for(begin.name)
        self._makers: list[Maker] = []
        self._waiting: list[tuple[Frame, Patch]] = []
        self._numbers: list[int] = []
        self._pace = PaceMeter()
        self._last: LastFrame | None = None
        self._laps = Laps()
        opened = self._ready.opened
        self._assembler = Assembler(self._ready.framed.scan.setup, opened.package, opened.graph.run)

    def __enter__(self) -> "CollectedScan":
        return self

    def __exit__(self, *_: object) -> None:
        self._assembler.close()

    def lose(self, lost: Lost) -> None:
        """Count frames that have no patch of use."""
        self._losses.add(lost)

    def add(self, frame: Frame, patch: Patch) -> None:
        """Take a frame's patch; several are stitched at a time.

        Raises:
            ScanError: if a position is not finite, or the image becomes too large.
            ResultError: if there is no disk space for the stitcher's temporary file.
        """
        self.received += 1
        if patch.maker.setup != self._setup.fingerprint:
            self.lose(Lost(Loss.UNREADABLE, 1, _OTHER_SETUP))
            return
        if patch.maker not in self._makers:
            self._makers.append(patch.maker)
        self._waiting.append((frame, patch))
        if len(self._waiting) >= _BATCH:
            self._stitch()

    @property
    def lost(self) -> int:
        """Frames that have no patch of use."""
        return self._losses.counts.total()

    def look(self, queue_depth: int) -> Look | None:
        """The scan so far; None before its first patch.

        Raises:
            ScanError: as `add`.
            ResultError: as `add`.
        """
        self._stitch()
        if not self._numbers:
            return None
        gather = partial(settled_a_little, self._assembler, len(self._numbers))
        return self._look(gather, LOOKED_AT_FRAMES, queue_depth, None)

    def finish(self, ended: str, queue_depth: int) -> Look:
        """The scan with all its patches, its phases settled.

        Args:
            ended: why the scan has ended.
            queue_depth: frames that wait in the source.

        Raises:
            ScanError: if there was no patch, or as `add`.
            ResultError: if no frame has anything to show, or as `add`.
        """
        self._stitch()
        if not self._numbers:
            why = self._losses.text
            raise ScanError(f"{self._begin.name}: the scan ended without a patch of use{why}")
        gathered = self._assembler.finish()
        self._laps.lap("stitch")
        return self._look(lambda: gathered, COMPARED_FRAMES, queue_depth, ended)

    def _look(
        self,
        gather: Callable[[], Gathered],
        compared_frames: int,
        queue_depth: int,
        ended: str | None,
    ) -> Look:
        kinds = [f"{one.precision.value} on {one.provider.value}" for one in self._makers]
        mixed = [f"patches are of several graphs: {', '.join(kinds)}"] if kinds[1:] else []
        return CollectedLook(
            begin=self._begin,
            opened=self._ready.opened,
            ready=self._ready,
            gather=gather,
            numbers=np.array(self._numbers, np.int64),
            received=self.received,
            lost=dict(self._losses.counts),
            notes=(*self._losses.notes, *mixed),
            pace=self._pace.pace(recent=ended is None),
            timing=self._laps.timing(self._ready.opened.open_s),
            compared_frames=compared_frames,
            last=self._last,
            queue_depth=queue_depth,
            ended=ended,
            maker=self._makers[0],
        )

    def _stitch(self) -> None:
        """Stitch the patches that wait."""
        if not self._waiting:
            return
        self._laps.lap("wait_for_network")
        frames, patches = zip(*self._waiting, strict=True)
        self._waiting.clear()
        prepared = _joined([patch.prepared for patch in patches])
        amplitude, phase_rad = (
            np.concatenate(part) for part in zip(*(p.patches for p in patches), strict=True)
        )
        self._assembler.take(prepared)
        self._assembler.lay(prepared, (amplitude, phase_rad), self._positions_m(frames))
        self._numbers += [frame.number for frame in frames]
        self._last = LastFrame(frames[-1].number, prepared.counts[-1, 0], phase_rad[-1, 0])
        self._pace.add(frames)
        self._laps.lap("stitch")

    def _positions_m(self, frames: Sequence[Frame]) -> NDArray[np.float64]:
        positions_m = np.array([frame.position_m for frame in frames])
        return orient_positions(positions_m, self._ready.framed.position_orientation)


def _joined(batches: Sequence[Prepared]) -> Prepared:
    """Several batches as one."""
    return Prepared(
        np.concatenate([batch.counts for batch in batches]),
        np.concatenate([batch.totals for batch in batches]),
        sum(batch.values_masked for batch in batches),
        sum(batch.values_clipped for batch in batches),
        sum(batch.frames_flat for batch in batches),
    )
