"""From a source of running scans to their images, one after the other, without a restart."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag
from threading import Lock, get_native_id
from time import perf_counter
from typing import Protocol

from wnet_edge.errors import WNetEdgeError
from wnet_edge.live.look import Look
from wnet_edge.live.session import LiveOptions, LiveScan
from wnet_edge.live.snapshot import Snapshot, Viewer
from wnet_edge.live.source import Begin, End, Event, Frame, Lost, Source
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.scan_image import ScanImage

_BEHIND_FRAMES = 64
"""Frames that wait in the source when the network is behind."""

_PUT_OFF = 4
"""Looks that are left out at most while it is."""

_LONGEST_WAIT_S = 0.2
"""For the next event, so that Ctrl-C and looks are not late."""


@dataclass(frozen=True)
class RunOptions:
    """How long to go on, and how often to look.

    Attributes:
        live: how each scan is taken.
        look_s: time between looks at the image so far.
        save_s: time between results written of the image so far.
        scans: stop after so many; None: never.
    """

    live: LiveOptions = field(default_factory=LiveOptions)
    look_s: float = 1.0
    save_s: float = 10.0
    scans: int | None = None


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


def run(
    source: Source,
    opened: ChosenGraph,
    options: RunOptions,
    watcher: Watcher,
    queue_depth: Callable[[], int] = lambda: 0,
    viewers: Sequence[Viewer] = (),
    save_asked: Flag | None = None,
) -> None:
    """Take scans from a source until it has given as many as asked for.

    A scan that has ended is settled and saved while the next one is taken, one behind at most.
    Interrupted by Ctrl-C, the image of the frames so far is saved.

    Args:
        source: of the scans.
        opened: graph that processes them.
        options: how long to go on, and how often to look.
        watcher: who is told of them, and writes their results.
        queue_depth: frames that wait in the source.
        viewers: who else is shown the looks.
        save_asked: set by a viewer who wants the image so far to be written at the next look;
            cleared when it has been.

    Raises:
        ScanError: if the source is damaged or can't be reached.
        KeyboardInterrupt: after saving, if it was interrupted.
    """
    told = _Told(watcher, queue_depth, tuple(viewers), save_asked or Flag())
    done = 0
    running: _Running | None = None
    ending: Future[None] | None = None
    with ThreadPoolExecutor(1, "end", initializer=_give_way) as ender:
        while options.scans is None or done < options.scans:
            event = source.next(_LONGEST_WAIT_S)
            if isinstance(event, Lost):
                watcher.lost(event)
            elif isinstance(event, Begin):
                if running is not None:
                    running.overtaken = True
                running = _Running(event, opened, options, told)
                running.run(source)
                if ending is not None:
                    ending.result()
                ending = ender.submit(running.finish)
                done += 1
        if ending is not None:
            ending.result()


@dataclass(frozen=True)
class _Told:
    """Who is told of scans, by one thread at a time, and what they ask."""

    watcher: Watcher
    queue_depth: Callable[[], int]
    viewers: tuple[Viewer, ...]
    save_asked: Flag
    _lock: Lock = field(default_factory=Lock)

    def looked(self, snapshot: Snapshot, *, overtaken: bool) -> None:
        """Viewers, who show one scan, are not shown one that the next has overtaken."""
        with self._lock:
            self.watcher.looked(snapshot)
            for show in () if overtaken else self.viewers:
                show(snapshot)

    def save(self, image: ScanImage, *, ended: bool) -> None:
        with self._lock:
            self.watcher.save(image, ended=ended)


class _Running:
    """One scan, from its `Begin` to its `End`.

    Attributes:
        overtaken: whether the next scan has begun.
    """

    def __init__(self, begin: Begin, opened: ChosenGraph, options: RunOptions, told: _Told) -> None:
        self._begin, self._options, self._told = begin, options, told
        self._live: LiveScan | None = LiveScan(begin, opened, options.live)
        self._looker = ThreadPoolExecutor(1, "look", initializer=_give_way)
        self._looking: Future[None] | None = None
        self._put_off = 0
        self._ended = "interrupted"
        self.overtaken = False
        now = perf_counter()
        self._next_look_s, self._next_save_s = now + options.look_s, now + options.save_s

    def run(self, source: Source) -> None:
        """Until the scan has ended, and its last frame has been stitched; `finish` is to follow.

        Whatever stops it before, the image so far is finished.
        """
        self._told.watcher.began(self._begin)
        try:
            while not isinstance(event := source.next(self._wait_s()), End):
                self._attempt(partial(_take, event=event))
                self._attempt(self._look)
            self._ended = event.reason
            self._attempt(lambda live: live.process(everything=True))
        except BaseException:
            self.finish()
            raise

    def finish(self) -> None:
        """Settle and save the image, in any thread."""
        self._attempt(self._looked)
        self._attempt(self._finish)
        self._looker.shutdown()
        if self._live is not None:
            self._live.__exit__()

    def _wait_s(self) -> float:
        waits = [_LONGEST_WAIT_S, max(self._next_look_s - perf_counter(), 0.0)]
        if self._live is not None and self._live.wait_s is not None:
            waits.append(self._live.wait_s)
        return min(waits)

    def _attempt(self, step: Callable[[LiveScan], None]) -> None:
        """A step of the scan; one that fails is told, and what comes of the scan is passed over."""
        if self._live is None:
            return
        try:
            step(self._live)
        except WNetEdgeError as error:
            self._live.__exit__()
            self._live = None
            self._told.watcher.failed(self._begin, error)

    def _look(self, live: LiveScan) -> None:
        """If it is time: a look, judged, shown and saved in another thread, one at a time."""
        now = perf_counter()
        if now < self._next_look_s:
            return
        self._next_look_s = now + self._options.look_s
        shown = self._looking is None or self._looking.done()
        behind = self._told.queue_depth() >= _BEHIND_FRAMES and self._put_off < _PUT_OFF
        if behind or not shown:
            self._put_off += 1
            return
        self._put_off = 0
        self._looked(live)
        look = live.look(self._told.queue_depth())
        if look is not None:
            save = now >= self._next_save_s or self._told.save_asked.is_set()
            if save:
                self._next_save_s = now + self._options.save_s
            self._looking = self._looker.submit(self._show, look, save=save)

    def _looked(self, _: LiveScan) -> None:
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
        self._told.looked(look.snapshot(), overtaken=False)
        if save:
            self._told.save(look.scan_image(), ended=False)
            self._told.save_asked.clear()

    def _finish(self, live: LiveScan) -> None:
        look = live.finish(self._ended, self._told.queue_depth())
        self._told.save(look.scan_image(), ended=True)
        self._told.looked(look.snapshot(), overtaken=self.overtaken)


def _give_way() -> None:
    """Let this thread run where the others leave a core; only Linux has priorities of threads."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, get_native_id(), 10)


def _take(live: LiveScan, event: Event | None) -> None:
    if isinstance(event, Frame):
        live.add(event)
        return
    if isinstance(event, Lost):
        live.lose(event)
    live.process()
