"""`wnet-edge export`: a trained network to one verified package file."""

from importlib.resources import files
from pathlib import Path

import click

from wnet_edge.cli.options import FILE, force_option
from wnet_edge.errors import CheckpointError, PackageError
from wnet_edge.export.build import export_package
from wnet_edge.io.scan_file import open_scan
from wnet_edge.models.registry import ModelName
from wnet_edge.outputs import check_output

EXAMPLE_SCAN = "cnm26id_scan247_64px.cxi"


@click.command()
@click.option("--model", type=click.Choice([m.value for m in ModelName]), help="Of the zoo.")
@click.option(
    "--checkpoint",
    type=FILE,
    help="Trained weights.  [default: the zoo's for --model]",
)
@click.option(
    "--calibration",
    type=FILE,
    help="Measured scan of the same instrument, for golden frames.  [default: the embedded scan]",
)
@click.option("-o", "output", type=FILE, help="Package.  [default: ./MODEL.wnet]")
@force_option
def command(
    model: str | None,
    checkpoint: Path | None,
    calibration: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Export a network to a package and check it against PyTorch on the way."""
    if (model is None) == (checkpoint is None):
        raise click.UsageError("give either --model, for the zoo's weights, or --checkpoint")
    embedded = files("wnet_edge")
    if checkpoint is None:
        checkpoint = Path(str(embedded / "zoo" / f"{model}-cnm26id.safetensors"))
        if not checkpoint.is_file():
            raise CheckpointError(
                f"the zoo holds no {model}: train one and name it with --checkpoint"
            )
    output = output or Path(f"{model or checkpoint.stem}.wnet")
    check_output(output, PackageError, force=force)
    scan = open_scan(calibration or Path(str(embedded / "examples" / EXAMPLE_SCAN)))
    exported = export_package(checkpoint, scan, output, force=force)
    manifest = exported.package.manifest
    for precision, graph in manifest.precisions.items():
        click.echo(f"{precision.value}: {graph.member.size_bytes} bytes")
    click.echo(
        f"{output}: {manifest.model}, {manifest.parameter_count} parameters, "
        f"{output.stat().st_size} bytes; within "
        f"{exported.parity.amplitude:.1g} and {exported.parity.phase_rad:.1g} rad of PyTorch"
    )
