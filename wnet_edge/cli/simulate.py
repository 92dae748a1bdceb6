"""`wnet-edge simulate`: a scan of procedural objects with labels, as a CXI file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from wnet_edge.cli.example import PART
from wnet_edge.cli.number_types import SEED, Number
from wnet_edge.cli.options import FILE, force_option, frame_progress, no_links_option
from wnet_edge.cli.scan_options import geometry_from, geometry_options
from wnet_edge.cli.terminal import print_line
from wnet_edge.errors import ScanError, SimulationError
from wnet_edge.host.outputs import check_output, check_room
from wnet_edge.io.probe_file import find_probe
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.detector import MAX_PHOTONS, Detector
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
MAX_FRAMES, MAX_STEP_PX = 1_000_000, 4096


@click.command()
@click.option("-o", "output", type=FILE, required=True, help="CXI file to write.")
@click.option(
    "--probe",
    type=PART,
    metavar="FILE[:PATH]",
    help="Any file with a probe: a scan, a Ptychodus product, an .npz or .npy, a dataset.  "
    "[default: a simulated zone plate at 10 keV]",
)
@geometry_options
@click.option(
    "--frames",
    "frame_count",
    type=click.IntRange(1, MAX_FRAMES),
    default=400,
    show_default=True,
    help="Number of frames, on a square raster.",
)
@click.option(
    "--step-px",
    type=click.IntRange(1, MAX_STEP_PX),
    default=10,
    show_default=True,
    help="Raster step in object pixels.",
)
@click.option(
    "--photons",
    type=Number(1, MAX_PHOTONS),
    default=5e7,
    show_default=True,
    help="Counts per frame without a sample.",
)
@click.option(
    "--dead-fraction",
    type=Number(0, 1, max_open=True),
    default=0.0,
    show_default=True,
    help="Fraction of dead detector pixels.",
)
@click.option(
    "--family",
    type=click.Choice([f.value for f in Family]),
    help="Kind of object.  [default: a mosaic of all kinds]",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="Random seed; the same seed gives the same scan.",
)
@no_links_option
@force_option
def command(
    output: Path,
    probe: str | None,
    frame_count: int,
    step_px: int,
    photons: float,
    dead_fraction: float,
    family: str | None,
    seed: int,
    force: bool,
    **geometry: Any,  # noqa: ANN401 - the options of geometry_options, as click parsed them
) -> None:
    """Simulate a scan and write it with a label for every frame.

    Frames have 128 × 128 pixels; labels are the amplitude and phase of the central 64 × 64 pixels
    of the object under the probe, as a network learns them. With --probe, frames are as large as
    the probe's window, and the geometry options supply what the probe's file lacks.
    """
    reading = geometry_from(geometry)
    if probe is None and reading != ReadOptions():
        raise click.UsageError("--energy-ev, --distance-m and --pixel-size-m go with --probe")
    check_output(output, ScanError, force=force)
    modes, optics = _instrument(probe, reading)
    frame_bytes = frame_count * _frame_bytes(modes.shape[-1])
    check_room(output, f"{frame_count} frames", frame_bytes, ScanError)
    options = ScanOptions(
        frames=frame_count,
        step_px=step_px,
        family=None if family is None else Family(family),
        window_px=WINDOW_PX,
        detector=Detector((photons, photons), dead_fraction=dead_fraction),
        seed=seed,
    )
    scan = VirtualScan(modes, options)
    full_px = modes.shape[-1]
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
    write_cxi(output, header, _batches(scan, frame_count), force=force)
    print_line(f"{output}: {frame_count} frames of {full_px} × {full_px}, with labels")


def _frame_bytes(full_px: int) -> int:
    """A frame's 32-bit counts and its labels, before they are compressed."""
    return 4 * full_px**2 + 2 * 4 * WINDOW_PX**2


def _instrument(probe: str | None, reading: ReadOptions) -> tuple[NDArray[np.complex64], Geometry]:
    if probe is None:
        modes = zone_plate_probe(
            OPTICS,
            wavelength_m=GEOMETRY.wavelength_m,
            window_px=FULL_WINDOW_PX,
            pixel_size_m=GEOMETRY.object_pixel_size_m(FULL_WINDOW_PX),
        )
        return modes, GEOMETRY
    found = find_probe(probe, reading)
    if found.full_window_px % WINDOW_PX:
        raise SimulationError(
            f"{found.path}: a window of {found.full_window_px} px can't be binned to {WINDOW_PX} "
            f"px; name a probe with a window of {WINDOW_PX} px or a multiple"
        )
    return found.modes, found.geometry


def _batches(scan: VirtualScan, frames: int) -> Iterator[LabelledFrames]:
    with frame_progress("simulating", frames) as advance:
        for batch in scan.batches(_BATCH_FRAMES):
            yield batch
            if advance is not None:
                advance(len(batch.frames))
