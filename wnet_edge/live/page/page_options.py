"""Where the live page is served, and to whom: what `--serve`, `--token`, `--allow-origin` say."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import gethostname

from wnet_edge.errors import OptionError

TOKEN_VARIABLE = "WNET_EDGE_TOKEN"  # noqa: S105 - its name
LEAST_TOKEN = 8
"""Characters of a token."""

_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class PageOptions:
    """Where the live page is served, and to whom.

    Attributes:
        host: name or address to listen on.
        port: to listen on; 0 takes a free one.
        token: what a viewer has to know; None: nothing.
        allowed_origins: HOST or HOST:PORT by which browsers may open the page, besides `host`.

    Raises:
        OptionError: if others could open the page without a token, or an option is none.
    """

    host: str = "127.0.0.1"
    port: int = 0
    token: str | None = field(default=None, repr=False)
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.token is None and not self.is_loopback:
            raise OptionError(
                f"--serve {self.host}: other machines can reach this address; give --token (or "
                f"{TOKEN_VARIABLE} in the environment), or serve on 127.0.0.1"
            )
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise OptionError(
                f"--token: has fewer than {LEAST_TOKEN} characters; give a longer one"
            )
        for origin in self.allowed_origins:
            _check_origin(origin)

    @classmethod
    def parsed(
        cls, address: str, token: str | None = None, allowed_origins: tuple[str, ...] = ()
    ) -> "PageOptions":
        """From HOST:PORT.

        Raises:
            OptionError: as the class, or if the address is none.
        """
        host, colon, port = address.rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        if not colon or not bare or not _is_port(port) or (":" in host) != host.startswith("["):
            raise OptionError(f"--serve {address[:60]}: is not HOST:PORT; give 127.0.0.1:8765, say")
        return cls(bare, int(port), token or None, allowed_origins)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can reach the page."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def origins(self, port: int) -> list[str]:
        """HOST:PORT, or with * as port, by which browsers may open the page served at `port`."""
        if self.is_loopback:  # at any port: an SSH tunnel has a port of its own at its other end
            own = [f"{name}:*" for name in _THIS_MACHINE]
        elif self._is_any:
            own = [f"{name.lower()}:{port}" for name in (gethostname(), *_THIS_MACHINE)]
        else:
            own = [f"{self._in_url}:{port}"]
        return own + [_with_port(origin.lower()) for origin in self.allowed_origins]

    def url(self, port: int) -> str:
        """Of the page served at `port`."""
        return f"http://{gethostname() if self._is_any else self._in_url}:{port}/"

    @property
    def _is_any(self) -> bool:
        return self.host in ("0.0.0.0", "::")  # noqa: S104 - asked for, and with a token

    @property
    def _in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host.lower()


def _check_origin(origin: str) -> None:
    host, _, port = origin.rpartition(":") if not origin.endswith("]") else (origin, "", "")
    name = host or origin
    if not name or set(name) & set("*/@ ") or (host and port and not _is_port(port)):
        raise OptionError(
            f"--allow-origin {origin[:60]}: is not HOST or HOST:PORT, as in a browser's address"
        )


def _with_port(origin: str) -> str:
    has_port = ":" in origin.rpartition("]")[2]
    return origin if has_port else f"{origin}:*"


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) < 1 << 16
