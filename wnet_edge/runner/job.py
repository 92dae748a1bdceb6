"""From files to files: a scan's path to a result file and a picture of it.

What `wnet-edge infer` and `demo` do, for programs as well: read, infer, write, each step in its own
module.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import onnxruntime

from wnet_edge.errors import ResultError
from wnet_edge.io.picture import PictureOptions, write_picture
from wnet_edge.io.result import Process, Result, write_result
from wnet_edge.io.scan_file import open_scan
from wnet_edge.outputs import check_output
from wnet_edge.package import Package
from wnet_edge.runner.infer import Inference, infer
from wnet_edge.runner.session import RunnerOptions

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Takes a label and a number of frames; inside it, the callback that `infer` calls."""


@dataclass(frozen=True)
class Job:
    """One scan to take to an image.

    Attributes:
        scan: CXI file.
        result: result file to write.
        picture: PNG to write.
        force: replace existing files.
        command_line: for the record in the result file.
    """

    scan: Path
    result: Path
    picture: Path
    force: bool = False
    command_line: str = ""


def check_jobs(jobs: list[Job]) -> None:
    """See that every output may be written, before any scan is read.

    Raises:
        ResultError: if an output exists and `force` is False, can't be written, is one of the
            scans, or is named twice.
    """
    scans = {job.scan.resolve() for job in jobs}
    taken: set[Path] = set()
    for job in jobs:
        for output in (job.result, job.picture):
            check_output(output, ResultError, force=job.force)
            if output.resolve() in scans:
                raise ResultError(f"{output}: is a scan to read; name another output")
            if output.resolve() in taken:
                raise ResultError(f"{output}: would be written twice; name the outputs apart")
            taken.add(output.resolve())


def run_job(job: Job, package: Package, options: RunnerOptions, progress: Progress) -> Inference:
    """Read the scan, infer, write result and picture; either is written whole or not at all.

    Raises:
        ScanError: if the scan can't be read or is not far-field.
        PackageError: if the package does not fit it.
        ProviderError: if the provider can't be had.
        ResultError: if an output can't be written.
    """
    check_jobs([job])
    scan = open_scan(job.scan)
    with progress(job.scan.name, scan.frame_count) as step:
        inference = infer(scan, package, options, step)
    stitched = inference.stitched
    result = Result.of_image(
        stitched.image,
        stitched.coverage,
        stitched.window_offset_px,
        stitched.origin_px,
        inference.pixel_size_m,
        _process(job, package, inference),
    )
    write_result(job.result, result, force=job.force)
    caption = (
        f"{inference.frames_processed} of {inference.frames_received} frames, package "
        f"{package.name}, {inference.precision.value} on {inference.provider.value}"
    )
    write_picture(
        job.picture,
        result.phase,
        result.amplitude,
        result.coverage,
        result.pixel_size_m,
        PictureOptions(title=job.scan.name, caption=caption),
        force=job.force,
    )
    return inference


def _process(job: Job, package: Package, inference: Inference) -> Process:
    versions = {name: version(name) for name in ("wnet-edge", "numpy", "h5py")}
    return Process(
        package_name=package.name,
        package_sha256=package.sha256,
        precision=inference.precision.value,
        provider=inference.provider.value,
        command_line=job.command_line,
        date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source=job.scan.name,
        amplitude_scale=inference.amplitude_scale.value,
        frames_received=inference.frames_received,
        frames_processed=inference.frames_processed,
        frames_lost=inference.frames_lost,
        # The wheel is named onnxruntime or onnxruntime-gpu; the module knows its version.
        versions=versions | {"onnxruntime": onnxruntime.__version__},
        timing_s={
            step.removesuffix("_s"): seconds for step, seconds in asdict(inference.timing).items()
        },
    )
