"""Serves the live page from a thread of its own, on Bokeh's server.

Whoever runs the scan hands over its looks and goes on at once: the newest replaces the one before,
and each viewer's document takes it when its browser has shown the one before that.
"""

import asyncio
import logging
import os
import secrets
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server, socket
from threading import Event, Thread
from time import monotonic
from typing import Any
from weakref import WeakSet

from bokeh.document import Document
from bokeh.resources import Resources
from bokeh.server.tornado import BokehTornado
from bokeh.server.views.ws import WSHandler
from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

from wnet_edge.errors import WNetEdgeError
from wnet_edge.live.page.admission import Admission
from wnet_edge.live.page.page_look import PageLook
from wnet_edge.live.page.page_options import PageOptions
from wnet_edge.live.page.viewer import Viewer
from wnet_edge.live.snapshot import Snapshot

_START_S = 30.0
"""How long the server may take to start."""

_POLL_MS = 100
"""How often a viewer's document looks for a new look."""

_LAST_LOOK_S = 2.0
"""How long `close` waits for browsers to show the last look."""

_LET_GO_S = 0.05
"""For those who wait for a closed websocket to notice."""

_SESSION_S = 86_400
"""How long a page that was fetched may open its websocket."""

_LARGEST_MESSAGE = 1 << 20
"""Bytes; a browser has little to say."""


class LivePage:
    """The page of running scans, served until `close`.

    Args:
        options: where it is served, and to whom.
        result_of: file in which the result of a scan, by its name, is written; for the user.

    Attributes:
        url: of the page.
        save_asked: set by a viewer who wants the result to be written now.
        opened: set when a browser has opened the page.

    Raises:
        WNetEdgeError: if it can't be served there.
    """

    def __init__(self, options: PageOptions, result_of: Callable[[str], Path] = Path) -> None:
        self.save_asked, self.opened = Event(), Event()
        self._options = options
        self._result_of = result_of
        self._newest: PageLook | None = None
        self._viewers: set[Viewer] = set()
        self._close: Callable[[], object] = lambda: None
        listening = _bound(options.host, options.port)
        started: Future[int] = Future()
        self._thread = Thread(
            target=lambda: asyncio.run(self._serve(listening, started)),
            name="live page",
            daemon=True,
        )
        self._thread.start()
        self.url = options.url(started.result(_START_S))

    def show(self, snapshot: Snapshot) -> None:
        """Show a look at a scan; returns at once, and may be called from any thread."""
        before = self._newest
        if before is None:
            self._newest = PageLook(1, 1, snapshot)
            return
        is_next = _is_next_scan(before.snapshot, snapshot)
        self._newest = PageLook(before.number + 1, before.scan_number + is_next, snapshot)

    def close(self) -> None:
        """Stop serving, when browsers have shown the last look; their pages stay as they are."""
        close, self._close = self._close, lambda: None
        close()
        self._thread.join()

    async def _serve(self, listening: socket, started: "Future[int]") -> None:
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        port = listening.getsockname()[1]
        origins = self._options.origins(port)
        key = secrets.token_bytes()
        tornado = _Tornado(
            self._begin_viewer,
            extra_websocket_origins=origins,
            extra_patterns=[("/alive", _Alive)],
            auth_provider=Admission(self._options.token, origins, port, key),
            secret_key=key,
            sign_sessions=True,
            include_headers=[],  # a session's token need not hold cookies
            include_cookies=[],
            session_token_expiration=_SESSION_S,
            websocket_max_message_size_bytes=_LARGEST_MESSAGE,
            log_function=lambda _: None,  # addresses may hold tokens
        )
        logging.getLogger(WSHandler.__module__).setLevel(logging.ERROR)  # browsers come and go
        server = HTTPServer(tornado)
        server.add_socket(listening)
        tornado.initialize(IOLoop.current())
        tornado.start()
        self._close = lambda: loop.call_soon_threadsafe(asked.set)
        started.set_result(port)
        await asked.wait()
        until_s = monotonic() + _LAST_LOOK_S
        while monotonic() < until_s and any(viewer.is_behind for viewer in self._viewers):
            await asyncio.sleep(0.02)
        server.stop()
        tornado.stop()
        await server.close_all_connections()
        tornado.hang_up()
        await asyncio.sleep(_LET_GO_S)

    def _begin_viewer(self, document: Document) -> None:
        """A browser has opened the page."""
        viewer = Viewer(document, lambda: self._newest, self.save_asked, self._result_of)
        self._viewers.add(viewer)
        self.opened.set()
        document.add_periodic_callback(viewer.update, _POLL_MS)
        document.on_session_destroyed(lambda _: self._viewers.discard(viewer))


class _Tornado(BokehTornado):  # type: ignore[misc]
    """Bokeh's server: its pages load only what this one needs, and it can hang up."""

    def __init__(self, *args: Any, **settings: Any) -> None:  # noqa: ANN401 - as Bokeh's
        self._websockets: WeakSet[WSHandler] = WeakSet()
        super().__init__(*args, **settings)

    def new_connection(self, protocol: Any, socket: WSHandler, *rest: Any) -> Any:  # noqa: ANN401
        """As Bokeh's."""
        self._websockets.add(socket)
        return super().new_connection(protocol, socket, *rest)

    def hang_up(self) -> None:
        """Close all websockets, whatever waits to be sent to browsers that do not read."""
        for websocket in self._websockets:
            if websocket.ws_connection is not None:
                websocket.ws_connection.stream.close()

    def resources(self, absolute_url: str | bool | None = None) -> Resources:
        """Without Bokeh's widgets, tables and formulas."""
        resources: Resources = super().resources(absolute_url)
        resources.components = ["bokeh"]
        return resources


class _Alive(RequestHandler):
    """Asked by pages that have lost their connection."""

    def get(self) -> None:
        self.set_status(204)


def _bound(host: str, port: int) -> socket:
    """A socket that listens there.

    Raises:
        WNetEdgeError: if none can.
    """
    try:
        bound = create_server((host, port), family=AF_INET6 if ":" in host else AF_INET)
    except OSError as error:
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror  # else of the look-up
        raise WNetEdgeError(
            f"--serve {host}:{port}: can't be served ({str(reason).lower()}); name another "
            "address or port"
        ) from error
    bound.setblocking(False)
    return bound


def _is_next_scan(before: Snapshot, after: Snapshot) -> bool:
    return (
        before.ended is not None or before.scan != after.scan or before.processed > after.processed
    )
