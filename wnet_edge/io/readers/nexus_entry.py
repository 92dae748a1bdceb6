"""Parts of a NeXus entry that may belong to a scan: stacks, detectors, motors.

Between the tree (`wnet_edge.io.readers.nexus_tree`) and the reader (`wnet_edge.io.readers.nexus`).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import h5py

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.reader import optional_dataset
from wnet_edge.io.found import Wanted
from wnet_edge.io.parts.frame_stacks import Candidate, merged
from wnet_edge.io.readers.nexus_positions import Places, has_positions
from wnet_edge.io.readers.nexus_tree import Tree

DISTANCES = ("distance", "detector_distance")
_OTHER_CLASSES = """
NXdetector NXdetector_module NXdetector_group NXsource NXbeam NXslit NXmirror NXmonochromator
NXaperture NXattenuator NXbeam_stop NXcrystal NXinsertion_device NXmonitor NXsensor
"""
_NO_MOTORS = frozenset(_OTHER_CLASSES.split())
"""Classes whose positions are not those of the sample."""


class NexusEntry:
    """Groups of an entry by their role, searched lazily.

    Args:
        path: path of the file.
        group: NXentry or NXsubentry.
        entries: all entries of the file, since a link may lead to frames of another.
        wanted: the user's choice of entry and frames.
        tree: tree of the file.
    """

    def __init__(
        self, path: Path, group: h5py.Group, entries: list[h5py.Group], wanted: Wanted, tree: Tree
    ) -> None:
        self._path = path
        self.group = group
        self._entries = entries
        self._tree = tree
        self._positioned: dict[tuple[int, ...], bool] = {}
        self._unit = wanted.positions_unit

    @cached_property
    def _below(self) -> tuple[list[h5py.Group], list[h5py.Dataset]]:
        return self._tree.below(self.group)

    @property
    def item_count(self) -> int:
        """Number of groups and datasets in the entry."""
        return sum(map(len, self._below))

    def _of_class(self, known: list[h5py.Group], nx_class: str) -> list[h5py.Group]:
        """The known groups, followed by others of the class anywhere in the entry."""
        others = (group for group in self._below[0] if self._tree.class_of(group) == nx_class)
        return list(dict.fromkeys([*known, *others]))

    @cached_property
    def _instruments(self) -> list[h5py.Group]:
        return [
            self.group,
            *self._tree.groups_of(self._path, [self.group], "NXinstrument", "instrument"),
        ]

    @cached_property
    def detectors(self) -> list[h5py.Group]:
        """NXdetector groups, or groups without class that have a distance and a pixel size."""
        known = self._tree.groups_of(self._path, self._instruments, "NXdetector", "detector")
        known = self._of_class(known, "NXdetector")
        bare = (g for g in self._below[0] if not self._tree.class_of(g) and self._has_geometry(g))
        return [*known, *(group for group in bare if group not in known)]

    @cached_property
    def _samples(self) -> list[h5py.Group]:
        return self._tree.groups_of(self._path, [self.group], "NXsample", "sample")

    @cached_property
    def sources(self) -> list[h5py.Group]:
        """NXsource groups."""
        return self._tree.groups_of(self._path, self._instruments, "NXsource", "source")

    @cached_property
    def beams(self) -> list[h5py.Group]:
        """NXbeam groups, then NXmonochromator groups."""
        beams = self._tree.groups_of(
            self._path, [*self._instruments, *self._samples], "NXbeam", "beam"
        )
        return beams + self._tree.groups_of(
            self._path, self._instruments, "NXmonochromator", "monochromator"
        )

    @cached_property
    def _data(self) -> list[h5py.Group]:
        return self._of_class(self._tree.data_groups(self._path, self.group), "NXdata")

    @cached_property
    def places(self) -> Places:
        """Groups in which positions may be."""
        collections = self._tree.groups_of(self._path, [self.group], "NXcollection", "data")
        collections += self._tree.groups_of(self._path, self._samples, "NXcollection", "geometry")
        moving = self._tree.groups_of(
            self._path, self._samples, "NXtransformations", "transformations"
        )
        groups, datasets = self._below
        taken = tuple(
            f"{group.name}/" for group in groups if self._tree.class_of(group) in _NO_MOTORS
        )
        return Places(
            translations=[*collections, *self._data, *self.detectors],
            data=self._data,
            samples=[*moving, *self._samples],
            elsewhere=[d for d in datasets if not d.name.startswith(taken)],
            tree=self._tree,
            unit=self._unit,
        )

    @cached_property
    def stacks(self) -> list[Candidate]:
        """All stacks of the entry, each once.

        Raises:
            ScanError: if a link to a group is broken.
        """
        named = list(self._named_stacks())
        found = {stack.dataset for stack in named}
        for dataset in self._below[1]:
            if dataset.ndim in (3, 4) and dataset.dtype.kind in "uif" and dataset not in found:
                named.append(self.stack_of(dataset))
        return merged(named)

    def stack_of(self, dataset: h5py.Dataset) -> Candidate:
        """A dataset as a candidate, with its properties in the entry."""
        detector, is_its_own = self._detector_of(dataset)
        counts = tuple(dataset.shape[:-2])
        if not self._has_positions(counts):
            # Frames may be the last axis, (H, H, N), which only the positions show.
            height, width, last = dataset.shape[-3:]
            if dataset.ndim == 3 and height == width != last and self._has_positions((last,)):
                counts = (last,)
        return Candidate(
            where=dataset.name,
            dataset=dataset,
            detector=detector,
            has_geometry=is_its_own and detector is not None and self._has_geometry(detector),
            has_positions=self._has_positions(counts),
            counts=counts,
        )

    def _has_positions(self, counts: tuple[int, ...]) -> bool:
        if counts not in self._positioned:
            self._positioned[counts] = has_positions(self.places, counts)
        return self._positioned[counts]

    @cached_property
    def _stacks_of_detectors(self) -> dict[h5py.Group, list[h5py.Dataset]]:
        return {detector: self._stacks_in(detector) for detector in self.detectors}

    @cached_property
    def _owners(self) -> dict[h5py.Dataset, h5py.Group]:
        stacks = self._stacks_of_detectors.items()
        return {dataset: detector for detector, own in reversed(stacks) for dataset in own}

    def _named_stacks(self) -> Iterator[Candidate]:
        """Signals of NXdata and data of detectors, including broken links."""
        default = self._tree.default_data_of(self.group)
        of_data = [(group, self._tree.signal_of(group), None) for group in self._data]
        of_detectors = [(group, "data", group) for group in self.detectors]
        for group, name, detector in (*of_data, *of_detectors):
            is_signal = detector is None
            is_default = is_signal and default is not None and group == default
            try:
                dataset = optional_dataset(group, self._path, name)
            except ScanError as error:
                yield Candidate(
                    where=f"{group.name}/{name}",
                    dataset=None,
                    detector=detector,
                    has_geometry=detector is not None and self._has_geometry(detector),
                    is_default=is_default,
                    is_signal=is_signal,
                    error=error,
                )
                continue
            if dataset is not None and dataset.ndim in (3, 4):
                stack = self.stack_of(dataset)
                yield replace(stack, is_default=is_default, is_signal=is_signal)

    def _detector_of(self, dataset: h5py.Dataset) -> tuple[h5py.Group | None, bool]:
        """The detector of these frames, and whether the file states it (not only the shape).

        It contains them, or has the name of the data group, or is the only detector without frames
        of another shape.
        """
        if dataset in self._owners:
            return self._owners[dataset], True
        stacks = self._stacks_of_detectors
        free = [
            detector
            for detector, own in stacks.items()
            if all(other.shape[-2:] == dataset.shape[-2:] for other in own)
        ]
        name = dataset.name.rpartition("/")[0].rpartition("/")[2]
        called = [detector for detector in free if detector.name.rpartition("/")[2] == name]
        known = [detector for detector in free if self._has_geometry(detector)]
        linked = [d for d in self._detectors_elsewhere() if dataset in self._stacks_in(d)]
        several = (linked, called, known, free)
        fitting = next((some[0] for some in several if len(some) == 1), None)
        return fitting, fitting is not None and not stacks.get(fitting, True)

    def _detectors_elsewhere(self) -> Iterator[h5py.Group]:
        """Detectors of the file's other entries."""
        for entry in self._entries:
            if entry != self.group:
                for instrument in self._tree.groups_of(
                    self._path, [entry], "NXinstrument", "instrument"
                ):
                    yield from self._tree.groups_of(
                        self._path, [instrument], "NXdetector", "detector"
                    )

    def _stacks_in(self, detector: h5py.Group) -> list[h5py.Dataset]:
        return [
            child
            for child in self._tree.children(detector).values()
            if isinstance(child, h5py.Dataset) and child.shape is not None and child.ndim in (3, 4)
        ]

    def _has_geometry(self, detector: h5py.Group) -> bool:
        """Whether a detector has a distance and a pixel size."""
        names = self._tree.children(detector)
        return "x_pixel_size" in names and any(name in names for name in DISTANCES)
