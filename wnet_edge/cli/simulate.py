"""`wnet-edge simulate`: a scan of procedural objects with labels, as a CXI file."""

from pathlib import Path
from typing import Any

import click

from wnet_edge.api.simulation import simulate
from wnet_edge.cli.example import PART
from wnet_edge.cli.number_types import SEED, Number
from wnet_edge.cli.options import FILE, force_option, frame_progress, no_links_option
from wnet_edge.cli.scan_options import geometry_options
from wnet_edge.cli.terminal import print_line
from wnet_edge.errors import OptionError
from wnet_edge.physics.detector import MAX_PHOTONS
from wnet_edge.physics.objects import Family

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
    try:
        with frame_progress("simulating", frame_count) as advance:
            simulate(
                output,
                probe=probe,
                frames=frame_count,
                step_px=step_px,
                photons=photons,
                dead_fraction=dead_fraction,
                family=family,
                seed=seed,
                force=force,
                progress=advance,
                **geometry,
            )
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    print_line(f"{output}: {frame_count} frames, with labels")
