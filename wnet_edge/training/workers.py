"""Work done by other processes while this one trains, handed over in the order it was asked for."""

import multiprocessing
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

from wnet_edge.host.interrupts import SIGNALS
from wnet_edge.training.distributed import processes

Task = TypeVar("Task")
Result = TypeVar("Result")


def in_order(
    make: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Generator[Result, None, None]:
    """What `make` gives of every task, task after task; made here with no workers, else ahead.

    `make`, the tasks and the results travel between processes; one more result waits than there
    are workers. Where several processes train together each makes every n-th task, with workers of
    its own, and hands the result to the others.
    """
    here = processes()
    own = _made(make, tasks[here.rank :: here.count], workers)
    if here.count == 1:
        yield from own
        return
    for index in range(len(tasks)):
        source = index % here.count
        if source == 0:
            mine = next(own, None)  # all make theirs at once, then hand them on in turn
        yield here.handed_on(mine, source)


def _made(
    make: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Generator[Result, None, None]:
    if workers < 1 or len(tasks) < 2:  # one alone would only be waited for
        yield from map(make, tasks)
        return
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                with _deaf_to_interrupts():  # the first one starts the workers
                    waiting.append(pool.submit(make, task))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:  # nobody wants what they are at: interrupted, or given up
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Processes that start in the block hear no signal of those that a whole group is sent.

    Ctrl-C in a terminal, and what a batch system sends, are for the one that trains.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
