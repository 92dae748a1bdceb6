"""A detector's ZeroMQ stream as the source of running scans (DECTRIS Stream V2, or V1)."""

from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from time import perf_counter

import zmq

from wnet_edge.errors import ScanError
from wnet_edge.live.bounded_queue import BoundedQueue, WhenBehind
from wnet_edge.live.dectris_series import SeriesEvents
from wnet_edge.live.dectris_stream import decode
from wnet_edge.live.dectris_stream_v1 import decode_v1
from wnet_edge.live.detector_message import Message, damaged
from wnet_edge.live.source import Event

_WAITING_MESSAGES = 64
"""Messages that ZeroMQ holds before our queue; then it lets the detector wait."""

_LARGEST_MESSAGE = 1 << 30
"""Bytes; a start with masks and flat fields of four channels of 16 megapixels has 600 MB."""

_LOOKS_UP_MS = 50
"""How often the receiving thread looks whether it should end."""


class ZmqSource:
    """Takes the series of the detector that publishes at an address.

    Args:
        address: of the detector's PUSH socket, as tcp://HOST:31001.
        most: frames that wait for the network.
        when_behind: what happens to a frame beyond them.
        channel: name of the threshold to take, as threshold_1; None: the first.
        idle_s: a series ends when no message comes for so long; None: it waits for its end.

    Raises:
        ScanError: if `address` is none.
    """

    def __init__(
        self,
        address: str,
        most: int,
        when_behind: WhenBehind,
        channel: str | None = None,
        idle_s: float | None = None,
    ) -> None:
        self._queue = BoundedQueue(most, when_behind)
        self._closing = Flag()
        self._address, self._channel, self._idle_s = address, channel, idle_s
        self._context = zmq.Context()
        socket = self._context.socket(zmq.PULL)
        socket.setsockopt(zmq.RCVHWM, _WAITING_MESSAGES)
        socket.setsockopt(zmq.MAXMSGSIZE, _LARGEST_MESSAGE)
        try:
            socket.connect(address)
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            cure = "give the detector's, such as tcp://HOST:31001"
            raise ScanError(f"{address}: is no address of ZeroMQ ({error}); {cure}") from error
        self._thread = Thread(target=self._receive, args=(socket,), daemon=True, name="zmq")
        self._thread.start()

    @property
    def depth(self) -> int:
        """Frames that wait."""
        return self._queue.depth

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None if there is none within `timeout_s`.

        Raises:
            ScanError: if nothing can be received any more.
        """
        event = self._queue.get(timeout_s)
        if event is None and not self._thread.is_alive():
            raise ScanError(f"{self._address}: nothing can be received any more; start again")
        return event

    def close(self) -> None:
        """Let the detector and all frames go."""
        self._closing.set()
        self._queue.close()
        self._thread.join()
        self._context.destroy(linger=0)

    def _receive(self, socket: zmq.Socket[bytes]) -> None:
        series, heard_s = SeriesEvents(), perf_counter()
        with socket:
            while not self._closing.is_set():
                if socket.poll(_LOOKS_UP_MS):
                    message = self._message(socket.recv_multipart())
                    if message is not None:
                        self._put(series.take(message))
                    heard_s = perf_counter()
                elif self._idle_s is not None and perf_counter() - heard_s > self._idle_s:
                    self._put(series.end(f"no message has come for {self._idle_s:g} s"))

    def _put(self, events: Iterator[Event]) -> None:
        for event in events:
            self._queue.put(event)

    def _message(self, parts: list[bytes]) -> Message | None:
        """What one message of ZeroMQ says, in the detector's version of the stream."""
        if not parts[0].startswith(b"{"):  # as JSON does, and no map of CBOR
            return decode(parts[0], perf_counter(), self._channel)
        if self._channel is not None:
            return damaged(f"Stream V1 has no channel {self._channel!r}: leave it out, or set V2")
        return decode_v1(parts, perf_counter())
