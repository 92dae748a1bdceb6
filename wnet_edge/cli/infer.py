"""`wnet-edge infer`: scans through a package, to images."""

import shlex
import sys
from pathlib import Path

import click

from wnet_edge.cli.options import (
    FILE,
    force_option,
    frame_progress,
    json_option,
    package_option,
    print_json,
    runner_options,
    runner_options_from,
)
from wnet_edge.package import Package, find_package, open_package
from wnet_edge.runner.infer import Inference
from wnet_edge.runner.job import Job, check_jobs, run_job


@click.command()
@click.argument("scans", metavar="SCAN...", nargs=-1, required=True, type=FILE)
@package_option
@runner_options
@click.option("-o", "result", type=FILE, help="Result file.  [default: ./SCAN.wnet.h5]")
@click.option("--image", "picture", type=FILE, help="Picture.  [default: ./SCAN.wnet.png]")
@force_option
@json_option
def command(
    scans: tuple[Path, ...],
    package: str,
    precision: str,
    provider: str,
    threads: int,
    batch_size: int,
    result: Path | None,
    picture: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Take far-field scans to images of the object: a result file and a picture each."""
    if len(scans) > 1 and (result is not None or picture is not None):
        raise click.UsageError("-o and --image name the outputs of one scan; give one scan a call")
    options = runner_options_from(precision, provider, threads, batch_size)
    jobs = [
        Job(
            scan=scan,
            result=result or Path(f"{scan.stem}.wnet.h5"),
            picture=picture or Path(f"{scan.stem}.wnet.png"),
            force=force,
            command_line=shlex.join(["wnet-edge", *sys.argv[1:]]),
        )
        for scan in scans
    ]
    check_jobs(jobs)
    opened = open_package(find_package(package))
    for job in jobs:
        inference = run_job(job, opened, options, frame_progress)
        report(job, opened, inference, as_json=as_json)


def report(job: Job, package: Package, inference: Inference, *, as_json: bool) -> None:
    """What was done and where it lies: lines for people, or one line for programs."""
    for warning in inference.warnings:
        click.echo(f"Warning: {job.scan}: {warning}", err=True)
    if as_json:
        print_json(summary(job, package, inference))
        return
    click.echo(
        f"{inference.frames_processed} of {inference.frames_received} frames in "
        f"{inference.timing.total_s:.2f} s, {inference.frames_per_second:.0f} frames/s "
        f"({inference.reason})"
    )
    click.echo(f"image: {job.result}\npicture: {job.picture}")


def summary(job: Job, package: Package, inference: Inference) -> dict[str, object]:
    """The last line of `--json`."""
    timing = inference.timing
    return {
        "scan": str(job.scan),
        "frames_received": inference.frames_received,
        "frames_processed": inference.frames_processed,
        "frames_lost": inference.frames_lost,
        "seconds": timing.total_s,
        "frames_per_second": inference.frames_per_second,
        "seconds_open": timing.open_s,
        "seconds_read": timing.read_s,
        "seconds_prepare": timing.prepare_s,
        "seconds_network": timing.network_s,
        "seconds_stitch": timing.stitch_s,
        "package": package.name,
        "package_sha256": package.sha256,
        "precision": inference.precision.value,
        "provider": inference.provider.value,
        "reason": inference.reason,
        "amplitude_scale": inference.amplitude_scale.value,
        "transmission": inference.transmission,
        "values_masked": inference.values_masked,
        "object_pixel_size_m": inference.pixel_size_m,
        "stitch_rounds": inference.stitched.rounds,
        "result": str(job.result),
        "picture": str(job.picture),
        "warnings": list(inference.warnings),
    }
