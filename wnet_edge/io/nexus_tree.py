"""Finding one's way in a NeXus file: by classes, defaults and signals, by names only without them.

NeXus manual, "Rules for Storing Data Items" and "Associating plottable data"; www.nexusformat.org.
What is found here is read by `wnet_edge.io.nexus`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py

from wnet_edge.io.found import as_text
from wnet_edge.io.hdf5 import check_link

PTYCHOGRAPHY = ("NXptycho", "NXcxi_ptycho")
"""Application definitions of ptychography, by the names under which files have been written."""

_MAX_DEFAULTS = 8


def child_of(parent: h5py.Group, name: str) -> Any:  # noqa: ANN401 - h5py has no types
    """Dataset or group of that name; None where there is none, or its link leads nowhere."""
    try:
        return parent.get(name)
    except (KeyError, RuntimeError, OSError, ValueError):
        return None


def class_of(group: h5py.Group) -> str:
    """The NeXus class, "" without one."""
    return as_text(group.attrs.get("NX_class", ""))


def definition_of(entry: h5py.Group) -> str:
    """The application definition that an entry claims to keep to, "" without one."""
    dataset = child_of(entry, "definition")
    if not isinstance(dataset, h5py.Dataset) or dataset.size != 1 or dataset.dtype.kind not in "OS":
        return ""
    return as_text(dataset[()])


def groups_of(
    path: Path, parents: Sequence[h5py.Group], nx_class: str, prefix: str
) -> list[h5py.Group]:
    """Groups of a class in `parents`; then those without any class whose names begin so.

    Raises:
        ScanError: if a link of such a name leads nowhere.
    """
    by_class, by_name = [], []
    for parent in parents:
        for name in parent:
            child, named = child_of(parent, name), name.lower().startswith(prefix)
            if child is None and named:
                check_link(parent, path, name)
            if isinstance(child, h5py.Group):
                if class_of(child) == nx_class:
                    by_class.append(child)
                elif named and not class_of(child):
                    by_name.append(child)
    return by_class + by_name


def entry_of(file: h5py.File) -> h5py.Group | None:
    """The entry with the scan: one of ptychography, else the default, else the first."""
    groups = [child for name in file if isinstance(child := child_of(file, name), h5py.Group)]
    for group in groups:
        subentries = [child_of(group, name) for name in group]
        for entry in (group, *(sub for sub in subentries if isinstance(sub, h5py.Group))):
            if definition_of(entry) in PTYCHOGRAPHY:
                return entry
    entries = [group for group in groups if class_of(group) == "NXentry"]
    default = _default_of(file)
    return next((entry for entry in entries if entry == default), next(iter(entries), None))


def data_groups(path: Path, entry: h5py.Group) -> list[h5py.Group]:
    """NXdata of an entry, the one first that the chain of `default` leads to.

    Raises:
        ScanError: if a link to data leads nowhere.
    """
    groups = groups_of(path, [entry], "NXdata", "data")
    default = _default_of(entry)
    for _ in range(_MAX_DEFAULTS):
        if default is None or class_of(default) == "NXdata":
            break
        default = _default_of(default)
    if default is None:
        return groups
    return [default, *(group for group in groups if group != default)]


def _default_of(group: h5py.Group) -> h5py.Group | None:
    name = as_text(group.attrs.get("default", ""))
    child = child_of(group, name) if name else None
    return child if isinstance(child, h5py.Group) else None


def signal_of(data: h5py.Group) -> str:
    """Name of the dataset that a group is about: by its attribute, or as older files say it."""
    name = as_text(data.attrs.get("signal", ""))
    if name:
        return name
    for name in data:
        child = child_of(data, name)
        if isinstance(child, h5py.Dataset) and as_text(child.attrs.get("signal", "")) == "1":
            return str(name)
    return "data"


def axes_of(data: h5py.Group, frame_axes: int) -> list[str]:
    """Names of the axes along which frames were taken, slowest first; none of those in a frame.

    Args:
        data: with `axes` on the group or, in older files, on the signal; further ones by their
            attribute NAME_indices.
        frame_axes: how many axes of the signal number frames: 1, or 2 for a raster.
    """
    signal = child_of(data, signal_of(data))
    written = data.attrs.get("axes")
    if written is None and isinstance(signal, h5py.Dataset):
        written = signal.attrs.get("axes")
    names = _names(written)[:frame_axes]
    for attribute, value in data.attrs.items():
        name = attribute.removesuffix("_indices")
        along = [int(index) for index in _whole_numbers(value)]
        if name != attribute and name not in names and along and max(along) < frame_axes:
            names.append(name)
    return [name for name in names if isinstance(child_of(data, name), h5py.Dataset)]


def _names(written: Any) -> list[str]:  # noqa: ANN401 - an attribute is of any type
    """Names in an attribute: an array of text, or one text such as "y:x" or "[y,x]"."""
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
