"""A reference reconstruction from file to file: reads a scan, reconstructs it, writes the image.

What `wnet-edge reference` does. The scan is framed as for a network that knows its own probe.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import numpy as np

from wnet_edge.errors import ResultError, ScanError, WNetEdgeError, not_installed
from wnet_edge.framing.for_network import Turns, framed_for, own_probe
from wnet_edge.framing.framing import FramedScan
from wnet_edge.host.inputs import note_input, one_command
from wnet_edge.host.interrupts import leaving_at_once
from wnet_edge.host.memory import check_memory
from wnet_edge.host.outputs import check_apart, check_current_folder, check_output, together
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.located_image import coverage_of
from wnet_edge.io.images.result_file import Provenance, Result
from wnet_edge.io.images.result_format import ResultFormat
from wnet_edge.io.probe_file import instrument_of
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan
from wnet_edge.io.writers.result_formats import check_image, write_image
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.pictures.object_picture import PictureOptions, write_picture
from wnet_edge.reference.options import Engine, ReferenceOptions
from wnet_edge.reference.outcome import Epoch, Reconstruction
from wnet_edge.reference.scene import Scene, scene_of
from wnet_edge.reference.start import start_object
from wnet_edge.runner.image.provenance import as_utf8
from wnet_edge.stitching.laid_sums import global_turn

_FRAME_COPIES = 4
"""Of all frames, at most, that lie in memory at a time, pty-chi's among them."""

_WAVE_COPIES = 4
"""Of a frame's memory that the difference map's exit wave takes, a mode, with its update."""

_LEAST_COVERAGE = 0.02
"""Of the largest coverage: what is lit less is noise."""


@dataclass(frozen=True)
class ReferenceJob:
    """One scan to reconstruct, with its output files and options.

    Attributes:
        scan: scan file in any supported format.
        outputs: files to write, as named by `wnet_edge.io.images.result_format`.
        picture: PNG to write; None for none.
        options: how to reconstruct.
        start: image to begin with; None for an empty object.
        image_format: format of the outputs.
        reading: user's overrides for the content of the scan file.
        turns: of frames and positions.
        force: replace existing files.
        command_line: stored in the result file as provenance.
    """

    scan: Path
    outputs: tuple[Path, ...]
    picture: Path | None
    options: ReferenceOptions = field(default_factory=ReferenceOptions)
    start: Path | None = None
    image_format: ResultFormat = ResultFormat.NEXUS
    reading: ReadOptions = field(default_factory=ReadOptions)
    turns: Turns = field(default_factory=Turns)
    force: bool = False
    command_line: str = ""


@dataclass(frozen=True, eq=False)
class ReadyScene:
    """A scan before the first epoch.

    Attributes:
        scene: as the engine takes it.
        framed: as it was framed.
    """

    scene: Scene
    framed: FramedScan


def run_job(
    job: ReferenceJob,
    watch: Callable[[Epoch, Scene], None] | None = None,
    warn: Callable[[str], None] | None = None,
) -> Reconstruction:
    """Read the scan, reconstruct it, and write result and picture atomically, both or neither.

    Args:
        job: scan, output files and options.
        watch: called after each epoch.
        warn: called with each warning, before the first one.

    Raises:
        ScanError: if the scan can't be read, is not far-field, or has no probe.
        PackageError: if its frames do not fit the probe.
        OptionError: if an option does not suit probe or machine.
        ResultError: if the start image is not of this scan, or an output can't be written.
        WNetEdgeError: if pty-chi is not installed, or the engine diverges.
    """
    with one_command():
        check_job(job)
        reconstruct = _engine()
        ready = ready_scene(job)
        context = _context(job, ready, ready.scene)
        size_m = ready.scene.object_pixel_size_m
        check_image(job.image_format, job.outputs, size_m, context, force=job.force)
        if warn is not None:
            for warning in ready.scene.warnings:
                warn(warning)
        done = reconstruct(ready.scene, job.options, watch)
        _write(job, ready, done)
        return done


def check_job(job: ReferenceJob) -> None:
    """Check that every output can be written, before the scan is read.

    Raises:
        ResultError: if an output exists and `force` is False, can't be written, is an input, or is
            named twice.
    """
    note_input(job.scan, ResultError, "the scan to read")
    if job.start is not None:
        note_input(job.start, ResultError, "the image to begin with")
    for named in job.reading.files:
        note_input(named, ResultError)
    files = job.outputs if job.picture is None else (*job.outputs, job.picture)
    for output in files:
        check_output(output, ResultError, force=job.force)
    check_apart(files, ResultError)


def ready_scene(job: ReferenceJob) -> ReadyScene:
    """The scan and what it begins with.

    Raises:
        ScanError: as `run_job`.
        PackageError: as `run_job`.
        OptionError: if the probe has too few modes.
        ResultError: if the start image is not of this scan.
    """
    found = find_scan(job.scan, job.reading)
    named = job.reading.probe is not None
    probe = own_probe(found, job.scan, named=named)
    job.options.check_modes(len(probe.modes))
    instrument = instrument_of(probe, max(probe.full_window_px // found.binning, 1))
    framed = framed_for(found, instrument, "the probe", job.turns)
    modes = min(job.options.modes or len(probe.modes), len(probe.modes))
    held = _FRAME_COPIES + (_WAVE_COPIES * modes if job.options.engine is Engine.DM else 0)
    scan = framed.scan
    check_memory(
        4 * held * scan.frame_count * scan.frame_px**2,
        f"{job.scan}: {scan.frame_count} frames in memory",
        "reconstruct part of them: --frames-range FIRST:END",
        ScanError,
    )
    scene = scene_of(framed, probe.modes, probe.wavelength_m, job.options.modes)
    start = None if job.start is None else start_object(job.start, framed.scan, scene)
    return ReadyScene(scene.started(start), framed)


def _engine() -> Callable[..., Reconstruction]:
    """`reconstruct`, whose module imports pty-chi.

    Raises:
        WNetEdgeError: if it can't be imported, with the remedy.
    """
    check_current_folder(Path(), WNetEdgeError)  # PyTorch's libraries end the process without one
    try:
        with leaving_at_once():
            from wnet_edge.reference.reconstruction import reconstruct
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed("reference", error, "reference")) from error
    except (ImportError, OSError, RuntimeError) as error:  # of torchvision for another PyTorch
        reason = " ".join(str(error).split())[:200]
        raise WNetEdgeError(
            f"pty-chi can't be imported ({reason}); install torch and torchvision that belong "
            "together"
        ) from error
    return reconstruct


def result_of(job: ReferenceJob, ready: ReadyScene, done: Reconstruction) -> Result:
    """What a result file holds of it."""
    scene = done.scene
    coverage = coverage_of(scene.object.shape, scene.probe, scene.windows_px)
    coverage[coverage < _LEAST_COVERAGE * coverage.max()] = 0
    image = scene.object * np.complex64(global_turn(coverage * scene.object))
    frame_count = ready.framed.scan.frame_count
    return Result.of_image(
        np.where(coverage > 0, image, np.complex64(0)),
        coverage,
        (scene.window_start_px - scene.origin_px).astype(np.float64),
        scene.origin_px,
        scene.object_pixel_size_m,
        Provenance(
            provider=done.device,
            command_line=as_utf8(job.command_line),
            date=datetime.now(timezone.utc).isoformat(timespec="seconds"),
            source=as_utf8(job.scan.name),
            amplitude_scale="probe",
            trusted="unknown",
            frames_received=frame_count,
            frames_processed=len(scene.counts),
            frames_lost=frame_count - len(scene.counts),
            versions={name: version(name) for name in ("wnet-edge", "numpy", "h5py")}
            | done.versions,
            scan=ready.framed.choices,
            reference=done.values | {"start": "empty" if job.start is None else job.start.name},
            timing_s={"epochs": done.seconds},
            warnings=scene.warnings,
        ),
    )


def _write(job: ReferenceJob, ready: ReadyScene, done: Reconstruction) -> None:
    result = result_of(job, ready, done)
    context = _context(job, ready, done.scene)
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
            PictureOptions(title=job.scan.name, caption=f"pty-chi, {done.text}"),
            force=job.force,
        )


def _context(job: ReferenceJob, ready: ReadyScene, scene: Scene) -> ImageContext:
    """What formats need of the scan, with the scene's positions."""
    scan = ready.framed.scan
    positions_m = scan.positions_m.copy()
    positions_m[scene.numbers] = scene.corner_px * scene.object_pixel_size_m
    full_px = scene.full_window_px
    probe = scene.probe if job.options.refine_probe else scene.full_probe
    return ImageContext(
        probe=fitted_probe(probe, full_px),
        positions_m=positions_m,
        left_out=scan.left_out,
        frame_numbers=scan.frame_numbers,
        full_window_px=full_px,
        energy_ev=ready.framed.energy_ev,
        distance_m=ready.framed.distance_m,
        title=as_utf8(f"{job.scan.name} reconstructed with pty-chi"),
    )
