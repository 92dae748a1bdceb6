"""`wnet-edge inspect`: what a package or a scan holds, and where it was found."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.inspect_scan import readiness, scan_report
from wnet_edge.cli.model_card import model_card
from wnet_edge.cli.options import (
    FILE,
    force_option,
    json_option,
    no_links_option,
    print_json,
    signature_values,
    trust_option,
)
from wnet_edge.cli.scan_options import (
    orientation_options,
    read_options_from,
    scan_options,
    way_up,
)
from wnet_edge.cli.terminal import print_line
from wnet_edge.embedded import embedded_packages, opened_package, resolved
from wnet_edge.errors import ResultError
from wnet_edge.framing.preview import write_preview
from wnet_edge.host.inputs import note_input
from wnet_edge.host.outputs import check_output
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import PACKAGE_SUFFIX
from wnet_edge.physics.orientation import Orientation


@click.command()
@click.argument("file", metavar="FILE.wnet|SCAN")
@click.option(
    "--image",
    "picture",
    type=FILE,
    help="PNG file to draw the scan's mean frame, positions and probe to.",
)
@click.option(
    "--package",
    metavar="NAME|FILE",
    help="Package to check the scan against: says whether infer will run, or what is missing.",
)
@click.option(
    "--card",
    is_flag=True,
    help="Print the package's model card as Markdown: what it is for, how it was made, how good it "
    "is.",
)
@trust_option
@orientation_options
@scan_options
@no_links_option
@force_option
@json_option
def command(
    file: str,
    picture: Path | None,
    package: str | None,
    card: bool,
    trust: Path | None,
    orientation: str | None,
    position_orientation: str,
    force: bool,
    as_json: bool,
    **reading: Any,  # noqa: ANN401 - the options of scan_options, as click parsed them
) -> None:
    """Show what a package or a scan contains; packages are checked for integrity.

    For a scan: each part, its unit, where it was found, and what is missing. Options supply what
    the file lacks, as for infer; with --package, the last line says whether infer will run.
    """
    file = resolved(file)
    is_package = file.endswith(PACKAGE_SUFFIX) or (
        file in embedded_packages() and not Path(file).exists()
    )
    if is_package:
        if picture is not None or package is not None:
            raise click.UsageError("--image and --package are for scans")
        if card:
            if as_json:
                raise click.UsageError("give either --card or --json")
            for line in model_card(opened_package(file, trust)).splitlines():
                print_line(line)
            return
        _show(_package(file, trust), as_json=as_json)
        return
    if card or (trust is not None and package is None):
        raise click.UsageError(f"{'--card' if card else '--trust'} is for packages")
    note_input(Path(file), ResultError, "a scan to read")
    opened = None if package is None else opened_package(package, trust)
    if picture is not None:
        check_output(picture, ResultError, force=force)
    found = find_scan(Path(file), read_options_from(reading))
    report = scan_report(found) | {"picture": None if picture is None else str(picture)}
    if opened is not None:
        answer = readiness(
            found,
            opened,
            way_up(orientation, opened.manifest.orientation),
            way_up(position_orientation, Orientation.IDENTITY),
        )
        report |= answer.values() if as_json else answer.lines()
    _show(report, as_json=as_json)
    if picture is not None:
        write_preview(picture, found, force=force)


def _package(name_or_file: str, trust: Path | None) -> dict[str, object]:
    package = opened_package(name_or_file, trust)
    return {
        "kind": "package",
        "path": str(package.path),
        "size_bytes": package.path.stat().st_size,
        "sha256": package.sha256,
        "signature": signature_values(package, trust),
        **asdict(package.manifest),
    }


def _show(values: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(values)
    else:
        _print_indented(values, 0)


def _print_indented(values: Mapping[str, object], depth: int) -> None:
    for key, value in values.items():
        name = "  " * depth + str(getattr(key, "value", key))
        if isinstance(value, dict) and value:
            print_line(f"{name}:")
            _print_indented(value, depth + 1)
        else:
            print_line(f"{name}: {_readable(value)}")


def _readable(value: object) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return "; ".join(value)
    return str(getattr(value, "value", value))
