"""`wnet-edge export`: a trained network to one verified package file, or to a Triton repository."""

import sys
from dataclasses import replace
from enum import Enum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from wnet_edge.cli.export_options import (
    NEW_GRAPHS,
    export_options,
    material_from,
    options_from,
    zoo_checkpoint,
)
from wnet_edge.cli.export_report import print_report, print_warnings, write_refusal, write_report
from wnet_edge.cli.options import FILE, force_option, opened_package, trust_option
from wnet_edge.errors import CalibrationError, ExportError, PackageError
from wnet_edge.export.build import export_package
from wnet_edge.export.options import ExportOptions
from wnet_edge.export.search import OverBudgetError
from wnet_edge.export.triton import check_repository, write_repository
from wnet_edge.models.registry import ModelName
from wnet_edge.outputs import check_output
from wnet_edge.package import Package
from wnet_edge.package_file import PACKAGE_SUFFIX

REPOSITORY = Path("triton")


class Target(str, Enum):
    """What an export is for: the runner of this program, or NVIDIA's Triton Inference Server."""

    PACKAGE = "package"
    TRITON = "triton"


@click.command()
@click.option("--model", type=click.Choice([m.value for m in ModelName]), help="Of the zoo.")
@click.option(
    "--checkpoint",
    type=FILE,
    help="Trained weights.  [default: the zoo's for --model]",
)
@click.option(
    "--package",
    metavar="NAME|FILE",
    help="A package that is there already, for --target triton.",
)
@export_options
@trust_option
@click.option(
    "--target",
    type=click.Choice([target.value for target in Target]),
    default=Target.PACKAGE.value,
    show_default=True,
    help="A package file, or a model repository of NVIDIA Triton.",
)
@click.option(
    "-o",
    "output",
    type=FILE,
    help="Package, or folder for triton.  [default: ./MODEL.wnet, ./triton]",
)
@click.option("--report", type=FILE, help="JSON file of all that was tried and what it cost.")
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

    A precision that costs more accuracy than the budget is refused. With --target triton, the
    graphs, or those of --package, are laid out for NVIDIA Triton.
    """
    if sum(source is not None for source in (model, checkpoint, package)) != 1:
        raise click.UsageError(
            "give either --model, for the zoo's weights, or --checkpoint, or --package with "
            "--target triton"
        )
    to_triton = Target(target) is Target.TRITON
    _check_usage(values, package, trust, report, to_triton=to_triton)
    if package is not None:
        _lay_out(opened_package(package, trust), output or REPOSITORY, force=force)
        return
    options = options_from(values)
    source = checkpoint or zoo_checkpoint(str(model))
    name = model or source.stem
    if options.ranges is not None:
        check_output(options.ranges, CalibrationError, force=True)
    if to_triton:
        _make_repository(name, source, values, options, output or REPOSITORY, force=force)
    else:
        _make_package(source, values, options, output or Path(f"{name}.wnet"), report, force=force)


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
    material = material_from(values)
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
) -> None:
    if output.suffix != PACKAGE_SUFFIX:
        raise PackageError(f"{output}: a package file's name ends in {PACKAGE_SUFFIX}")
    check_output(output, PackageError, force=force)
    if report is not None:
        if report.resolve() == output.resolve():
            raise click.UsageError("--report and -o name one file; give the report another name")
        check_output(report, ExportError, force=force)
        options = replace(options, ask_layers=True)
    material = material_from(values)
    try:
        exported = export_package(source, material, output, options, force=force, tell=_tell)
    except OverBudgetError as error:
        if report is not None:
            write_refusal(error, report, force=force)
        raise
    print_report(exported)
    if report is not None:
        write_report(exported, report, force=force)


def _tell(step: str) -> None:
    """A step that begins, to whoever watches."""
    if sys.stderr.isatty():
        click.echo(f"{step} …", err=True)


def _check_usage(
    values: dict[str, Any],
    package: str | None,
    trust: Path | None,
    report: Path | None,
    *,
    to_triton: bool,
) -> None:
    """Refuse options that another option leaves without a meaning."""
    if package is None:
        if trust is not None:
            raise click.UsageError("--trust goes with --package")
    elif not to_triton:
        raise click.UsageError("--package goes with --target triton")
    else:
        given = [name for name in NEW_GRAPHS if values[name] not in (None, ())]
        if given:
            flag = {"precisions": "precision", "calibrators": "calibrator"}.get(given[0], given[0])
            raise click.UsageError(
                f"--{flag.replace('_', '-')} is for new graphs; those of --package are made"
            )
    if to_triton and values["sign"] is not None:
        raise click.UsageError("--sign is for packages; a Triton repository bears no signature")
    if to_triton and report is not None:
        raise click.UsageError("--report is for packages; export one first")


def _lay_out(package: Package, output: Path, *, force: bool) -> None:
    for folder in write_repository(package, output, force=force):
        click.echo(f"{folder}: model.onnx, config.pbtxt")
