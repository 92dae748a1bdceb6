"""From a source of running scans to their images, one after the other, without a restart."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from threading import Event as Flag

from wnet_edge.live.session import LiveOptions, LiveScan
from wnet_edge.live.snapshot import Viewer
from wnet_edge.live.source import Begin, End, Event, Frame, Lost, Source
from wnet_edge.live.watched_scan import Audience, WatchedScan, Watcher, give_way
from wnet_edge.runner.choosing.choice import ChosenGraph

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
    audience = Audience(watcher, tuple(viewers), queue_depth, save_asked or Flag())
    done = 0
    last: WatchedScan[LiveScan] | None = None
    ending: Future[None] | None = None
    with ThreadPoolExecutor(1, "end", initializer=give_way) as ender:
        while options.scans is None or done < options.scans:
            event = source.next(_LONGEST_WAIT_S)
            if isinstance(event, Lost):
                watcher.lost(event)
            elif isinstance(event, Begin):
                if last is not None:
                    last.overtaken = True
                live = LiveScan(event, opened, options.live)
                last = WatchedScan(event, live, audience, options.look_s, options.save_s)
                watcher.began(event)
                ended = _taken(source, last)
                if ending is not None:
                    ending.result()
                ending = ender.submit(last.finish, ended)
                done += 1
        if ending is not None:
            ending.result()


def _taken(source: Source, watched: WatchedScan[LiveScan]) -> str:
    """Take a scan until its last frame has been stitched; gives why it has ended.

    Whatever stops it before, the image so far is finished.
    """
    ended = "interrupted"
    try:
        while not isinstance(event := source.next(_wait_s(watched)), End):
            watched.attempt(partial(_take, event=event))
            watched.look_if_due()
        ended = event.reason
        watched.attempt(lambda live: live.process(everything=True))
    except BaseException:
        watched.finish(ended)
        raise
    return ended


def _wait_s(watched: WatchedScan[LiveScan]) -> float:
    waits = [_LONGEST_WAIT_S, watched.wait_s]
    if watched.scan is not None and watched.scan.wait_s is not None:
        waits.append(watched.scan.wait_s)
    return min(waits)


def _take(live: LiveScan, event: Event | None) -> None:
    if isinstance(event, Frame):
        live.add(event)
        return
    if isinstance(event, Lost):
        live.lose(event)
    live.process()
