"""Navigation in a NeXus file by classes, defaults and signals; by names only without these.

NeXus manual, "Rules for Storing Data Items" and "Associating plottable data"; www.nexusformat.org.
Used by `wnet_edge.io.readers.nexus`.
"""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from wnet_edge.io.containers.hdf5.reader import as_text, check_link

PTYCHOGRAPHY = ("NXptycho", "NXcxi_ptycho")
"""Names of application definitions of ptychography that occur in files."""

_MAX_DEFAULTS = 8
_MAX_DEPTH = 6
_MAX_CHILDREN = 1000
_MAX_ITEMS = 3000
_ENTRY_NAME = re.compile(r"(entry|scan)\w*|\d+\.\d+")
_ENTRY_GROUPS = ("instrument", "measurement", "data")
_OTHER_ENTRIES = ("NXentry", "NXsubentry")


def child_of(parent: h5py.Group, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    """Dataset or group of that name; None if it does not exist or its link is broken."""
    try:
        return parent.get(name)
    except (KeyError, RuntimeError, OSError, ValueError):
        return None


def class_of(group: h5py.Group) -> str:
    """NeXus class of a group, "" without one."""
    return as_text(group.attrs.get("NX_class", ""))


def definition_of(entry: h5py.Group) -> str:
    """Application definition stated by an entry, "" without one."""
    dataset = child_of(entry, "definition")
    if not isinstance(dataset, h5py.Dataset) or dataset.size != 1 or dataset.dtype.kind not in "OS":
        return ""
    return as_text(dataset[()])


def entries_of(file: h5py.File) -> list[h5py.Group]:
    """Entries (NXentry), and subentries with an application definition of ptychography.

    Those of ptychography come first, then the default, then the others, 2.1 before 10.1.
    """
    children = (child_of(file, name) for name in islice(file, _MAX_CHILDREN))
    groups = [child for child in children if isinstance(child, h5py.Group)]
    default = _default_of(file)
    entries, of_ptychography = [], []
    for group in sorted(groups, key=lambda group: (group != default, _natural(group.name))):
        subentries = [child_of(group, name) for name in islice(group, _MAX_CHILDREN)]
        for entry in (group, *(sub for sub in subentries if isinstance(sub, h5py.Group))):
            if definition_of(entry) in PTYCHOGRAPHY:
                of_ptychography.append(entry)
            elif entry == group and _is_entry(group):
                entries.append(entry)
    return of_ptychography + entries


def _is_entry(group: h5py.Group) -> bool:
    """Whether a group is an entry, by its class, or without a class by its name and content."""
    if class_of(group):
        return class_of(group) == "NXentry"
    named = _ENTRY_NAME.fullmatch(group.name.strip("/")) is not None
    return named and any(isinstance(child_of(group, name), h5py.Group) for name in _ENTRY_GROUPS)


def is_default(file: h5py.File, entry: h5py.Group) -> bool:
    """Whether the file's `default` leads to this entry, or to the one that contains it."""
    default = _default_of(file)
    return default is not None and default in (entry, entry.parent)


def _natural(name: str) -> list[tuple[int, str]]:
    """Natural sort key: digits in names are compared as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


class Tree:
    """A file's groups, with cached listings."""

    def __init__(self) -> None:
        self._children: dict[h5py.Group, dict[str, Any]] = {}
        self._classes: dict[h5py.Group, str] = {}
        self._axes: dict[h5py.Group, dict[str, tuple[int, ...]]] = {}

    def children(self, group: h5py.Group) -> dict[str, Any]:
        """Groups and datasets by name, up to a limit; None for broken links."""
        if group not in self._children:
            names = islice(group, _MAX_CHILDREN)
            self._children[group] = {name: child_of(group, name) for name in names}
        return self._children[group]

    def child(self, group: h5py.Group, name: str) -> Any:  # noqa: ANN401 - h5py has no types
        """As `child_of`, cached."""
        children = self.children(group)
        return children[name] if name in children else child_of(group, name)

    def class_of(self, group: h5py.Group) -> str:
        """NeXus class of a group, cached; "" without one."""
        if group not in self._classes:
            self._classes[group] = class_of(group)
        return self._classes[group]

    def groups_of(
        self, path: Path, parents: Sequence[h5py.Group], nx_class: str, prefix: str
    ) -> list[h5py.Group]:
        """Groups of a class in `parents`, then those without class whose names begin with `prefix`.

        Raises:
            ScanError: if a link of such a name is broken.
        """
        by_class, by_name = [], []
        for parent in parents:
            for name, child in self.children(parent).items():
                named = name.lower().startswith(prefix)
                if child is None and named:
                    check_link(parent, path, name)
                if isinstance(child, h5py.Group):
                    if self.class_of(child) == nx_class:
                        by_class.append(child)
                    elif named and not self.class_of(child):
                        by_name.append(child)
        return by_class + by_name

    def below(self, entry: h5py.Group) -> tuple[list[h5py.Group], list[h5py.Dataset]]:
        """Groups and datasets in an entry, top-level ones first, each once.

        Without subentries, items that are nested too deep, or more than `_MAX_ITEMS`.
        """
        groups: list[h5py.Group] = []
        datasets: list[h5py.Dataset] = []
        level, seen = [entry], {entry}
        for _ in range(_MAX_DEPTH):
            inside: list[h5py.Group] = []
            for group in level:
                for child in self.children(group).values():
                    if child in seen or len(seen) > _MAX_ITEMS:
                        continue
                    if isinstance(child, h5py.Dataset) and child.shape is not None:
                        seen.add(child)
                        datasets.append(child)
                    elif (
                        isinstance(child, h5py.Group) and self.class_of(child) not in _OTHER_ENTRIES
                    ):
                        seen.add(child)
                        inside.append(child)
            groups += inside
            level = inside
        return groups, datasets

    def data_groups(self, path: Path, entry: h5py.Group) -> list[h5py.Group]:
        """NXdata groups of an entry, that of the `default` chain first.

        Raises:
            ScanError: if a link to data is broken.
        """
        groups = self.groups_of(path, [entry], "NXdata", "data")
        default = self.default_data_of(entry)
        if default is None:
            return groups
        return [default, *(group for group in groups if group != default)]

    def default_data_of(self, entry: h5py.Group) -> h5py.Group | None:
        """Group to which the chain of `default` attributes leads from an entry, None without."""
        default = _default_of(entry)
        for _ in range(_MAX_DEFAULTS):
            if default is None or self.class_of(default) == "NXdata":
                break
            default = _default_of(default)
        return default

    def signal_of(self, data: h5py.Group) -> str:
        """Name of a data group's signal, by its attribute or by the older convention."""
        name = as_text(data.attrs.get("signal", ""))
        if name:
            return name
        for name, child in self.children(data).items():
            if isinstance(child, h5py.Dataset) and as_text(child.attrs.get("signal", "")) == "1":
                return str(name)
        return "data"

    def axes_of(self, data: h5py.Group) -> dict[str, tuple[int, ...]]:
        """Names of the axes of an NXdata, each with the signal's dimensions along which it runs.

        From `axes` on the group or, in older files, on the signal, or from `axis` on the axis
        itself; `NAME_indices` takes precedence over the place in `axes`.
        """
        if data in self._axes:
            return self._axes[data]
        signal = self.child(data, self.signal_of(data))
        written = data.attrs.get("axes")
        if written is None and isinstance(signal, h5py.Dataset):
            written = signal.attrs.get("axes")
        along: dict[str, tuple[int, ...]] = {
            name: (at,) for at, name in enumerate(_names(written)) if name != "."
        }
        if written is None:
            for name, child in self.children(data).items():
                number = child.attrs.get("axis") if isinstance(child, h5py.Dataset) else None
                if isinstance(number, np.integer) and number > 0:
                    along[name] = (int(number) - 1,)
        for attribute, value in data.attrs.items():
            name = attribute.removesuffix("_indices")
            indices = tuple(int(index) for index in _whole_numbers(value))
            if name != attribute and indices:
                along[name] = indices
        self._axes[data] = {
            name: indices
            for name, indices in along.items()
            if isinstance(self.child(data, name), h5py.Dataset)
        }
        return self._axes[data]


def _default_of(group: h5py.Group) -> h5py.Group | None:
    name = as_text(group.attrs.get("default", ""))
    child = child_of(group, name) if name else None
    return child if isinstance(child, h5py.Group) else None


def _names(written: Any) -> list[str]:  # noqa: ANN401 - an attribute is of any type
    """Names in an attribute: an array of strings, or one string such as "y:x" or "[y,x]"."""
    if written is None:
        return []
    if getattr(written, "ndim", 0) == 1 and len(written) > 1:
        return [as_text(name) for name in written]
    text = as_text(written).strip("[]")
    return text.replace(":", " ").replace(",", " ").split()


def _whole_numbers(value: Any) -> list[Any]:  # noqa: ANN401 - an attribute is of any type
    if getattr(value, "dtype", None) is None or value.dtype.kind not in "ui":
        return []
    return list(value.reshape(-1))
