"""Options of the processors for pvaPy's HPC framework: the JSON of `--processor-args`.

Its keys are options of `wnet-edge stream`, of the same names, values and checks. Consumers and
collector are given the same JSON, so that they agree.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

from wnet_edge.cli.example import DATA
from wnet_edge.cli.options import FILE, runner_options_from
from wnet_edge.cli.scan_options import is_scan_flag, read_options_from, way_up
from wnet_edge.cli.stream import command as stream
from wnet_edge.cli.stream import position_names
from wnet_edge.embedded import opened_package
from wnet_edge.errors import WNetEdgeError
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.pv_scans import PositionNames
from wnet_edge.live.shared_setup import SharedSetup
from wnet_edge.one_line import one_line
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph

_OF_STREAM = (
    *("package", "trust", "precision", "provider", "threads"),
    *("position_names", "position_names_unit", "first_id", "idle_s"),
    *("look_s", "save_s", "pv_prefix", "force"),
)
"""What a processor takes of its options, beside those of a scan's file."""

_OPTIONS = click.Command(
    "--processor-args",
    params=[
        *(one for one in stream.params if one.name in _OF_STREAM or is_scan_flag(one)),
        click.Option(["--scan"], type=DATA, required=True, help="Recorded with the same detector."),
        click.Option(["--count"], type=click.IntRange(1, MAX_FRAMES), help="Frames of a scan."),
        click.Option(["--output"], type=FILE, help="Folder of the results."),
    ],
    add_help_option=False,
)


@contextmanager
def ended_by_a_line() -> Iterator[None]:
    """Context in which an error of the user's ends the process with a line on stderr.

    Raises:
        SystemExit: with the line.
    """
    try:
        yield
    except click.ClickException as error:
        raise SystemExit(one_line(f"Error: --processor-args: {error.format_message()}")) from None
    except WNetEdgeError as error:
        raise SystemExit(one_line(f"Error: {error}")) from None


def options_from(given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of all options, by name, from what pvaPy hands to a processor.

    Raises:
        click.UsageError: if an option is unknown, wrong or missing.
    """
    words = []
    for name, value in given.items():
        if name != name.lower():  # pvaPy adds its own, as inputChannel
            continue
        flag = f"--{name.replace('_', '-')}"
        words += [flag] if value is True else [f"{flag}={value}"]
    return _OPTIONS.make_context("--processor-args", words).params


def shared_setup(values: dict[str, Any]) -> SharedSetup:
    """The setup of the options' recorded scan and package; scan options are taken out of `values`.

    Raises:
        ScanError: as `find_scan`, or if the scan lacks a part.
        PackageError: as `opened_package`, or if the package does not fit the scan.
        ProviderError: if an execution provider that was asked for is unavailable.
    """
    package = opened_package(values["package"], values["trust"])
    runner = runner_options_from(
        values["precision"], values["provider"], values["threads"], batch_size=None
    )
    return SharedSetup.of_recorded(
        find_scan(values["scan"], read_options_from(values)),
        open_best_graph(package, runner),
        way_up(values["orientation"], package.manifest.orientation),
        way_up(values["position_orientation"], Orientation.IDENTITY),
    )


def frame_position_names(values: dict[str, Any]) -> PositionNames:
    """Which attributes of a frame hold its position: those of areaDetector's habit unless told.

    Raises:
        ScanError: if the unit is no unit of length.
        click.UsageError: if they are not two names.
    """
    return position_names(values) or PositionNames()
