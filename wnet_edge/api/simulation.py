"""Simulated scans, as `wnet-edge simulate` makes them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wnet_edge.api.scans import File, Part, part_of
from wnet_edge.choices import chosen
from wnet_edge.embedded import path_of
from wnet_edge.errors import OptionError, ScanError, SimulationError
from wnet_edge.host.outputs import check_output, check_room
from wnet_edge.io.probe_file import find_probe
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.labelled_frames import LabelledFrames
from wnet_edge.physics.objects import Family
from wnet_edge.physics.probe import ZonePlate, zone_plate_probe
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

WINDOW_PX = 64
FULL_WINDOW_PX = 128
GEOMETRY = Geometry(energy_ev=10_000.0, distance_m=0.9, detector_pixel_size_m=55e-6)
"""Of the default instrument: a hard X-ray nanoprobe, object pixel 15.85 nm."""

OPTICS = ZonePlate(outermost_zone_width_m=30e-9, defocus_m=30e-6, source_size_m=15e-9, modes=3)
_BATCH_FRAMES = 64


def simulate(
    output: File,
    *,
    probe: Part | None = None,
    energy_ev: float | None = None,
    distance_m: float | None = None,
    pixel_size_m: float | None = None,
    frames: int = 400,
    step_px: int = 10,
    photons: float = 5e7,
    dead_fraction: float = 0.0,
    family: str | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Simulate a scan and write it as CXI, with a label for every frame.

    Frames have 128 × 128 pixels; labels are the amplitude and phase of the central 64 × 64 pixels
    of the object under the probe, as a network learns them. With `probe`, frames are as large as
    its window.

    Args:
        output: CXI file to write.
        probe: a file, FILE:DATASET, or (modes, n, n) complex; None: a zone plate at 10 keV.
        energy_ev: photon energy, where the probe's file does not say.
        distance_m: sample to detector, likewise.
        pixel_size_m: edge of a detector pixel, likewise.
        frames: number of positions, on a square raster.
        step_px: raster step in object pixels.
        photons: counts that a frame would hold without the sample.
        dead_fraction: share of dead pixels.
        family: kind of object, "lines" or "dots" say; None: a mosaic of all.
        seed: same seed, same scan.
        force: replace an existing file.
        progress: called after each batch with the number of frames in it.

    Returns:
        The file.

    Raises:
        OptionError: if the geometry is given without a probe, or there is no such family.
        ScanError: if the probe can't be read, or the file can't be written.
        SimulationError: if the parameters describe no experiment.
    """
    reading = ReadOptions(energy_ev=energy_ev, distance_m=distance_m, pixel_size_m=pixel_size_m)
    if probe is None and reading != ReadOptions():
        raise OptionError("--energy-ev, --distance-m and --pixel-size-m go with --probe")
    kind = None if family is None else chosen(Family, family, "family")
    path = path_of(output)
    check_output(path, ScanError, force=force)
    modes, optics = _instrument(probe, reading)
    full_px = modes.shape[-1]
    check_room(path, f"{frames} frames", frames * _frame_bytes(full_px), ScanError)
    options = ScanOptions(
        frames=frames,
        step_px=step_px,
        family=kind,
        window_px=WINDOW_PX,
        detector=Detector((photons, photons), dead_fraction=dead_fraction),
        seed=seed,
    )
    scan = VirtualScan(modes, options)
    header = CxiHeader(
        geometry=optics,
        positions_m=scan.positions_px.astype(np.float64) * optics.object_pixel_size_m(full_px),
        frame_px=full_px,
        mask=scan.mask,
        probe=(scan.probe * np.sqrt(photons)).astype(np.complex64),
        label_px=WINDOW_PX,
        label_binning=full_px // WINDOW_PX,
        title=f"simulated scan, {family or 'mosaic'} object, seed {seed}",
        note="simulated by wnet-edge; labels are gauge-fixed and relative to their RMS",
    )
    write_cxi(path, header, _batches(scan, progress), force=force)
    return path


def _frame_bytes(full_px: int) -> int:
    """A frame's 32-bit counts and its labels, before they are compressed."""
    return 4 * full_px**2 + 2 * 4 * WINDOW_PX**2


def _instrument(probe: Part | None, reading: ReadOptions) -> tuple[NDArray[np.complex64], Geometry]:
    given = part_of(probe)
    if given is None:
        modes = zone_plate_probe(
            OPTICS,
            wavelength_m=GEOMETRY.wavelength_m,
            window_px=FULL_WINDOW_PX,
            pixel_size_m=GEOMETRY.object_pixel_size_m(FULL_WINDOW_PX),
        )
        return modes, GEOMETRY
    found = find_probe(given, reading)
    if found.full_window_px % WINDOW_PX:
        raise SimulationError(
            f"{found.path}: a window of {found.full_window_px} px can't be binned to {WINDOW_PX} "
            f"px; name a probe with a window of {WINDOW_PX} px or a multiple"
        )
    return found.modes, found.geometry


def _batches(scan: VirtualScan, progress: Callable[[int], None] | None) -> Iterator[LabelledFrames]:
    for batch in scan.batches(_BATCH_FRAMES):
        yield batch
        if progress is not None:
            progress(len(batch.frames))
