"""A detector's PV as a source of frames: EPICS PV Access, areaDetector's NTNDArray.

p4p calls back from one thread, which turns each update into events; a bounded queue hands them to
the thread that makes the image. What the network side has no room for, the server drops, and the
gap in `uniqueId` tells.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from p4p.client.thread import Context, Disconnected, RemoteError

from wnet_edge.errors import ScanError
from wnet_edge.live.bounded_queue import BoundedQueue, WhenBehind
from wnet_edge.live.pv_scans import PvScans, ScanRules
from wnet_edge.live.source import Event

_REQUEST = "field()record[queueSize=2000]"
"""The server keeps so many updates for us: a second of frames at 2 kHz."""
_TICK_S = 0.05


class PvSource:
    """Frames of a detector's PV, scan after scan.

    Args:
        pv: its name.
        rules: how its scans begin and end, and where positions come from.
        position_pv: a PV of positions, where `rules.position_match` says how they find frames.
        scan_pv: a PV that is other than 0 while a scan runs, as a detector's `Acquire`; frames
            that come outside of scans are of none.
        queued_frames: frames that wait for the network.
        when_behind: what happens to a frame beyond them.
        connect_s: how long the PVs are waited for; None: for ever.
        conf: EPICS settings; None: the environment's (`EPICS_PVA_ADDR_LIST` and others).
    """

    def __init__(
        self,
        pv: str,
        rules: ScanRules,
        position_pv: str | None = None,
        scan_pv: str | None = None,
        queued_frames: int = 2000,
        when_behind: WhenBehind = WhenBehind.DROP_OLDEST,
        connect_s: float | None = 30.0,
        conf: Mapping[str, str] | None = None,
    ) -> None:
        self._events = BoundedQueue(queued_frames, when_behind)
        self._scans = PvScans(pv, rules, self._events.put)
        self._until_s = None if connect_s is None else time.perf_counter() + connect_s
        self._unseen = {name for name in (pv, position_pv, scan_pv) if name is not None}
        self._failure: Exception | None = None
        self._work = _Worker(self._scans.tick, self._fail)
        self._work.start()
        self._context = Context("pva", conf=conf, useenv=conf is None, nt=False)
        self._monitors = []
        scans = self._scans
        if scan_pv is not None:
            self._monitors.append(self._monitor(scan_pv, scans.running, _nothing))
        if position_pv is not None:
            taken = self._monitor(position_pv, scans.position, scans.position_disconnected)
            self._monitors.append(taken)
        self._monitors.append(self._monitor(pv, scans.frame, scans.disconnected))

    @property
    def depth(self) -> int:
        """Frames that wait for the network."""
        return self._events.depth

    @property
    def connected(self) -> bool:
        """Whether all PVs have answered at least once."""
        return not self._unseen

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within `timeout_s`.

        Raises:
            ScanError: if a PV does not answer or is not a detector's.
        """
        event = self._events.get(timeout_s)
        if event is None and self._failure is not None:
            raise self._failure
        if self._unseen and self._until_s is not None and time.perf_counter() > self._until_s:
            names = ", ".join(sorted(self._unseen.copy()))
            raise ScanError(
                f"{names}: no such PV answers; is its server running, and does "
                "EPICS_PVA_ADDR_LIST name its machine?"
            )
        return event

    def close(self) -> None:
        """Stop listening; frames that wait are let go."""
        self._events.close()
        for monitor in self._monitors:
            monitor.close()
        self._work.stop()
        self._context.close()

    def _monitor(
        self,
        pv: str,
        take: Callable[[Any], None],
        disconnected: Callable[[], None],
    ) -> Any:  # noqa: ANN401 - p4p has no types
        def update(value: Any) -> None:  # noqa: ANN401
            if isinstance(value, Disconnected):
                disconnected()
            elif isinstance(value, RemoteError):
                self._fail(ScanError(f"{pv}: {value}"))
            elif not isinstance(value, Exception):
                self._unseen.discard(pv)
                self._guarded(pv, take, value)

        return self._context.monitor(
            pv, update, request=_REQUEST, notify_disconnect=True, queue=self._work
        )

    def _guarded(self, pv: str, take: Callable[[Any], None], value: Any) -> None:  # noqa: ANN401
        """Take an update; p4p would only log an error, and end the monitor."""
        try:
            take(value)
        except ScanError as error:
            self._fail(ScanError(f"{pv}: {error}"))
        except Exception as error:  # raised again by `next`
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._failure = error


class _Worker(threading.Thread):
    """Runs p4p's callbacks in one thread, with a tick between them."""

    def __init__(self, tick: Callable[[], None], fail: Callable[[Exception], None]) -> None:
        super().__init__(name="pv-source", daemon=True)
        self._tick = tick
        self._fail = fail
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def push(self, call: Callable[[], None]) -> None:
        """Have `call` run; p4p's name for it."""
        self._calls.put(call)

    push_wait = push

    def stop(self) -> None:
        """End once what was pushed has run."""
        self._calls.put(None)
        self.join()

    def run(self) -> None:
        """Run what is pushed, and ticks."""
        ticked_s = time.perf_counter()
        while True:
            try:
                call = self._calls.get(timeout=_TICK_S)
            except queue.Empty:
                call = _nothing
            if call is None:
                return
            call()
            if time.perf_counter() - ticked_s > _TICK_S:
                self._ticked()
                ticked_s = time.perf_counter()

    def _ticked(self) -> None:
        try:
            self._tick()
        except Exception as error:  # raised again by `next`
            self._fail(error)


def _nothing() -> None:
    """Nothing has to be done."""
