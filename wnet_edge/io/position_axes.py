"""Positions from motors: which two of many per-frame numbers are where the sample was.

Between a file's tree (`wnet_edge.io.nexus_positions`) and its positions. Names give directions
(`wnet_edge.io.axis_names`), units tell lengths from the rest, values tell motors that move from
those that stand still. What remains ambiguous is refused with the datasets that it could be.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.axis_names import (
    Direction,
    Reading,
    Role,
    is_position_name,
    names_only_a_role,
    readings_of,
    role_of,
)
from wnet_edge.io.found import Found, Positions, PositionUnit, as_text
from wnet_edge.io.hdf5 import array_of, unit_of
from wnet_edge.io.stacks import MAX_FRAMES
from wnet_edge.io.units import Quantity, unit_factor

_STANDS_STILL = 0.05
"""Of the largest span of another motor: what moves less is held, its read-back jitters."""
_FOLLOWS = 0.3
"""Of the set points' RMS: how far read-backs of the same motors are off them at most."""
_SHOWN = 4


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


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two motors.

    Attributes:
        rows: the one that runs along rows' numbers.
        columns: the other.
        values: (N, 2) row, column in metres, or object pixels.
        worse: names of datasets that know less well where these motors were.
        notes: how they were told.
    """

    rows: Motor
    columns: Motor
    values: NDArray[np.float64]
    worse: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        return f"{self.rows.dataset.name}, {self.columns.dataset.name}"

    @property
    def role(self) -> Role:
        return min(self.rows.role, self.columns.role)

    @property
    def span(self) -> float:
        return float(np.ptp(self.values[_finite(self.values)], axis=0).max(initial=0.0))


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
        if offer.dataset in seen:
            continue
        seen.add(offer.dataset)
        judged = _judged(offer, counts, unit)
        if isinstance(judged, Motor):
            tier.motors.append(judged)
        elif judged is not None:
            tier.misfits.append(judged)
    return tier


def may_have_positions(tiers: Sequence[Tier]) -> bool:
    """Whether a tier has two motors that are counterparts, their values not looked at."""
    return any(_families(tier.motors) for tier in tiers)


def positions_from(
    path: Path, tiers: Sequence[Tier], counts: tuple[int, ...], unit: str | None
) -> Found[Positions] | None:
    """Positions of the frames from the first tier that has them; None where none has.

    Lengths go before numbers without a unit, and read-backs before set points that they follow,
    wherever they are.

    Raises:
        ScanError: if several pairs of motors may be meant, or motors by name are no positions.
    """
    if math.prod(counts) > MAX_FRAMES:  # the frames' own check says so
        return None
    misfits = _named_misfits(tiers)
    for bare_too in (False, True):
        fitting = [[m for m in tier.motors if bare_too or m.metres is not None] for tier in tiers]
        for at, motors in enumerate(fitting):
            found = _pairs(path, motors, counts)
            pairs = _moving(found)
            if not pairs:
                misfits += [f"{pair.where}: never move" for pair in found]
                continue
            pair = _only(path, pairs)
            if held := [other.where for other in found if other.span and other not in pairs]:
                note = f"{', '.join(held)} hardly move by comparison and are left"
                pair = replace(pair, notes=(*pair.notes, note))
            if pair.role is not Role.READ_BACK:
                later = [p for rest in fitting[at + 1 :] for p in _pairs(path, rest, counts)]
                pair = _read_back(pair, later)
            return Found(Positions(pair.values, _unit(unit)), pair.where, _notes(pair))
    raster = _raster_by_order(path, tiers, counts)
    if raster is not None:
        return Found(Positions(raster.values, _unit(unit)), raster.where, _notes(raster))
    if misfits:
        raise ScanError(
            f"{path}: has no positions that fit ({', '.join(dict.fromkeys(misfits))}); give "
            "--positions ROWS,COLUMNS (two datasets) or FILE, and --positions-unit where it is not "
            "written"
        )
    return None


def _unit(unit: str | None) -> PositionUnit:
    is_px = unit == PositionUnit.OBJECT_PIXEL.value
    return PositionUnit.OBJECT_PIXEL if is_px else PositionUnit.METRE


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
        why = f"in {written[:20]!r}, which is no known unit of length"
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


def _families(motors: Sequence[Motor]) -> list[dict[Direction, list[Motor]]]:
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
    return [family for at, family in enumerate(families) if family not in families[:at]]


def _everything(tier: Tier) -> Iterator[Motor | Misfit]:
    yield from tier.motors
    yield from tier.misfits


def _named_misfits(tiers: Sequence[Tier]) -> list[str]:
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


def _pairs(path: Path, motors: Sequence[Motor], counts: tuple[int, ...]) -> list[_Pair]:
    pairs = (_pair(path, family, counts) for family in _families(motors))
    return [pair for pair in pairs if pair is not None]


def _pair(
    path: Path, family: dict[Direction, list[Motor]], counts: tuple[int, ...]
) -> _Pair | None:
    """The two directions along which a family moves, each by the motor that knows it best."""
    values: dict[Direction, NDArray[np.float64]] = {}
    motors: dict[Direction, Motor] = {}
    for direction, of_direction in family.items():
        tried = [
            (_span(read := _values(path, motor, counts)) > 0, motor, read)
            for motor in sorted(of_direction, key=lambda motor: -motor.role)
        ]
        _, motors[direction], values[direction] = next((t for t in tried if t[0]), tried[0])
    spans = {direction: _span(values[direction]) for direction in Direction if direction in values}
    largest = max(spans.values())
    moving = [d for d, span in spans.items() if span > _STANDS_STILL * largest]
    # x and y where both move, or stand; z in the place of one that stands.
    chosen = sorted([*moving, *(d for d in spans if d not in moving)][:2], key=lambda d: d.value)
    columns, rows = chosen
    if len(values[rows]) != len(values[columns]):
        return None
    worse = [
        motor.dataset.name
        for direction in (rows, columns)
        for motor in family[direction]
        if motor.role < motors[direction].role
    ]
    notes = []
    if rows is Direction.Z:
        notes.append(
            f"{motors[rows].dataset.name} is taken for rows, {motors[columns].dataset.name} for "
            "columns"
        )
    return _Pair(
        motors[rows],
        motors[columns],
        np.stack([values[rows], values[columns]], axis=1),
        tuple(worse),
        tuple(notes),
    )


def _values(path: Path, motor: Motor, counts: tuple[int, ...]) -> NDArray[np.float64]:
    """(N,) in metres, or as written without a unit; a number for all frames is repeated."""
    dataset = motor.dataset
    stored = array_of(path, dataset, "uif", (None,) * dataset.ndim, "write one number per frame")
    values: NDArray[np.float64] = stored.astype(np.float64) * (motor.metres or 1.0) * motor.sign
    if not counts:
        return values.reshape(-1)
    if values.size == 1:
        return np.full(math.prod(counts), values.reshape(-1)[0])
    if motor.along is not None:
        line = np.expand_dims(values.reshape(-1), 1 - motor.along)
        return np.broadcast_to(line, counts).reshape(-1)
    return values.reshape(-1)


def _moving(pairs: list[_Pair]) -> list[_Pair]:
    """Pairs that move, but for those that only jitter while another moves."""
    largest = max((pair.span for pair in pairs), default=0.0)
    return [pair for pair in pairs if pair.span > _STANDS_STILL * largest]


def _only(path: Path, pairs: list[_Pair]) -> _Pair:
    """The pair that knows best where the motors were, all others being the same motors.

    Raises:
        ScanError: if they are not.
    """
    best = max(pairs, key=lambda pair: pair.role)
    others = [pair for pair in pairs if pair is not best and not _follows(best, pair)]
    if others:
        named = " or ".join(pair.where.replace(", ", ",") for pair in (best, *others)[:_SHOWN])
        raise ScanError(
            f"{path}: several pairs of motors move, and nothing says which are the sample's; give "
            f"--positions {named}"
        )
    worse = [pair.where for pair in pairs if pair.role < best.role]
    return replace(best, worse=(*best.worse, *worse))


def _read_back(pair: _Pair, later: Iterable[_Pair]) -> _Pair:
    """The read-backs of these set points, where another place has them."""
    for other in sorted(later, key=lambda other: -other.role):
        if other.role > pair.role and _follows(other, pair):
            return replace(other, worse=(*other.worse, pair.where))
    return pair


def _follows(pair: _Pair, other: _Pair) -> bool:
    if pair.values.shape != other.values.shape:
        return False
    usable = _finite(pair.values) & _finite(other.values)
    if not usable.any():
        return False
    here, there = (p.values[usable] - p.values[usable].mean(axis=0) for p in (pair, other))
    return bool(np.linalg.norm(here - there) <= _FOLLOWS * np.linalg.norm(there))


def _raster_by_order(path: Path, tiers: Sequence[Tier], counts: tuple[int, ...]) -> _Pair | None:
    """Two axes of a raster, one a direction, whose names say nothing: slow, fast = row, column."""
    if len(counts) != 2:
        return None
    for tier in tiers:
        lines = [[m for m in tier.motors if m.along == axis] for axis in (0, 1)]
        if all(len(motors) == 1 for motors in lines):
            (rows,), (columns,) = lines
            values = np.stack([_values(path, m, counts) for m in (rows, columns)], axis=1)
            note = f"rows run along {rows.dataset.name}, columns along {columns.dataset.name}, by"
            return _Pair(rows, columns, values, notes=(f"{note} their order in the file",))
    return None


def _notes(pair: _Pair) -> tuple[str, ...]:
    notes = list(pair.notes)
    motors = (pair.rows, pair.columns)
    if pair.worse:
        what = "not set points" if pair.role is Role.UNSAID else "what was read back, not"
        notes.append(f"positions are {what} {', '.join(pair.worse)}")
    if set_points := [m.dataset.name for m in motors if m.role is Role.SET]:
        notes.append(f"{', '.join(set_points)} are set points: nothing that was read back is there")
    if bare := [m.dataset.name for m in motors if m.metres is None]:
        notes.append(
            f"{', '.join(bare)} have no unit and are taken as metres; --positions-unit says another"
        )
    still = [
        m.dataset.name for m, values in zip(motors, pair.values.T, strict=True) if not _span(values)
    ]
    if still:
        notes.append(f"{still[0]} is the same for all frames: a scan along a line")
    return tuple(notes)


def _span(values: NDArray[np.float64]) -> float:
    finite = values[np.isfinite(values)]
    return float(np.ptp(finite)) if len(finite) else 0.0


def _finite(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=1))
