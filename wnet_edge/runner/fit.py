"""May this package look at this scan? Asked before the first frame is read.

A network knows one window, one object pixel and the far field; frames of anything else would give
patches that look like an object and are none.
"""

import math

import numpy as np

from wnet_edge.errors import PackageError, ScanError
from wnet_edge.manifest import Manifest
from wnet_edge.scan import Scan

OBJECT_PIXEL_TOLERANCE = 0.01
"""Relative difference of object pixels up to which a network's patches are of the right size."""

_SAMPLED_FRAMES = 100
"""Frames whose nearest neighbours are looked for: enough for a median, few enough for any scan."""


def remaining_binning(scan: Scan, manifest: Manifest) -> int:
    """How far the scan's frames still have to be binned for this package.

    Raises:
        PackageError: if window or object pixel differ, with the numbers.
    """
    if scan.full_window_px != manifest.frame_px or manifest.binning % scan.binning:
        raise PackageError(
            f"{scan.path}: frames of {scan.frame_px} px binned {scan.binning} × {scan.binning} do "
            f"not fit {manifest.model}, which takes {manifest.frame_px} px and bins "
            f"{manifest.binning} × {manifest.binning}; crop the frames or export a package for them"
        )
    expected_m = manifest.object_pixel_size_m
    found_m = scan.object_pixel_size_m
    if not math.isclose(found_m, expected_m, rel_tol=OBJECT_PIXEL_TOLERANCE):
        raise PackageError(
            f"{scan.path}: an object pixel is {found_m * 1e9:.4g} nm, but {manifest.model} was "
            f"trained for {expected_m * 1e9:.4g} nm; correct energy, distance and detector pixel, "
            "or train a package for this geometry"
        )
    return manifest.binning // scan.binning


def check_far_field(scan: Scan) -> None:
    """See that frames are what a far-field detector saw, as far as the scan can tell.

    CXI has no word for it, so two things that hold in any far-field scan are asked. A probe in the
    file has the far-field object pixel, wavelength × distance / (n × detector pixel). Where there
    is none: a detector samples the diffraction of a beam only up to half the full window wide (the
    intensity's spectrum is the exit wave's autocorrelation, twice as wide as the beam: Sayre, Acta
    Cryst. 5, 843, 1952), so frames whose nearest neighbours are farther apart than that do not
    overlap. In near-field scans, where the beam is magnified onto the detector, they usually are.

    Raises:
        ScanError: with the numbers.
    """
    pixel_m = scan.object_pixel_size_m
    cure = "energy, distance and detector pixel must be those of a far-field scan"
    if scan.probe_pixel_size_m is not None:
        if not math.isclose(scan.probe_pixel_size_m, pixel_m, rel_tol=OBJECT_PIXEL_TOLERANCE):
            raise ScanError(
                f"{scan.path}: near-field or wrong geometry: a pixel of its illumination is "
                f"{scan.probe_pixel_size_m * 1e9:.4g} nm, but far-field frames would have "
                f"{pixel_m * 1e9:.4g} nm; {cure}"
            )
        return
    widest_beam_m = scan.full_window_px * pixel_m / 2
    step_m = nearest_neighbour_m(scan)
    if step_m > widest_beam_m:
        raise ScanError(
            f"{scan.path}: near-field or wrong geometry: neighbouring positions are "
            f"{step_m * 1e9:.4g} nm apart, but the widest beam whose far field this detector "
            f"samples is {widest_beam_m * 1e9:.4g} nm; {cure}"
        )


def nearest_neighbour_m(scan: Scan) -> float:
    """Median distance of a position to its nearest neighbour; 0 for a single frame."""
    positions = scan.positions_m
    count = len(positions)
    if count < 2:
        return 0.0
    nearest = []
    for index in np.linspace(0, count - 1, min(count, _SAMPLED_FRAMES)).astype(int):
        squared = np.sum((positions - positions[index]) ** 2, axis=1)
        squared[index] = math.inf
        nearest.append(math.sqrt(squared.min()))
    return float(np.median(nearest))
