"""Worker processes that prepare data during training, with results in task order."""

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
    """Results of `make` for every task, in order; computed ahead by workers, or here without them.

    `make`, tasks and results must be picklable; at most workers + 1 results are pending. In
    data-parallel training each process computes every n-th task, with its own workers, and
    broadcasts the result.
    """
    here = processes()
    own = _made(make, tasks[here.rank :: here.count], workers)
    if here.count == 1:
        yield from own
        return
    for index in range(len(tasks)):
        source = index % here.count
        if source == 0:
            mine = next(own, None)  # all ranks compute at once, then broadcast in turn
        yield here.handed_on(mine, source)


def _made(
    make: Callable[[Task], Result], tasks: Sequence[Task], workers: int
) -> Generator[Result, None, None]:
    if workers < 1 or len(tasks) < 2:  # a single task gains nothing from a worker
        yield from map(make, tasks)
        return
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(workers, context, torch.set_num_threads, (1,)) as pool:
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                with _deaf_to_interrupts():  # the first task starts the workers
                    waiting.append(pool.submit(make, task))
                if len(waiting) > workers + 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BaseException:  # interrupted or abandoned: pending results are not needed
            for worker in multiprocessing.active_children():
                if worker not in others:
                    worker.kill()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Context in which new processes ignore signals that are sent to the whole process group.

    Ctrl-C in a terminal and signals of a batch system are handled by the training process.
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
