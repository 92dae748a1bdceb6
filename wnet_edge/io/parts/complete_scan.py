"""Validation of the parts found in files, and assembly to a `Scan`: the last step of reading.

Frames without a valid position are left out and counted; impossible values are refused in one line
that names file, dataset and remedy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.hdf5.faults import BEING_WRITTEN
from wnet_edge.io.found import Found, FoundScan, Positions, PositionUnit, ZeroFrequency
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.probe import resampled_probe
from wnet_edge.scan.detector_window import DetectorWindow, WindowFrames
from wnet_edge.scan.frame_source import FrameSource
from wnet_edge.scan.scan import Scan

LARGEST_BAD_SHARE = 0.1
"""Largest fraction of the frames that may lack a valid position or counts; more is an error."""

ENERGY_EV = (0.5, 1e6)
DISTANCE_M = (1e-4, 1e3)
PIXEL_SIZE_M = (1e-8, 1e-1)
LARGEST_SPAN_M = 1.0


@dataclass(frozen=True)
class SeenFrames:
    """Cropped and oriented frames with their mask.

    Attributes:
        frames: (N, n, n) counts, zero frequency at (n // 2, n // 2).
        mask: (n, n) bool, True for pixels that must not be used.
        notes: findings and assumptions, one line each.
    """

    frames: FrameSource
    mask: NDArray[np.bool_]
    notes: tuple[str, ...] = ()


def complete_scan(
    found: FoundScan,
    seen: SeenFrames | None = None,
    assumed_object_pixel_size_m: float | None = None,
) -> Scan:
    """Validate all parts and assemble the scan, with frames cropped to `seen` if given.

    Args:
        found: content of the file, with the user's overrides.
        seen: cropped frames and mask; None for the whole frames, which must be square.
        assumed_object_pixel_size_m: used if the geometry is unknown.

    Raises:
        ScanError: if a part is missing or makes no sense.
    """
    source = required_frames(found)
    if seen is None:
        shape = source.value.shape
        if shape[1] != shape[2]:
            raise ScanError(
                f"{found.path}: {source.where} is {shape}, not (N, n, n); cut frames to a square"
            )
        seen = _centred(found, SeenFrames(source.value, detector_mask(found)))
    geometry = known_geometry(found)
    full_px = seen.frames.shape[1] * found.binning
    stored_pixel_m = stored_object_pixel_m(found) or assumed_object_pixel_size_m
    notes = seen.notes
    if found.being_written:
        notes += (f"the file {BEING_WRITTEN.what}: these are its frames so far",)
    positions_m, left_out = _positions_m(found, stored_pixel_m)
    return Scan(
        path=found.path,
        frames=seen.frames,
        positions_m=positions_m,
        geometry=geometry,
        mask=seen.mask,
        probe=_probe(found, full_px),
        binning=found.binning,
        probe_pixel_size_m=found.probe_pixel_size_m,
        assumed_object_pixel_size_m=assumed_object_pixel_size_m,
        left_out=left_out,
        frame_numbers=_frame_numbers(found),
        notes=(*found.notes, *notes, *found.part_notes),
        stored_frames=source.value,
    )


def _centred(found: FoundScan, whole: SeenFrames) -> SeenFrames:
    """Square frames with zero frequency shifted to the centre if it is at the corner."""
    told = found.zero_frequency
    if told is None or told.value is ZeroFrequency.CENTRE:
        return whole
    size_px = whole.mask.shape[0]
    window = DetectorWindow(
        detector_shape=(size_px, size_px),
        size_px=size_px,
        centre_px=(size_px // 2, size_px // 2),
        from_corner=True,
    )
    return SeenFrames(WindowFrames(whole.frames, window), window.cut(whole.mask), whole.notes)


def required_frames(found: FoundScan) -> Found[FrameSource]:
    """The frames of a scan, which must have some.

    Raises:
        ScanError: if there are none.
    """
    if found.frames is None:
        seen = f" (it holds {', '.join(found.candidates)})" if found.candidates else ""
        raise ScanError(
            f"{found.path}: {found.format} without frames; name the dataset with --frames{seen}, "
            "or the file that has them"
        )
    return found.frames


def known_geometry(found: FoundScan) -> Geometry | None:
    """Energy, distance and unbinned detector pixel; None if one of them is unknown.

    Raises:
        ScanError: if one of them is implausible.
    """
    parts = (
        (found.energy_ev, ENERGY_EV, "eV", "--energy-ev"),
        (found.distance_m, DISTANCE_M, "m", "--distance-m"),
        (found.pixel_size_m, PIXEL_SIZE_M, "m", "--pixel-size-m"),
    )
    for part, (low, high), unit, flag in parts:
        if part is not None and not low <= part.value <= high:
            raise ScanError(
                f"{found.path}: {part.where} is {part.value:.6g} {unit}, not within "
                f"{low:.3g} … {high:.3g} {unit}; correct its unit, or give {flag}"
            )
    if found.energy_ev is None or found.distance_m is None or found.pixel_size_m is None:
        return None
    return Geometry(
        energy_ev=found.energy_ev.value,
        distance_m=found.distance_m.value,
        detector_pixel_size_m=found.pixel_size_m.value / found.binning,
    )


def detector_mask(found: FoundScan) -> NDArray[np.bool_]:
    """Mask (H, W) bool, True for bad pixels; all False if the scan has none.

    Raises:
        ScanError: if the mask has another shape than the frames, or leaves no pixel.
    """
    shape = required_frames(found).value.shape[1:]
    if found.mask is None:
        return np.zeros(shape, dtype=np.bool_)
    mask, where = found.mask.value, found.mask.where
    if mask.shape != shape:
        raise ScanError(
            f"{found.path}: {where} is {mask.shape}, but frames are {shape}; "
            "write one mask for all frames, or give --mask none"
        )
    if mask.all():
        raise ScanError(
            f"{found.path}: {where} marks every pixel as bad; say with --mask-good which value "
            "marks a good pixel (0 or 1), or give --mask none"
        )
    return mask


def known_positions_m(found: FoundScan) -> NDArray[np.float64]:
    """(N, 2) row, column in metres; NaN for a frame that has none.

    Raises:
        ScanError: if there are none, too many are bad, or object pixels are of unknown size.
    """
    values, bad = _positions_m(found, stored_object_pixel_m(found))
    return np.where(bad[:, None], np.nan, values)


def stored_object_pixel_m(found: FoundScan) -> float | None:
    """Object pixel of a file's own frames, not of a window cut from them.

    None without a geometry.

    Raises:
        ScanError: as `known_geometry`.
    """
    geometry = known_geometry(found)
    if geometry is None:
        return None
    return geometry.object_pixel_size_m(min(required_frames(found).value.shape[1:]) * found.binning)


def _positions_m(
    found: FoundScan, object_pixel_size_m: float | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Positions (N, 2) row, column in metres, all finite, and (N,) bool of frames without one."""
    frame_count = required_frames(found).value.shape[0]
    if found.positions is None:
        cure = "give --step-m" if found.raster else "name them with --positions"
        raise ScanError(f"{found.path}: {found.format} without positions; {cure}")
    positions, where = found.positions, found.positions.where
    values = positions.value.values
    bad = np.asarray(~np.isfinite(values).all(axis=1))
    if np.count_nonzero(bad) > LARGEST_BAD_SHARE * frame_count:
        first = int(np.flatnonzero(bad)[0])
        cure = "remove frames without a position"
        if first > 1 and bad[first:].all():
            cure = f"if the scan ended there, give --frames-range 0:{first}"
        raise ScanError(
            f"{found.path}: {where} is not a number at {np.count_nonzero(bad)} of {frame_count} "
            f"frames, first at frame {first}; {cure}"
        )
    values = in_metres(found, positions, object_pixel_size_m)
    return np.where(bad[:, None], np.median(values[~bad], axis=0), values), bad


def in_metres(
    found: FoundScan, positions: Found[Positions], object_pixel_size_m: float | None
) -> NDArray[np.float64]:
    """Values (N, 2) of positions in metres; what is not finite stays.

    Raises:
        ScanError: if object pixels are of unknown size, or no scan spans as much.
    """
    values, where = positions.value.values, positions.where
    if positions.value.unit is PositionUnit.OBJECT_PIXEL:
        if object_pixel_size_m is None:
            raise ScanError(
                f"{found.path}: {where} is in object pixels of unknown size; give --energy-ev, "
                "--distance-m and --pixel-size-m"
            )
        values = values * object_pixel_size_m
    finite = values[np.isfinite(values).all(axis=1)]
    span_m = float(np.ptp(finite, axis=0).max()) if len(finite) else 0.0
    if span_m > LARGEST_SPAN_M:
        raise ScanError(
            f"{found.path}: {where} spans {span_m:.3g} m, which no scan does; write metres, or "
            f"give {'' if found.entry else f'--positions {where} '}--positions-unit, e.g. um"
        )
    return values


def _frame_numbers(found: FoundScan) -> NDArray[np.int64]:
    """Frame numbers (N,), counted from 0; by default the indices of the frames."""
    if found.frame_numbers is None:
        return np.arange(required_frames(found).value.shape[0])
    return found.frame_numbers.value.values


def _probe(found: FoundScan, full_px: int) -> NDArray[np.complex64] | None:
    if found.probe is None:
        return None
    probe, where = found.probe.value, found.probe.where
    stored = tuple(edge * found.binning for edge in required_frames(found).value.shape[1:])
    if probe.shape[1:] == stored and stored[0] == stored[1] and found.probe_pixel_size_m is None:
        # The frames' own, whose far field is cropped with them.
        probe = resampled_probe(probe, full_px)
    if probe.shape[1:] != (full_px, full_px):
        raise ScanError(
            f"{found.path}: {where} is {probe.shape}, not (modes, {full_px}, {full_px}) for the "
            "full window; name another with --probe, or do without: --probe none"
        )
    if not np.isfinite(probe).all() or not probe.any():
        raise ScanError(
            f"{found.path}: {where} is dark or holds NaN; name a measured probe with --probe, or "
            "do without: --probe none"
        )
    return probe
