"""Preview picture of a scan before inference: mean frame, positions, probe.

Surveys a few frames from all over the scan, as every run does first, and passes the content of the
file to `wnet_edge.pictures.scan_picture`.
"""

from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.framing.survey import survey
from wnet_edge.io.found import FoundScan, PositionUnit, ZeroFrequency, usable
from wnet_edge.io.parts.complete_scan import known_geometry
from wnet_edge.pictures.scan_picture import ScanParts, write_scan_picture


def write_preview(path: Path, found: FoundScan, *, force: bool = False) -> None:
    """Write a PNG of the mean frame (log counts), the positions and the probe's modes.

    A part that the file lacks, or that can't be used, is shown as missing.

    Raises:
        ScanError: if the frames' mask does not fit.
        ResultError: if `path` exists and `force` is not set, or can't be written.
    """
    found = usable(found)
    looked = None if found.frames is None else survey(found)
    positions = None if found.positions is None else found.positions.value
    probe = None if found.probe is None else found.probe.value
    object_pixel_size_m = _object_pixel_size_m(found)
    parts = ScanParts(
        title=found.path.name,
        captions=(_facts(found, object_pixel_size_m), *(() if looked is None else looked.notes)),
        mean=None if looked is None else looked.mean,
        mask=None if looked is None else looked.mask,
        beam_centre_px=_beam_centre_px(found),
        positions=None if positions is None else positions.values,
        positions_in_metres=positions is None or positions.unit is PositionUnit.METRE,
        probe=probe,
        probe_pixel_size_m=found.probe_pixel_size_m or object_pixel_size_m,
    )
    write_scan_picture(path, parts, force=force)


def _facts(found: FoundScan, object_pixel_size_m: float | None) -> str:
    """Caption line with facts that the panels do not show."""
    facts = [found.format]
    if found.frames is not None:
        count, height, width = found.frames.value.shape
        facts.append(f"{count} frames of {height} × {width} px, {found.frames.value.dtype}")
    if found.energy_ev is not None:
        facts.append(f"{found.energy_ev.value / 1e3:.6g} keV")
    if found.distance_m is not None:
        facts.append(f"{found.distance_m.value:.6g} m to the detector")
    if object_pixel_size_m is not None:
        facts.append(f"object pixel {object_pixel_size_m * 1e9:.4g} nm")
    if found.near_field is not None:
        facts.append("near-field")
    return " · ".join(facts)


def _beam_centre_px(found: FoundScan) -> tuple[float, float] | None:
    """Row, column of zero frequency as given by the file or the user; None if unknown."""
    if found.beam_centre_px is not None:
        return found.beam_centre_px.value
    if found.frames is None or found.zero_frequency is None:
        return None
    if found.zero_frequency.value is ZeroFrequency.CORNER:
        return 0.0, 0.0
    _, height, width = found.frames.value.shape
    return float(height // 2), float(width // 2)


def _object_pixel_size_m(found: FoundScan) -> float | None:
    """Object pixel of the full window; None if the geometry is unknown or makes no sense."""
    try:
        geometry = known_geometry(found)
    except ScanError:  # the report states why
        return None
    if geometry is None or found.frames is None:
        return None
    full_px = min(found.frames.value.shape[1:]) * found.binning
    return geometry.object_pixel_size_m(full_px)
