"""Following of links in HDF5 files by our own code, so that targets are checked before opening.

Used by `wnet_edge.io.containers.hdf5.reader`. HDF5 itself blocks on a pipe behind a link, crashes
on a virtual dataset that refers to itself, and returns None or zeros for what it can't open. Files
are searched where HDF5 searches (`H5Pset_elink_prefix`, `H5Pset_virtual_prefix`): in folders of
environment variables, beside the file as named, in the current folder, beside the target of its
symbolic links.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.faults import (
    HDF5_ERRORS,
    MISSING,
    BrokenLinkError,
    Fault,
    FileRefusedError,
    links_fault,
)
from wnet_edge.io.containers.hdf5.opening import (
    MAX_FILES,
    MAX_OBJECTS,
    BoundedAttributes,
    Family,
    open_hdf5,
)
from wnet_edge.io.containers.hdf5.storage import Storage, check_storage

MAX_DEPTH = 64
"""Largest depth of nested groups."""

_MAX_LINKS = 16
"""Largest number of links on the way to one object, as in HDF5."""

_FOLDERS = "HDF5_EXT_PREFIX"
_SHOWN = 120
_MEND = "correct the link"


class OpenFile:
    """One of a family's files, open for reading; closed when no object of it is used any more."""

    def __init__(self, path: Path, family: Family) -> None:
        self.path = path
        self.actual = path.resolve()
        self.family = family
        family.files_left -= 1
        if family.files_left < 0:
            raise ScanError(
                f"{family.path}: leads to more than {MAX_FILES} files; write frames into fewer"
            )
        self.file, self.being_written = open_hdf5(path)
        family.being_written |= self.being_written

    @property
    def root(self) -> "LinkedGroup":
        """Its root group."""
        return LinkedGroup(self.file["/"].id, self)

    @property
    def folder(self) -> Path:
        """Folder of the file as named, without resolving symbolic links."""
        return Path(os.path.abspath(self.path)).parent  # noqa: PTH100

    def where(self, name: str) -> str:
        """Text for an item of this file, for messages."""
        return name if self.path == self.family.path else f"{self.path.name}:{name}"

    def beside(self, name: str, folders: str) -> Path:
        """Path of the file that a link or a virtual dataset of this file refers to.

        Args:
            name: file name as written.
            folders: environment variable with further folders.

        Raises:
            FileRefusedError: if links must not be followed, or there is no such file.
        """
        fault = links_fault()
        if fault is not None:
            raise FileRefusedError(fault)
        wanted = Path(name)
        places = [wanted] if wanted.is_absolute() else []
        wanted = Path(wanted.name) if wanted.is_absolute() else wanted
        prefixes = os.environ.get(folders, "").split(os.pathsep)
        places += [Path(p.replace("${ORIGIN}", str(self.folder))) / wanted for p in prefixes if p]
        places += [self.folder / wanted, wanted, self.actual.parent / wanted]
        place = next((place for place in places if os.path.exists(place)), None)  # noqa: PTH110
        if place is None:
            raise FileRefusedError(Fault(MISSING, "copy that file next to this one"))
        return place

    def linked(self, name: str, folders: str) -> "OpenFile":
        """The opened file that `beside` finds.

        Raises:
            FileRefusedError: as `beside`, or if it can't be opened.
        """
        return OpenFile(self.beside(name, folders), self.family)

    def source(self, name: str) -> "LinkedDataset | None":
        """The source dataset of a virtual dataset, by its path from the root.

        Raises:
            BrokenLinkError: as `follow`.
        """
        found = self.follow(self.file.id, f"/{name}")
        return found if isinstance(found, LinkedDataset) else None

    def follow(
        self,
        start: Any,  # noqa: ANN401 - h5py has no types
        name: str | bytes,
        taken: int = 0,
    ) -> "LinkedGroup | LinkedDataset | None":
        """The item of a name or path in a group, with links followed; None if there is none.

        Args:
            start: group of this file.
            name: name of a child, or a path.
            taken: number of links followed so far.

        Raises:
            BrokenLinkError: if a link is broken or must not be followed, or the data of a dataset
                are missing.
            ScanError: if a limit of objects is exceeded.
        """
        self.family.left -= 1
        if self.family.left < 0:
            raise ScanError(
                f"{self.family.path}: holds more than {MAX_OBJECTS} groups and datasets; "
                "write the scan into a file of its own"
            )
        path = os.fsencode(name)
        external = self._external_on(start, path, taken)
        if external is not None:
            return self._beyond(*external)
        try:
            item = h5py.h5o.open(start, path or b".")
        except HDF5_ERRORS:
            return None
        kind = h5py.h5i.get_type(item)
        if kind == h5py.h5i.GROUP:
            return LinkedGroup(item, self)
        if kind != h5py.h5i.DATASET:
            return None
        dataset = LinkedDataset(item, readonly=True)
        dataset.storage = check_storage(self, dataset)
        return dataset

    def _external_on(
        self,
        start: Any,  # noqa: ANN401 - h5py has no types
        path: bytes,
        taken: int,
    ) -> tuple[Any, bytes, list[bytes], int] | None:
        """The first external link on a path: its group, its path, the rest, number of links so far.

        None if the whole path, as far as it exists, is in this file.

        Raises:
            BrokenLinkError: if a link on the path is broken.
        """
        start = self.file.id if path.startswith(b"/") else start
        steps, hard, link_end = _steps(path), 0, 0
        broken = self._broken(start, path, f"lies deeper than {MAX_DEPTH} groups")
        while hard < len(steps):
            if len(steps) > MAX_DEPTH or taken > _MAX_LINKS:
                raise broken
            at, rest = b"/".join(steps[: hard + 1]), steps[hard + 1 :]
            link = _link(start, at)
            if link is None and hard < link_end:
                raise broken
            if link is None:
                return None
            if link.type == h5py.h5l.TYPE_EXTERNAL:
                return start, at, rest, taken + 1
            if link.type == h5py.h5l.TYPE_HARD:
                hard += 1
                continue
            if link.type != h5py.h5l.TYPE_SOFT:
                raise self._broken(start, at, "is a link of a kind that is not known")
            target = start.links.get_val(at)
            broken = self._broken(start, at, f"links to {_text(target)}, which {MISSING}", _MEND)
            if target.startswith(b"/"):
                start, hard, before = self.file.id, 0, []
            else:
                before = steps[:hard]
            inside = _steps(target)
            steps, link_end, taken = [*before, *inside, *rest], hard + len(inside), taken + 1
        return None

    def _beyond(
        self,
        start: Any,  # noqa: ANN401 - h5py has no types
        at: bytes,
        rest: list[bytes],
        taken: int,
    ) -> "LinkedGroup | LinkedDataset | None":
        """The item at path `rest` behind an external link."""
        name, inner = start.links.get_val(at)
        shown = f"links to {_text(name)}:{_text(inner)}, which"
        if taken > _MAX_LINKS:
            raise self._broken(start, at, f"{shown} leads on and on", _MEND)
        try:
            other = self.linked(os.fsdecode(name), _FOLDERS)
        except FileRefusedError as refused:
            fault = refused.fault
            raise self._broken(start, at, f"{shown} {fault.what}", fault.cure) from refused
        found = other.follow(other.file.id, b"/".join([b"", inner, *rest]), taken)
        if found is None and (not rest or other.follow(other.file.id, b"/" + inner, taken) is None):
            raise self._broken(start, at, f"{shown} is not in that file", _MEND)
        return found

    def _broken(
        self,
        start: Any,  # noqa: ANN401 - h5py has no types
        at: bytes,
        fault: str,
        cure: str = "name another",
    ) -> BrokenLinkError:
        group = _text(h5py.h5i.get_name(start) or b"").rstrip("/")
        name = self.where(f"{group}/{_text(at[:_SHOWN].lstrip(b'/'))}")
        return BrokenLinkError(f"{name} {fault}; {cure}")


class LinkedDataset(h5py.Dataset):  # type: ignore[misc]
    """A dataset whose data have been checked to exist.

    Attributes:
        storage: other files that are read for it.
    """

    storage: Storage

    @property
    def attrs(self) -> BoundedAttributes:
        """Its attributes."""
        return BoundedAttributes(self)


class LinkedGroup(h5py.Group):  # type: ignore[misc]
    """A group whose children are accessed with `OpenFile.follow`."""

    def __init__(self, bind: Any, home: OpenFile) -> None:  # noqa: ANN401 - h5py has no types
        super().__init__(bind)
        self._home = home

    @property
    def attrs(self) -> BoundedAttributes:
        """Its attributes."""
        return BoundedAttributes(self)

    @property
    def being_written(self) -> bool:
        """Whether this file, or one reached from it, is being written to (SWMR)."""
        return self._home.family.being_written

    @property
    def place(self) -> tuple[Path, int]:
        """File and address, which identify the group however it was reached."""
        return self._home.actual, h5py.h5o.get_info(self.id).addr

    def __getitem__(self, name: str | bytes) -> "LinkedGroup | LinkedDataset":
        """The child, or the item at a path.

        Raises:
            KeyError: if there is none; BrokenLinkError for a broken link.
        """
        found = self._home.follow(self.id, name)
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        """Whether there is a group or dataset of that name."""
        return isinstance(name, (str, bytes)) and self.get(name) is not None

    def get(self, name: str | bytes, default: Any = None) -> Any:  # noqa: ANN401 - as a dictionary's
        """The child, or the item at a path; `default` if there is none."""
        try:
            return self[name]
        except KeyError:
            return default

    def datasets(self) -> Iterator[tuple[str, "LinkedDataset"]]:
        """All datasets below by path, without following links, breadth-first.

        Raises:
            ScanError: if a limit of objects is exceeded.
        """
        groups, seen = [("", self)], {self.place}
        while groups:
            path, group = groups.pop(0)
            for name in group:
                link = _link(group.id, os.fsencode(name))
                hard = link is not None and link.type == h5py.h5l.TYPE_HARD
                if hard and path.count("/") < MAX_DEPTH - 1:
                    child = group.get(name)
                    if isinstance(child, LinkedDataset):
                        yield f"{path}/{name}", child
                    elif child is not None and child.place not in seen:
                        seen.add(child.place)
                        groups.append((f"{path}/{name}", child))


def _steps(path: bytes) -> list[bytes]:
    return [step for step in path.split(b"/") if step not in (b"", b".")]


def _link(start: Any, path: bytes) -> Any:  # noqa: ANN401 - h5py has no types
    """Information on the last link of a path whose other links are hard; None if it is missing."""
    try:
        return start.links.get_info(path)
    except HDF5_ERRORS:
        return None


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
