"""Files that an HDF5 file links to, whose overwriting would destroy the scan's data.

External links, sources of virtual datasets and external storage (HDF5 User Guide, "Datasets" and
"Groups"), followed recursively. Only regular files are opened.
"""

import os
import re
from collections import deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

MAX_OBJECTS = 50_000
"""Largest number of links, datasets and sources that are followed: about a second."""

_PREFIXES = ("HDF5_EXT_PREFIX", "HDF5_VDS_PREFIX", "HDF5_EXTFILE_PREFIX")
"""Environment variables with further folders in which HDF5 looks for files."""

_NUMBER = re.compile(r"%\d*b")
"""Placeholder for the block number in the name of a virtual dataset's sources."""


class TooManyObjectsError(Exception):
    """An HDF5 file holds more objects than are followed."""


def linked_files(path: Path) -> tuple[Path, ...]:
    """Existing files that the HDF5 file `path` links to, directly or through other files.

    Empty for what is no HDF5 file or can't be read; its reader reports that.

    Raises:
        TooManyObjectsError: if there are more than `MAX_OBJECTS` links, datasets and sources.
    """
    found: dict[str, None] = {}
    waiting, looked_at = deque([path]), count(1)
    while waiting:
        file = waiting.popleft()
        for name in _names(file, looked_at):
            for place in {os.path.realpath(place) for place in _places(name, file)} - found.keys():
                if os.path.isfile(place):  # noqa: PTH113 - Path.is_file raises on a long name
                    found[place] = None
                    waiting.append(Path(place))
    return tuple(map(Path, found))


def _names(path: Path, looked_at: Iterator[int]) -> Iterator[str]:
    """File names of the links in the file, as stored."""
    file = _opened(path)
    if file is None:
        return
    with file:
        try:
            yield from _names_in(file.id, looked_at)
        except (OSError, RuntimeError, KeyError, ValueError):  # damaged: its reader reports it
            return


def _opened(path: Path) -> Any:  # noqa: ANN401 - h5py has no types
    """The open file; None if it can't be opened."""
    import h5py

    for being_written in (False, True):
        try:
            return h5py.File(path, "r", locking=False, swmr=being_written)
        except (OSError, RuntimeError, ValueError):
            continue
    return None


def _names_in(file: Any, looked_at: Iterator[int]) -> Iterator[str]:  # noqa: ANN401
    """File names of the links of all objects; each object once, however many hard links it has."""
    from h5py import h5d, h5g, h5l, h5o

    seen = set()
    waiting = [h5g.open(file, b"/")]
    while waiting:
        group = waiting.pop()
        for name in group:
            if next(looked_at) > MAX_OBJECTS:
                raise TooManyObjectsError
            kind = group.links.get_info(name).type
            if kind == h5l.TYPE_EXTERNAL:
                yield os.fsdecode(group.links.get_val(name)[0])
            if kind != h5l.TYPE_HARD:
                continue
            address = h5o.get_info(group, name).addr
            if address in seen:
                continue
            seen.add(address)
            target = h5o.open(group, name)
            if isinstance(target, h5g.GroupID):
                waiting.append(target)
            elif isinstance(target, h5d.DatasetID):
                yield from _sources(target.get_create_plist(), looked_at)


def _sources(creation: Any, looked_at: Iterator[int]) -> Iterator[str]:  # noqa: ANN401
    """File names of a dataset's virtual sources or external storage."""
    from h5py import h5d

    if creation.get_layout() == h5d.VIRTUAL:
        for index in range(creation.get_virtual_count()):
            if next(looked_at) > MAX_OBJECTS:
                raise TooManyObjectsError
            yield creation.get_virtual_filename(index)
    else:
        for index in range(creation.get_external_count()):
            yield os.fsdecode(creation.get_external(index)[0])


def _places(name: str, file: Path) -> Iterator[Path]:
    """All paths at which HDF5 may look for a file of that name."""
    beside = {file.parent, Path(os.path.realpath(file)).parent}
    set_by_user = [
        Path(folder.replace("${ORIGIN}", str(origin)))
        for folder in (os.environ.get(variable) for variable in _PREFIXES)
        if folder
        for origin in beside
    ]
    for folder in (*beside, *set_by_user, Path()):
        for place in (folder / name, folder / Path(name).name):
            if _NUMBER.search(place.name):
                pattern = "([0-9]+)".join(map(re.escape, _NUMBER.split(place.name)))
                yield from (one for one in _listed(place.parent) if re.fullmatch(pattern, one.name))
            yield place


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (OSError, ValueError):
        return []
