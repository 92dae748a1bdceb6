"""`wnet-edge inspect`: what a package or a scan holds."""

from dataclasses import asdict
from pathlib import Path

import click
import numpy as np

from wnet_edge.cli.options import json_option, print_json
from wnet_edge.errors import ScanError
from wnet_edge.io.cxi import read_labels
from wnet_edge.io.scan_file import open_scan
from wnet_edge.package import PACKAGE_SUFFIX, embedded_packages, find_package, open_package
from wnet_edge.runner.fit import check_far_field, nearest_neighbour_m


@click.command()
@click.argument("file", metavar="FILE.wnet|SCAN")
@json_option
def command(file: str, as_json: bool) -> None:
    """Show what a package or a scan holds; packages are verified on the way."""
    is_package = file.endswith(PACKAGE_SUFFIX) or (
        file in embedded_packages() and not Path(file).exists()
    )
    values = _package(find_package(file)) if is_package else _scan(Path(file))
    if as_json:
        print_json(values)
    else:
        _print_indented(values, 0)


def _package(path: Path) -> dict[str, object]:
    package = open_package(path)
    return {
        "kind": "package",
        "path": str(path),
        "size_bytes": path.stat().st_size,
        "sha256": package.sha256,
        **asdict(package.manifest),
    }


def _scan(path: Path) -> dict[str, object]:
    scan = open_scan(path)
    labels = read_labels(path)
    try:
        check_far_field(scan)
        refusal = None
    except ScanError as error:
        refusal = str(error)
    height_m, width_m = np.ptp(scan.positions_m, axis=0).tolist()
    return {
        "kind": "scan",
        "path": str(path),
        "frames": scan.frame_count,
        "frame_px": scan.frame_px,
        "binning": scan.binning,
        "full_window_px": scan.full_window_px,
        "energy_ev": scan.known_geometry.energy_ev,
        "wavelength_m": scan.known_geometry.wavelength_m,
        "distance_m": scan.known_geometry.distance_m,
        "detector_pixel_size_m": scan.known_geometry.detector_pixel_size_m,
        "object_pixel_size_m": scan.object_pixel_size_m,
        "masked_px": int(scan.mask.sum()),
        "scan_height_m": height_m,
        "scan_width_m": width_m,
        "step_m": nearest_neighbour_m(scan),
        "probe_modes": 0 if scan.probe is None else len(scan.probe),
        "labels_px": None if labels is None else labels.window_px,
        "far_field": refusal is None,
        "refusal": refusal,
    }


def _print_indented(values: dict[str, object], depth: int) -> None:
    for key, value in values.items():
        name = "  " * depth + str(getattr(key, "value", key))
        if isinstance(value, dict) and value:
            click.echo(f"{name}:")
            _print_indented(value, depth + 1)
        else:
            click.echo(f"{name}: {_readable(value)}")


def _readable(value: object) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(getattr(value, "value", value))
