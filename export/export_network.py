"""A network to a package, to one compiled for this device, or to a Triton repository.

What `wnet-edge export` and `wnet_edge.export` do. All that can be refused is refused before the
first step of work.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray

from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN, zoo_checkpoint
from wnet_edge.errors import (
    CalibrationError,
    CheckpointError,
    ExportError,
    OptionError,
    PackageError,
    ScanError,
)
from wnet_edge.export.compiled import compile_package
from wnet_edge.export.export_package import Exported, export_package
from wnet_edge.export.options import ExportOptions, Material
from wnet_edge.export.refused_precision import PrecisionError
from wnet_edge.export.report_file import write_refusal, write_report
from wnet_edge.export.simulated_scan import simulated_material
from wnet_edge.export.triton import check_repository, write_repository
from wnet_edge.framing.for_network import Turns, framed_for
from wnet_edge.host.outputs import check_apart, check_output, together
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.readers.cxi import is_simulated
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.manifest import CalibrationSource
from wnet_edge.package.opening import PACKAGE_SUFFIX, Package
from wnet_edge.training.checkpoint import read_checkpoint

REPOSITORY = Path("triton")
COMPILED_SUFFIX = f".ort{PACKAGE_SUFFIX}"
NO_SIGNATURE = "--sign is for packages; a Triton repository can't be signed"


class Target(str, Enum):
    """What an export is for: any device, this one too, or NVIDIA's Triton Inference Server."""

    PACKAGE = "package"
    ORT = "ort"
    TRITON = "triton"


@dataclass(frozen=True)
class Calibration:
    """The scan that calibrates, selects and reports, as the user names it.

    Attributes:
        scan: file, or (N, H, W) counts; None: the embedded example, or frames simulated for the
            network's instrument if `source` is simulated.
        reading: what replaces what its file says.
        reference: its reconstruction; None: FP32 is the judge, but for the embedded example.
        source: declared kind of its frames; None: measured.
        turns: orientations applied to frames and positions.
    """

    scan: Path | NDArray[Any] | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)
    reference: Path | None = None
    source: CalibrationSource | None = None
    turns: Turns = field(default_factory=Turns)

    @property
    def simulates(self) -> bool:
        """Whether frames are to be simulated for the network's instrument."""
        return self.scan is None and self.source is CalibrationSource.SIMULATED


@dataclass(frozen=True)
class ExportJob:
    """A network, and what is to become of it.

    Attributes:
        model: name of a network whose weights ship with the program.
        checkpoint: weights instead of those.
        package: package that exists already, instead of either, for `ORT` and `TRITON`.
        target: what is to be made.
        output: package, or folder for `TRITON`; None: named after the network.
        options: precisions, budget and so on.
        calibration: scan for calibration and measurements.
        report: JSON file of all that was tried; None for none.
        force: replace existing files.

    Raises:
        OptionError: if not exactly one of model, checkpoint and package is given, or an option has
            no meaning beside the others.
    """

    model: str | None = None
    checkpoint: Path | None = None
    package: Package | None = None
    target: Target = Target.PACKAGE
    output: Path | None = None
    options: ExportOptions = field(default_factory=ExportOptions)
    calibration: Calibration = field(default_factory=Calibration)
    report: Path | None = None
    force: bool = False

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        sources = (self.model, self.checkpoint, self.package)
        if sum(source is not None for source in sources) != 1:
            raise OptionError(
                "give either --model, for weights that ship with wnet-edge, or --checkpoint, or "
                "--package with --target ort or triton"
            )
        if self.package is not None and self.target is Target.PACKAGE:
            raise OptionError("--package goes with --target ort or triton")
        if self.target is Target.TRITON and self.options.key is not None:
            raise OptionError(NO_SIGNATURE)
        if self.calibration.simulates and self.calibration.reference is not None:
            raise OptionError("--reference is of a scan: it goes with --calibration")
        if self.report is not None and (self.target is Target.TRITON or self.package is not None):
            raise OptionError("--report is for new graphs; export a package first")

    @property
    def name(self) -> str:
        """What outputs are called, unless they are named."""
        if self.package is not None:
            return self.package.name
        return self.checkpoint.stem if self.checkpoint is not None else str(self.model)

    @property
    def source(self) -> Path:
        """The weights.

        Raises:
            CheckpointError: if none ship for the model.
        """
        return self.checkpoint or zoo_checkpoint(str(self.model))


@dataclass(frozen=True)
class Watch:
    """What is told on the way.

    Attributes:
        tell: called with one line at the start of each step.
        exported: called with a package that was made, before it is compiled or laid out.
    """

    tell: Callable[[str], None]
    exported: Callable[[Exported], None]


@dataclass(frozen=True)
class Outputs:
    """What an export has written.

    Attributes:
        package: portable package; None where there was one already, or for `TRITON`.
        compiled: package compiled for this device; None unless that was asked for.
        folders: of the models of a Triton repository.
    """

    package: Package | None = None
    compiled: Package | None = None
    folders: tuple[Path, ...] = ()


def run_export(job: ExportJob, watch: Watch) -> Outputs:
    """Export a network.

    Raises:
        CheckpointError: if the checkpoint can't be read, or its instrument or scan does not suit.
        ScanError: if the scan can't be read.
        PackageError: if it is of another instrument, or a package can't be written.
        ResultError: if the reference can't be read or does not fit.
        CalibrationError: if its frames are of another kind than declared.
        PrecisionError: if a precision that is not optional exceeds the budget, or this processor
            computes its graph wrongly.
        ExportError: if a graph deviates from the network, or the network is hardly trained.
    """
    if job.package is not None:
        if job.target is Target.TRITON:
            folder = job.output or REPOSITORY
            return Outputs(folders=tuple(write_repository(job.package, folder, force=job.force)))
        beside = job.output or compiled_beside(Path(f"{job.name}{PACKAGE_SUFFIX}"))
        return Outputs(compiled=_compiled(job, job.package, beside, watch))
    source = job.source
    if job.options.ranges is not None:
        check_output(job.options.ranges, CalibrationError, force=True)
    if job.target is Target.TRITON:
        return _repository(job, source, watch)
    file = job.output or Path(f"{job.name}{PACKAGE_SUFFIX}")
    written = [file]
    if job.target is Target.ORT:
        check_output(compiled_beside(file), PackageError, force=job.force)
        written.append(compiled_beside(file))
    check_apart([*written, *filter(None, (job.report, job.options.ranges))], ExportError)
    package = _package(job, source, file, watch)
    if job.target is Target.PACKAGE:
        return Outputs(package)
    return Outputs(package, _compiled(job, package, compiled_beside(file), watch))


def compiled_beside(file: Path) -> Path:
    """Where the compiled package of a portable one goes."""
    return file.with_name(f"{file.stem}{COMPILED_SUFFIX}")


def _compiled(job: ExportJob, package: Package, output: Path, watch: Watch) -> Package:
    check_output(output, PackageError, force=job.force)
    watch.tell("compiling for this device")
    return compile_package(package, output, force=job.force, key=job.options.key)


def _repository(job: ExportJob, source: Path, watch: Watch) -> Outputs:
    output = job.output or REPOSITORY
    check_repository(job.name, job.options.precisions, output, force=job.force)
    material = _material(job.calibration, source)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{job.name}{PACKAGE_SUFFIX}"
        made = export_package(source, material, file, job.options, force=False, tell=watch.tell)
    watch.exported(made)
    return Outputs(folders=tuple(write_repository(made.package, output, force=job.force)))


def _package(job: ExportJob, source: Path, output: Path, watch: Watch) -> Package:
    if output.suffix != PACKAGE_SUFFIX:
        raise PackageError(f"{output}: a package file's name must end in {PACKAGE_SUFFIX}")
    check_output(output, PackageError, force=job.force)
    options, report, force = job.options, job.report, job.force
    if report is not None:
        check_output(report, ExportError, force=force)
        options = replace(options, ask_layers=True)
    material = _material(job.calibration, source)
    try:
        with together():
            made = export_package(source, material, output, options, force=force, tell=watch.tell)
            if report is not None:
                write_report(made, report, force=force)
    except PrecisionError as error:
        if report is not None:
            write_refusal(error, report, force=force)
        raise
    watch.exported(made)
    return made.package


def _material(calibration: Calibration, source: Path) -> Material:
    """The scan as the network in `source` sees it, and its reference."""
    given, reference = calibration.scan, calibration.reference
    checkpoint = read_checkpoint(source)
    record, instrument = checkpoint.record, checkpoint.instrument
    if calibration.simulates:
        return simulated_material(instrument, record, calibration.turns.frames)
    if given is None:
        given, reference = EXAMPLE_SCAN, reference or EXAMPLE_REFERENCE
    found = find_scan(given, calibration.reading)
    try:
        scan = framed_for(found, instrument, record.network.model.value, calibration.turns).scan
    except (PackageError, ScanError) as error:
        if calibration.scan is not None:
            raise
        raise CheckpointError(
            f"{source}: trained for another instrument than that of {EXAMPLE_SCAN.name}, which "
            "calibrates by default; name a scan of its own with --calibration, or have frames "
            "simulated for it: --calibration-source simulated"
        ) from error
    return Material(
        scan=scan,
        reference=None if reference is None else read_placed_image(reference, scan),
        source=calibration.source or CalibrationSource.MEASURED,
        simulated=isinstance(given, Path) and is_simulated(given),
        orientation=calibration.turns.frames,
    )
