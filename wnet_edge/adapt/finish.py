"""From the trained network to the package: export, its image of the scan, grade, picture."""

from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from wnet_edge.adapt.evaluation import Evaluation, described, evaluate
from wnet_edge.adapt.grade import grade_of
from wnet_edge.adapt.options import REFINING_PASSES, AdaptOutputs
from wnet_edge.adapt.setup import Setup
from wnet_edge.adapt.watch import Watch
from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.errors import ScanError
from wnet_edge.export.export_package import Exported, export_package
from wnet_edge.export.options import Material, chosen_options
from wnet_edge.export.simulated_scan import simulated_material
from wnet_edge.host.outputs import together
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.readers.cxi import is_simulated
from wnet_edge.package.manifest import Adaptation, CalibrationSource
from wnet_edge.package.opening import Package
from wnet_edge.package.packing import content_of, write_package
from wnet_edge.physics.probe import space_bandwidth
from wnet_edge.pictures.panel_row import draw_panels, write_panels
from wnet_edge.pictures.phase_panel import phase_panel, phase_range
from wnet_edge.pictures.probe_panel import probe_panel
from wnet_edge.runner.image.verdict import Cause
from wnet_edge.training.checkpoint import read_checkpoint

_TOO_FEW = "has too few frames to calibrate on and to measure precisions: they are simulated"


@dataclass(frozen=True)
class Adapted:
    """A finished adaptation.

    Attributes:
        package: as written.
        adaptation: what it is worth on its scan.
        exported: precisions, with what was left out, and warnings.
        seconds: that this run has taken.
        frames_trained: in all epochs.
    """

    package: Package
    adaptation: Adaptation
    exported: Exported
    seconds: float
    frames_trained: int


def finish(
    setup: Setup,
    frames: int,
    reference: ObjectImage | None,
    outputs: AdaptOutputs,
    watch: Watch,
) -> Adapted:
    """Export, judge, and write package and picture: both or neither.

    Args:
        setup: scan and instrument.
        frames: that were trained on.
        reference: reconstruction of the scan; None for none.
        outputs: files to write, and the checkpoint.
        watch: told about steps.

    Raises:
        ExportError: if the graph deviates from the network.
        PackageError: if the package can't be written.
        ResultError: if the picture can't be written, or no frame has anything to show.
    """
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
    return Adapted(package, adaptation, exported, setup.spent_s, frames)


def _export(setup: Setup, checkpoint: Path, output: Path, watch: Watch) -> Exported:
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

    def exported(material: Material) -> Exported:
        return export_package(
            checkpoint,
            material,
            output,
            options,
            force=False,
            tell=watch.step,
            own_checkpoint=True,
        )

    try:
        return exported(material)
    except ScanError:
        watch.tell(f"{scan.path}: {_TOO_FEW}")
        made = read_checkpoint(checkpoint, written_over=True)
        return exported(simulated_material(made.instrument, made.record, job.turns.frames))


def _adaptation(setup: Setup, judged: Evaluation) -> Adaptation:
    scan, seen = setup.seen.framed.scan, setup.seen
    image, refined = (
        None if fit is None else fit.rounded
        for fit in (judged.image.self_check.fit, judged.refined.self_check.fit)
    )
    grade, reason = grade_of(
        image,
        refined,
        REFINING_PASSES,
        space_bandwidth(seen.instrument.probe),
        lit=judged.refined.self_check.cause is Cause.BACKGROUND,
    )
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
    path: Path, setup: Setup, judged: Evaluation, adaptation: Adaptation, *, force: bool
) -> None:
    """Probe, the network's phase and the refined one, side by side."""
    instrument, name = setup.seen.instrument, setup.seen.framed.scan.path.name
    panels = [
        probe_panel(
            "Probe (brightness: amplitude, colour: phase in rad)",
            instrument.probe,
            instrument.object_pixel_size_m,
        )
    ]
    shown = (judged.image.stitched, judged.refined.stitched)
    phases = [np.angle(one.image).astype(np.float32) for one in shown]
    colours = phase_range(phases[1], shown[1].coverage)
    headings = ("Phase (rad) from single frames", f"after {REFINING_PASSES} refinement passes")
    for heading, phase, one in zip(headings, phases, shown, strict=True):
        pixel_m = judged.image.pixel_size_m
        panels.append(phase_panel(heading, phase, one.coverage, pixel_m, colours))
    captions = (
        f"single frames: {described(adaptation.image)}",
        f"refined: {described(adaptation.refined)}",
        *(() if adaptation.reason is None else (adaptation.reason,)),
    )
    title = f"{name}: {adaptation.grade.value}"
    write_panels(draw_panels(title, captions, panels), path, force=force)
