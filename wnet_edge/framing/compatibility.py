"""Compatibility of a scan with a package: far field, object pixel, window on the detector.

A network is trained for one window, one object pixel and the far field; other frames would give
plausible but wrong patches. Checked before the first frame is processed.
"""

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import OtherInstrumentError, PackageError, ScanError
from wnet_edge.io.found import FoundScan, PositionUnit
from wnet_edge.io.parts.complete_scan import known_geometry, required_frames
from wnet_edge.physics.geometry import same_pixel_size
from wnet_edge.scan.scan import Scan

LEAST_INSIDE = 0.75
"""Least fraction of the window that must lie on the detector; the rest is masked. Scan 247 without
23 % of its window still gives a phase correlation of 0.935, without 31 % a wrong image."""

_SAMPLED_FRAMES = 100
"""Number of frames whose nearest neighbours are searched: enough for a median, and fast."""


class Sampling(Protocol):
    """Window and object pixel of a network: part of a package's manifest or of an instrument."""

    @property
    def window_px(self) -> int:
        """Edge of the network's input and outputs."""
        ...

    @property
    def object_pixel_size_m(self) -> float:
        """Object pixel of the full window."""
        ...


class Window(Sampling, Protocol):
    """Window of a network: part of a package's manifest, or known before a package exists."""

    @property
    def model(self) -> str:
        """Name of the network."""
        ...

    @property
    def frame_px(self) -> int:
        """Edge of the full far-field window in detector pixels."""
        ...


def window_size_px(found: FoundScan, manifest: Window) -> int:
    """Edge of the detector window that matches the package's object pixel, in stored pixels.

    λ z / (pixel × object pixel), rounded to a multiple of the network's window; without a geometry
    the frame itself, if it has the size of the package's window, binned or not.

    Raises:
        PackageError: if object pixels or windows are incompatible, with the numbers.
        ScanError: if there are no frames.
    """
    frames = required_frames(found)
    height, width = frames.value.shape[1:]
    geometry = known_geometry(found)
    if geometry is None:
        if height != width or height not in (manifest.frame_px, manifest.window_px):
            raise PackageError(
                f"{found.path}: frames of {height} × {width} px without a geometry do not fit "
                f"{manifest.model}, which takes {manifest.frame_px} px; give --energy-ev, "
                "--distance-m and --pixel-size-m"
            )
        return height
    stored_pixel_m = geometry.detector_pixel_size_m * found.binning
    exact_px = (
        geometry.wavelength_m
        * geometry.distance_m
        / (stored_pixel_m * manifest.object_pixel_size_m)
    )
    size_px = max(round(exact_px / manifest.window_px), 1) * manifest.window_px
    found_m = manifest.object_pixel_size_m * exact_px / size_px
    if not same_pixel_size(found_m, manifest.object_pixel_size_m):
        raise OtherInstrumentError(
            found.path,
            f"an object pixel is {found_m * 1e9:.4g} nm on a window of {size_px} px, but "
            f"{manifest.model} was trained for {manifest.object_pixel_size_m * 1e9:.4g} nm; "
            "correct energy, distance and detector pixel if they are wrong",
        )
    if min(size_px, height) * min(size_px, width) < LEAST_INSIDE * size_px**2:
        raise OtherInstrumentError(
            found.path,
            f"{frames.where} has frames of {height} × {width} px, but {manifest.model} needs a "
            f"window of {size_px} px of this detector; record larger frames if there are",
        )
    return size_px


def remaining_binning(scan: Scan, network: Sampling) -> int:
    """Factor by which the scan's frames must be binned for this network.

    Raises:
        ScanError: if the frames can't be binned to the network's window.
        PackageError: if the object pixels are incompatible, with the numbers.
    """
    binning = scan.binning_to(network.window_px)
    expected_m, found_m = network.object_pixel_size_m, scan.object_pixel_size_m
    if not same_pixel_size(found_m, expected_m):
        raise OtherInstrumentError(
            scan.path,
            f"an object pixel is {found_m * 1e9:.4g} nm, but the network was trained for "
            f"{expected_m * 1e9:.4g} nm; correct energy, distance and detector pixel if they are "
            "wrong",
        )
    return binning


def check_overlap(scan: Scan) -> None:
    """Check that the frames form a scan: more than one, and not all at one position.

    Raises:
        ScanError: if they do not.
    """
    if scan.frame_count < 2:
        raise ScanError(
            f"{scan.path}: holds one frame, which is not a scan; give frames that overlap"
        )
    if not np.ptp(scan.positions_m[~scan.left_out], axis=0).any():
        raise ScanError(
            f"{scan.path}: all {scan.frame_count} positions are the same, so there is nothing to "
            "stitch; give the positions that the stage reported, e.g. with --positions"
        )


def check_far_field(found: FoundScan) -> None:
    """Check that the frames are far-field, as far as the file's numbers allow.

    Few formats state it, so two conditions of any far-field scan are tested. A probe in the file
    spans λ z / detector pixel. Without a probe: a detector samples the diffraction of a beam only
    up to half of that width (the intensity's spectrum is the exit wave's autocorrelation, twice as
    wide as the beam: Sayre, Acta Cryst. 5, 843, 1952), so frames whose nearest neighbours are
    farther apart than that do not overlap. In near-field scans, where the beam is magnified onto
    the detector, they usually are.

    Raises:
        ScanError: if a condition is violated, with the numbers.
    """
    geometry = known_geometry(found)
    if geometry is None:
        return
    full_span_m = geometry.wavelength_m * geometry.distance_m / geometry.detector_pixel_size_m
    cure = (
        "energy, distance, detector pixel and the unit of the positions must be those of a "
        "far-field scan"
    )
    if found.probe is not None and found.probe_pixel_size_m is not None:
        probe_px = found.probe.value.shape[-1]
        if not same_pixel_size(found.probe_pixel_size_m, full_span_m / probe_px):
            raise ScanError(
                f"{found.path}: near-field or wrong geometry: a pixel of its illumination is "
                f"{found.probe_pixel_size_m * 1e9:.4g} nm, but far-field frames would have "
                f"{full_span_m / probe_px * 1e9:.4g} nm; {cure}"
            )
        return
    if found.positions is None or found.positions.value.unit is not PositionUnit.METRE:
        return
    step_m = nearest_neighbour_m(found.positions.value.values)
    if step_m > full_span_m / 2:
        raise ScanError(
            f"{found.path}: near-field or wrong geometry: neighbouring positions are "
            f"{step_m * 1e9:.4g} nm apart, but the widest beam whose far field this detector "
            f"samples is {full_span_m / 2 * 1e9:.4g} nm; {cure}"
        )


def nearest_neighbour_m(positions_m: NDArray[np.float64]) -> float:
    """Median distance of positions (N, 2) to their nearest neighbours, m; 0 for one position."""
    positions = positions_m[np.isfinite(positions_m).all(axis=1)]
    count = len(positions)
    if count < 2:
        return 0.0
    nearest = []
    rows, columns = np.ascontiguousarray(positions.T)
    for index in np.linspace(0, count - 1, min(count, _SAMPLED_FRAMES)).astype(int):
        squared = (rows - rows[index]) ** 2 + (columns - columns[index]) ** 2
        squared[index] = math.inf
        nearest.append(math.sqrt(squared.min()))
    return float(np.median(nearest))
