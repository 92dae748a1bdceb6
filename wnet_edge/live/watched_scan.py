"""One running scan that is looked at, saved and finished, with whoever is told of it.

A look is judged, shown and saved in another thread, one at a time. A step that fails ends the scan:
it is told, and what still comes of it is passed over.
"""

import os
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Lock, get_native_id
from time import perf_counter
from typing import Generic, Protocol, TypeVar

from wnet_edge.errors import WNetEdgeError
from wnet_edge.live.look import Look
from wnet_edge.live.snapshot import Snapshot, Viewer
from wnet_edge.live.source import Begin, Lost
from wnet_edge.runner.image.scan_image import ScanImage

_BEHIND_FRAMES = 64
"""Frames that wait in the source when the network is behind."""

_PUT_OFF = 4
"""Looks that are left out at most while it is."""


class Watcher(Protocol):
    """Who is told of running scans; of looks and saves on the way, by another thread."""

    def began(self, begin: Begin) -> None:
        """A scan has begun."""
        ...

    def looked(self, snapshot: Snapshot) -> None:
        """The image so far; the last one says why the scan has ended."""
        ...

    def save(self, image: ScanImage, *, ended: bool) -> None:
        """The image so far, or of the whole scan, to be written."""
        ...

    def lost(self, lost: Lost) -> None:
        """Frames were lost that belong to no scan."""
        ...

    def failed(self, begin: Begin, error: WNetEdgeError) -> None:
        """A scan gives no image: it is no far-field scan that the package can take, say."""
        ...


@dataclass(frozen=True)
class Audience:
    """Who is told of scans, by one thread at a time, and what they ask.

    Attributes:
        watcher: who is told of them, and writes their results.
        viewers: who else is shown the looks.
        queue_depth: frames that wait in the source.
        save_asked: set by a viewer who wants the image so far to be written at the next look;
            cleared when it has been.
    """

    watcher: Watcher
    viewers: tuple[Viewer, ...]
    queue_depth: Callable[[], int] = lambda: 0
    save_asked: Flag = field(default_factory=Flag)
    _lock: Lock = field(default_factory=Lock)

    def looked(self, snapshot: Snapshot, *, overtaken: bool) -> None:
        """Show a look; viewers, who show one scan, not one that the next has overtaken."""
        with self._lock:
            self.watcher.looked(snapshot)
            for show in () if overtaken else self.viewers:
                show(snapshot)

    def save(self, image: ScanImage, *, ended: bool) -> None:
        """Have an image written."""
        with self._lock:
            self.watcher.save(image, ended=ended)


class LookedAt(Protocol):
    """A running scan that gives looks; a context manager."""

    def look(self, queue_depth: int) -> Look | None:
        """The scan so far; None before its first frames are in."""
        ...

    def finish(self, ended: str, queue_depth: int) -> Look:
        """The whole scan, its phases settled."""
        ...

    def __exit__(self, *_: object) -> None:
        """Let everything go."""
        ...


RunningScan = TypeVar("RunningScan", bound=LookedAt)


class WatchedScan(Generic[RunningScan]):
    """A running scan and when it is looked at.

    Args:
        begin: of the scan.
        scan: that runs.
        audience: who is told.
        look_s: time between looks.
        save_s: time between saves.

    Attributes:
        overtaken: whether the next scan has begun.
        scan: that runs; None once it has failed.
    """

    def __init__(
        self,
        begin: Begin,
        scan: RunningScan,
        audience: Audience,
        look_s: float,
        save_s: float,
    ) -> None:
        self.overtaken = False
        self.scan: RunningScan | None = scan
        self._begin, self._audience = begin, audience
        self._look_s, self._save_s = look_s, save_s
        self._looker = ThreadPoolExecutor(1, "look", initializer=give_way)
        self._looking: Future[None] | None = None
        self._put_off = 0
        now = perf_counter()
        self._next_look_s, self._next_save_s = now + look_s, now + save_s

    @property
    def wait_s(self) -> float:
        """Seconds until a look is due."""
        return max(self._next_look_s - perf_counter(), 0.0)

    def attempt(self, step: Callable[[RunningScan], None]) -> None:
        """A step of the scan; one that fails is told, and what comes of the scan is passed over."""
        if self.scan is None:
            return
        try:
            step(self.scan)
        except WNetEdgeError as error:
            self.scan.__exit__()
            self.scan = None
            self._audience.watcher.failed(self._begin, error)

    def look_if_due(self) -> None:
        """A look, if it is time for one and the last one has been shown."""
        self.attempt(self._look)

    def finish(self, ended: str) -> None:
        """Settle and save the image, in any thread; `ended` says why the scan has ended."""
        self.attempt(self._looked)
        self.attempt(lambda scan: self._finish(scan, ended))
        self._looker.shutdown()
        if self.scan is not None:
            self.scan.__exit__()

    def _look(self, scan: RunningScan) -> None:
        now = perf_counter()
        if now < self._next_look_s:
            return
        self._next_look_s = now + self._look_s
        shown = self._looking is None or self._looking.done()
        queue_depth = self._audience.queue_depth()
        behind = queue_depth >= _BEHIND_FRAMES and self._put_off < _PUT_OFF
        if behind or not shown:
            self._put_off += 1
            return
        self._put_off = 0
        self._looked(scan)
        look = scan.look(queue_depth)
        if look is not None:
            save = now >= self._next_save_s or self._audience.save_asked.is_set()
            if save:
                self._next_save_s = now + self._save_s
            self._looking = self._looker.submit(self._show, look, save=save)

    def _looked(self, _: RunningScan) -> None:
        """Wait for the look that is being shown.

        Raises:
            WNetEdgeError: if it could not be shown or saved.
        """
        if self._looking is not None:
            looking, self._looking = self._looking, None
            looking.result()

    def _show(self, look: Look, *, save: bool) -> None:
        if not look.gathered.sums.used.any():
            return  # no frame so far has anything to show
        self._audience.looked(look.snapshot(), overtaken=False)
        if save:
            self._audience.save(look.scan_image(), ended=False)
            self._audience.save_asked.clear()

    def _finish(self, scan: RunningScan, ended: str) -> None:
        look = scan.finish(ended, self._audience.queue_depth())
        self._audience.save(look.scan_image(), ended=True)
        self._audience.looked(look.snapshot(), overtaken=self.overtaken)


def give_way() -> None:
    """Let this thread run where the others leave a core; only Linux has priorities of threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 10)
