"""`wnet-edge follow`: a file that is being written, to an image that grows with it."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.example import DATA
from wnet_edge.cli.live_options import LiveSetup, live_options
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import no_links_option
from wnet_edge.cli.scan_options import read_options_from
from wnet_edge.cli.terminal import print_note
from wnet_edge.io.containers.stacks import MAX_FRAMES
from wnet_edge.live.file_source import FollowedFile, FollowOptions


@click.command()
@click.argument("scan", metavar="SCAN", type=DATA)
@live_options
@click.option(
    "--count",
    "frame_count",
    type=click.IntRange(1, MAX_FRAMES),
    help="Frames after which the scan ends.  [default: when the writer closes the file]",
)
@click.option(
    "--idle-s",
    type=Number(0.1, 1e6),
    default=FollowOptions.idle_timeout_s,
    show_default=True,
    help="Time without a new frame after which the scan ends.",
)
@no_links_option
def command(
    scan: Path,
    frame_count: int | None,
    idle_s: float,
    **values: Any,  # noqa: ANN401 - the options of live_options, as click parsed them
) -> None:
    """Reconstruct a scan while its HDF5 file is being written.

    Frames are taken as they and their positions appear (SWMR, or a file that grows), until the
    writer closes the file, --count frames have come, or nothing comes for --idle-s. The result is
    written every --save-s and at the end; Ctrl-C ends the scan with what has come.
    """
    reading = read_options_from(values)
    setup = LiveSetup.of(values, reading, scans=1, again=True)
    options = FollowOptions(read=reading, idle_timeout_s=idle_s, frame_count=frame_count)
    if not scan.exists():
        print_note(f"{scan}: is not there yet; waiting for it (Ctrl-C ends)")
    with closing(FollowedFile(scan, options)) as source:
        setup.run(source)
