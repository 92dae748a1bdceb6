"""HDF5 results that are whole or absent, on a full disk too.

HDF5 writes much of a file only as it closes it, and on a disk that is full by then h5py fails in
ways that no caller can catch, up to a crash as the program ends. So a result is built in memory.
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
    """An empty HDF5 file to fill; written to `path` if the block succeeds.

    Raises:
        ResultError: if `path` exists and `force` is not set, or the disk refuses it.
    """
    with replacing(path, ResultError, force=force) as temporary:
        memory = BytesIO()
        with h5py.File(memory, "w") as file:
            yield file
        temporary.write_bytes(memory.getbuffer())
