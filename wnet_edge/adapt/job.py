"""From one scan to a package for its instrument, in a given time.

instrument → simulation as it measures → plan → training → export, calibrated on the scan's frames
→ its image, as it is and refined → grade → package and picture.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wnet_edge.adapt.begun import ADAPTED_TO, Begun, about, read_begun
from wnet_edge.adapt.evaluation import Evaluation, evaluate, rounded
from wnet_edge.adapt.grade import grade_of
from wnet_edge.adapt.instrument_of_scan import SeenInstrument, seen_again, seen_instrument
from wnet_edge.adapt.measured_as import MeasuredAs, measured_as
from wnet_edge.adapt.options import REFINING_PASSES, AdaptOptions
from wnet_edge.adapt.plan import Plan, make_plan, measured_speed, threads_to_try
from wnet_edge.api.training import alone, training_options
from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.errors import CheckpointError, PackageError, ResultError
from wnet_edge.export.export_package import Exported, export_package
from wnet_edge.export.options import Material, chosen_options
from wnet_edge.host.outputs import check_output, together
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.readers.cxi import is_simulated
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.manifest import Adaptation, CalibrationSource
from wnet_edge.package.opening import PACKAGE_SUFFIX, Package
from wnet_edge.package.packing import content_of, write_package
from wnet_edge.pictures.object_picture import PictureOptions, write_picture
from wnet_edge.runner.graph.device import usable_cores
from wnet_edge.training.curves import curve_path
from wnet_edge.training.loop import train
from wnet_edge.training.options import TrainingOptions
from wnet_edge.training.paced_frames import Pace, PacedFrames
from wnet_edge.training.progress import Progress
from wnet_edge.training.simulation import SimulatedFrames

CHECKPOINT_SUFFIX = ".safetensors"


@dataclass(frozen=True)
class AdaptOutputs:
    """Files of an adaptation.

    Attributes:
        package: package file.
        picture: PNG of the scan's image; None for none.
        resume: go on from the checkpoint of an interrupted run.
        force: replace existing files.

    Raises:
        PackageError: if the package's name does not end in .wnet.
    """

    package: Path
    picture: Path | None
    resume: bool = False
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse another suffix."""
        if self.package.suffix != PACKAGE_SUFFIX:
            raise PackageError(
                f"{self.package}: a package file's name must end in {PACKAGE_SUFFIX}"
            )

    @property
    def checkpoint(self) -> Path:
        """Weights after every epoch, beside the package."""
        return self.package.with_suffix(CHECKPOINT_SUFFIX)


@dataclass(frozen=True)
class Watch:
    """What is told on the way.

    Attributes:
        tell: called with lines for the user.
        step: called with a line at the start of each step that takes a while.
        planned: called with the plan.
        training: makes the progress report from epochs and batches per epoch.
    """

    tell: Callable[[str], None]
    step: Callable[[str], None]
    planned: Callable[["Start"], None]
    training: Callable[[int, int], Progress]


@dataclass(frozen=True)
class Start:
    """A training that is about to begin, or to go on.

    Attributes:
        plan: what is trained.
        done_epochs: whole epochs of earlier runs.
    """

    plan: Plan
    done_epochs: int

    @property
    def text(self) -> str:
        """In a line, with the time of day at which all is ready."""
        plan, more = self.plan, "more " if self.done_epochs else ""
        left = timedelta(seconds=plan.training_s + plan.export_s)
        ready = (datetime.now().astimezone() + left).strftime("%H:%M:%S")
        return (
            f"plan: {plan.epochs - self.done_epochs} {more}epochs of {plan.frames} frames at "
            f"{plan.frames_per_s:.0f} frames/s, {plan.training_s:.0f} s, then {plan.export_s:.0f} "
            f"s for export and evaluation: ready at {ready}"
        )


@dataclass(frozen=True)
class Adapted:
    """A finished adaptation.

    Attributes:
        package: as written.
        adaptation: what it is worth on its scan.
        exported: precisions, with what was left out, and warnings.
        evaluation: images of the scan.
        seconds: that this run has taken.
        frames_trained: in all epochs.
    """

    package: Package
    adaptation: Adaptation
    exported: Exported
    evaluation: Evaluation
    seconds: float
    frames_trained: int


def run_adapt(options: AdaptOptions, outputs: AdaptOutputs, watch: Watch) -> Adapted:
    """Make a package for the instrument of a scan.

    Args:
        options: of the adaptation.
        outputs: files to write.
        watch: told about steps and progress.

    Raises:
        ScanError: if the scan can't be read, or can't be imaged by a network.
        SimulationError: if the optics are impossible.
        TrainingError: if the time is too short, or the training diverges.
        CheckpointError: if a checkpoint is there already, or is of another run.
        PackageError: if the package can't be written.
        ResultError: if the reference or the picture can't be read or written.
    """
    began_s = time.monotonic()
    _check_outputs(outputs)
    with alone(outputs.checkpoint, watch.tell):
        watch.step("reading the scan")
        found = find_scan(options.scan, options.reading)
        reference = None if options.reference is None else read_object_image(options.reference)
        begun = None
        if outputs.resume and outputs.checkpoint.exists():
            begun = read_begun(outputs.checkpoint, options)
            seen = seen_again(found, options, begun.instrument, begun.probe_from, begun.choices)
            begun.check_scan(seen.framed.scan)
        else:
            seen = seen_instrument(found, options, watch.step)
        measured = measured_as(seen.framed.scan, seen.instrument)
        for line in (f"probe: {seen.probe_from}", *seen.choices, measured.text):
            watch.tell(line)
        setup = _Setup(options, seen, measured, began_s)
        frames = _train(setup, begun, outputs, watch)
        return _finish(setup, frames, reference, outputs, watch)


@dataclass(frozen=True, eq=False)
class _Setup:
    """What a training needs."""

    options: AdaptOptions
    seen: SeenInstrument
    measured: MeasuredAs
    began_s: float

    @property
    def training(self) -> TrainingOptions:
        return training_options(self.options.model, seed=self.options.seed)

    @property
    def spent_s(self) -> float:
        return time.monotonic() - self.began_s

    def supply(self, frames_per_epoch: int) -> SimulatedFrames:
        instrument = self.seen.instrument
        simulation = self.measured.simulation(frames_per_epoch, instrument.frame_px)
        dark, seed = self.measured.dark, self.options.seed
        return SimulatedFrames(instrument, simulation, seed=seed, dark=dark)


def _check_outputs(outputs: AdaptOutputs) -> None:
    check_output(outputs.package, PackageError, force=outputs.force)
    if outputs.picture is not None:
        check_output(outputs.picture, ResultError, force=outputs.force)
    checkpoint, again = outputs.checkpoint, outputs.force or outputs.resume
    if checkpoint.exists() and not again:
        raise CheckpointError(
            f"{checkpoint}: is there already, of a run that was interrupted or of another package; "
            "go on with --resume, or begin anew with --force"
        )
    for output in (checkpoint, curve_path(checkpoint)):
        check_output(output, CheckpointError, force=again)


def _train(setup: _Setup, begun: Begun | None, outputs: AdaptOutputs, watch: Watch) -> int:
    """Plan and train, or go on with the plan of the run that was interrupted; frames in all."""
    watch.step("measuring this machine's speed")
    cores = usable_cores()
    threads = threads_to_try(cores) if begun is None else [begun.threads]
    speed = measured_speed(setup.supply(1), setup.training, threads, cores)
    per_frame_s = speed.seconds_per_frame
    left_s, quantises = 60 * setup.options.minutes, setup.options.quantises
    if begun is None:
        plan = make_plan(left_s - setup.spent_s, per_frame_s, setup.training, quantises=quantises)
    else:
        left_s -= begun.trained_s
        plan = begun.plan.going_on(left_s - setup.spent_s, per_frame_s, quantises=quantises)
    done = 0 if begun is None else begun.epochs
    watch.planned(Start(plan, done))
    supply = PacedFrames(
        setup.supply(plan.frames),
        Pace(plan.epochs, plan.frames, plan.training_s),
        done=done,
        batch_size=setup.training.batch_size,
        about={ADAPTED_TO: about(setup.options, setup.seen, speed.threads)},
    )
    record = train(
        supply,
        replace(setup.training, epochs=plan.epochs),
        outputs.checkpoint,
        resume=begun is not None,
        initial=None if begun is not None else setup.options.initial,
        progress=watch.training(plan.epochs, -(-plan.frames // setup.training.batch_size)),
    )
    return sum(int(epoch["frames"]) for epoch in record.history)


def _finish(
    setup: _Setup,
    frames: int,
    reference: ObjectImage | None,
    outputs: AdaptOutputs,
    watch: Watch,
) -> Adapted:
    """Export, judge, and write package and picture: both or neither."""
    scan = setup.seen.framed.scan
    with TemporaryDirectory() as folder:
        file = Path(folder) / outputs.package.name
        exported = _export(setup, outputs.checkpoint, file, watch)
        watch.step("imaging the scan, as it is and refined")
        judged = evaluate(exported.package, scan, reference, REFINING_PASSES)
        adaptation = _adaptation(setup, judged)
        content = replace(content_of(exported.package), adaptation=adaptation)
    with together():
        package = write_package(outputs.package, content, force=outputs.force)
        if outputs.picture is not None:
            _write_picture(outputs.picture, setup, judged, adaptation, force=outputs.force)
    return Adapted(package, adaptation, exported, judged, setup.spent_s, frames)


def _export(setup: _Setup, checkpoint: Path, output: Path, watch: Watch) -> Exported:
    """Export with the scan's own frames, or with simulated ones where it has too few."""
    # What misses its budget, or hardly explains its scan, is reported and graded, not refused.
    options = chosen_options(precisions=setup.options.precisions, allow_untrained=True)
    job, scan = setup.options, setup.seen.framed.scan
    simulated = isinstance(job.scan, Path) and is_simulated(job.scan)
    material = Material(
        scan=scan,
        reference=None if job.reference is None else read_placed_image(job.reference, scan),
        source=CalibrationSource.SIMULATED if simulated else CalibrationSource.MEASURED,
        simulated=simulated,
        orientation=job.turns.frames,
    )
    return export_package(
        checkpoint,
        material,
        output,
        options,
        force=False,
        tell=watch.step,
        own_checkpoint=True,
    )


def _adaptation(setup: _Setup, judged: Evaluation) -> Adaptation:
    scan, seen = setup.seen.framed.scan, setup.seen
    image, refined = (rounded(one.self_check.fit) for one in (judged.image, judged.refined))
    grade, reason = grade_of(image, refined, REFINING_PASSES)
    return Adaptation(
        scan=scan.path.name,
        scan_sha256=scan.sha256,
        frames=scan.frame_count,
        median_counts=float(f"{setup.measured.median_counts:.4g}"),
        probe_from=seen.probe_from,
        choices=seen.choices,
        image=image,
        refined=refined,
        passes=REFINING_PASSES,
        phase_correlation=judged.phase_correlation,
        refined_phase_correlation=judged.refined_phase_correlation,
        grade=grade,
        reason=reason,
    )


def _write_picture(
    path: Path, setup: _Setup, judged: Evaluation, adaptation: Adaptation, *, force: bool
) -> None:
    stitched = judged.image.stitched
    shown = np.where(stitched.coverage > 0, stitched.image, 0)
    name = setup.seen.framed.scan.path.name
    caption = f"{judged.image.self_check.text} · as single frames show it, without refinement"
    write_picture(
        path,
        np.angle(shown).astype(np.float32),
        np.abs(shown).astype(np.float32),
        stitched.coverage,
        judged.image.pixel_size_m,
        PictureOptions(f"{name}: {adaptation.grade.value}", caption),
        force=force,
    )
