"""Checks of the values of a package's manifest: ranges, names, texts and consistency.

Types are checked by the decoder (`wnet_edge.canonical_json`) before; graphs are checked after.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime

from wnet_edge.package.manifest import (
    GOLDEN_FILE,
    MAX_BATCH_SIZE,
    MAX_FRAME_PX,
    MAX_GOLDEN_FRAMES,
    MAX_WINDOW_PX,
    MIN_WINDOW_PX,
    PROBE_FILE,
    CountRange,
    FrameFit,
    Manifest,
)

_LARGEST = 2**63 - 1
_WHATEVER = (-1e18, 1e18)

RANGES: Mapping[str, tuple[float, float]] = {
    "schema_version": (1, 1000),
    "parameter_count": (0, 10**9),
    "window_px": (MIN_WINDOW_PX, MAX_WINDOW_PX),
    "frame_px": (MIN_WINDOW_PX, MAX_FRAME_PX),
    "binning": (1, MAX_FRAME_PX // MIN_WINDOW_PX),
    "batch_size": (1, MAX_BATCH_SIZE),
    "object_pixel_size_m": (1e-12, 1e-3),
    "probe.size_bytes": (0, _LARGEST),
    "precisions.*.member.size_bytes": (0, _LARGEST),
    "precisions.*.opset": (1, 1000),
    "precisions.*.quantisation.*": _WHATEVER,
    "precisions.*.retention.measures.*": _WHATEVER,
    "calibration.frames": (1, 10**7),
    # R of an object unrelated to the frames is near 1.
    "self_check.r_factor": (1e-6, 10),
    "self_check.r_floor": (0, 10),
    "self_check.r_blank": (1e-6, 10),
    "self_check.contrast": (1e-6, 100),
    "self_check.frames": (1, 10**7),
    "adaptation.frames": (1, 10**9),
    "adaptation.median_counts": (0, 1e15),
    "adaptation.image.r_factor": (1e-6, 10),
    "adaptation.image.r_floor": (0, 10),
    "adaptation.image.r_blank": (1e-6, 10),
    "adaptation.image.contrast": (1e-6, 100),
    "adaptation.image.frames": (1, 10**7),
    "adaptation.refined.r_factor": (1e-6, 10),
    "adaptation.refined.r_floor": (0, 10),
    "adaptation.refined.r_blank": (1e-6, 10),
    "adaptation.refined.contrast": (1e-6, 100),
    "adaptation.refined.frames": (1, 10**7),
    "adaptation.passes": (0, 1000),
    "adaptation.phase_correlation": (-1, 1),
    "adaptation.refined_phase_correlation": (-1, 1),
    "training.seed": (0, _LARGEST),
    "training.epochs": (0, 10**7),
    "training.frames": (0, 10**10),
    "training.counts.low": (1e-3, 1e15),
    "training.counts.high": (1e-3, 1e15),
    "training.settings.*": _WHATEVER,
    "golden.member.size_bytes": (0, _LARGEST),
    "golden.frames": (1, MAX_GOLDEN_FRAMES),
    "golden.tolerance.*.amplitude": (0, 1e9),
    "golden.tolerance.*.phase_rad": (0, math.pi),
    "golden.tolerance.*.phase_rms_rad": (0, math.pi),
}
"""Permitted range (lowest, highest) of every number in a manifest; * stands for any key."""

_MOST_ENTRIES = 256
"""Largest number of entries in a mapping of the manifest."""


def schema_version(manifest_json: bytes) -> int:
    """Schema version of a manifest, read before anything else of it is decoded.

    Raises:
        ValueError: if it has none.
    """
    try:
        plain = json.loads(manifest_json)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    version = plain.get("schema_version") if isinstance(plain, dict) else None
    # bool is an int in Python, but true is not 1 in JSON.
    if type(version) is not int or version < 1:
        raise ValueError("the manifest names no schema_version")
    return version


def check_manifest(manifest: Manifest) -> None:
    """Check that the values are in range and consistent.

    Raises:
        ValueError: naming the value that is not.
    """
    for where, key, value in _leaves(manifest):
        if isinstance(value, str):
            _check_text(value)
        elif not isinstance(value, bool):
            _check_range(where, key, value)
    if manifest.window_px * manifest.binning != manifest.frame_px:
        raise ValueError("frame_px is not window_px × binning")
    if set(manifest.golden.tolerance) != set(manifest.precisions):
        raise ValueError("golden.tolerance and precisions differ")
    _check_members(manifest)
    _check_level(manifest.self_check)
    _check_counts(manifest.training.counts)
    try:
        datetime.strptime(manifest.created, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError as error:
        raise ValueError("created is not a UTC time such as 2024-05-01T12:00:00Z") from error


def _check_members(manifest: Manifest) -> None:
    """Check that every member has the expected name and a well-formed hash."""
    if not manifest.precisions:
        raise ValueError("precisions is empty")
    names = [kind.file for kind in manifest.kinds()]
    if [entry.file for entry in manifest.members()] != [*names, PROBE_FILE, GOLDEN_FILE]:
        raise ValueError("a member has another name than its kind")
    hashes = [entry.sha256 for entry in manifest.members()] + [manifest.training.data_sha256]
    hashes += [manifest.calibration.sha256] if manifest.calibration else []
    hashes += [manifest.compiled.source_sha256] if manifest.compiled else []
    hashes += [manifest.adaptation.scan_sha256] if manifest.adaptation else []
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes):
        raise ValueError("a SHA-256 is not 64 hexadecimal digits")


def _check_level(level: FrameFit | None) -> None:
    if level is not None and not level.r_floor < min(level.r_factor, level.r_blank):
        raise ValueError("self_check.r_floor is not below self_check.r_factor and r_blank")


def _check_counts(counts: CountRange | None) -> None:
    if counts is not None and counts.low > counts.high:
        raise ValueError("training.counts.low is above training.counts.high")


def _check_range(where: str, key: str, value: float) -> None:
    low, high = RANGES[key]
    if not low <= value <= high:
        told = str(value) if len(str(value)) < 30 else f"{str(value)[:30]} …"
        raise ValueError(f"{where} is {told}, not within {low:g} … {high:g}")


def _check_text(text: str) -> None:
    """Refuse control characters: these strings end up on terminals and in file names."""
    if not text or not text.isprintable() or len(text) > 1000:
        raise ValueError("a text is empty, over 1000 characters or holds control characters")


def _leaves(
    value: object, where: str = "", key: str = ""
) -> Iterator[tuple[str, str, str | float]]:
    """Every text and number, mapping keys too: its path, its key in `RANGES`, and its value."""
    if isinstance(value, str | int | float):
        yield where, key, value
    elif isinstance(value, Mapping):
        if len(value) > _MOST_ENTRIES:
            raise ValueError(f"{where} has more than {_MOST_ENTRIES} entries")
        for name, item in value.items():
            yield where, key, name
            yield from _leaves(item, f"{where}.{getattr(name, 'value', name)}", f"{key}.*")
    elif isinstance(value, tuple):
        if len(value) > _MOST_ENTRIES:
            raise ValueError(f"{where} has more than {_MOST_ENTRIES} entries")
        for number, item in enumerate(value):
            yield from _leaves(item, f"{where}.{number}", f"{key}.*")
    elif is_dataclass(value):
        dot = "." if where else ""
        for field in fields(value):
            item = getattr(value, field.name)
            yield from _leaves(item, f"{where}{dot}{field.name}", f"{key}{dot}{field.name}")
