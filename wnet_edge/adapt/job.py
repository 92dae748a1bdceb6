"""From one scan to a package for its instrument, in a given time.

instrument → simulation as it measures → plan → training → export, calibrated on the scan's frames
→ its image, as it is and refined → grade → package and picture.
"""

import time
from dataclasses import replace

from wnet_edge.adapt.begun import ADAPTED_TO, Begun, about, read_begun
from wnet_edge.adapt.finish import Adapted, finish
from wnet_edge.adapt.instrument_of_scan import seen_again, seen_instrument
from wnet_edge.adapt.measured_as import measured_as
from wnet_edge.adapt.options import AdaptOptions, AdaptOutputs
from wnet_edge.adapt.plan import make_plan, measured_speed, simulating_threads, threads_to_try
from wnet_edge.adapt.setup import Setup
from wnet_edge.adapt.watch import Start, Watch
from wnet_edge.api.training import alone
from wnet_edge.errors import CheckpointError, PackageError, ResultError
from wnet_edge.host.outputs import check_output
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.scan_file import find_scan
from wnet_edge.runner.graph.device import usable_cores
from wnet_edge.training.curves import curve_path
from wnet_edge.training.loop import train
from wnet_edge.training.paced_frames import Pace, PacedFrames


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
        setup = Setup(options, seen, measured, began_s)
        frames = _train(setup, begun, outputs, watch)
        return finish(setup, frames, reference, outputs, watch)


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


def _train(setup: Setup, begun: Begun | None, outputs: AdaptOutputs, watch: Watch) -> int:
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
        threads=simulating_threads(cores),
        about={ADAPTED_TO: about(setup.options, setup.seen, speed.threads)},
    )
    record = train(
        supply,
        replace(setup.training, epochs=plan.epochs),
        outputs.checkpoint,
        resume=begun is not None,
        initial=None if begun is not None else setup.options.initial,
        copies=speed.threads,
        progress=watch.training(plan.epochs, -(-plan.frames // setup.training.batch_size)),
    )
    return sum(int(epoch["frames"]) for epoch in record.history)
