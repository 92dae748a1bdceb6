"""`wnet-edge evaluate`: how good a package is on a scan, precision by precision."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.evaluate_frames import frame_values, print_frames, write_frame_picture
from wnet_edge.cli.example import DATA
from wnet_edge.cli.options import (
    FILE,
    batch_size_option,
    every_precision_option,
    finite,
    force_option,
    json_option,
    no_links_option,
    print_json,
    provider_option,
    runner_options_from,
    threads_option,
    trust_option,
)
from wnet_edge.cli.refine_option import PASSES, refine_options
from wnet_edge.cli.scan_options import (
    orientation_options,
    read_options_from,
    scan_options,
    way_up,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import opened_package
from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import check_output
from wnet_edge.io.images.placed_image import read_placed_image
from wnet_edge.io.scan_file import find_scan
from wnet_edge.judging.yardstick import Judge
from wnet_edge.package.manifest import Precision
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.image.scan_image import framed_by
from wnet_edge.runner.measuring.evaluation import Evaluated, Evaluation, evaluate

_COLUMNS = (
    ("single_phase_psnr_db", "phase PSNR", "{:.2f} dB"),
    ("single_phase_ssim", "SSIM", "{:.4f}"),
    ("stitched_phase_correlation", "stitched correlation", "{:.4f}"),
    ("stitched_phase_ssim", "SSIM", "{:.4f}"),
)


@click.command()
@click.argument("package", metavar="FILE.wnet|NAME")
@click.option(
    "--data",
    "scan",
    type=DATA,
    required=True,
    help="Scan from the package's instrument; example:scan247 is the embedded one.",
)
@click.option(
    "--reference",
    type=DATA,
    help="Reconstruction of that scan: a result file or .npz.  [default: the FP32 output]",
)
@click.option(
    "--image",
    "picture",
    type=FILE,
    help="PNG file for a map of the scan: how badly each frame is explained, and so where the "
    "network has to be trained further.",
)
@click.option(
    "--refine",
    type=PASSES,
    metavar="N|auto",
    help="Also tell what N passes over the frames, or as many as pay (auto), leave of each frame's "
    "R-factor: what they take away, the network had wrong.",
)
@trust_option
@every_precision_option
@provider_option
@threads_option
@batch_size_option
@orientation_options
@scan_options
@no_links_option
@force_option
@json_option
def command(
    package: str,
    scan: Path,
    reference: Path | None,
    picture: Path | None,
    refine: int | None,
    trust: Path | None,
    precision: str,
    provider: str,
    threads: int | None,
    batch_size: int | None,
    orientation: str | None,
    position_orientation: str,
    force: bool,
    as_json: bool,
    **reading: Any,  # noqa: ANN401 - the options of scan_options, as click parsed them
) -> None:
    """Measure every precision of a package on a scan: single-shot, stitched, relative to FP32.

    With --reference, accuracy is measured against it; without, only agreement with FP32. Needing
    neither, the R-factors of single frames tell where the network is worst: more training on
    objects like that helps there.
    """
    if picture is not None:
        check_output(picture, ResultError, force=force)
    opened = opened_package(package, trust)
    options = runner_options_from(precision, provider, threads, batch_size)
    choice = framed_by(
        find_scan(scan, read_options_from(reading)),
        opened,
        partial(open_best_graph, opened, options),
        way_up(orientation, opened.manifest.orientation),
        way_up(position_orientation, Orientation.IDENTITY),
    )
    framed = choice.framed
    placed = None if reference is None else read_placed_image(reference, framed.scan)
    refining = refine_options(refine, threads)
    evaluation = evaluate(opened, framed.scan, placed, options, refining)
    warnings = [*choice.warnings, *evaluation.warnings]
    for warning in warnings:
        print_note(f"Warning: {scan}: {warning}")
    if picture is not None:
        write_frame_picture(picture, scan.name, evaluation, force=force)
    if as_json:
        print_json(
            {
                "package": opened.name,
                "package_sha256": opened.sha256,
                "scan": str(scan),
                "judge": evaluation.judge.value,
                "frames": evaluation.frames,
                "precisions": {
                    kind.value: _values(one, of_itself=_of_itself(evaluation, kind))
                    for kind, one in evaluation.precisions.items()
                },
                "single_frames": frame_values(evaluation, picture),
                "warnings": warnings,
            }
        )
        return
    _print(evaluation)
    print_frames(evaluation)
    if picture is not None:
        print_line(f"picture: {picture}")


def _print(evaluation: Evaluation) -> None:
    against = "the reference" if evaluation.judge is Judge.REFERENCE else "fp32"
    print_line(f"{evaluation.frames} frames against {against}:")
    for precision, one in evaluation.precisions.items():
        measures = one.accuracy.measures()
        told = [
            f"{label} {text.format(measures[name])}"
            for name, label, text in _COLUMNS
            if math.isfinite(measures[name])
        ]
        if _of_itself(evaluation, precision):
            told = ["–"]
        if one.loss is not None:
            psnr = "" if one.loss.psnr_db is None else f", PSNR {-one.loss.psnr_db:+.3f} dB"
            told.append(f"at worst SSIM {-one.loss.ssim:+.4f}{psnr} from fp32")
        told.append(one.image.self_check.text)
        print_line(f"{precision.value} on {one.image.provider.value}: {'; '.join(told)}")


def _of_itself(evaluation: Evaluation, precision: Precision) -> bool:
    """FP32 held against FP32 says nothing."""
    return evaluation.judge is Judge.FP32 and precision is Precision.FP32


def _values(one: Evaluated, *, of_itself: bool) -> dict[str, object]:
    check = one.image.self_check
    fit = check.fit
    return {
        "provider": one.image.provider.value,
        "r_factor": fit and fit.r_factor,
        "r_blank": fit and fit.r_blank,
        "explained": fit and fit.explained,
        "contrast": fit and fit.contrast,
        "trusted": check.trusted,
        **{
            name: None if of_itself else finite(value)
            for name, value in one.accuracy.measures().items()
        },
        "ssim_drop": None if one.loss is None else finite(one.loss.ssim),
        "psnr_drop_db": None if one.loss is None else finite(one.loss.psnr_db),
        "phase_rms_rad_from_fp32": finite(one.phase_rms_rad),
    }
