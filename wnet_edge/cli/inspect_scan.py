"""What `wnet-edge inspect` says of a scan: each part of it, its unit, and where it was found."""

from typing import Any

import numpy as np

from wnet_edge.errors import ScanError
from wnet_edge.io.complete import known_geometry
from wnet_edge.io.cxi import read_labels
from wnet_edge.io.found import Found, FoundScan, PositionUnit
from wnet_edge.runner.fit import check_far_field, nearest_neighbour_m


def scan_report(found: FoundScan) -> dict[str, object]:
    """Names to values, as text and as JSON."""
    return {
        "kind": "scan",
        "path": str(found.path),
        "format": found.format,
        "frames": _frames(found),
        "positions": _positions(found),
        "energy_ev": _part(found.energy_ev),
        "distance_m": _part(found.distance_m),
        "pixel_size_m": _part(found.pixel_size_m),
        "binning": found.binning,
        "beam_centre_px": _part(found.beam_centre_px),
        "zero_frequency": None if found.zero_frequency is None else found.zero_frequency.value,
        "mask": None
        if found.mask is None
        else {"masked_px": int(found.mask.value.sum()), "where": found.mask.where},
        "probe": _probe(found),
        **_derived(found),
        "labels_px": _labels_px(found),
    }


def _part(part: Found[Any] | None) -> dict[str, object] | None:
    if part is None:
        return None
    value = list(part.value) if isinstance(part.value, tuple) else part.value
    return {"value": value, "where": part.where}


def _frames(found: FoundScan) -> dict[str, object] | None:
    if found.frames is None:
        return None
    count, height, width = found.frames.value.shape
    return {
        "count": count,
        "height_px": height,
        "width_px": width,
        "dtype": str(found.frames.value.dtype),
        "where": found.frames.where,
    }


def _positions(found: FoundScan) -> dict[str, object] | None:
    if found.positions is None:
        return None
    positions = found.positions.value
    finite = positions.values[np.isfinite(positions.values).all(axis=1)]
    height, width = np.ptp(finite, axis=0).tolist() if len(finite) else (0.0, 0.0)
    unit = "m" if positions.unit is PositionUnit.METRE else "px"
    return {
        "count": len(positions.values),
        f"height_{unit}": height,
        f"width_{unit}": width,
        f"step_{unit}": nearest_neighbour_m(positions.values),
        "where": found.positions.where,
    }


def _probe(found: FoundScan) -> dict[str, object] | None:
    if found.probe is None:
        return None
    modes, size_px, _ = found.probe.value.shape
    return {
        "modes": modes,
        "size_px": size_px,
        "pixel_size_m": found.probe_pixel_size_m,
        "where": found.probe.where,
    }


def _derived(found: FoundScan) -> dict[str, object]:
    """What follows from the parts, or why it does not."""
    values: dict[str, object] = {"wavelength_m": None, "object_pixel_size_m": None}
    try:
        geometry = known_geometry(found)
        if geometry is not None:
            values["wavelength_m"] = geometry.wavelength_m
        if geometry is not None and found.frames is not None:
            full_px = min(found.frames.value.shape[1:]) * found.binning
            values["object_pixel_size_m"] = geometry.object_pixel_size_m(full_px)
        check_far_field(found)
    except ScanError as error:
        return values | {"far_field": False, "refusal": str(error)}
    return values | {"far_field": found.near_field is None, "refusal": found.near_field}


def _labels_px(found: FoundScan) -> int | None:
    if not found.format.startswith("CXI"):
        return None
    labels = read_labels(found.path)
    return None if labels is None else labels.window_px
