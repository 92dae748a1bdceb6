"""Where in a NeXus file positions may be: translations, axes of NXdata, motors of the sample.

A part of `wnet_edge.io.nexus`; which of the motors there are meant, `wnet_edge.io.position_axes`
says. The sign is CXI's: a position is +(y, x) as written, whether it is called a translation of the
probe or of the sample; files that mean the opposite need the flags for orientation.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from wnet_edge.io.found import Found, Positions
from wnet_edge.io.hdf5 import optional_dataset
from wnet_edge.io.nexus_tree import axes_of, child_of, class_of, signal_of
from wnet_edge.io.position_axes import Offer, Tier, may_have_positions, positions_from, tier_of
from wnet_edge.io.translations import translation_of

_MAX_CHILDREN = 512


@dataclass(frozen=True)
class Places:
    """Groups in which positions may be, each kind in the order in which they are tried.

    Attributes:
        translations: with a dataset `translation` (N, 3) x, y, z.
        data: NXdata whose axes are positions.
        samples: NXsample, NXtransformations and NXpositioner with motors of the sample.
        elsewhere: every other dataset of the entry.
        unit: of the positions, as the user says, in place of their own.
    """

    translations: list[h5py.Group]
    data: list[h5py.Group]
    samples: list[h5py.Group]
    elsewhere: list[h5py.Dataset]
    unit: str | None = None


def positions_of(
    path: Path, places: Places, counts: tuple[int, ...], frames: h5py.Dataset | None
) -> Found[Positions] | None:
    """Positions of the frames, None where no place has them.

    Args:
        path: of the file.
        places: where to look.
        counts: (N,) frames, or (rows, columns) of a raster; () without frames.
        frames: axes of the NXdata that is about them go before all others.

    Raises:
        ScanError: if what is there has an unknown unit, is no list of numbers, or is ambiguous.
    """
    for group in places.translations:
        dataset = optional_dataset(group, path, "translation")
        if dataset is not None:
            return translation_of(path, dataset, places.unit)
    return positions_from(path, _tiers(places, counts, frames), counts, places.unit)


def has_positions(places: Places, counts: tuple[int, ...], frames: h5py.Dataset) -> bool:
    """Whether these frames seem to have positions, by names and lengths alone."""
    for group in places.translations:
        dataset = child_of(group, "translation")
        if isinstance(dataset, h5py.Dataset) and dataset.shape is not None:
            return dataset.shape[:-1] in (counts, (math.prod(counts),))
    return may_have_positions(_tiers(places, counts, frames))


def _tiers(places: Places, counts: tuple[int, ...], frames: h5py.Dataset | None) -> list[Tier]:
    """What may be positions, the likeliest tier first."""
    own = [g for g in places.data if frames is not None and child_of(g, signal_of(g)) == frames]
    others = [group for group in places.data if group not in own]
    offers: list[list[Offer]] = [
        [offer for group in own for offer in _declared(group, len(counts))],
        [offer for group in own for offer in _undeclared(group)],
        [offer for group in others for offer in _declared(group, len(counts))],
        [offer for group in places.samples for offer in _motors(group)],
        [Offer(dataset) for dataset in places.elsewhere],
    ]
    spoken_for = {o.dataset for tier in offers[:3] for o in tier} | _detector_axes(own, counts)
    offers[-1] = [offer for offer in offers[-1] if offer.dataset not in spoken_for]
    return [tier_of(tier, counts, places.unit) for tier in offers]


def _declared(group: h5py.Group, frame_axis_count: int) -> Iterator[Offer]:
    """Axes of an NXdata that its attributes place along those that number frames."""
    for name, along in axes_of(group).items():
        dataset = child_of(group, name)
        if _is_numbers(dataset) and (not frame_axis_count or max(along) < frame_axis_count):
            yield Offer(dataset, along)


def _undeclared(group: h5py.Group) -> Iterator[Offer]:
    """Fields of an NXdata of which its attributes say nothing."""
    axes = axes_of(group)
    for name, dataset in _datasets(group):
        if name not in axes and dataset.size != 1:
            yield Offer(dataset)


def _detector_axes(groups: Iterable[h5py.Group], counts: tuple[int, ...]) -> set[h5py.Dataset]:
    """Axes that run along a frame's rows or columns, whatever their names and lengths."""
    return {
        child_of(group, name)
        for group in groups
        for name, along in axes_of(group).items()
        if max(along) >= len(counts)
    }


def _motors(group: h5py.Group) -> Iterator[Offer]:
    """Datasets of a group, and of the NXpositioner in it."""
    for _, dataset in _datasets(group):
        yield Offer(dataset)
    for name in list(group)[:_MAX_CHILDREN]:
        child = child_of(group, name)
        if isinstance(child, h5py.Group) and class_of(child) in ("NXpositioner", "NXlog"):
            for _, dataset in _datasets(child):
                yield Offer(dataset)


def _datasets(group: h5py.Group) -> Iterator[tuple[str, h5py.Dataset]]:
    for name in list(group)[:_MAX_CHILDREN]:
        child = child_of(group, name)
        if _is_numbers(child):
            yield name, child


def _is_numbers(item: object) -> bool:
    return isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype.kind in "uif"
