"""A file that stays open between reads, for files that are expensive to reopen."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """An opened resource that must be closed."""

    def close(self) -> None:
        """Close the file."""
        ...


R = TypeVar("R", bound=Closable)


class KeptOpen(Generic[R]):
    """Resource from `opener`, opened on first use, for one thread at a time.

    A copy in another process, pickled or forked, opens the file again. After an error the file is
    reopened.
    """

    def __init__(self, opener: Callable[[], R]) -> None:
        self._opener = opener
        self._lock = Lock()
        self._resource: R | None = None
        self._process = 0

    @contextmanager
    def use(self) -> Iterator[R]:
        """Context with the open file, exclusively."""
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
        """Pickle the opener, not the open file."""
        return KeptOpen, (self._opener,)
