"""Locations of positions in a NeXus file: translations, axes of NXdata, motors of the sample.

Used by `wnet_edge.io.readers.nexus`; `wnet_edge.io.parts.position_axes` chooses among the motors.
The sign is CXI's: a position is +(y, x) as written, whether called a translation of the probe or of
the sample; files that mean the opposite need the orientation flags.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.reader import optional_dataset
from wnet_edge.io.found import Found, Positions
from wnet_edge.io.parts.motors import Offer, Tier, tier_of
from wnet_edge.io.parts.position_axes import may_have_positions, positions_from
from wnet_edge.io.parts.translations import COLUMNS, NAME, translation_of
from wnet_edge.io.readers.nexus_tree import Tree


@dataclass(frozen=True)
class Places:
    """Groups in which positions may be, of each kind in the order in which they are tried.

    Attributes:
        translations: groups with a dataset `translation` (N, 3) x, y, z.
        data: NXdata groups whose axes may be positions.
        samples: NXsample, NXtransformations and NXpositioner groups with motors of the sample.
        elsewhere: all other datasets of the entry.
        tree: tree of the file.
        unit: unit of the positions given by the user, overrides their own.
    """

    translations: list[h5py.Group]
    data: list[h5py.Group]
    samples: list[h5py.Group]
    elsewhere: list[h5py.Dataset]
    tree: Tree
    unit: str | None = None


def positions_of(
    path: Path, places: Places, counts: tuple[int, ...], frames: h5py.Dataset | None
) -> Found[Positions] | None:
    """Positions of the frames, None if there are none.

    Args:
        path: path of the file.
        places: groups to search.
        counts: (N,) frames, or (rows, columns) of a raster; () without frames.
        frames: dataset of the frames; axes of its NXdata take precedence.

    Raises:
        ScanError: if positions have an unknown unit, are not numeric, or are ambiguous.
    """
    holding = [group for group in places.translations if NAME in places.tree.children(group)]
    translations = [optional_dataset(group, path, NAME) for group in holding]
    found = [dataset for dataset in translations if dataset is not None]
    fitting = [dataset for dataset in found if not counts or _fits(dataset, counts)]
    if not fitting:
        positions = positions_from(path, _tiers(places, counts, frames), counts, places.unit)
        if positions is not None:
            return positions
    for dataset in (*fitting, *found):
        return translation_of(path, dataset, places.unit, math.prod(counts) if counts else None)
    _name_tables(path, places.elsewhere, counts)
    return None


def _fits(dataset: h5py.Dataset, counts: tuple[int, ...]) -> bool:
    """Whether a dataset has one row per frame."""
    return bool(dataset.ndim > 1 and math.prod(dataset.shape[:-1]) == math.prod(counts))


def _name_tables(path: Path, datasets: list[h5py.Dataset], counts: tuple[int, ...]) -> None:
    """Refuse a file whose only possible positions are tables with unknown columns."""
    tables = [
        d.name for d in datasets if d.ndim == 2 and d.shape[1] in COLUMNS and _fits(d, counts)
    ]
    if tables:
        raise ScanError(
            f"{path}: has no motors of the sample, but {tables[0]} may be positions; give "
            f"--positions {tables[0]} if its columns are row, column or x, y, z"
        )


def has_positions(places: Places, counts: tuple[int, ...]) -> bool:
    """Whether there seem to be positions for these frames, by names and lengths only."""
    translations = [places.tree.child(group, NAME) for group in places.translations]
    found = [d for d in translations if isinstance(d, h5py.Dataset) and d.shape is not None]
    return any(_fits(dataset, counts) for dataset in found) or may_have_positions(
        _tiers(places, counts, None)
    )


def _tiers(places: Places, counts: tuple[int, ...], frames: h5py.Dataset | None) -> list[Tier]:
    """Tiers of possible position axes, the likeliest first."""
    tree = places.tree
    own = []
    if frames is not None:
        own = [g for g in places.data if frames in tree.children(g).values()]
    others = [group for group in places.data if group not in own]
    offers: list[list[Offer]] = [
        [offer for group in own for offer in _declared(tree, group, len(counts))],
        [offer for group in own for offer in _fields(tree, group, len(counts))],
        [offer for group in others for offer in _fields(tree, group, len(counts))],
        [offer for group in places.samples for offer in _motors(tree, group)],
        [Offer(dataset) for dataset in places.elsewhere],
    ]
    along_a_frame = {
        tree.child(group, name)
        for group in places.data
        for name, along in tree.axes_of(group).items()
        if max(along) >= len(counts)
    }
    offers[-1] = [offer for offer in offers[-1] if offer.dataset not in along_a_frame]
    return [tier_of(tier, counts, places.unit) for tier in offers]


def _declared(tree: Tree, group: h5py.Group, frame_axis_count: int) -> Iterator[Offer]:
    """Axes of an NXdata that run along frame axes according to its attributes."""
    for name, along in tree.axes_of(group).items():
        dataset = tree.child(group, name)
        if _is_numbers(dataset) and (not frame_axis_count or max(along) < frame_axis_count):
            yield Offer(dataset, along)


def _fields(tree: Tree, group: h5py.Group, frame_axis_count: int) -> Iterator[Offer]:
    """Axes of an NXdata, and fields that its attributes do not mention."""
    yield from _declared(tree, group, frame_axis_count)
    axes = tree.axes_of(group)
    for name, dataset in tree.children(group).items():
        if _is_numbers(dataset) and name not in axes and dataset.size != 1:
            yield Offer(dataset)


def _motors(tree: Tree, group: h5py.Group) -> Iterator[Offer]:
    """Datasets of a group and of its NXpositioner groups."""
    for child in tree.children(group).values():
        if _is_numbers(child):
            yield Offer(child)
        elif isinstance(child, h5py.Group) and tree.class_of(child) in ("NXpositioner", "NXlog"):
            yield from (Offer(d) for d in tree.children(child).values() if _is_numbers(d))


def _is_numbers(item: object) -> bool:
    return isinstance(item, h5py.Dataset) and item.shape is not None and item.dtype.kind in "uif"
