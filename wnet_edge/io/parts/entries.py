"""Choice of the entry in a file with several: the user's, else the likeliest to hold the scan.

Entries with frames come before those without (alignment, logs), then the file's default, then
entries with positions, with a geometry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.io.found import Wanted

_SHOWN = 8


@dataclass(frozen=True)
class Entry:
    """Properties of an entry that decide the choice.

    Attributes:
        name: path without the leading slash.
        has_frames: whether it has a stack that may be far-field frames.
        has_positions: whether these have positions.
        has_geometry: whether the distance and pixel size of their detector are known.
        is_default: whether the file's default leads to it.
    """

    name: str
    has_frames: bool
    has_positions: bool
    has_geometry: bool
    is_default: bool


def asked_entry(path: Path, names: Sequence[str], wanted: Wanted) -> int | None:
    """Index of the entry given by the user, by its name or by the path of its frames.

    Raises:
        ScanError: if there is none of that name.
    """
    if wanted.entry is not None:
        if wanted.entry.strip("/") not in names:
            raise ScanError(
                f"{path}: has no entry {wanted.entry[:40]}; give --entry one of {_listed(names)}"
            )
        return names.index(wanted.entry.strip("/"))
    if wanted.frames is not None:
        at = wanted.frames.strip("/") + "/"
        holding = [name for name in names if at.startswith(f"{name}/")]
        if holding:
            return names.index(max(holding, key=len))
    return None


def choose_entry(entries: Sequence[Entry], not_looked_at: int = 0) -> tuple[int, tuple[str, ...]]:
    """Index of the entry to read (the first of equally likely ones), and notes on others."""
    best = max(entries, key=lambda e: (e.has_frames, e.is_default, e.has_positions, e.has_geometry))
    others = [e.name for e in entries if e.has_frames and not _is_part(e.name, best.name)]
    rest = f", and {not_looked_at} that were not looked at" if not_looked_at else ""
    notes = (f"entry {best.name} is read; --entry selects another: {_listed(others)}{rest}",)
    return entries.index(best), notes if others or rest else ()


def _is_part(one: str, other: str) -> bool:
    """Whether two entries are the same, or one contains the other."""
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
