"""A scan in an HDF5 file that grows: its frames, as soon as they and their positions are written.

Files under SWMR, files that their writer closes and opens again, and an Eiger's data files that
appear one after another are all looked at again and again, without HDF5's file lock, which would
make a writer fail. Frames before their positions wait in the file.
"""

import math
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Signal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.beside_writer import beside_writer, is_locked_by_writer
from wnet_edge.io.containers.hdf5.faults import IN_A_WRITER
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.live.growing_scan import (
    GrowingScan,
    OtherScanError,
    has_swmr_writer,
    is_being_written,
    is_constant,
    look_at,
)
from wnet_edge.live.source import Begin, End, Event, Frame, Loss, Lost

_BLOCK_BYTES = 16 << 20
_BLOCK_FRAMES = 64
"""Frames are read in blocks of at most so many, and of at most so many bytes."""

_GRACE_S = 2.0
"""How long a file may be shorter than before and unreadable: a writer may be closing it."""

_LOOKS_SHARE = 4
"""Pause between two looks, as a multiple of the time that a look takes."""


@dataclass(frozen=True)
class FollowOptions:
    """How a file is followed, and when it ends.

    Attributes:
        read: parts of the scan that the user gives; `frames_range` restricts the frames.
        poll_s: pause between two looks at the file.
        idle_timeout_s: the scan ends when nothing new has come for so long.
        start_timeout_s: how long the file and its first frame are waited for.
        frame_count: the scan ends after so many frames; None if unknown.
    """

    read: ReadOptions = field(default_factory=ReadOptions)
    poll_s: float = 0.1
    idle_timeout_s: float = 30.0
    start_timeout_s: float = math.inf
    frame_count: int | None = None


class FollowedFile:
    """A `Source` over a file that grows; it gives one scan.

    Args:
        path: of the file, which may not be there yet.
        options: how it is followed.
    """

    def __init__(self, path: Path, options: FollowOptions | None = None) -> None:
        self._path = path
        self._options = options or FollowOptions()
        self._events: deque[Event] = deque()
        self._ready: deque[int] = deque()
        self._given = np.zeros(0, np.bool_)
        self._scan: GrowingScan | None = None
        self._begin: Begin | None = None
        self._positions_where = ""
        self._last: tuple[int, NDArray[Any]] | None = None
        self._had_swmr_writer = self._writer_left = False
        self._ending = ""
        self._is_drained = self._is_over = False
        self._left_out = 0
        self._trouble: ScanError | None = None
        self._trouble_s = 0.0
        self._size_bytes = 0
        self._progress: tuple[int, ...] = ()
        self._news_s = self._start_s = time.monotonic()
        self._next_look_s = 0.0
        self._closed = Signal()

    @property
    def waiting_for(self) -> str:
        """Why nothing comes just now: the last look's fault; empty if there was none."""
        return "" if self._trouble is None else str(self._trouble)

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within `timeout_s`.

        Raises:
            ScanError: if the file is no scan, is cut short, or is replaced by another scan.
        """
        until_s = time.monotonic() + timeout_s
        while not self._closed.is_set():
            if self._events:
                return self._events.popleft()
            now_s = time.monotonic()
            if self._is_over:
                self._closed.wait(max(0.0, until_s - now_s))
                return None
            if self._ready:
                self._read_block()
            elif self._is_drained:
                self._end()
            elif now_s >= self._next_look_s:
                self._look()
            elif now_s >= until_s:
                return None
            else:
                self._closed.wait(min(until_s, self._next_look_s) - now_s)
        return None

    def close(self) -> None:
        """Stop waiting; the file is never left open."""
        self._closed.set()

    def _look(self) -> None:
        """See which frames can be read, and whether the scan is over."""
        start_s = time.monotonic()
        is_swmr = has_swmr_writer(self._path)
        self._writer_left |= self._had_swmr_writer and not is_swmr
        if self._writer_left:
            self._ending = "the writer has closed the file"
        self._had_swmr_writer |= is_swmr
        scan = None
        with self._troubles():
            read, is_last = self._options.read, bool(self._ending)
            scan = look_at(self._path, read, since=self._first_missing(), is_last=is_last)
            self._check_same(scan)
        now_s = time.monotonic()
        self._next_look_s = now_s + max(self._options.poll_s, _LOOKS_SHARE * (now_s - start_s))
        if scan is not None and self._trouble is None:
            self._scan = scan
            self._size_bytes = max(self._size_bytes, _size_bytes(self._path))
            self._take(scan)
        if not (self._events or self._ready or self._is_drained):
            self._check_time()

    @contextmanager
    def _troubles(self) -> Iterator[None]:
        """Reading without a lock; what a writer may have caused is kept for the next look.

        Raises:
            OtherScanError: what no further look can mend, in a file at rest.
        """
        before, self._trouble = self._trouble, None
        try:
            with beside_writer() as reading:
                yield
            if reading.disturbed:
                what, cure = IN_A_WRITER.what, IN_A_WRITER.cure
                raise ScanError(f"{self._path}: {what}; {cure}")
        except ScanError as error:
            if isinstance(error, OtherScanError) and not reading.disturbed:
                raise
            self._trouble = error
            self._trouble_s = time.monotonic() if before is None else self._trouble_s
            self._ready.clear()
            self._ending, self._is_drained = "", False

    def _check_same(self, scan: GrowingScan) -> None:
        """Check that the file still holds the scan whose frames were given.

        Raises:
            OtherScanError: if it does not.
        """
        if self._last is None:
            return
        number, counts = self._last
        fault = ""
        if scan.frames.shape[1:] != counts.shape or scan.frames.dtype != counts.dtype:
            fault = f"its frames are {scan.frames.dtype} {scan.frames.shape[1:]} now"
        elif scan.frame_count < len(self._given):
            fault = f"it has {scan.frame_count} frames, fewer than the {len(self._given)} before"
        elif not np.array_equal(np.asarray(scan.frames[number]), counts, equal_nan=True):
            fault = f"frame {number} is another one now"
        if fault:
            raise OtherScanError(
                f"{self._path}: was replaced by another scan while it was followed ({fault}); "
                "follow each scan from its beginning"
            )

    def _take(self, scan: GrowingScan) -> None:
        """Line up the frames that are complete and have not been given."""
        count = scan.frame_count
        written = np.ones(count, np.bool_) if scan.written is None else scan.written
        planned = int(np.count_nonzero(np.isfinite(scan.planned_m[:, 0])))
        progress = (count, planned) + (() if self._ending else (int(np.count_nonzero(written)),))
        if progress != self._progress[: len(progress)]:
            self._progress, self._news_s = progress, time.monotonic()
            if self._ending and not self._writer_left:  # there is something new, after all
                self._ending = ""
                return
        wanted = written & self._wanted(count)
        numbers = np.flatnonzero(wanted & np.isfinite(scan.positions_m).all(axis=1))
        self._ready.extend(numbers[: self._frames_left()].tolist())
        if self._ending:
            self._is_drained = True
            self._left_out = int(np.count_nonzero(wanted)) - len(numbers)
        if self._ready and self._begin is None:
            with self._troubles():
                self._begin = scan.begin(self._path.stem, self._options.frame_count)
                self._events.append(self._begin)
                self._positions_where = scan.positions_where
        if self._ready and scan.positions_where != self._positions_where:
            raise OtherScanError(
                f"{self._path}: its positions were {self._positions_where} and are now "
                f"{scan.positions_where}; name them with --positions"
            )

    def _first_missing(self) -> int:
        """Number of the first frame that has not been given."""
        missing = np.flatnonzero(~self._given)
        return int(missing[0]) if len(missing) else len(self._given)

    def _wanted(self, count: int) -> NDArray[np.bool_]:
        """(count,) frames to give that have not been given."""
        wanted = np.ones(count, np.bool_)
        wanted[: len(self._given)] = ~self._given[:count]
        if self._options.read.frames_range is not None:
            first, end = self._options.read.frames_range
            wanted[:first] = wanted[end:] = False
        return wanted

    def _frames_left(self) -> int | None:
        """Frames that are still to come; None if their number is not known."""
        total = self._options.frame_count
        if self._options.read.frames_range is not None:
            first, end = self._options.read.frames_range
            total = min(end - first, total or end)
        elif self._begin is not None and total is None:
            total = self._begin.frame_count
        return None if total is None else total - int(np.count_nonzero(self._given))

    def _read_block(self) -> None:
        """Give the next frames that can be read at once."""
        scan = self._scan
        if scan is None:
            return
        frame_bytes = math.prod(scan.frames.shape[1:]) * scan.frames.dtype.itemsize
        most = max(1, min(_BLOCK_FRAMES, _BLOCK_BYTES // frame_bytes))
        first = end = self._ready[0]
        while self._ready and self._ready[0] == end and end - first < most:
            end = self._ready.popleft() + 1
        block = None
        with self._troubles():
            block = np.asarray(scan.frames[first:end])
        if self._trouble is not None or block is None:
            return
        kept = end - first
        if scan.written is None and not (scan.may_grow and end <= scan.frame_count - most):
            filled = np.flatnonzero(~is_constant(block))
            kept = int(filled[-1]) + 1 if len(filled) else 0
            if kept < end - first:  # the rest may not be written yet
                self._ready.clear()
        now_s = time.perf_counter()
        for number, counts, position_m in zip(
            range(first, first + kept), block, scan.positions_m[first:end], strict=False
        ):
            position = (float(position_m[0]), float(position_m[1]))
            self._events.append(Frame(number, counts, now_s, position))
            self._last = number, counts
        if kept:
            self._mark(first, first + kept)

    def _mark(self, first: int, end: int) -> None:
        if end > len(self._given):
            self._given = np.concatenate([self._given, np.zeros(end - len(self._given), np.bool_)])
        self._given[first:end] = True
        self._news_s = time.monotonic()
        if self._frames_left() == 0:
            self._ready.clear()
            self._ending = f"all {np.count_nonzero(self._given)} frames are there"
            self._is_drained, self._left_out = True, 0

    def _check_time(self) -> None:
        """End the scan, or give up, if there was nothing new for too long.

        Raises:
            ScanError: if the file is not that of a scan, or can't be read any more.
        """
        now_s, idle_timeout_s = time.monotonic(), self._options.idle_timeout_s
        size_bytes = _size_bytes(self._path)
        if self._begin is None:
            is_awaited = not size_bytes or is_being_written(self._path)
            self._news_s = now_s if is_awaited else self._news_s
            if now_s - self._news_s >= idle_timeout_s or (
                is_awaited and now_s - self._start_s >= self._options.start_timeout_s
            ):
                raise self._trouble or self._without_positions()
            return
        is_cut = size_bytes < self._size_bytes and not is_locked_by_writer(self._path)
        if self._trouble is not None and is_cut and now_s - self._trouble_s > _GRACE_S:
            raise OtherScanError(
                f"{self._path}: was cut short or replaced while it was followed, {size_bytes} of "
                f"{self._size_bytes} bytes; follow each scan from its beginning"
            )
        if now_s - self._news_s < idle_timeout_s:
            return
        being_written = size_bytes > 0 and is_being_written(self._path)
        if self._trouble is not None and not being_written:
            raise self._trouble
        self._ending = f"nothing new has come for {idle_timeout_s:g} s"
        if being_written:
            self._ending += ", though the file is marked as being written"
        self._is_drained = self._trouble is not None
        self._next_look_s = 0.0

    def _end(self) -> None:
        """Say what is lost, and why the scan has ended.

        Raises:
            ScanError: if no frame had a position.
        """
        if self._begin is None:
            raise self._without_positions()
        if self._left_out:
            self._events.append(Lost(Loss.WITHOUT_POSITION, self._left_out))
        self._events.append(End(self._ending))
        self._is_over = True

    def _without_positions(self) -> ScanError:
        return ScanError(
            f"{self._path}: none of its frames has a position; name them with --positions"
        )


def _size_bytes(path: Path) -> int:
    """Size of a file; 0 for a missing one."""
    try:
        return path.stat().st_size
    except OSError:
        return 0
