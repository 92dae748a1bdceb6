"""Do the values of a package's manifest make sense together? Asked before a graph is looked at.

Types are the decoder's business (`wnet_edge.canonical_json`); here are ranges, names and texts.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime

from wnet_edge.manifest import (
    GOLDEN_FILE,
    MAX_BATCH_SIZE,
    MAX_GOLDEN_FRAMES,
    MAX_WINDOW_PX,
    PROBE_FILE,
    Calibration,
    CountRange,
    FrameFit,
    Manifest,
)

MAX_R_FACTOR = 10.0
"""An object that has nothing to do with the frames stays near 1."""

MAX_CONTRAST = 100.0


def schema_version(manifest_json: bytes) -> int:
    """Of which schema a manifest is, before anything else of it is believed.

    Raises:
        ValueError: if it does not say.
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
    """See that the values make sense together.

    Raises:
        ValueError: naming the value that does not.
    """
    _check_texts(manifest)
    _check_geometry(manifest)
    _check_members(manifest)
    if not 1 <= manifest.golden.frames <= MAX_GOLDEN_FRAMES:
        raise ValueError(f"golden.frames is not within 1 … {MAX_GOLDEN_FRAMES}")
    _check_tolerance(manifest)
    _check_calibration(manifest.calibration)
    _check_level(manifest.self_check)
    _check_counts(manifest.training.counts)
    if min(manifest.parameter_count, manifest.training.epochs, manifest.training.frames) < 0:
        raise ValueError("parameter_count, epochs or frames is negative")
    try:
        datetime.strptime(manifest.created, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError as error:
        raise ValueError("created is not a UTC time such as 2024-05-01T12:00:00Z") from error


def _check_members(manifest: Manifest) -> None:
    """Every file has the name of its kind, and a hash that can be one."""
    if not manifest.precisions:
        raise ValueError("precisions is empty")
    for kind, graph in manifest.precisions.items():
        if graph.opset < 1:
            raise ValueError(f"precisions.{kind.value}.opset is not positive")
    names = [kind.file for kind in manifest.kinds()]
    if [entry.file for entry in manifest.members()] != [*names, PROBE_FILE, GOLDEN_FILE]:
        raise ValueError("a member has another name than its kind")
    hashes = [entry.sha256 for entry in manifest.members()] + [manifest.training.data_sha256]
    hashes += [manifest.calibration.sha256] if manifest.calibration else []
    hashes += [manifest.compiled.source_sha256] if manifest.compiled else []
    if not all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in hashes):
        raise ValueError("a SHA-256 is not 64 hexadecimal digits")


def _check_calibration(calibration: Calibration | None) -> None:
    if calibration is not None and calibration.frames < 1:
        raise ValueError("calibration.frames is not positive")


def _check_geometry(manifest: Manifest) -> None:
    window, binning = manifest.window_px, manifest.binning
    if not 1 <= window <= MAX_WINDOW_PX or not 1 <= manifest.frame_px <= MAX_WINDOW_PX:
        raise ValueError(f"window_px or frame_px is not within 1 … {MAX_WINDOW_PX}")
    if binning < 1 or window * binning != manifest.frame_px:
        raise ValueError("frame_px is not window_px × binning")
    if manifest.batch_size is not None and not 1 <= manifest.batch_size <= MAX_BATCH_SIZE:
        raise ValueError(f"batch_size is not within 1 … {MAX_BATCH_SIZE}")
    if not 0 < manifest.object_pixel_size_m < 1:
        raise ValueError("object_pixel_size_m is not a length in metres")


def _check_level(level: FrameFit | None) -> None:
    if level is not None and not (
        0 <= level.r_floor < level.r_factor <= MAX_R_FACTOR
        and level.r_floor < level.r_blank <= MAX_R_FACTOR
        and 0 < level.contrast <= MAX_CONTRAST
        and level.frames > 0
    ):
        raise ValueError("self_check is out of range")


def _check_counts(counts: CountRange | None) -> None:
    if counts is not None and not 0 < counts.low <= counts.high < math.inf:
        raise ValueError("training.counts is out of range")


def _check_tolerance(manifest: Manifest) -> None:
    if set(manifest.golden.tolerance) != set(manifest.precisions):
        raise ValueError("golden.tolerance and precisions differ")
    for tolerance in manifest.golden.tolerance.values():
        angles = (tolerance.phase_rad, tolerance.phase_rms_rad)
        if not (0 <= tolerance.amplitude < math.inf and all(0 <= x <= math.pi for x in angles)):
            raise ValueError("a tolerance in golden is out of range")


def _check_texts(manifest: Manifest) -> None:
    """No text may hold control characters: these strings end on terminals and in file names."""
    for text in _texts(manifest):
        if not text or not text.isprintable() or len(text) > 1000:
            raise ValueError("a text is empty, over 1000 characters or holds control characters")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _texts(getattr(value, field.name))
