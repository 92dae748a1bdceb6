"""Atomic writing of HDF5 results, also on a full disk.

HDF5 writes much of a file only on closing it, and on a full disk h5py then fails in ways that can't
be caught, up to a crash at exit. Therefore a result is built in memory.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import h5py

from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import replacing


@contextmanager
def replacing_hdf5(path: Path, *, force: bool) -> Iterator[h5py.File]:
    """Context with an empty HDF5 file in memory, which is written to `path` on success.

    Raises:
        ResultError: if `path` exists and `force` is False, or it can't be written.
    """
    with replacing(path, ResultError, force=force) as temporary:
        memory = BytesIO()
        with h5py.File(memory, "w") as file:
            yield file
        temporary.write_bytes(memory.getbuffer())
