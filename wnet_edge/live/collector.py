"""From patches that come in the order of their frames to images, scan after scan.

Whoever receives the patches gives them in; looks, saves and the end of a scan after which nothing
comes are seen to by `tick`.
"""

from collections.abc import Callable, Collection
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Lock
from time import perf_counter
from typing import Any

from wnet_edge.errors import ScanError, WNetEdgeError
from wnet_edge.live import ndarray
from wnet_edge.live.collected_scan import CollectedScan
from wnet_edge.live.look import Look
from wnet_edge.live.patch import ATTRIBUTES, FAULT, Patch
from wnet_edge.live.pv_scans import PvScans, ScanRules
from wnet_edge.live.run import RunOptions, Watcher
from wnet_edge.live.shared_setup import SharedSetup
from wnet_edge.live.snapshot import Viewer
from wnet_edge.live.source import Begin, End, Event, Frame, Loss, Lost


class Collector:
    """Makes images of patches; its methods may be called from several threads.

    Args:
        name: scans are called after it.
        rules: how scans begin and end, and where positions come from.
        setup: that the patches are made by.
        options: how often to look and to save.
        watcher: who is told of scans, and writes their results.
        viewers: who else is shown the looks.

    Attributes:
        processed: frames in an image, of all scans.
        lost: frames lost, of all scans.
    """

    def __init__(
        self,
        name: str,
        rules: ScanRules,
        setup: SharedSetup,
        options: RunOptions,
        watcher: Watcher,
        viewers: Collection[Viewer] = (),
    ) -> None:
        self.processed = self.lost = 0
        self._setup, self._options = setup, options
        self._watcher, self._viewers = watcher, tuple(viewers)
        self._scans = PvScans(name, rules, self._take)
        self._scans.frame({})  # what it is given are updates, never what a PV held before
        self._lock = Lock()
        self._patch: Any = None
        self._begin: Begin | None = None
        self._scan: CollectedScan | None = None
        self._looker = ThreadPoolExecutor(1, "look")
        self._looking: Future[None] | None = None
        self._next_look_s = self._next_save_s = 0.0

    def take(self, value: Any) -> None:  # noqa: ANN401 - an NTNDArray has no type
        """Take a patch, an NTNDArray as p4p holds it.

        Raises:
            ScanError: if the first of a scan is no NTNDArray.
        """
        with self._lock:
            self._patch = value
            self._scans.frame(value)

    def tick(self) -> None:
        """See what has become late, and look where it is time; called a few times a second."""
        with self._lock:
            self._scans.tick()
            self._attempt(self._look)

    def finish(self) -> None:
        """End the scan that runs, with what has come."""
        with self._lock:
            self._scans.finish("interrupted")
            self._looker.shutdown()

    def _take(self, event: Event) -> None:
        if isinstance(event, Begin):
            self._begin_scan(event)
        elif isinstance(event, Lost):
            self.lost += event.frames
            if self._begin is None:
                self._watcher.lost(event)
            self._attempt(lambda scan: scan.lose(event))
        elif isinstance(event, Frame):
            self._attempt(partial(self._add, frame=event))
        else:
            self._attempt(self._looked)
            self._attempt(partial(self._finish, end=event))
            if self._scan is not None:
                self._scan.__exit__()
            self._scan = self._begin = None

    def _begin_scan(self, begin: Begin) -> None:
        self._begin, self._scan = begin, CollectedScan(begin, self._setup)
        now = perf_counter()
        self._next_look_s = now + self._options.look_s
        self._next_save_s = now + self._options.save_s
        self._attempt(lambda _: self._watcher.began(begin))

    def _add(self, scan: CollectedScan, frame: Frame) -> None:
        before = sum(scan.lost.values())
        patch = self._patch_of(frame)
        if isinstance(patch, Patch):
            scan.add(frame, patch)
        else:
            scan.lose(patch)
        lost = sum(scan.lost.values()) - before
        self.lost += lost
        self.processed += 1 - lost

    def _patch_of(self, frame: Frame) -> Patch | Lost:
        found = ndarray.attributes(self._patch, (*ATTRIBUTES, FAULT))
        if found.get(FAULT):
            return Lost(Loss.UNREADABLE, 1, str(found[FAULT]))
        try:
            return Patch.of(frame.counts, found)
        except ScanError as error:
            return Lost(Loss.UNREADABLE, 1, str(error))

    def _look(self, scan: CollectedScan) -> None:
        """If it is time: a look, judged, shown and saved in another thread, one at a time."""
        now = perf_counter()
        if now < self._next_look_s or (self._looking is not None and not self._looking.done()):
            return
        self._next_look_s = now + self._options.look_s
        self._looked(scan)
        look = scan.look()
        if look is None or not look.gathered.sums.used.any():
            return  # no frame so far has anything to show
        save = now >= self._next_save_s
        if save:
            self._next_save_s = now + self._options.save_s
        self._looking = self._looker.submit(self._show, look, save=save)

    def _looked(self, _: CollectedScan) -> None:
        """Wait for the look that is being shown.

        Raises:
            WNetEdgeError: if it could not be shown or saved.
        """
        if self._looking is not None:
            looking, self._looking = self._looking, None
            looking.result()

    def _show(self, look: Look, *, save: bool) -> None:
        self._tell(look)
        if save:
            self._watcher.save(look.scan_image(), ended=False)

    def _finish(self, scan: CollectedScan, end: End) -> None:
        look = scan.finish(end.reason)
        self._watcher.save(look.scan_image(), ended=True)
        self._tell(look)

    def _tell(self, look: Look) -> None:
        snapshot = look.snapshot()
        self._watcher.looked(snapshot)
        for show in self._viewers:
            show(snapshot)

    def _attempt(self, step: Callable[[CollectedScan], None]) -> None:
        """A step of the scan; one that fails is told, and what comes of the scan is passed over."""
        if self._scan is None or self._begin is None:
            return
        try:
            step(self._scan)
        except WNetEdgeError as error:
            self._scan.__exit__()
            self._scan = None
            self._watcher.failed(self._begin, error)
