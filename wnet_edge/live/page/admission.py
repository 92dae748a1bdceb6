"""Who may open the live page: browsers that name it rightly, and know the token if there is one.

Checked before a page or a websocket is opened. The name by which a browser asks is checked as its
origin is, or a page elsewhere could have its own name lead here. A token comes from the form that
a stranger gets, or as `?token=` in the address; a cookie remembers it, for as long as it is valid.
"""

import hmac
from collections.abc import Awaitable, Callable
from html import escape
from typing import Any

from bokeh.server.auth_provider import AuthProvider
from bokeh.server.util import check_allowlist
from bokeh.util.token import check_token_signature
from tornado.web import RequestHandler
from tornado.websocket import WebSocketHandler

_FORBIDDEN = 403
_FORM = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>wnet-edge</title>
<meta name="viewport" content="width=device-width"><style>
body {{ background: #0d1116; color: #e6edf3; font: 18px/1.5 system-ui, sans-serif;
       display: grid; place-content: center; height: 100vh; margin: 0; text-align: center }}
input, button {{ font: inherit; padding: .4em .8em; border-radius: 6px; border: 1px solid #3b4652;
                background: #161c23; color: inherit }}
p {{ color: #9aa7b4 }}
</style></head><body><h1>wnet-edge</h1><p>{text}</p>
<form method="post" action="/login"><input name="token" type="password" autocomplete="off"
 autofocus aria-label="Token"> <button>Open</button></form></body></html>"""


class Admission(AuthProvider):  # type: ignore[misc]
    """Bokeh asks it before it opens a page or a websocket.

    Args:
        token: what a viewer has to know; None: nothing.
        origins: HOST:PORT by which browsers may open the page.
        port: where it is served; cookies know no ports.
        key: with which Bokeh signs the sessions of the pages that it gives.
    """

    def __init__(self, token: str | None, origins: list[str], port: int, key: bytes) -> None:
        self._token = token
        self._origins = origins
        self._key = key
        self._cookie = f"wnet-edge-{port}"
        super().__init__()

    @property
    def get_user_async(self) -> Callable[[Any], Awaitable[str | None]]:
        """What Bokeh calls before anything else."""
        return self._admitted

    @property
    def login_url(self) -> str:
        """Where the form sends the token."""
        return "/login"

    @property
    def login_handler(self) -> type[RequestHandler]:
        """Takes it."""
        return _Login

    def is_token(self, given: str) -> bool:
        """Whether it is the token, in constant time."""
        return self._token is not None and hmac.compare_digest(
            given.encode("utf-8", "replace"), self._token.encode("utf-8", "replace")
        )

    def remember(self, handler: RequestHandler) -> None:
        """Let the browser in from now on."""
        handler.set_cookie(
            self._cookie,
            self._proof(),
            httponly=True,
            samesite="Lax",
            secure=handler.request.protocol == "https",
        )

    def has_right_name(self, handler: RequestHandler) -> bool:
        """Whether the browser asks by a name that is allowed; it is told if not."""
        host = handler.request.host.lower()
        if check_allowlist(host, self._origins):
            return True
        handler.set_status(_FORBIDDEN)
        handler.finish(
            f"This page is not served as {escape(host)}. Start wnet-edge with "
            f"--allow-origin {escape(host)} to open it by this address."
        )
        return False

    async def _admitted(self, handler: RequestHandler) -> str | None:
        if not self.has_right_name(handler):
            return None
        is_socket = isinstance(handler, WebSocketHandler)
        is_known = self._is_known(handler)
        if is_known and (not is_socket or self._has_session(handler)):
            return "viewer"
        if is_socket:
            handler.set_status(_FORBIDDEN)
            handler.finish()
            return None
        given = handler.get_query_argument("token", None)
        if given is not None and self.is_token(given):
            self.remember(handler)
            handler.redirect(handler.request.path)  # the token leaves the address
            return None
        refuse(handler, "This token is wrong." if given else "This page asks for its token.")
        return None

    def _is_known(self, handler: RequestHandler) -> bool:
        known = handler.get_cookie(self._cookie) or ""
        return self._token is None or hmac.compare_digest(known.encode(), self._proof().encode())

    def _has_session(self, handler: RequestHandler) -> bool:
        """Whether a websocket is of a page that was given; one elsewhere could open its own."""
        _, _, session = handler.request.headers.get("Sec-WebSocket-Protocol", "").partition(",")
        try:
            return bool(check_token_signature(session.strip(), self._key, signed=True))
        except (ValueError, LookupError, TypeError):  # no token at all
            return False

    def _proof(self) -> str:
        """Follows from the token, without which it can't be made."""
        key = (self._token or "").encode("utf-8", "replace")
        return hmac.new(key, b"wnet-edge live page", "sha256").hexdigest()


def refuse(handler: RequestHandler, text: str) -> None:
    """The form that asks for the token."""
    handler.set_status(_FORBIDDEN)
    handler.finish(_FORM.format(text=escape(text)))


class _Login(RequestHandler):
    """What the form sends."""

    def post(self) -> None:
        admission: Admission = self.application.auth_provider  # type: ignore[attr-defined]
        if not admission.has_right_name(self):
            return
        if admission.is_token(self.get_body_argument("token", "")):
            admission.remember(self)
            self.redirect("/")
        else:
            refuse(self, "This token is wrong.")
