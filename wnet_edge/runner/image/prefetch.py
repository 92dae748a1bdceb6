"""Work done ahead by another thread: reading beside the network, the network beside stitching.

One thread a step, in order, never more than a few items ahead, so that memory does not grow with
the scan and results are those of doing one after the other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")

_AHEAD = 2


@contextmanager
def prefetched(
    make: Callable[[Item], Made], items: Iterable[Item], name: str
) -> Iterator[Iterator[tuple[Item, Made]]]:
    """Every item with what `make` makes of it in a thread called `name`, in order.

    Items are taken in the caller's own thread. An error of `make` is raised where its result would
    have come. When the block ends, however it ends, the thread has stopped.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix=name) as maker:
        pending: deque[tuple[Item, Future[Made]]] = deque()

        def made() -> Iterator[tuple[Item, Made]]:
            for item in items:
                pending.append((item, maker.submit(make, item)))
                if len(pending) > _AHEAD:
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
