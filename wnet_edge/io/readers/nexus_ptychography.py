"""NeXus files that state an application definition of ptychography: tried before other layouts.

Files may be CXI or Eiger, too; most scans are recognised without loading
`wnet_edge.io.readers.nexus`, which reads these.
"""

from pathlib import Path

import h5py

from wnet_edge.io.containers.hdf5.reader import Hdf5Reader
from wnet_edge.io.found import FoundScan, Wanted
from wnet_edge.io.readers.nexus_tree import PTYCHOGRAPHY, definition_of, entries_of


def recognises(file: h5py.File) -> bool:
    """Whether an entry states an application definition of ptychography."""
    return any(definition_of(entry) in PTYCHOGRAPHY for entry in entries_of(file))


def read(file: h5py.File, path: Path, wanted: Wanted) -> FoundScan:
    """Read the entry with the scan.

    Raises:
        ScanError: in one line that names the file, the dataset and the remedy.
    """
    from wnet_edge.io.readers.nexus import read as read_nexus  # with its positions and motors

    return read_nexus(file, path, wanted)


READER = Hdf5Reader(recognises, read)
