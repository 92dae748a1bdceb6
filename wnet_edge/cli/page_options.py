"""Options of the live page, which `follow` and `stream` share, and the page that they come to."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wnet_edge.errors import WNetEdgeError, not_installed
from wnet_edge.live.page.page_options import TOKEN_VARIABLE, PageOptions

if TYPE_CHECKING:
    from wnet_edge.live.page.live_page import LivePage

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--serve",
        metavar="HOST:PORT",
        help="Serve a page that shows the image so far, as 127.0.0.1:8765; port 0 takes a free "
        "one. An address that other machines can reach needs --token.",
    ),
    click.option(
        "--token",
        envvar=TOKEN_VARIABLE,
        help="Word that the page of --serve asks its viewers for; better in the environment, as "
        f"{TOKEN_VARIABLE}, where other users of this machine do not see it.",
    ),
    click.option(
        "--allow-origin",
        "allowed_origins",
        metavar="HOST[:PORT]",
        multiple=True,
        help="Other name by which browsers may open the page, of a proxy say. May be repeated.",
    ),
)


def page_options(command: Command) -> Command:
    """--serve, --token and --allow-origin, for `page_options_from`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def page_options_from(values: dict[str, Any]) -> PageOptions | None:
    """The options of `page_options`, as the library takes them; None without --serve.

    Raises:
        OptionError: as `PageOptions`.
    """
    if values["serve"] is not None:
        return PageOptions.parsed(values["serve"], values["token"], values["allowed_origins"])
    if values["allowed_origins"]:
        raise click.UsageError("--allow-origin goes with --serve")
    return None  # a token in the environment may be meant for another run


def live_page(what: str, options: PageOptions, result_of: Callable[[str], Path]) -> "LivePage":
    """The live page, served; `what` needs it, `result_of` names the file of a scan's result.

    Raises:
        WNetEdgeError: if the live extra is missing, or the page can't be served.
    """
    try:
        from wnet_edge.live.page.live_page import LivePage
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed(what, error, "live")) from error
    return LivePage(options, result_of)
