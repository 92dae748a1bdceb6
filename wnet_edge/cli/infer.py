"""`wnet-edge infer`: scans through a package, to images."""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.adapt_command import with_adapt_command
from wnet_edge.cli.command_line import command_line
from wnet_edge.cli.options import (
    FILE,
    force_option,
    format_option,
    frame_progress,
    json_option,
    no_links_option,
    package_option,
    print_json,
    runner_options,
    runner_options_from,
    trust_option,
)
from wnet_edge.cli.refine_option import PASSES, refine_options
from wnet_edge.cli.scan_options import (
    orientation_options,
    read_options_from,
    scan_options,
    way_up,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import named, opened_package, resolved
from wnet_edge.errors import ResultError, ScanError, WNetEdgeError
from wnet_edge.io.containers.image_files import is_of_images
from wnet_edge.io.images.result_format import (
    ResultFormat,
    default_paths,
    paths_from,
    picture_beside,
)
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.refining.options import PositionCorrection
from wnet_edge.runner.choosing.choice import ChosenGraph, open_best_graph
from wnet_edge.runner.image.job import Done, Job, check_jobs, run_job


@click.command()
@click.argument("scans", metavar="SCAN...", nargs=-1, required=True)
@package_option
@trust_option
@runner_options
@click.option(
    "-o",
    "output",
    type=FILE,
    help="Result file; with several scans, folder of the results.  [default: ./SCAN.wnet.h5]",
)
@click.option(
    "--image",
    "picture",
    type=FILE,
    help="Picture of the result.  [default: ./SCAN.wnet.png, or OUT.png next to -o OUT.h5]",
)
@click.option("--no-image", is_flag=True, help="Write no picture.")
@format_option
@click.option(
    "--refine",
    type=PASSES,
    metavar="N|auto",
    help="Refine the image by N passes over its frames, or as many as pay (auto).",
)
@click.option(
    "--refine-positions",
    "correction",
    is_flag=False,
    flag_value=PositionCorrection.EACH.value,
    type=click.Choice([kind.value for kind in PositionCorrection]),
    help="Correct the positions first, by what neighbouring patches show of the same place, and "
    "below a pixel in the passes of --refine: each frame's own error, or with `affine` the stage's "
    "scale, rotation and shear, too.",
)
@click.option(
    "--refine-probe",
    is_flag=True,
    help="Improve the probe, too, in the passes of --refine: for optics that have moved since the "
    "package's probe was measured.",
)
@click.option(
    "--strict", is_flag=True, help="Fail, and write nothing, if the image is not trusted."
)
@orientation_options
@scan_options
@no_links_option
@force_option
@json_option
def command(
    scans: tuple[str, ...],
    package: str,
    trust: Path | None,
    precision: str,
    provider: str,
    threads: int | None,
    batch_size: int | None,
    output: Path | None,
    picture: Path | None,
    no_image: bool,
    image_format: str,
    refine: int | None,
    correction: str | None,
    refine_probe: bool,
    strict: bool,
    orientation: str | None,
    position_orientation: str,
    force: bool,
    as_json: bool,
    **reading: Any,  # noqa: ANN401 - the options of scan_options, as click parsed them
) -> None:
    """Reconstruct far-field scans: a result file and a picture for each.

    The format of a scan file is recognised by its content; options supply what the file lacks.
    Results of several scans go to a folder, with one line of JSON per scan; a scan that fails does
    not stop the others. A folder of TIFF files, or a quoted pattern ('scan7/*.tif'), is one scan
    with one file per frame. example:scan247 is the embedded scan.
    """
    if no_image and picture is not None:
        raise click.UsageError("give either --image or --no-image")
    several = len(scans) > 1
    if several and picture is not None:
        raise click.UsageError("--image is for one scan; for several, give -o FOLDER")
    if several:
        from wnet_edge.io.containers.tiff.frames import check_several_scans

        check_several_scans([Path(resolved(scan)) for scan in scans])
    options = runner_options_from(precision, provider, threads, batch_size)
    read_options = read_options_from(reading)
    if refine_probe and refine is None:
        raise click.UsageError("--refine-probe is for the passes of --refine N")
    refining = refine_options(refine, threads, probe=refine_probe)
    opened = opened_package(package, trust)
    kind = ResultFormat(image_format)
    with _folder(output, several=several) as folder:
        file = output if folder is None else None
        jobs = [
            Job(
                scan=Path(resolved(scan)),
                outputs=(
                    paths_from(kind, file)
                    if file is not None
                    else default_paths(kind, folder or Path(), stem)
                ),
                picture=(
                    None
                    if no_image
                    else picture or picture_beside(file or (folder or Path()) / f"{stem}.wnet.h5")
                ),
                image_format=kind,
                reading=read_options,
                orientation=way_up(orientation, opened.manifest.orientation),
                position_orientation=way_up(position_orientation, Orientation.IDENTITY),
                refining=refining,
                correction=None if correction is None else PositionCorrection(correction),
                strict=strict,
                force=force,
                command_line=command_line(),
            )
            for scan, stem in zip(scans, _stems(tuple(map(named, scans))), strict=True)
        ]
        check_jobs(jobs, opened)
        graph = open_best_graph(opened, options)
        if several:
            _run_all(jobs, graph)
            return
        done = run_job(jobs[0], graph, frame_progress)
    report(jobs[0], opened, done, as_json=as_json)


def _stems(scans: tuple[Path, ...]) -> list[str]:
    """What the outputs of each scan are called; as many folders go before names as tell them apart.

    A scan that is a folder, or a pattern of files, is called so.
    """
    places = [(*scan.absolute().parent.parts[1:], _stem(scan)) for scan in scans]
    depths = [1] * len(scans)
    while True:
        stems = ["_".join(place[-depth:]) for place, depth in zip(places, depths, strict=True)]
        counts = Counter(stems)
        deeper = [
            depth + (counts[stem] > 1 and depth < len(place))
            for stem, depth, place in zip(stems, depths, places, strict=True)
        ]
        if deeper == depths:
            return stems
        depths = deeper


def _stem(scan: Path) -> str:
    if not is_of_images(scan):
        return scan.stem
    if scan.is_dir():
        return scan.resolve().name or "scan"
    return re.split(r"[*?\[]", scan.name)[0].rstrip("_-. ") or scan.absolute().parent.name


@contextlib.contextmanager
def _folder(output: Path | None, *, several: bool) -> Iterator[Path | None]:
    """The folder that -o names, made where several scans need it; gone again if left empty."""
    # Not Path.is_dir, which raises on a name that is too long.
    there = output is not None and os.path.isdir(output)  # noqa: PTH112
    if output is None or not (several or there):
        yield None
        return
    try:
        output.mkdir(exist_ok=True)
    except OSError as error:
        raise ResultError(
            f"{output}: is not a folder and can't be created as one ({error.strerror}); several "
            "scans need a folder"
        ) from error
    try:
        yield output
    finally:
        if not there:
            with contextlib.suppress(OSError):  # it holds images
                output.rmdir()


def _run_all(jobs: list[Job], opened: ChosenGraph) -> None:
    """Each scan in turn, a JSON line each, whatever becomes of the others.

    Raises:
        ScanError: at the end, if any failed.
    """
    failed: list[str] = []
    for job in jobs:
        try:
            done = run_job(job, opened, frame_progress)
        except WNetEdgeError as error:
            failed.append(str(job.scan))
            print_json({"scan": str(job.scan), "error": str(with_adapt_command(error))})
        else:
            print_json(summary(job, opened.package, done))
    if failed:
        raise ScanError(
            f"{len(failed)} of {len(jobs)} scans failed: {', '.join(failed)}; their JSON lines say "
            "why"
        )


def report(job: Job, package: Package, done: Done, *, as_json: bool) -> None:
    """What was done and where it lies: lines for people, or one line for programs."""
    inference = done.image.inference
    for warning in inference.warnings:
        print_note(f"Warning: {job.scan}: {warning}")
    if as_json:
        print_json(summary(job, package, done))
        return
    print_line(
        f"{inference.frames_processed} of {inference.frames_received} frames in "
        f"{inference.timing.total_s:.2f} s, {inference.frames_per_second:.0f} frames/s "
        f"({inference.reason})"
    )
    for line in done.image.ready.choice.search_lines:
        print_line(line)
    if done.image.corrected is not None:
        print_line(done.image.corrected.text)
    if inference.refinement is not None:
        print_line(inference.refinement.text)
    check = inference.self_check
    print_line(check.text)
    for path in job.outputs:
        print_line(f"image: {path}")
    if job.picture is not None:
        print_line(f"picture: {job.picture}")


def summary(job: Job, package: Package, done: Done) -> dict[str, object]:
    """The last line of `--json`."""
    inference = done.image.inference
    timing, check = inference.timing, inference.self_check
    fit = check.fit
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
        "seconds_refine": timing.refine_s,
        "seconds_check": timing.check_s,
        "seconds_wait_for_frames": timing.wait_for_frames_s,
        "seconds_wait_for_network": timing.wait_for_network_s,
        "seconds_write": done.write_s,
        "package": package.name,
        "package_sha256": package.sha256,
        "precision": inference.precision.value,
        "provider": inference.provider.value,
        "reason": inference.reason,
        "position_correction": done.image.corrected and done.image.corrected.values,
        "refinement": inference.refinement and inference.refinement.values,
        "r_factor": fit and fit.r_factor,
        "r_floor": fit and fit.r_floor,
        "r_blank": fit and fit.r_blank,
        "explained": fit and fit.explained,
        "contrast": fit and fit.contrast,
        "r_frames": fit.frames if fit else 0,
        "trusted": check.trusted,
        "cause": check.cause and check.cause.value,
        **done.image.ready.framed.choices,
        "orientation_search": list(done.image.ready.choice.search_lines),
        "amplitude_scale": inference.amplitude_scale.value,
        "transmission": inference.transmission,
        "median_counts": inference.median_counts,
        "values_masked": inference.values_masked,
        "values_clipped": inference.values_clipped,
        "object_pixel_size_m": inference.pixel_size_m,
        "stitch_rounds": inference.stitched.rounds,
        "results": [str(path) for path in job.outputs],
        "picture": None if job.picture is None else str(job.picture),
        "warnings": list(inference.warnings),
    }
