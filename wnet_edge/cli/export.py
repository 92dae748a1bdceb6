"""`wnet-edge export`: a network to one verified package file, a compiled one, or to Triton."""

import sys
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.export_options import (
    NEW_GRAPHS,
    calibration_from,
    export_options,
    options_from,
)
from wnet_edge.cli.export_report import print_report, print_warnings
from wnet_edge.cli.options import FILE, force_option, no_links_option, trust_option
from wnet_edge.cli.scan_options import typed_scan_flags
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import opened_package
from wnet_edge.errors import OptionError
from wnet_edge.export.export_network import NO_SIGNATURE, ExportJob, Target, Watch, run_export
from wnet_edge.models.registry import ModelName
from wnet_edge.package.opening import Package


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
    kind = Target(target)
    _check_usage(values, trust=trust, package=package, target=kind)
    try:
        job = ExportJob(
            model=model,
            checkpoint=checkpoint,
            package=None if package is None else opened_package(package, trust),
            target=kind,
            output=output,
            options=options_from(values),
            calibration=calibration_from(values),
            report=report,
            force=force,
        )
    except OptionError as error:
        raise click.UsageError(str(error)) from error
    # Of a repository the packages are not kept, so nothing is told of theirs.
    report_on = print_warnings if kind is Target.TRITON else print_report
    done = run_export(job, Watch(_tell, report_on))
    for folder in done.folders:
        print_line(f"{folder}: model.onnx, config.pbtxt")
    if done.compiled is not None:
        _print_compiled(done.compiled)


def _print_compiled(package: Package) -> None:
    made_for = package.manifest.compiled
    if made_for is not None:
        print_line(
            f"{package.path}: compiled for {made_for.provider} by ONNX Runtime "
            f"{made_for.onnxruntime} on {made_for.processor}, and for nothing else"
        )


def _tell(step: str) -> None:
    """A step that begins, to whoever watches."""
    if sys.stderr.isatty():
        print_note(f"{step} …")


def _check_usage(
    values: dict[str, Any], *, trust: Path | None, package: str | None, target: Target
) -> None:
    """Refuse options that another option leaves without a meaning."""
    typed = typed_scan_flags(click.get_current_context())
    if typed and values["calibration"] is None:
        raise click.UsageError(f"{typed[0]} is an option for scans: it goes with --calibration")
    if target is Target.TRITON and values["sign"] is not None:  # whatever the key's file is
        raise click.UsageError(NO_SIGNATURE)
    if package is None:
        if trust is not None:
            raise click.UsageError("--trust goes with --package")
        return
    given = [name for name in NEW_GRAPHS if values[name] not in (None, (), False)]
    if given and target is not Target.PACKAGE:
        flag = {"precisions": "precision", "calibrators": "calibrator"}.get(given[0], given[0])
        raise click.UsageError(
            f"--{flag.replace('_', '-')} is for new graphs; those of --package exist already"
        )
