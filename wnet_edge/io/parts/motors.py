"""Detection of motors among datasets: one number per frame, a unit of length, a motor's name.

Between a file's tree (`wnet_edge.io.readers.nexus_positions`) and the choice of two motors as
positions (`wnet_edge.io.parts.position_axes`). Names give directions
(`wnet_edge.io.parts.axis_names`), units distinguish lengths from the rest; values are not used.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import h5py
import numpy as np

from wnet_edge.io.containers.hdf5.quantities import unit_of
from wnet_edge.io.containers.hdf5.reader import as_text
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.io.found import PositionUnit
from wnet_edge.io.parts.axis_names import (
    Direction,
    Reading,
    Role,
    is_position_name,
    names_only_a_role,
    readings_of,
    role_of,
)

_SHOWN = 4
_MAX_MOTORS = 300
"""Largest number of motors per tier; no beamline records more of them per frame."""


@dataclass(frozen=True)
class Offer:
    """A dataset that may be an axis of the positions.

    Attributes:
        dataset: numeric dataset.
        frame_axes: frame axes (of a raster) along which it runs, as stated by its group; None if
            not stated.
    """

    dataset: h5py.Dataset
    frame_axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Motor:
    """A motor whose values match the frames.

    Attributes:
        dataset: dataset of its values.
        readings: interpretations of its name, each with the group in which its counterpart is.
        role: set point, read-back, or not stated.
        along: raster axis along which it runs; None for one value per frame, or one for all.
        metres: its unit in metres; None without a unit.
        sign: −1 if the file defines the axis in the opposite direction.
    """

    dataset: h5py.Dataset
    readings: tuple[Reading, ...]
    role: Role
    along: int | None
    metres: float | None
    sign: float = 1.0


@dataclass(frozen=True)
class Misfit:
    """A dataset that can't be a position in spite of its name, with the reason."""

    name: str
    readings: tuple[Reading, ...]
    why: str


@dataclass
class Tier:
    """Motors from locations of equal priority, and datasets that only have a motor's name."""

    motors: list[Motor] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)


def tier_of(offers: Iterable[Offer], counts: tuple[int, ...], unit: str | None) -> Tier:
    """Motors among the offers that match the number of frames.

    Args:
        offers: datasets, the likelier first.
        counts: (N,) frames, or (rows, columns) of a raster; () without frames, then all datasets
            of equal length match.
        unit: unit given by the user, overrides the datasets' own.
    """
    tier = Tier()
    seen = set()
    for offer in offers:
        if offer.dataset in seen or len(tier.motors) >= _MAX_MOTORS:
            continue
        seen.add(offer.dataset)
        judged = _judged(offer, counts, unit)
        if isinstance(judged, Motor):
            tier.motors.append(judged)
        elif judged is not None:
            tier.misfits.append(judged)
    return tier


def _judged(offer: Offer, counts: tuple[int, ...], unit: str | None) -> Motor | Misfit | None:
    """The offer as a motor or misfit; None if its name is not that of a motor."""
    dataset = offer.dataset
    *groups, name = dataset.name.split("/")
    label = name
    if names_only_a_role(name) and groups:
        *groups, label = groups
    is_rotation = as_text(dataset.attrs.get("transformation_type", "")) == "rotation"
    if is_rotation or not (is_position_name(label) and is_position_name(name)):
        return None
    sign, direction = _of_vector(dataset)
    readings = _placed(groups, readings_of(label))
    if direction is not None:
        readings = [Reading(direction, f"{'/'.join(groups)}/along vectors")]
    fits, along = _form(offer, counts)
    written = unit or unit_of(dataset)
    is_px = unit == PositionUnit.OBJECT_PIXEL.value
    metres = 1.0 if is_px else unit_factor(written, Quantity.LENGTH)
    if not fits:
        why = f"{dataset.size} for {math.prod(counts)} frames"
        return Misfit(dataset.name, tuple(readings), why)
    if metres is None and written:
        why = f"in {written[:20]!r}, which is not a known unit of length"
        return Misfit(dataset.name, tuple(readings), why)
    said = (role_of(part) for part in (name, label, *reversed(groups)))
    role = next((role for role in said if role is not None), Role.UNSAID)
    return Motor(dataset, tuple(readings), role, along, metres, sign)


def _placed(groups: list[str], readings: Iterable[Reading]) -> list[Reading]:
    """Readings with their group path, as it is and without a direction repeated in it."""
    above, parent = "/".join(groups[:-1]), groups[-1] if groups else ""
    placed = []
    for reading in readings:
        placed.append(Reading(reading.direction, f"{above}/{parent}/{reading.rest}"))
        placed += [
            Reading(reading.direction, f"{above}/{again.rest}/{reading.rest}")
            for again in readings_of(parent)
            if again.direction is reading.direction
        ]
    return placed


def _of_vector(dataset: h5py.Dataset) -> tuple[float, Direction | None]:
    """Sign and direction of an NXtransformations axis from its `vector`; (1, None) without it."""
    vector = dataset.attrs.get("vector")
    if not isinstance(vector, np.ndarray) or vector.shape != (3,) or vector.dtype.kind not in "uif":
        return 1.0, None
    along = np.flatnonzero(vector)
    if len(along) != 1:
        return 1.0, None
    return float(np.sign(vector[along[0]])), tuple(Direction)[along[0]]


def _form(offer: Offer, counts: tuple[int, ...]) -> tuple[bool, int | None]:
    """Whether a dataset has a number per frame, per raster line or for all; and the raster axis."""
    shape = tuple(n for n in offer.dataset.shape if n != 1)
    most = max(1, len(counts))
    if offer.frame_axes is not None and any(axis >= most for axis in offer.frame_axes):
        return False, None
    if not counts:
        return len(shape) == 1, None
    if not shape or shape in ((math.prod(counts),), tuple(n for n in counts if n != 1)):
        return True, None
    if len(shape) != 1 or len(counts) != 2:
        return False, None
    if offer.frame_axes is not None:
        along = offer.frame_axes[0] if len(offer.frame_axes) == 1 else None
        return along is not None and shape[0] == counts[along], along
    fitting = [axis for axis in (0, 1) if counts[axis] == shape[0]]
    return len(fitting) == 1, fitting[0] if len(fitting) == 1 else None


def families_of(motors: Sequence[Motor]) -> list[dict[Direction, list[Motor]]]:
    """Groups of motors whose names differ only in direction, by direction; at least two each."""
    by_rest: dict[str, dict[Direction, list[Motor]]] = {}
    for motor in motors:
        for reading in motor.readings:
            by_rest.setdefault(reading.rest, {}).setdefault(reading.direction, []).append(motor)
    families = [
        family
        for family in by_rest.values()
        if len(family) > 1 and any(m.dataset.size > 1 for ms in family.values() for m in ms)
    ]
    by_content = {
        frozenset(m.dataset.id for ms in family.values() for m in ms): family for family in families
    }
    return list(by_content.values())


def _everything(tier: Tier) -> Iterator[Motor | Misfit]:
    yield from tier.motors
    yield from tier.misfits


def named_misfits(tiers: Sequence[Tier]) -> list[str]:
    """Reasons why datasets are no positions although their names or units suggest it."""
    every = [(r, thing) for tier in tiers for thing in _everything(tier) for r in thing.readings]
    directions: dict[str, set[Direction]] = {}
    for reading, _ in every:
        directions.setdefault(reading.rest, set()).add(reading.direction)
    why: dict[str, list[str]] = {}
    for reading, thing in every:
        is_word = "*" in reading.rest.rpartition("/")[2].split()
        is_alone = len(directions[reading.rest]) == 1
        if isinstance(thing, Misfit) and (is_word or not is_alone):
            why.setdefault(thing.why, []).append(thing.name)
        elif isinstance(thing, Motor) and is_word and is_alone and thing.dataset.size > 1:
            why.setdefault("without its counterpart", []).append(thing.dataset.name)
    undirected = [m.dataset.name for tier in tiers for m in tier.motors if _is_undirected(m)]
    if undirected:
        why["rows or columns, their names don't say"] = undirected
    return [
        f"{', '.join(list(dict.fromkeys(names))[:_SHOWN])}: {reason}"
        for reason, names in why.items()
    ]


def _is_undirected(motor: Motor) -> bool:
    """Whether it is a length per frame by its unit, but of unknown direction."""
    return motor.metres is not None and motor.dataset.size > 1 and not motor.readings
