"""A file that stays open between reads, because opening it again would cost too much."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """Whatever can be opened, and has to be closed."""

    def close(self) -> None:
        """Let go of the file."""
        ...


R = TypeVar("R", bound=Closable)


class KeptOpen(Generic[R]):
    """What `opener` gives, opened at first use, for one thread at a time.

    A copy in another process, pickled or forked, opens the file for itself. After an error the
    file is opened anew.
    """

    def __init__(self, opener: Callable[[], R]) -> None:
        self._opener = opener
        self._lock = Lock()
        self._resource: R | None = None
        self._process = 0

    @contextmanager
    def use(self) -> Iterator[R]:
        """The open file, nobody else's until the block ends."""
        with self._lock:
            if self._process != os.getpid():
                self._close()
            if self._resource is None:
                self._resource, self._process = self._opener(), os.getpid()
            try:
                yield self._resource
            except Exception:
                self._close()
                raise

    def _close(self) -> None:
        resource, self._resource = self._resource, None
        if resource is not None:
            resource.close()

    def __del__(self) -> None:
        self._close()

    def __reduce__(self) -> tuple[Any, ...]:
        """The opener travels, the open file does not."""
        return KeptOpen, (self._opener,)
