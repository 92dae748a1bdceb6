"""Publishes recorded frames over ZeroMQ as a detector would: DECTRIS Stream V2.

What a real detector can't know, each frame's position, is added to its message as `user_data`.
"""

from datetime import datetime, timezone
from time import perf_counter, sleep
from typing import Any

import cbor2
import numpy as np
import zmq
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.live.dectris_stream import MULTI_DIMENSIONAL, TYPES
from wnet_edge.live.source import Begin
from wnet_edge.scan.frame_source import FrameSource

CHANNEL = "threshold_1"

_SELF_DESCRIBED = 55799
"""CBOR tag by which the messages of a detector begin."""

_WAITING_MESSAGES = 64
_NANOSECONDS = 1_000_000_000
_LINGER_MS = 10_000
"""How long the last messages wait for a client that is slow, or gone."""

_TAGS = {dtype: tag for tag, dtype in TYPES.items() if tag != 68}  # 68: 64 again, saturating


class ZmqPublisher:
    """A PUSH socket at an address, to which clients connect; a context manager.

    Args:
        address: as tcp://127.0.0.1:31001; port * is a free one.

    Raises:
        ScanError: if nothing can be published there.
    """

    def __init__(self, address: str) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.PUSH)
        self._socket.setsockopt(zmq.SNDHWM, _WAITING_MESSAGES)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            cure = "give an address of this machine with a free port, as tcp://127.0.0.1:31001"
            raise ScanError(f"{address}: can't be published at ({error}); {cure}") from error

    def __enter__(self) -> "ZmqPublisher":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.destroy(linger=_LINGER_MS)

    @property
    def address(self) -> str:
        """To which clients connect."""
        return self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def send(self, message: bytes) -> None:
        """Send one message; waits for a client, and for room where it is behind."""
        self._socket.send(message)

    def publish(
        self, begin: Begin, frames: FrameSource, rate_hz: float | None = None, series: int = 1
    ) -> None:
        """Send a whole series: start, every frame, end.

        Args:
            begin: what the start says, and the positions of the frames; not finite: without one.
            frames: (N, H, W) of an integer or floating-point type.
            rate_hz: frames per second, if the client takes them; None: as it takes them.
            series: its number.
        """
        count = frames.shape[0]
        self.send(start_message(begin, frames.shape, series))
        started, began_s = datetime.now(timezone.utc), perf_counter()
        for number in range(count):
            if rate_hz is not None:
                sleep(max(began_s + number / rate_hz - perf_counter(), 0))
            counts, position_m = np.asarray(frames[number]), None
            if begin.positions_m is not None and np.isfinite(begin.positions_m[number]).all():
                row_m, column_m = begin.positions_m[number].tolist()
                position_m = (row_m, column_m)
            now_ns = round((perf_counter() - began_s) * _NANOSECONDS)
            self.send(image_message(counts, number, series, position_m, started, now_ns))
        self.send(end_message(series))


def start_message(begin: Begin, shape: tuple[int, ...], series: int) -> bytes:
    """The start of a series of frames (N, H, W)."""
    fields: dict[str, Any] = {
        "type": "start",
        "series_id": series,
        "arm_date": datetime.now(timezone.utc),
        "channels": [CHANNEL],
        "image_size_x": shape[2],
        "image_size_y": shape[1],
        "number_of_images": shape[0],
    }
    if begin.beam_centre_px is not None:
        fields["beam_center_y"], fields["beam_center_x"] = map(float, begin.beam_centre_px)
    if begin.energy_ev is not None:
        fields["incident_energy"] = float(begin.energy_ev)
    if begin.distance_m is not None:
        fields["detector_translation"] = [0.0, 0.0, float(begin.distance_m)]
    if begin.pixel_size_m is not None:
        fields["pixel_size_x"] = fields["pixel_size_y"] = float(begin.pixel_size_m)
    if begin.mask is not None:
        fields["pixel_mask"] = {CHANNEL: _typed_array(begin.mask.astype(np.uint32))}
    return _message(fields)


def image_message(
    counts: NDArray[Any],
    number: int,
    series: int,
    position_m: tuple[float, float] | None = None,
    series_date: datetime | None = None,
    since_ns: int = 0,
) -> bytes:
    """One frame (H, W), published `since_ns` after the series began."""
    fields: dict[str, Any] = {
        "type": "image",
        "series_id": series,
        "image_id": number,
        "data": {CHANNEL: _typed_array(counts)},
    }
    if series_date is not None:
        fields["series_date"] = series_date
        fields["start_time"] = fields["stop_time"] = [since_ns, _NANOSECONDS]
    if position_m is not None:
        fields["user_data"] = {"position_m": list(position_m)}
    return _message(fields)


def end_message(series: int) -> bytes:
    """The end of a series."""
    return _message({"type": "end", "series_id": series})


def _typed_array(array: NDArray[Any]) -> cbor2.CBORTag:
    typed = cbor2.CBORTag(_TAGS[array.dtype], array.tobytes())
    return cbor2.CBORTag(MULTI_DIMENSIONAL, [list(array.shape), typed])


def _message(fields: dict[str, Any]) -> bytes:
    return cbor2.dumps(cbor2.CBORTag(_SELF_DESCRIBED, fields))
