"""What `wnet-edge evaluate` tells of single frames: which of them the network explains worst."""

from pathlib import Path

import numpy as np

from wnet_edge.cli.options import finite
from wnet_edge.cli.terminal import print_line
from wnet_edge.pictures.frame_values_panel import frame_values_panel, value_range
from wnet_edge.pictures.panel_row import draw_panels, write_panels
from wnet_edge.runner.measuring.evaluation import Evaluation
from wnet_edge.runner.measuring.frame_fits import FrameFits

_WORST = 10
"""Frames that are named."""


def print_frames(evaluation: Evaluation) -> None:
    """Lines for people."""
    for line in _summary(evaluation):
        print_line(line)
    fits, refined = evaluation.frame_fits, evaluation.refined_fits
    for index in fits.compared[:_WORST].tolist():
        after = "" if refined is None else f", refined {refined.r_free[index]:.4f}"
        row_um, column_um = (1e6 * fits.centre_m[index]).tolist()
        print_line(
            f"  frame {fits.numbers[index]}: {fits.r_free[index]:.4f}{after}, "
            f"at row {row_um:.3f} µm, column {column_um:.3f} µm"
        )


def frame_values(evaluation: Evaluation, picture: Path | None) -> dict[str, object]:
    """For `--json`."""
    refinement = evaluation.refinement
    return {
        "precision": next(iter(evaluation.precisions)).value,
        **_spread(evaluation.frame_fits),
        "worst": _worst(evaluation),
        "refinement": refinement and refinement.values,
        "refined": evaluation.refined_fits and _spread(evaluation.refined_fits),
        "picture": None if picture is None else str(picture),
    }


def write_frame_picture(path: Path, scan: str, evaluation: Evaluation, *, force: bool) -> None:
    """Write a PNG of every frame's R-factor where it was taken, refined ones beside.

    Raises:
        ResultError: if it exists and `force` is not set, or can't be written.
    """
    fits, refined = evaluation.frame_fits, evaluation.refined_fits
    worst = fits.compared[:_WORST]
    shown = {"R-factor of each frame without photon noise": fits}
    if refined is not None and evaluation.refinement is not None:
        shown[f"The same after {evaluation.refinement.passes} passes"] = refined
    colours = value_range(np.concatenate([one.r_free for one in shown.values()]))
    ring = f"worst {len(worst)}"
    panels = [
        frame_values_panel(heading, one.centre_m, one.r_free, colours, worst, ring)
        for heading, one in shown.items()
    ]
    picture = draw_panels(scan, _summary(evaluation), panels)
    write_panels(picture, path, force=force)


def _summary(evaluation: Evaluation) -> list[str]:
    """A line on all frames, and one on the refined ones."""
    fits, refinement = evaluation.frame_fits, evaluation.refinement
    if not len(fits.compared):
        return ["no single frame was compared: the image covers no frame's whole probe"]
    precision = next(iter(evaluation.precisions)).value
    lines = [f"R-factor by frame without photon noise, {precision}: {_spread_text(fits)}"]
    if refinement is not None and evaluation.refined_fits is not None:
        lines.append(
            f"after {refinement.passes} passes ({refinement.stopped}): "
            f"{_spread_text(evaluation.refined_fits)}"
        )
    return lines


def _spread_text(fits: FrameFits) -> str:
    median, high = fits.r_free_percentile(50), fits.r_free_percentile(95)
    return f"median {median:.4f}, 95 % below {high:.4f} ({len(fits.compared)} frames)"


def _spread(fits: FrameFits) -> dict[str, object]:
    known = len(fits.compared) > 0
    return {
        "frames": len(fits.compared),
        "r_free_median": fits.r_free_percentile(50) if known else None,
        "r_free_p95": fits.r_free_percentile(95) if known else None,
    }


def _worst(evaluation: Evaluation) -> list[dict[str, float | None]]:
    """The worst explained frames, by the names of their values in `--json`."""
    fits, refined = evaluation.frame_fits, evaluation.refined_fits
    return [
        {
            "frame": int(fits.numbers[index]),
            "r_factor": float(fits.r_factor[index]),
            "r_free": float(fits.r_free[index]),
            "r_free_refined": None if refined is None else finite(float(refined.r_free[index])),
            "row_m": float(fits.centre_m[index, 0]),
            "column_m": float(fits.centre_m[index, 1]),
        }
        for index in fits.compared[:_WORST].tolist()
    ]
