"""The options of `wnet-edge export` that say what a package holds and how it is measured."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from wnet_edge.calibration.ranges import RangeMethod
from wnet_edge.cli.example import DATA
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import FILE
from wnet_edge.cli.scan_options import (
    known_orientation_options,
    read_options_from,
    scan_options,
    turns_from,
)
from wnet_edge.export.budget import Budget
from wnet_edge.export.export_network import Calibration
from wnet_edge.export.graph import NEWEST_OPSET, OLDEST_OPSET, OPSET
from wnet_edge.export.int8.fine_tune import FRAMES_PER_EPOCH
from wnet_edge.export.options import (
    DEFAULT_PRECISIONS,
    MAX_QAT_EPOCHS,
    ExportOptions,
    chosen_options,
)
from wnet_edge.package.manifest import MAX_BATCH_SIZE, CalibrationSource, Precision
from wnet_edge.package.signature import read_private_key

Command = TypeVar("Command", bound=Callable[..., Any])

DYNAMIC = "dynamic"

NEW_GRAPHS = (
    *("precisions", "calibration", "reference", "calibration_source", "calibrators", "ranges"),
    *("max_ssim_drop", "max_psnr_drop_db", "qat_epochs", "opset", "batch"),
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
        "this says so. simulated without --calibration: frames are simulated for the network's own "
        "probe, where no other scan was measured or it is too small.  [default: measured]",
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
        "--qat-epochs",
        type=click.IntRange(1, MAX_QAT_EPOCHS),
        help="Epochs of quantisation-aware training before INT8 graphs are made, on simulated "
        f"frames, {FRAMES_PER_EPOCH} an epoch, where calibration alone loses too much.  [default: "
        "none]",
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
    """All of them, and flags of the scan, for `options_from` and `calibration_from`."""
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
    return chosen_options(
        precisions=tuple(Precision(name) for name in values["precisions"]),
        calibrators=tuple(RangeMethod(name) for name in values["calibrators"]),
        max_ssim_drop=values["max_ssim_drop"],
        max_psnr_drop_db=values["max_psnr_drop_db"],
        opset=values["opset"],
        batch_size=values["batch"],
        key=None if values["sign"] is None else read_private_key(values["sign"]),
        ranges=values["ranges"],
        qat_epochs=values["qat_epochs"] or 0,
        allow_untrained=values["allow_untrained"],
    )


def calibration_from(values: dict[str, Any]) -> Calibration:
    """The scan that calibrates and reports, and its reference."""
    values = dict(values)
    turns = turns_from(values)
    kind = values["calibration_source"]
    return Calibration(
        scan=values["calibration"],
        reading=read_options_from(values),
        reference=values["reference"],
        source=None if kind is None else CalibrationSource(kind),
        turns=turns,
    )
