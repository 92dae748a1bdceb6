"""Frames read ahead of the network: while one batch is computed, the next comes from the disk.

One thread reads, in scan order, never more than a few batches ahead, so that memory does not grow
with the scan.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from wnet_edge.scan import Scan

_AHEAD = 2
_BATCH_BYTES = 64 << 20
"""Frames of a large detector come in smaller batches."""


@contextmanager
def batches_ahead(scan: Scan, batch_size: int) -> Iterator[Iterator[NDArray[np.float32]]]:
    """Batches (≤ batch_size, n, n) float32 of all frames, in order, read by another thread.

    An error of the reading thread is raised where its batch would have come. When the block ends,
    however it ends, the thread has stopped.
    """
    size = max(1, min(batch_size, _BATCH_BYTES // (4 * scan.frame_px**2)))
    starts = range(0, scan.frame_count, size)

    def read(start: int) -> NDArray[np.float32]:
        return np.asarray(scan.frames[start : start + size], dtype=np.float32)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as reader:
        pending: list[Future[NDArray[np.float32]]] = []

        def batches() -> Iterator[NDArray[np.float32]]:
            for start in starts:
                pending.append(reader.submit(read, start))
                if len(pending) > _AHEAD:
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()

        try:
            yield batches()
        finally:
            for future in pending:
                future.cancel()
