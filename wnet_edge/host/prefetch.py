"""Prefetching in a background thread: reading overlaps with inference, simulation with training.

One thread per step, or a few, in order and at most some items ahead, so that memory does not grow
with the scan and results are the same as without threads.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

_AHEAD = 2
"""Items for each thread that are made before they are asked for."""


@contextmanager
def prefetched(
    make: Callable[[Item], Made], items: Iterable[Item], name: str, threads: int = 1
) -> Iterator[Iterator[tuple[Item, Made]]]:
    """Context with an iterator of (item, make(item)) in order, computed ahead in threads `name`.

    Items are drawn in the caller's thread. An exception of `make` is raised in place of its result.
    The threads have stopped when the context ends, also after an error.
    """
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix=name) as maker:
        pending: deque[tuple[Item, Future[Made]]] = deque()

        def made() -> Iterator[tuple[Item, Made]]:
            for item in items:
                pending.append((item, maker.submit(make, item)))
                if len(pending) > _AHEAD * threads:
                    yield first_made()
            while pending:
                yield first_made()

        def first_made() -> tuple[Item, Made]:
            item, future = pending.popleft()
            return item, future.result()

        try:
            yield made()
        finally:
            for _, future in pending:
                future.cancel()
