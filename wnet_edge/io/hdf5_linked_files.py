"""Every file that an HDF5 file leads to: none of them may be what a command that reads it writes.

By external links, virtual datasets and numbers that lie in files of their own; through all of them,
as far as `wnet_edge.io.hdf5_links` goes.
"""

from contextlib import suppress
from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.io.hdf5_faults import BrokenLinkError, FileRefusedError
from wnet_edge.io.hdf5_links import Family, LinkedGroup, OpenFile


def linked_files(path: Path) -> frozenset[Path]:
    """Files beside `path` that are there and would be read for it, whether they can be or not.

    Nothing is raised: of a file that can't be read, or that holds more than any scan, those that
    were met.
    """
    family = Family(path)
    with suppress(FileRefusedError, ScanError):
        _walk(OpenFile(path, family).root)
    return frozenset(family.files)


def _walk(root: LinkedGroup) -> None:
    groups, seen = [root], {root.place}
    while groups:
        group = groups.pop()
        for name in group:
            try:
                child = group[name]
            except (BrokenLinkError, KeyError):
                continue
            if isinstance(child, LinkedGroup) and child.place not in seen:
                seen.add(child.place)
                groups.append(child)
