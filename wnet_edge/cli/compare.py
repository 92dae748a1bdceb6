"""`wnet-edge compare`: how near an image is to its reference."""

import json
import math
from pathlib import Path

import click

from wnet_edge.cli.example import DATA
from wnet_edge.cli.terminal import print_line
from wnet_edge.comparing.comparison import Comparison, compare
from wnet_edge.io.images.object_image_file import read_object_image


@click.command()
@click.argument("image", metavar="A", type=DATA)
@click.argument("reference", metavar="B", type=DATA)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(image: Path, reference: Path, as_json: bool) -> None:
    """Compare image A with reference B.

    Each is a result of infer in any format (either file of a TIFF pair), a Ptychodus product, or an
    .npz archive with a complex array `object` (and, if known, object_pixel_m, probe and
    window_top_left_px). Shift, global phase, amplitude scale and, where it helps, a phase ramp are
    removed first; only pixels that both images cover well count. example:scan247-reference is the
    embedded reference.
    """
    comparison = compare(read_object_image(image), read_object_image(reference))
    if as_json:
        print_line(json.dumps(comparison.as_json()))
    else:
        for line in _table(comparison):
            print_line(line)


def _table(c: Comparison) -> list[str]:
    def number(value: float, digits: str = ".4g", unit: str = "") -> str:
        if math.isnan(value):
            return "unknown"
        return f"{value:{digits}} {unit}".rstrip()

    phase_range = number(c.phase_psnr_data_range_rad, ".3g", "rad")
    amplitude_range = number(c.amplitude_psnr_data_range, ".3g")
    shift = ", ".join(f"{s:.2f}" for s in c.shift_px)
    ramp = ", ".join(f"{1e3 * r:.3g}" for r in c.ramp_rad_per_px)
    resolution = (
        number(c.resolution_px, ".3g", "px")
        if math.isnan(c.resolution_m)
        else number(1e9 * c.resolution_m, ".3g", "nm")
    )
    rows = {
        "": ("phase", "amplitude"),
        "correlation": (
            number(c.phase_correlation, ".4f"),
            number(c.amplitude_correlation, ".4f"),
        ),
        "slope (contrast)": (number(c.phase_slope, ".3f"), ""),
        "mean abs. error": (number(c.phase_mae_rad, ".3g", "rad"), ""),
        "mean sq. error": (number(c.phase_mse, ".3g", "rad²"), number(c.amplitude_mse, ".3g")),
        "PSNR": (number(c.phase_psnr_db, ".1f", "dB"), number(c.amplitude_psnr_db, ".1f", "dB")),
        "SSIM": (number(c.phase_ssim, ".3f"), number(c.amplitude_ssim, ".3f")),
        "  of data range": (phase_range, amplitude_range),
    }
    lines = [
        f"{name:<18}{phase:>14}{amplitude:>14}".rstrip()
        for name, (phase, amplitude) in rows.items()
    ]
    lines += [
        "",
        f"resolution        {resolution} (half period, Fourier ring correlation, half-bit)",
        f"overlap           {c.overlap_px} px",
        f"shift of A        {shift} px (row, column)",
        f"ramp of A         {ramp} mrad/px, removed"
        if c.ramp_removed
        else "ramp of A         none",
        f"amplitude of A    × {c.amplitude_factor:.4g}",
    ]
    if c.nonfinite_px:
        lines.append(f"left out          {c.nonfinite_px} px that are NaN or infinite")
    return lines
