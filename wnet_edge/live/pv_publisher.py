"""A recorded scan, published as a detector's PV would: for rehearsals and tests.

Frames go out as NTNDArrays over EPICS PV Access, `uniqueId` from 1 as areaDetector counts, the
positions as attributes of each frame in metres; a second PV may bear them as well.
"""

import threading
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from p4p import Value
from p4p.nt import NTNDArray, NTScalar
from p4p.server import Server
from p4p.server.thread import SharedPV

from wnet_edge.live.ndarray import ndarray_fields
from wnet_edge.live.pv_scans import PositionNames
from wnet_edge.scan.frame_source import FrameSource

FIRST_NUMBER = 1
_SUBSCRIBING_S = 0.5
"""From a client's first word to its subscription; frames before would not reach it."""


class PvPublisher:
    """Serves a detector's PV.

    Args:
        pv: its name.
        position_pv: name of a PV with each frame's position, an array (row, column) with
            `uniqueId` and time stamp; None: positions are attributes only.
        conf: EPICS settings; None: the environment's (`EPICS_PVAS_INTF_ADDR_LIST` and others).
    """

    def __init__(
        self,
        pv: str,
        position_pv: str | None = None,
        conf: Mapping[str, str] | None = None,
    ) -> None:
        self._client = threading.Event()
        self._type = NTNDArray.buildType()
        self._position_type = NTScalar.buildType("ad", extra=[("uniqueId", "i")])
        self._frames = SharedPV(initial=Value(self._type, {}), handler=_Clients(self._client))
        self._positions = SharedPV(initial=Value(self._position_type, {}))
        pvs = {pv: self._frames}
        if position_pv is not None:
            pvs[position_pv] = self._positions
        self._has_position_pv = position_pv is not None
        self._server = Server(providers=[pvs], conf=conf, useenv=conf is None)

    @property
    def conf(self) -> dict[str, str]:
        """EPICS settings with which a client finds this server."""
        return dict(self._server.conf())

    def wait_for_client(self, timeout_s: float) -> bool:
        """Wait until somebody listens; False if nobody does within `timeout_s`."""
        if not self._client.wait(timeout_s):
            return False
        time.sleep(_SUBSCRIBING_S)
        return True

    def publish(
        self,
        frames: FrameSource,
        positions_m: NDArray[np.float64],
        rate_hz: float,
        first_number: int = FIRST_NUMBER,
    ) -> float:
        """Publish a scan's frames; gives the rate that was reached, in Hz.

        Args:
            frames: (N, H, W), any integer or float type.
            positions_m: (N, 2) row, column.
            rate_hz: frames a second; one that is late is followed by the next at once.
            first_number: `uniqueId` of the first frame.
        """
        began_s = time.perf_counter()
        for index, position in enumerate(positions_m):
            frame = np.asarray(frames[index])
            ahead_s = began_s + index / rate_hz - time.perf_counter()
            if ahead_s > 0:
                time.sleep(ahead_s)
            self.publish_frame(frame, first_number + index, (position[0], position[1]))
        return len(positions_m) / (time.perf_counter() - began_s)

    def publish_frame(
        self,
        frame: NDArray[Any],
        number: int,
        position_m: tuple[float, float],
        stamp_s: float | None = None,
    ) -> None:
        """Publish one frame (H, W), stamped with the time of now unless another is given."""
        stamp_s = time.time() if stamp_s is None else stamp_s
        row, column = map(float, position_m)
        names = PositionNames()
        attributes = {names.row: row, names.column: column}
        fields = ndarray_fields(frame, number, stamp_s, attributes)
        if self._has_position_pv:
            position = {
                "value": [row, column],
                "uniqueId": number,
                "timeStamp": fields["timeStamp"],
            }
            self._positions.post(Value(self._position_type, position))
        self._frames.post(Value(self._type, fields))

    def close(self) -> None:
        """Stop serving."""
        self._server.stop()


class _Clients:
    """Hears of the first client."""

    def __init__(self, client: threading.Event) -> None:
        self._client = client

    def onFirstConnect(self, _: SharedPV) -> None:  # noqa: N802 - p4p's name
        self._client.set()
