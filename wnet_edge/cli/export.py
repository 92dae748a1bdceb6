"""`wnet-edge export`: a network to one verified package file, a compiled one, or to Triton."""

import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from wnet_edge.cli.export_options import NEW_GRAPHS, export_options, material_from, options_from
from wnet_edge.cli.export_report import print_report, print_warnings, write_refusal, write_report
from wnet_edge.cli.options import FILE, force_option, no_links_option, opened_package, trust_option
from wnet_edge.cli.scan_options import typed_scan_flags
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import zoo_checkpoint
from wnet_edge.errors import CalibrationError, ExportError, PackageError
from wnet_edge.export.compiled import compile_package
from wnet_edge.export.export_package import export_package
from wnet_edge.export.int8.search import OverBudgetError
from wnet_edge.export.options import ExportOptions
from wnet_edge.export.triton import check_repository, write_repository
from wnet_edge.host.outputs import check_apart, check_output, together
from wnet_edge.models.registry import ModelName
from wnet_edge.package.opening import PACKAGE_SUFFIX, Package

REPOSITORY = Path("triton")
COMPILED_SUFFIX = f".ort{PACKAGE_SUFFIX}"


class Target(str, Enum):
    """What an export is for: any device, this one too, or NVIDIA's Triton Inference Server."""

    PACKAGE = "package"
    ORT = "ort"
    TRITON = "triton"


@click.command()
@click.option(
    "--model",
    type=click.Choice([m.value for m in ModelName]),
    help="Name of a network whose trained weights ship with wnet-edge.",
)
@click.option(
    "--checkpoint",
    type=FILE,
    help="Checkpoint of `wnet-edge train`.  [default: the weights shipped for --model]",
)
@click.option(
    "--package",
    metavar="NAME|FILE",
    help="Existing package to convert, with --target ort or triton.",
)
@export_options
@trust_option
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    default=Target.PACKAGE.value,
    show_default=True,
    help="package: a file for any device; ort: also one compiled for this device, which opens "
    "faster; triton: a model repository for NVIDIA Triton.",
)
@click.option(
    "-o",
    "output",
    type=FILE,
    help="Package file, or folder for triton; ort adds NAME.ort.wnet next to the package.  "
    "[default: ./MODEL.wnet, ./triton]",
)
@click.option(
    "--report", type=FILE, help="JSON file for all quantisation trials and their accuracy losses."
)
@no_links_option
@force_option
def command(
    model: str | None,
    checkpoint: Path | None,
    package: str | None,
    trust: Path | None,
    target: str,
    output: Path | None,
    report: Path | None,
    force: bool,
    **values: Any,  # noqa: ANN401 - the options of export_options, as click parsed them
) -> None:
    """Export a network to a package: every precision calibrated, checked and measured.

    A precision that loses more accuracy than the budget allows is left out, or an error if it was
    named. With --target ort, ONNX Runtime compiles the graphs, or those of --package, for this
    device. With --target triton, they are written as an NVIDIA Triton model repository.
    """
    if sum(source is not None for source in (model, checkpoint, package)) != 1:
        raise click.UsageError(
            "give either --model, for weights that ship with wnet-edge, or --checkpoint, or "
            "--package with --target ort or triton"
        )
    kind = Target(target)
    _check_usage(values, package, trust, report, kind)
    options = options_from(values)
    if package is not None:
        opened = opened_package(package, trust)
        if kind is Target.TRITON:
            _lay_out(opened, output or REPOSITORY, force=force)
        else:
            compiled = output or _beside(Path(f"{opened.name}{PACKAGE_SUFFIX}"))
            _compile(opened, compiled, options, force=force)
        return
    source = checkpoint or zoo_checkpoint(str(model))
    name = model or source.stem
    if options.ranges is not None:
        check_output(options.ranges, CalibrationError, force=True)
    if kind is Target.TRITON:
        _make_repository(name, source, values, options, output or REPOSITORY, force=force)
        return
    file = output or Path(f"{name}{PACKAGE_SUFFIX}")
    if kind is Target.ORT:
        check_output(_beside(file), PackageError, force=force)
    written = [file, _beside(file)] if kind is Target.ORT else [file]
    check_apart([*written, *filter(None, (report, options.ranges))], ExportError)
    made = _make_package(source, values, options, file, report, force=force)
    if kind is Target.ORT:
        _compile(made, _beside(file), options, force=force)


def _beside(file: Path) -> Path:
    """Where the compiled package of a portable one goes."""
    return file.with_name(f"{file.stem}{COMPILED_SUFFIX}")


def _compile(package: Package, output: Path, options: ExportOptions, *, force: bool) -> None:
    check_output(output, PackageError, force=force)
    _tell("compiling for this device")
    compiled = compile_package(package, output, force=force, key=options.key)
    made_for = compiled.manifest.compiled
    if made_for is not None:
        print_line(
            f"{output}: compiled for {made_for.provider} by ONNX Runtime {made_for.onnxruntime} "
            f"on {made_for.processor}, and for nothing else"
        )


def _make_repository(
    name: str,
    source: Path,
    values: dict[str, Any],
    options: ExportOptions,
    output: Path,
    *,
    force: bool,
) -> None:
    check_repository(name, options.precisions, output, force=force)
    material = material_from(values, source)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.wnet"
        exported = export_package(source, material, file, options, force=False, tell=_tell)
    print_warnings(exported)
    _lay_out(exported.package, output, force=force)


def _make_package(
    source: Path,
    values: dict[str, Any],
    options: ExportOptions,
    output: Path,
    report: Path | None,
    *,
    force: bool,
) -> Package:
    if output.suffix != PACKAGE_SUFFIX:
        raise PackageError(f"{output}: a package file's name must end in {PACKAGE_SUFFIX}")
    check_output(output, PackageError, force=force)
    if report is not None:
        check_output(report, ExportError, force=force)
        options = replace(options, ask_layers=True)
    material = material_from(values, source)
    try:
        with together():
            exported = export_package(source, material, output, options, force=force, tell=_tell)
            if report is not None:
                write_report(exported, report, force=force)
    except OverBudgetError as error:
        if report is not None:
            write_refusal(error, report, force=force)
        raise
    print_report(exported)
    return exported.package


def _tell(step: str) -> None:
    """A step that begins, to whoever watches."""
    if sys.stderr.isatty():
        print_note(f"{step} …")


def _check_usage(
    values: dict[str, Any],
    package: str | None,
    trust: Path | None,
    report: Path | None,
    target: Target,
) -> None:
    """Refuse options that another option leaves without a meaning."""
    typed = typed_scan_flags(click.get_current_context())
    if typed and values["calibration"] is None:
        raise click.UsageError(f"{typed[0]} is an option for scans: it goes with --calibration")
    if package is None:
        if trust is not None:
            raise click.UsageError("--trust goes with --package")
    elif target is Target.PACKAGE:
        raise click.UsageError("--package goes with --target ort or triton")
    else:
        given = [name for name in NEW_GRAPHS if values[name] not in (None, (), False)]
        if given:
            flag = {"precisions": "precision", "calibrators": "calibrator"}.get(given[0], given[0])
            raise click.UsageError(
                f"--{flag.replace('_', '-')} is for new graphs; those of --package exist already"
            )
    if target is Target.TRITON and values["sign"] is not None:
        raise click.UsageError("--sign is for packages; a Triton repository can't be signed")
    if report is not None and (target is Target.TRITON or package is not None):
        raise click.UsageError("--report is for new graphs; export a package first")


def _lay_out(package: Package, output: Path, *, force: bool) -> None:
    for folder in write_repository(package, output, force=force):
        print_line(f"{folder}: model.onnx, config.pbtxt")
