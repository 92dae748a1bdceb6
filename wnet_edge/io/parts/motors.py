"""Motors: which of many datasets have one number per frame, a length, and a motor's name.

Between a file's tree (`wnet_edge.io.readers.nexus_positions`) and the choice of two of them as
positions (`wnet_edge.io.parts.position_axes`). Names give directions
(`wnet_edge.io.parts.axis_names`), units tell lengths from the rest; values are not looked at.
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
"""In places that count alike: no beamline records more of them for each frame."""


@dataclass(frozen=True)
class Offer:
    """A dataset that may be an axis of the positions.

    Attributes:
        dataset: of numbers.
        frame_axes: along which of the axes that number frames it runs, as its group says; None
            where nothing is said.
    """

    dataset: h5py.Dataset
    frame_axes: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Motor:
    """An offer that fits the frames.

    Attributes:
        dataset: of its values.
        readings: of its name, each with the group in which the counterpart is looked for.
        role: set, read back, or not said.
        along: the axis of a raster along which it runs; None: one value per frame, or one for all.
        metres: one of its unit; None without a unit.
        sign: −1 where the file has the axis point backwards.
    """

    dataset: h5py.Dataset
    readings: tuple[Reading, ...]
    role: Role
    along: int | None
    metres: float | None
    sign: float = 1.0


@dataclass(frozen=True)
class Misfit:
    """An offer that can be no position whatever its name says, and why not."""

    name: str
    readings: tuple[Reading, ...]
    why: str


@dataclass
class Tier:
    """Motors of places that count alike, and what there is none in spite of its name."""

    motors: list[Motor] = field(default_factory=list)
    misfits: list[Misfit] = field(default_factory=list)


def tier_of(offers: Iterable[Offer], counts: tuple[int, ...], unit: str | None) -> Tier:
    """What of the offers fits frames of these counts: (N,), or (rows, columns) of a raster.

    Args:
        offers: datasets, the likelier first.
        counts: () where there are no frames: then all of one length fit.
        unit: as the user says, in place of the datasets' own.
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
    """The offer as a motor, or why it is none; None for what has no name of one."""
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
    """Readings with their group: as it is, and without the direction that its name may repeat."""
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
    """Sign and direction of an axis of NXtransformations, by its `vector`; (1, None) without."""
    vector = dataset.attrs.get("vector")
    if not isinstance(vector, np.ndarray) or vector.shape != (3,) or vector.dtype.kind not in "uif":
        return 1.0, None
    along = np.flatnonzero(vector)
    if len(along) != 1:
        return 1.0, None
    return float(np.sign(vector[along[0]])), tuple(Direction)[along[0]]


def _form(offer: Offer, counts: tuple[int, ...]) -> tuple[bool, int | None]:
    """Whether a dataset has a number per frame, per line of a raster, or one for all; and which."""
    shape = tuple(n for n in offer.dataset.shape if n != 1)
    if offer.frame_axes is not None and any(axis >= len(counts) for axis in offer.frame_axes):
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
    """Motors whose names differ in the direction alone, by direction; two directions or more."""
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
    """Why datasets are no positions whose names, or units, make one expect that they are."""
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
    """Whether it is a length per frame by its unit, of which nothing says along what it runs."""
    return motor.metres is not None and motor.dataset.size > 1 and not motor.readings
