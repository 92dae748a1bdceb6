"""Choice of the two motors whose values are the positions of the sample.

Used by `wnet_edge.io.readers.nexus_positions`, on the motors of `wnet_edge.io.parts.motors`. Motors
whose names differ only in direction belong together; their values show which move and which are
held, and which are read-backs of set points. Ambiguous cases are refused, with the possible
datasets.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.reader import array_of
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.io.found import Found, Positions, PositionUnit
from wnet_edge.io.parts.axis_names import Direction, Role
from wnet_edge.io.parts.motors import Motor, Tier, families_of, named_misfits

_STANDS_STILL = 0.05
"""Span relative to the largest of another motor, below which a motor is held and only jitters."""
_FOLLOWS = 0.3
"""Largest deviation of read-backs from their set points, relative to the set points' RMS."""
_SHOWN = 4


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two motors as positions.

    Attributes:
        rows: motor of the row coordinate.
        columns: motor of the column coordinate.
        values: (N, 2) row, column in metres, or object pixels.
        worse: names of less reliable datasets of these motors.
        notes: how they were chosen.
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


def may_have_positions(tiers: Sequence[Tier]) -> bool:
    """Whether a tier has two motors that are counterparts, by their names only."""
    return any(families_of(tier.motors) for tier in tiers)


def positions_from(
    path: Path, tiers: Sequence[Tier], counts: tuple[int, ...], unit: str | None
) -> Found[Positions] | None:
    """Positions of the frames from the first tier that has them; None if none has.

    Lengths take precedence over numbers without a unit, and read-backs over the set points that
    they follow, in any tier.

    Raises:
        ScanError: if several pairs of motors are possible, or motors by name are no positions.
    """
    if math.prod(counts) > MAX_FRAMES:  # reported by the check of the frames
        return None
    misfits = named_misfits(tiers)
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
            return _found(pair, unit)
    raster = _raster_by_order(path, tiers, counts)
    if raster is not None:
        return _found(raster, unit)
    if misfits:
        raise ScanError(
            f"{path}: has no positions that fit ({', '.join(dict.fromkeys(misfits))}); give "
            "--positions ROWS,COLUMNS (two datasets) or FILE, and --positions-unit where it is not "
            "written"
        )
    return None


def _found(pair: _Pair, unit: str | None) -> Found[Positions]:
    is_px = unit == PositionUnit.OBJECT_PIXEL.value
    counted_in = PositionUnit.OBJECT_PIXEL if is_px else PositionUnit.METRE
    datasets = (pair.rows.dataset, pair.columns.dataset)
    may_grow = any(dataset.maxshape[:1] != dataset.shape[:1] for dataset in datasets)
    positions = Positions(pair.values, counted_in, may_grow=may_grow)
    return Found(positions, pair.where, notes=_notes(pair))


def _pairs(path: Path, motors: Sequence[Motor], counts: tuple[int, ...]) -> list[_Pair]:
    pairs = (_pair(path, family, counts) for family in families_of(motors))
    return [pair for pair in pairs if pair is not None]


def _pair(
    path: Path, family: dict[Direction, list[Motor]], counts: tuple[int, ...]
) -> _Pair | None:
    """The two directions along which a family moves, each with its most reliable motor."""
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
    # x and y if both move or both are held; z in place of one that is held.
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
    """Values (N,) in metres, or as written without a unit; a single number is repeated."""
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
    """Pairs that move, without those that only jitter while another moves."""
    largest = max((pair.span for pair in pairs), default=0.0)
    return [pair for pair in pairs if pair.span > _STANDS_STILL * largest]


def _only(path: Path, pairs: list[_Pair]) -> _Pair:
    """The most reliable pair, if all others are of the same motors.

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
    """The read-backs of these set points if a later tier has them, else the pair itself."""
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
    """Two raster axes, one per direction, with meaningless names: slow, fast = row, column."""
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
        what = "not set points" if pair.role is Role.UNSAID else "read-backs, not"
        notes.append(f"positions are {what} {', '.join(pair.worse)}")
    if set_points := [m.dataset.name for m in motors if m.role is Role.SET]:
        notes.append(f"{', '.join(set_points)} are set points: there are no read-backs")
    if bare := [m.dataset.name for m in motors if m.metres is None]:
        notes.append(
            f"{', '.join(bare)} have no unit and are taken as metres; --positions-unit overrides it"
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
