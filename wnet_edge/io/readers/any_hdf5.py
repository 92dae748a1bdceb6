"""HDF5 files of unknown layout: frames from the dataset path given by the user."""

from itertools import islice
from pathlib import Path

from wnet_edge.io.containers.hdf5.links import LinkedGroup
from wnet_edge.io.containers.hdf5.reader import Hdf5Reader
from wnet_edge.io.found import FoundScan, Wanted

_SHOWN = 4
_LOOKED_AT = 1000


def read(file: LinkedGroup, path: Path, _: Wanted) -> FoundScan:
    """A scan without any part, all of which come from flags; only candidates for --frames."""
    return FoundScan(path=path, format="HDF5", candidates=_candidates(file))


READER = Hdf5Reader(lambda _: True, read)


def _candidates(file: LinkedGroup) -> tuple[str, ...]:
    """Paths of datasets with three or four dimensions, largest first."""
    found = [
        (-dataset.size, name)
        for name, dataset in islice(file.datasets(), _LOOKED_AT)
        if dataset.ndim in (3, 4) and dataset.dtype.kind in "uif"
    ]
    return tuple(name for _, name in sorted(found)[:_SHOWN])
