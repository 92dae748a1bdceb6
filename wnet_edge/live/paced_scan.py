"""A recorded scan, given frame by frame as if it were being scanned now: `demo --live`."""

from time import perf_counter, sleep

import numpy as np

from wnet_edge.io.found import FoundScan
from wnet_edge.io.parts.complete_scan import known_positions_m, required_frames
from wnet_edge.live.source import Begin, End, Event, Frame, begin_of


class PacedScan:
    """A `Source` over a recorded scan; its positions come with the frames.

    Args:
        found: the scan.
        rate_hz: frames per second, from the first `next` on.

    Raises:
        ScanError: if the scan has no frames or positions.
    """

    def __init__(self, found: FoundScan, rate_hz: float) -> None:
        self._frames, self._positions_m = required_frames(found).value, known_positions_m(found)
        self._begin: Begin | None = begin_of(
            found, found.path.stem, None, int(self._frames.shape[0])
        )
        self._rate_hz = rate_hz
        self._start_s = 0.0
        self._given = 0
        self._ended = False

    def next(self, timeout_s: float) -> Event | None:
        """The next event, when it is due; None if that is not within `timeout_s`."""
        if self._begin is not None:
            begin, self._begin = self._begin, None
            self._start_s = perf_counter()
            return begin
        number, count = self._given, len(self._positions_m)
        if number == count and not self._ended:
            self._ended = True
            return End(f"all {count} frames are there")
        due_s = self._start_s + (number + 1) / self._rate_hz
        wait_s = max(due_s - perf_counter(), 0.0)
        if self._ended or wait_s > timeout_s:
            sleep(timeout_s)
            return None
        sleep(wait_s)
        self._given += 1
        row_m, column_m = self._positions_m[number].tolist()
        return Frame(number, np.asarray(self._frames[number]), due_s, (row_m, column_m))

    def close(self) -> None:
        """There is nothing to let go."""
