"""The options of `wnet-edge export` that say what a package holds and how it is measured."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wnet_edge.calibration.ranges import RangeMethod
from wnet_edge.cli.example import DATA
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import FILE
from wnet_edge.cli.scan_options import known_orientation_options, read_options_from, scan_options
from wnet_edge.cli.workshop_scan import framed_for, turns_from
from wnet_edge.embedded import EXAMPLE_REFERENCE, EXAMPLE_SCAN
from wnet_edge.export.budget import Budget
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET, OPSET
from wnet_edge.export.options import ExportOptions, Material
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.readers.cxi import is_simulated
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.manifest import MAX_BATCH_SIZE, CalibrationSource, Precision
from wnet_edge.package.signature import read_private_key
from wnet_edge.training.checkpoint import read_checkpoint

Command = TypeVar("Command", bound=Callable[..., Any])

DYNAMIC = "dynamic"
DEFAULT_PRECISIONS = ExportOptions.precisions

NEW_GRAPHS = (
    *("precisions", "calibration", "reference", "calibration_source", "calibrators", "ranges"),
    *("max_ssim_drop", "max_psnr_drop_db", "opset", "batch"),
    "allow_untrained",
)
"""Parameters without a meaning for a package that is there already."""


def _batch_size(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> int | None:
    """--batch as the library takes it: None for any number of frames."""
    if value is None or value == DYNAMIC:
        return None
    if not value.isdecimal() or not 1 <= int(value[:9]) <= MAX_BATCH_SIZE:
        raise click.BadParameter(f"{value} is neither {DYNAMIC} nor within 1 to {MAX_BATCH_SIZE}")
    return int(value)


_OPTIONS = (
    click.option(
        "--precision",
        "precisions",
        type=click.Choice([kind.value for kind in Precision]),
        multiple=True,
        help="Precision to export; repeatable. int8 is signed, for every provider; int8-u8u8 and "
        "int8-u8s8 are for CPUs. If a named one misses the budget, the command fails.  [default: "
        f"those of {', '.join(kind.value for kind in DEFAULT_PRECISIONS)} within the budget]",
    ),
    click.option(
        "--calibration",
        type=DATA,
        help="Measured scan from the same instrument, not used in training. Separate strips of it "
        "serve for calibration, selection and report.  [default: example:scan247]",
    ),
    click.option(
        "--reference",
        type=DATA,
        help="Reconstruction of that scan to measure accuracy against.  [default: "
        "example:scan247-reference for the embedded scan, otherwise the FP32 output]",
    ),
    click.option(
        "--calibration-source",
        type=click.Choice([source.value for source in CalibrationSource]),
        help="Kind of the calibration frames; frames that are not measured are refused unless "
        "this says so.  [default: measured]",
    ),
    click.option(
        "--calibrator",
        "calibrators",
        type=click.Choice([method.value for method in RangeMethod]),
        multiple=True,
        help="Calibration method of the INT8 ranges; repeatable, the one closest to FP32 is used.  "
        "[default: all but entropy]",
    ),
    click.option(
        "--ranges", type=FILE, help="File to store the calibration ranges in; reused if it exists."
    ),
    click.option(
        "--max-ssim-drop",
        type=Number(0, 1),
        help="Largest SSIM loss relative to FP32: phase and amplitude, single-shot and stitched.  "
        f"[default: {Budget.max_ssim_drop}]",
    ),
    click.option(
        "--max-psnr-drop-db",
        type=Number(0, 100),
        help=f"Largest PSNR loss relative to FP32, in dB.  [default: {Budget.max_psnr_drop_db}]",
    ),
    click.option(
        "--opset",
        type=click.IntRange(OLDEST_OPSET, NEWEST_OPSET),
        help=f"ONNX operator set version.  [default: {OPSET}]",
    ),
    click.option(
        "--batch",
        callback=_batch_size,
        metavar=f"{DYNAMIC}|N",
        help="Batch size of the graphs: dynamic takes any, N is fixed, for TensorRT and the like.  "
        f"[default: {DYNAMIC}]",
    ),
    click.option(
        "--allow-untrained",
        is_flag=True,
        help="Export a network even if its image explains too little of the calibration scan to be "
        "trusted.",
    ),
    click.option(
        "--sign",
        metavar="KEY",
        type=FILE,
        help="Sign the package with this private Ed25519 key (PEM file).",
    ),
)


def export_options(command: Command) -> Command:
    """All of them, and flags of the scan, for `options_from` and `material_from`."""
    command = known_orientation_options(scan_options(command))
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def options_from(values: dict[str, Any]) -> ExportOptions:
    """How the package is to be made.

    Raises:
        ExportError: if the budget is no budget.
        SignatureError: if the key can't be read.
    """
    named = {
        "precisions": tuple(Precision(name) for name in values["precisions"]),
        "calibrators": tuple(RangeMethod(name) for name in values["calibrators"]),
        "opset": values["opset"],
    }
    drops = {name: values[name] for name in ("max_ssim_drop", "max_psnr_drop_db")}
    return ExportOptions(
        **{name: value for name, value in named.items() if value},
        batch_size=values["batch"],
        optional=() if values["precisions"] else DEFAULT_PRECISIONS,
        key=None if values["sign"] is None else read_private_key(values["sign"]),
        budget=Budget(**{name: value for name, value in drops.items() if value is not None}),
        ranges=values["ranges"],
        allow_untrained=values["allow_untrained"],
    )


def material_from(values: dict[str, Any], source: Path) -> Material:
    """The scan that calibrates and reports as the network in `source` sees it, and its reference.

    Raises:
        CheckpointError: if the checkpoint can't be read.
        ScanError: if the scan can't be read.
        PackageError: if it is of another instrument.
        ResultError: if the reference can't be read.
    """
    path, reference = values["calibration"], values["reference"]
    if path is None:
        path, reference = EXAMPLE_SCAN, reference or EXAMPLE_REFERENCE
    checkpoint = read_checkpoint(source)
    values = dict(values)
    turns = turns_from(values)
    found = find_scan(path, read_options_from(values))
    scan = framed_for(
        found, checkpoint.instrument, checkpoint.record.network.model.value, turns
    ).scan
    kind = values["calibration_source"]
    return Material(
        scan=scan,
        reference=None if reference is None else read_placed_image(reference, scan),
        source=CalibrationSource.MEASURED if kind is None else CalibrationSource(kind),
        simulated=is_simulated(path),
        orientation=turns.frames,
    )
