"""`wnet-edge reference`: a scan through an engine of pty-chi, to an image."""

from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.command_line import command_line
from wnet_edge.cli.number_types import SEED
from wnet_edge.cli.options import (
    FILE,
    force_option,
    format_option,
    json_option,
    no_links_option,
    print_json,
)
from wnet_edge.cli.reference_progress import epoch_progress
from wnet_edge.cli.scan_options import (
    known_orientation_options,
    read_options_from,
    scan_options,
    turns_from,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import resolved
from wnet_edge.io.images.result_format import ResultFormat, paths_from, picture_beside
from wnet_edge.package.manifest import MAX_BATCH_SIZE
from wnet_edge.reference.job import ReferenceJob, run_job
from wnet_edge.reference.options import DeviceName, Engine, ReferenceOptions
from wnet_edge.reference.outcome import Reconstruction
from wnet_edge.runner.graph.run_settings import MAX_THREADS

_MAX_EPOCHS, _MAX_MODES = 100_000, 50


@click.command()
@click.argument("scan", metavar="SCAN")
@click.option("-o", "output", type=FILE, required=True, help="Result file.")
@click.option(
    "--engine",
    type=click.Choice([engine.value for engine in Engine]),
    default=Engine.LSQML.value,
    show_default=True,
    help="Engine of pty-chi: extended PIE, regularised PIE with momentum, difference map, or "
    "least-squares maximum likelihood.",
)
@click.option(
    "--epochs",
    type=click.IntRange(1, _MAX_EPOCHS),
    default=100,
    show_default=True,
    help="Passes over all frames.",
)
@click.option(
    "--start",
    type=FILE,
    metavar="IMAGE",
    help="Begin with this image: a result of infer or reference, a Ptychodus product, or an .npz "
    "archive of this scan.  [default: an empty object]",
)
@click.option("--refine-probe", is_flag=True, help="Refine the probe, too; otherwise it is held.")
@click.option(
    "--refine-positions",
    is_flag=True,
    help="Correct the positions, too, below a pixel or two; otherwise they are held.",
)
@click.option(
    "--modes",
    type=click.IntRange(1, _MAX_MODES),
    help="Incoherent modes of the probe; more than it has need --refine-probe.  [default: all "
    "that it has]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, MAX_BATCH_SIZE),
    help="Frames per update; for dm, which updates with all, those transformed at a time.  "
    f"[default: {Engine.LSQML.update_frames} for lsqml, {Engine.MPIE.update_frames} for others]",
)
@click.option(
    "--device",
    type=click.Choice([device.value for device in DeviceName]),
    default=DeviceName.AUTO.value,
    show_default=True,
    help="Device; auto: an NVIDIA GPU if PyTorch can use one, else the CPU.",
)
@click.option(
    "--threads", type=click.IntRange(1, MAX_THREADS), help="CPU threads.  [default: one per core]"
)
@click.option(
    "--seed", type=SEED, default=0, show_default=True, help="Random seed of the order of frames."
)
@click.option("--image", "picture", type=FILE, help="Picture.  [default: OUT.png next to OUT.h5]")
@click.option("--no-image", is_flag=True, help="Write no picture.")
@format_option
@known_orientation_options
@scan_options
@no_links_option
@force_option
@json_option
def command(
    scan: str,
    output: Path,
    engine: str,
    epochs: int,
    start: Path | None,
    refine_probe: bool,
    refine_positions: bool,
    modes: int | None,
    batch_size: int | None,
    device: str,
    threads: int | None,
    seed: int,
    picture: Path | None,
    no_image: bool,
    image_format: str,
    force: bool,
    as_json: bool,
    **reading: Any,  # noqa: ANN401 - the options of the scan, as click parsed them
) -> None:
    """Reconstruct a far-field scan iteratively, for minutes instead of seconds.

    The image is what others are held against: infer's, with `wnet-edge compare`. Needs pty-chi
    (pip install 'wnet-edge[reference]'), and a scan with a probe, or one that --probe names. Probe
    and positions are held unless refined, so that the R-factor compares with that of infer
    --refine. Ctrl-C ends with the last whole epoch. example:scan247 is the embedded scan.
    """
    if no_image and picture is not None:
        raise click.UsageError("give either --image or --no-image")
    turns = turns_from(reading)
    job = ReferenceJob(
        scan=Path(resolved(scan)),
        outputs=paths_from(ResultFormat(image_format), output),
        picture=None if no_image else picture or picture_beside(output),
        options=ReferenceOptions(
            engine=Engine(engine),
            epochs=epochs,
            batch_size=batch_size,
            modes=modes,
            refine_probe=refine_probe,
            refine_positions=refine_positions,
            device=DeviceName(device),
            threads=threads,
            seed=seed,
        ),
        start=None if start is None else Path(resolved(str(start))),
        image_format=ResultFormat(image_format),
        reading=read_options_from(reading),
        turns=turns,
        force=force,
        command_line=command_line(),
    )
    with epoch_progress(job.scan.name, epochs) as watch:
        done = run_job(job, watch, lambda told: print_note(f"Warning: {job.scan}: {told}"))
    report(job, done, as_json=as_json)


def report(job: ReferenceJob, done: Reconstruction, *, as_json: bool) -> None:
    """What was done and where it lies: lines for people, or one line for programs."""
    if as_json:
        print_json(
            {
                "scan": str(job.scan),
                "frames_processed": len(done.scene.counts),
                **done.values,
                "start": None if job.start is None else str(job.start),
                "object_pixel_size_m": done.scene.object_pixel_size_m,
                "versions": done.versions,
                "results": [str(path) for path in job.outputs],
                "picture": None if job.picture is None else str(job.picture),
                "warnings": list(done.scene.warnings),
            }
        )
        return
    print_line(done.text)
    for path in job.outputs:
        print_line(f"image: {path}")
    if job.picture is not None:
        print_line(f"picture: {job.picture}")
