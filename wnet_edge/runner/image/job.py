"""From files to files: a scan's path to a result file and a picture of it.

What `wnet-edge infer` and `demo` do, for programs as well: read, frame, infer, write, each step in
its own module.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.framing.framing import FramedScan, Framing
from wnet_edge.framing.training_domain import outside_training_domain, upright_probe
from wnet_edge.host.inputs import note_input, one_command
from wnet_edge.host.outputs import check_apart, check_output, together
from wnet_edge.io.found import FoundScan
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.result_file import Result
from wnet_edge.io.images.result_format import ResultFormat
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.io.writers.result_formats import check_image, write_image
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.pictures.object_picture import PictureOptions, write_picture
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.infer import Inference, check_scan, infer
from wnet_edge.runner.image.orientation_search import ChosenOrientation, choose_orientation
from wnet_edge.runner.image.provenance import as_utf8, process_record
from wnet_edge.runner.image.verdict import Verdict

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Takes a label and a number of frames; inside it, the callback that `infer` calls."""


@dataclass(frozen=True)
class Job:
    """One scan to take to an image.

    Attributes:
        scan: file of any format that is read.
        outputs: files to write, as `wnet_edge.io.writers.result_formats` names them.
        picture: PNG to write; None for none.
        image_format: of the outputs.
        reading: what the user says of the scan's file.
        orientation: of the detector; None: found by trial.
        position_orientation: of the positions; None: found by trial.
        strict: refuse an image that does not explain its frames.
        force: replace existing files.
        command_line: for the record in the result file.
    """

    scan: Path
    outputs: tuple[Path, ...]
    picture: Path | None
    image_format: ResultFormat = ResultFormat.NEXUS
    reading: ReadOptions = field(default_factory=ReadOptions)
    orientation: Orientation | None = Orientation.IDENTITY
    position_orientation: Orientation | None = Orientation.IDENTITY
    strict: bool = False
    force: bool = False
    command_line: str = ""


@dataclass(frozen=True)
class Done:
    """What a job gave.

    Attributes:
        inference: the image.
        framed: the scan as the package saw it.
        search_lines: how its way up was found.
        write_s: seconds that result and picture took to be written.
    """

    inference: Inference
    framed: FramedScan
    search_lines: tuple[str, ...]
    write_s: float


def check_jobs(jobs: Iterable[Job], package: Package) -> None:
    """See that every output may be written, before any scan is read.

    Raises:
        ResultError: if an output exists and `force` is False, can't be written, is the package or
            one of the scans, or is named twice.
    """
    jobs = list(jobs)
    note_input(package.path, ResultError, "the package")
    for job in jobs:
        note_input(job.scan, ResultError, "a scan to read")
        for text in (job.reading.positions, job.reading.probe, job.reading.mask):
            for named in filter(None, (text, (text or "").rpartition(":")[0])):
                note_input(Path(named), ResultError)
    for job in jobs:
        for output in _files(job):
            check_output(output, ResultError, force=job.force)
    check_apart([path for job in jobs for path in _files(job)], ResultError)


def _files(job: Job) -> tuple[Path, ...]:
    """All that a job writes."""
    return job.outputs if job.picture is None else (*job.outputs, job.picture)


def framed_by(
    found: FoundScan,
    opened: ChosenGraph,
    orientation: Orientation | None,
    position_orientation: Orientation | None,
) -> ChosenOrientation:
    """The scan as the package would see it: what a job does before its first frame is inferred.

    Orientations that are None are found by trial.

    Raises:
        ScanError: if the scan lacks a part or is not far-field.
        PackageError: if the package does not fit it.
        ProviderError: if an orientation is to be found and the network can't run.
    """
    framing = Framing(found, opened.package)
    choice = choose_orientation(framing, opened, orientation, position_orientation)
    check_scan(choice.framed.scan, opened.package)
    return choice


def run_job(job: Job, opened: ChosenGraph, progress: Progress) -> Done:
    """Read the scan, infer, write result and picture: each whole, new ones both or neither.

    Args:
        job: what to read and to write.
        opened: graph of the package, which may serve many jobs.
        progress: shows how far it is.

    Raises:
        ScanError: if the scan can't be read, is not far-field or, with `strict`, is not explained
            by its image.
        PackageError: if the package does not fit it.
        ProviderError: if the provider fails.
        ResultError: if an output can't be written.
    """
    with one_command():
        return _run(job, opened, progress)


def _run(job: Job, opened: ChosenGraph, progress: Progress) -> Done:
    package = opened.package
    check_jobs([job], package)
    found = find_scan(job.scan, job.reading)
    choice = framed_by(found, opened, job.orientation, job.position_orientation)
    framed = choice.framed
    probe, similarity = package.probe, None
    if framed.scan.probe is not None:
        probe, similarity = upright_probe(framed.scan.probe, framed.window.orientation, package)
    context = _context(job, framed, probe, package.name)
    size_m = framed.scan.object_pixel_size_m
    check_image(job.image_format, job.outputs, size_m, context, force=job.force)
    with progress(job.scan.name, framed.scan.frame_count) as step:
        inference = infer(framed.scan, opened, step)
    strange = outside_training_domain(package, inference.median_counts, similarity)
    inference = replace(inference, warnings=(*choice.warnings, *strange, *inference.warnings))
    if job.strict and not inference.self_check.trusted:
        raise ScanError(
            f"{job.scan}: {inference.self_check.warning}; nothing is written under --strict"
        )
    began = perf_counter()
    _write(job, package, framed, inference, context)
    return Done(inference, framed, choice.search_lines, perf_counter() - began)


def _write(
    job: Job, package: Package, framed: FramedScan, inference: Inference, context: ImageContext
) -> None:
    stitched = inference.stitched
    result = Result.of_image(
        stitched.image,
        stitched.coverage,
        stitched.window_offset_px,
        stitched.origin_px,
        inference.pixel_size_m,
        process_record(job.scan, job.command_line, package, inference, framed),
    )
    caption = (
        f"{inference.self_check.text} · {inference.frames_processed} of "
        f"{inference.frames_received} frames, package {package.name}, "
        f"{inference.precision.value} on {inference.provider.value}"
    )
    title = job.scan.name
    if inference.self_check.verdict is Verdict.NOT_TRUSTED:
        title = f"{title}: NOT TRUSTED"
    with together():
        write_image(job.image_format, job.outputs, result, context, force=job.force)
        if job.picture is None:
            return
        write_picture(
            job.picture,
            result.phase,
            result.amplitude,
            result.coverage,
            result.pixel_size_m,
            PictureOptions(title=title, caption=caption),
            force=job.force,
        )


def _context(
    job: Job, framed: FramedScan, probe: NDArray[np.complex64], package_name: str
) -> ImageContext:
    scan = framed.scan
    return ImageContext(
        probe=fitted_probe(probe, scan.full_window_px),
        positions_m=scan.positions_m,
        left_out=scan.left_out,
        frame_numbers=scan.frame_numbers,
        full_window_px=scan.full_window_px,
        energy_ev=framed.energy_ev,
        distance_m=framed.distance_m,
        title=as_utf8(f"{job.scan.name} through package {package_name}"),
    )
