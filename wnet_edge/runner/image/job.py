"""Inference from file to file: reads a scan, infers its image, writes a result file and a picture.

What `wnet-edge infer` and `demo` do, also for use from Python: read, frame, infer, write, each step
in its own module.
"""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.host.inputs import note_input, one_command
from wnet_edge.host.outputs import check_apart, check_output
from wnet_edge.io.images.result_format import ResultFormat
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.refining.options import PositionCorrection, RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.scan_image import (
    ScanImage,
    check_outputs,
    image_of,
    made_ready,
    write_scan_image,
)

ShowProgress = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Takes a label and a number of frames; the context gives the callback that `infer` calls."""


@dataclass(frozen=True)
class Job:
    """One scan to infer, with its output files and options.

    Attributes:
        scan: scan file in any supported format.
        outputs: files to write, as named by `wnet_edge.io.writers.result_formats`.
        picture: PNG to write; None for none.
        image_format: format of the outputs.
        reading: user's overrides for the content of the scan file.
        orientation: of the detector; None to search for it.
        position_orientation: of the positions; None to search for it.
        refining: how far the image is refined; None: not at all.
        correction: what of the positions is corrected; None: nothing.
        strict: raise if the image does not explain its frames.
        force: replace existing files.
        command_line: stored in the result file as provenance.
    """

    scan: Path
    outputs: tuple[Path, ...]
    picture: Path | None
    image_format: ResultFormat = ResultFormat.NEXUS
    reading: ReadOptions = field(default_factory=ReadOptions)
    orientation: Orientation | None = Orientation.IDENTITY
    position_orientation: Orientation | None = Orientation.IDENTITY
    refining: RefineOptions | None = None
    correction: PositionCorrection | None = None
    strict: bool = False
    force: bool = False
    command_line: str = ""


@dataclass(frozen=True)
class Done:
    """Result of a job.

    Attributes:
        image: the image with all that is known of it.
        write_s: time to write result and picture, s.
    """

    image: ScanImage
    write_s: float


def check_jobs(jobs: Iterable[Job], package: Package) -> None:
    """Check that every output can be written, before any scan is read.

    Raises:
        ResultError: if an output exists and `force` is False, can't be written, is the package or
            one of the scans, or is named twice.
    """
    jobs = list(jobs)
    note_input(package.path, ResultError, "the package")
    for job in jobs:
        note_input(job.scan, ResultError, "a scan to read")
        for named in job.reading.files:
            note_input(named, ResultError)
    for job in jobs:
        for output in _files(job):
            check_output(output, ResultError, force=job.force)
    check_apart([path for job in jobs for path in _files(job)], ResultError)


def _files(job: Job) -> tuple[Path, ...]:
    """All files that a job writes."""
    return job.outputs if job.picture is None else (*job.outputs, job.picture)


def run_job(job: Job, opened: ChosenGraph, progress: ShowProgress) -> Done:
    """Read the scan, infer its image, and write result and picture atomically, both or neither.

    Args:
        job: scan, output files and options.
        opened: opened graph of the package, which may serve many jobs.
        progress: shows the progress.

    Raises:
        ScanError: if the scan can't be read, is not far-field or, with `strict`, is not explained
            by its image.
        PackageError: if the package is not compatible with it.
        ProviderError: if the provider fails.
        ResultError: if an output can't be written.
    """
    with one_command():
        return _run(job, opened, progress)


def _run(job: Job, opened: ChosenGraph, progress: ShowProgress) -> Done:
    check_jobs([job], opened.package)
    found = find_scan(job.scan, job.reading)
    ready = made_ready(found, opened, job.orientation, job.position_orientation)
    check_outputs(ready, job.outputs, job.image_format, force=job.force)
    passes = 0 if job.refining is None else job.refining.most_passes
    passes += 0 if job.correction is None else 1
    with progress(job.scan.name, (1 + passes) * ready.framed.scan.frame_count) as step:
        image = image_of(ready, step, job.refining, job.correction)
    check = image.inference.self_check
    if job.strict and not check.trusted:
        raise ScanError(f"{job.scan}: {check.warning}; nothing is written under --strict")
    began = perf_counter()
    write_scan_image(
        image,
        job.outputs,
        job.picture,
        job.image_format,
        command_line=job.command_line,
        force=job.force,
    )
    return Done(image, perf_counter() - began)
