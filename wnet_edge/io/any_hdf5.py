"""HDF5 files of no known layout: frames by the path that the user names."""

from pathlib import Path

import h5py

from wnet_edge.io.found import FoundScan, Hdf5Reader, Wanted

_SHOWN = 4


def read(file: h5py.File, path: Path, _: Wanted) -> FoundScan:
    """No part of a scan, they all come by flag; only what --frames may mean."""
    return FoundScan(path=path, format="HDF5", candidates=_candidates(file))


READER = Hdf5Reader(lambda _: True, read)


def _candidates(file: h5py.File) -> tuple[str, ...]:
    """Datasets of three or four dimensions, the largest first."""
    found: list[tuple[int, str]] = []

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim in (3, 4) and item.dtype.kind in "uif":
            found.append((-item.size, f"/{name}"))

    file.visititems(visit)
    return tuple(name for _, name in sorted(found)[:_SHOWN])
