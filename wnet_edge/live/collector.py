"""From patches that come in the order of their frames to images, scan after scan.

Whoever receives the patches gives them in; looks, saves and the end of a scan after which nothing
comes are seen to by `tick`.
"""

from collections.abc import Collection
from functools import partial
from threading import Lock
from typing import Any

from wnet_edge.errors import ScanError
from wnet_edge.live import ndarray
from wnet_edge.live.collected_scan import CollectedScan
from wnet_edge.live.patch import ATTRIBUTES, FAULT, Patch
from wnet_edge.live.pv_scans import PvScans, ScanRules
from wnet_edge.live.run import RunOptions
from wnet_edge.live.shared_setup import SharedSetup
from wnet_edge.live.snapshot import Viewer
from wnet_edge.live.source import Begin, Event, Frame, Loss, Lost
from wnet_edge.live.watched_scan import Audience, WatchedScan, Watcher


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
        self._audience = Audience(watcher, tuple(viewers))
        self._scans = PvScans(name, rules, self._take)
        self._scans.frame({})  # what it is given are updates, never what a PV held before
        self._lock = Lock()
        self._patch: Any = None
        self._scan: WatchedScan[CollectedScan] | None = None

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
            if self._scan is not None:
                self._scan.look_if_due()

    def finish(self) -> None:
        """End the scan that runs, with what has come."""
        with self._lock:
            self._scans.finish("interrupted")

    def _take(self, event: Event) -> None:
        if isinstance(event, Lost):
            self.lost += event.frames
        if isinstance(event, Begin):
            self._begin_scan(event)
        elif self._scan is None:
            if isinstance(event, Lost):
                self._audience.watcher.lost(event)
        elif isinstance(event, Lost):
            self._scan.attempt(lambda scan: scan.lose(event))
        elif isinstance(event, Frame):
            self._scan.attempt(partial(self._add, frame=event))
        else:
            self._scan.finish(event.reason)
            self._scan = None

    def _begin_scan(self, begin: Begin) -> None:
        scan, options = CollectedScan(begin, self._setup), self._options
        self._scan = WatchedScan(begin, scan, self._audience, options.look_s, options.save_s)
        self._scan.attempt(lambda _: self._audience.watcher.began(begin))

    def _add(self, scan: CollectedScan, frame: Frame) -> None:
        before = scan.lost
        patch = self._patch_of(frame)
        if isinstance(patch, Patch):
            scan.add(frame, patch)
        else:
            scan.lose(patch)
        lost = scan.lost - before
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
