"""`wnet-edge export`: a trained network to one verified package file, or to a Triton repository."""

from collections.abc import Mapping
from enum import Enum
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from wnet_edge.cli.options import FILE, force_option, opened_package, trust_option
from wnet_edge.errors import CheckpointError, PackageError
from wnet_edge.export.build import Exported, export_package
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET, OPSET
from wnet_edge.export.options import ExportOptions
from wnet_edge.export.triton import check_repository, write_repository
from wnet_edge.io.scan_file import open_scan
from wnet_edge.manifest import MAX_BATCH_SIZE, Precision
from wnet_edge.models.registry import ModelName
from wnet_edge.outputs import check_output
from wnet_edge.package import Package
from wnet_edge.signature import read_private_key

EXAMPLE_SCAN = "cnm26id_scan247_64px.cxi"
DYNAMIC = "dynamic"
REPOSITORY = Path("triton")


class Target(str, Enum):
    """What an export is for: the runner of this program, or NVIDIA's Triton Inference Server."""

    PACKAGE = "package"
    TRITON = "triton"


def _batch_size(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> int | None:
    """--batch as the library takes it: None for any number of frames."""
    if value is None or value == DYNAMIC:
        return None
    if not value.isdecimal() or not 1 <= int(value[:9]) <= MAX_BATCH_SIZE:
        raise click.BadParameter(f"{value} is neither {DYNAMIC} nor within 1 to {MAX_BATCH_SIZE}")
    return int(value)


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
@click.option(
    "--calibration",
    type=FILE,
    help="Measured scan of the same instrument, for golden frames.  [default: the embedded scan]",
)
@click.option(
    "--opset",
    type=click.IntRange(OLDEST_OPSET, NEWEST_OPSET),
    help=f"ONNX operator set of the graphs.  [default: {OPSET}]",
)
@click.option(
    "--batch",
    callback=_batch_size,
    metavar=f"{DYNAMIC}|N",
    help=f"Frames that a graph takes: any number or N, for engines.  [default: {DYNAMIC}]",
)
@click.option(
    "--sign",
    metavar="KEY",
    type=FILE,
    help="Sign the package with this Ed25519 key (PEM).",
)
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
@force_option
@click.pass_context
def command(
    context: click.Context,
    model: str | None,
    checkpoint: Path | None,
    package: str | None,
    calibration: Path | None,
    opset: int | None,
    batch: int | None,
    sign: Path | None,
    trust: Path | None,
    target: str,
    output: Path | None,
    force: bool,
) -> None:
    """Export a network to a package and check it against PyTorch on the way.

    With --target triton, its graphs, or those of --package, are laid out for NVIDIA Triton.
    """
    if sum(source is not None for source in (model, checkpoint, package)) != 1:
        raise click.UsageError(
            "give either --model, for the zoo's weights, or --checkpoint, or --package with "
            "--target triton"
        )
    to_triton = Target(target) is Target.TRITON
    _check_usage(context.params, to_triton=to_triton)
    if package is not None:
        _lay_out(opened_package(package, trust), output, force=force)
        return
    options = ExportOptions(
        opset=OPSET if opset is None else opset,
        batch_size=batch,
        key=None if sign is None else read_private_key(sign),
    )
    source = _zoo_checkpoint(model) if checkpoint is None else checkpoint
    calibration = calibration or Path(str(files("wnet_edge") / "examples" / EXAMPLE_SCAN))
    name = model or source.stem
    if not to_triton:
        output = output or Path(f"{name}.wnet")
        check_output(output, PackageError, force=force)
        _report(export_package(source, open_scan(calibration), output, options, force=force))
        return
    check_repository(name, (Precision.FP32,), output or REPOSITORY, force=force)
    with TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.wnet"
        exported = export_package(source, open_scan(calibration), file, options, force=False)
    _lay_out(exported.package, output, force=force)


def _check_usage(given: Mapping[str, object], *, to_triton: bool) -> None:
    """Refuse options that another option leaves without a meaning."""
    if given["package"] is None:
        if given["trust"] is not None:
            raise click.UsageError("--trust goes with --package")
    elif not to_triton:
        raise click.UsageError("--package goes with --target triton")
    else:
        for name in ("calibration", "opset", "batch"):
            if given[name] is not None:
                raise click.UsageError(f"--{name} is for new graphs; those of --package are made")
    if to_triton and given["sign"] is not None:
        raise click.UsageError("--sign is for packages; a Triton repository bears no signature")


def _zoo_checkpoint(model: str | None) -> Path:
    path = Path(str(files("wnet_edge") / "zoo" / f"{model}-cnm26id.safetensors"))
    if not path.is_file():
        raise CheckpointError(f"the zoo holds no {model}: train one and name it with --checkpoint")
    return path


def _lay_out(package: Package, output: Path | None, *, force: bool) -> None:
    for folder in write_repository(package, output or REPOSITORY, force=force):
        click.echo(f"{folder}: model.onnx, config.pbtxt")


def _report(exported: Exported) -> None:
    manifest, path = exported.package.manifest, exported.package.path
    for precision, graph in manifest.precisions.items():
        click.echo(f"{precision.value}: {graph.member.size_bytes} bytes")
    click.echo(
        f"{path}: {manifest.model}, {manifest.parameter_count} parameters, "
        f"{path.stat().st_size} bytes; within "
        f"{exported.parity.amplitude:.1g} and {exported.parity.phase_rad:.1g} rad of PyTorch"
    )
