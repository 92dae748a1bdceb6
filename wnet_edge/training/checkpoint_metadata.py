"""Validation of a checkpoint's metadata, before any tensor is read.

A checkpoint is untrusted input, like a package. Every value that training or export relies on has a
type and a range here; the rest, which is only passed on, must be plain, finite and of bounded size.
"""

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import cast

from wnet_edge.models.registry import MAX_WIDTH, MIN_WIDTH
from wnet_edge.package.manifest import MAX_FRAME_PX, MAX_WINDOW_PX, MIN_WINDOW_PX

MAX_METADATA_BYTES = 16 << 20

NUMBERS: Mapping[str, tuple[type, float, float]] = {
    "epoch": (int, 1, 10**6),
    "network.width": (float, MIN_WIDTH, MAX_WIDTH),
    "instrument.window_px": (int, MIN_WINDOW_PX, MAX_WINDOW_PX),
    "instrument.binning": (int, 1, MAX_FRAME_PX // MIN_WINDOW_PX),
    "instrument.object_pixel_size_m": (float, 1e-12, 1e-3),
    "instrument.wavelength_m": (float, 1e-15, 1e-6),
    "settings.seed": (int, 0, 2**63 - 1),
    "settings.epochs": (int, 1, 10**6),
    "settings.data.frames_per_epoch": (int, 1, 10**10),
}
"""Required numbers: type, lowest and highest value."""

_OBJECTS = (
    *("network", "instrument", "settings"),
    *("settings.network", "settings.recipe", "settings.data"),
)
_TEXTS = (
    *("created", "network.model", "network.input"),
    *("settings.recipe.name", "settings.data.source", "settings.data.probe_sha256"),
)
_INFINITE = "settings.recipe.clip_norm"
"""The one setting that may be infinite, for gradients that are not clipped."""

_MOST_EPOCHS, _MOST_VALUES, _DEEPEST, _LONGEST_TEXT, _LARGEST = 10**6, 10**4, 8, 1000, 1e18


def check_metadata(metadata: object) -> None:
    """Check that metadata are those of a checkpoint.

    Raises:
        ValueError: naming the value that is not valid.
    """
    if not isinstance(metadata, dict):
        raise ValueError("its metadata are not an object")
    for where in _OBJECTS:
        if not isinstance(_at(metadata, where), dict):
            raise ValueError(f"{where} is not an object")
    for where in _TEXTS:
        if not isinstance(_at(metadata, where), str):
            raise ValueError(f"{where} is not text")
    for where, (kind, low, high) in NUMBERS.items():
        value = _at(metadata, where)
        # bool is an int in Python, but true is not 1 in JSON.
        is_number = isinstance(value, int | float) and type(value) in (int, kind)
        if not is_number or not low <= cast("float", value) <= high:
            raise ValueError(f"{where} is {_told(value)}, not within {low:g} … {high:g}")
    _check_plain({name: metadata[name] for name in _OBJECTS[:3]}, "", _DEEPEST, _Counter())
    _check_history(metadata.get("history"))
    _check_data(metadata["settings"]["data"])
    _check_created(metadata["created"])


def _at(metadata: dict[str, object], where: str) -> object:
    value: object = metadata
    for key in where.split("."):
        if not isinstance(value, dict) or key not in value:
            raise ValueError(f"it lacks {where}")
        value = value[key]
    return value


def _told(value: object) -> str:
    text = str(value)[:40] if isinstance(value, int | float | str) else type(value).__name__
    return text if text.isprintable() else "no number"


def _check_history(history: object) -> None:
    """Check the history: an object of finite numbers for every epoch."""
    if not isinstance(history, list) or not 1 <= len(history) <= _MOST_EPOCHS:
        raise ValueError("history is not a list of epochs")
    for epoch in history:
        if not isinstance(epoch, dict) or not all(
            type(value) in (int, float) and abs(value) <= _LARGEST for value in epoch.values()
        ):
            raise ValueError("history holds something else than numbers, or what is infinite")


def _check_data(data: dict[str, object]) -> None:
    """Check the data's fingerprints, and the flux of simulated frames."""
    for name in ("sha256", "probe_sha256"):
        found = data.get(name)
        if name in data and not (isinstance(found, str) and re.fullmatch("[0-9a-f]{64}", found)):
            raise ValueError(f"settings.data.{name} is not a SHA-256")
    if "detector" not in data:
        return
    detector = data["detector"]
    photons = detector.get("photons") if isinstance(detector, dict) else None
    if not (
        isinstance(photons, list)
        and len(photons) == 2
        and all(type(value) in (int, float) for value in photons)
        and 0 < photons[0] <= photons[1] <= _LARGEST
    ):
        raise ValueError("settings.data.detector.photons is not a range of counts")


def _check_created(created: str) -> None:
    try:
        moment = datetime.fromisoformat(created)
    except ValueError as error:
        raise ValueError("created is not an ISO 8601 time") from error
    if moment.tzinfo is None or not 1970 <= moment.year <= 9000:
        raise ValueError("created is not a time in UTC, from 1970 on")


class _Counter:
    """Number of values checked so far."""

    def __init__(self) -> None:
        self.values = 0


def _check_plain(value: object, where: str, deepest: int, seen: _Counter) -> None:
    """Check recursively that a value is plain, finite and of bounded size."""
    seen.values += 1
    if seen.values > _MOST_VALUES or deepest == 0:
        raise ValueError(f"it holds more than {_MOST_VALUES} values, or is nested too deeply")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_plain(key, where, deepest - 1, seen)
            _check_plain(item, f"{where}.{key}".lstrip("."), deepest - 1, seen)
    elif isinstance(value, list):
        for item in value:
            _check_plain(item, where, deepest - 1, seen)
    elif isinstance(value, str):
        if not value.isprintable() or len(value) > _LONGEST_TEXT:
            raise ValueError("a text is too long or holds control characters")
    elif isinstance(value, int | float) and not _is_told(value, where):
        raise ValueError(f"{where[:80]} is {_told(value)}")


def _is_told(value: float, where: str) -> bool:
    """Whether a setting may have this value; NaN is never within range."""
    return abs(value) <= _LARGEST or (where, value) == (_INFINITE, math.inf)
