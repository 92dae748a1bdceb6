"""Where the command line meets its streams: every line that it prints, and what they can't take.

Nothing else prints, so that each message is one line that no terminal obeys, whatever names are in
it, and so that a full disk, a closed pipe or an encoding without `×` is met in one place.
"""

import codecs
import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from typing import Any, TextIO, cast

import click

from wnet_edge.errors import WNetEdgeError
from wnet_edge.one_line import one_line

_PLAIN = {"…": "...", "×": "x", "–": "-", "·": "-", "→": "->", "≥": ">=", "≤": "<=", "²": "2"}
_REPLACED = "wnet-edge"
"""Name of the way in which what an encoding lacks is written."""


class StdoutError(WNetEdgeError):
    """Standard output can't be written to, on a full disk say."""


class ClosedPipeError(StdoutError):
    """Whoever read standard output has had enough, as `head` has; nothing has to be said."""


def print_line(text: str) -> None:
    """One line of a report, on stdout."""
    click.echo(one_line(text))  # noqa: TID251


def print_note(text: str) -> None:
    """One line to whoever watches, on stderr; where nobody can, the work goes on."""
    with contextlib.suppress(OSError):
        click.echo(one_line(text), err=True)  # noqa: TID251


@contextlib.contextmanager
def prepared_streams() -> Iterator[None]:
    """In the block both streams take every text, and what stdout can't take is an error of ours."""
    codecs.register_error(_REPLACED, _replaced)
    before = sys.stdout, sys.stderr
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _closed(number))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_REPLACED)
    ours = _Stdout(sys.stdout)
    sys.stdout = cast("TextIO", ours)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        ours.throw_away_what_waits()


class _Stdout:
    """Standard output, whose errors are `StdoutError`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._failed = False

    def write(self, text: str) -> int:
        with self._told():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._told():
            self._stream.flush()

    def throw_away_what_waits(self) -> None:
        """After a failure, or it would fail again as the interpreter ends."""
        if self._failed:
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self._stream.fileno())
                os.close(nowhere)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        return getattr(self._stream, name)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._failed = True
            if error.errno == errno.EPIPE:
                raise ClosedPipeError("standard output: closed by its reader") from error
            reason = (error.strerror or str(error)).lower()
            raise StdoutError(
                f"standard output: can't be written ({reason}); free disk space, or send it "
                "elsewhere"
            ) from error


def _closed(number: int) -> TextIO:
    """A stream that refuses what is written, as a closed one would."""
    reading = os.open(os.devnull, os.O_RDONLY)
    if reading != number:
        os.dup2(reading, number)
        os.close(reading)
    return os.fdopen(number, "w", closefd=False, errors=_REPLACED)


def _replaced(error: UnicodeError) -> tuple[str | bytes, int]:
    """Signs of print in plain letters, others by number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    written = (_PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(written), error.end
