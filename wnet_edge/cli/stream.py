"""`wnet-edge stream`: a detector's stream, to an image that grows with the scan."""

from typing import Any

import click

from wnet_edge.cli.live_options import LiveSetup, live_options
from wnet_edge.cli.options import no_links_option
from wnet_edge.cli.scan_options import read_options_from
from wnet_edge.live.bounded_queue import WhenBehind
from wnet_edge.live.known_positions import WithPositions, known_positions_m
from wnet_edge.live.run import run
from wnet_edge.live.source import Source
from wnet_edge.live.zmq_source import ZmqSource


@click.command()
@click.option(
    "--input-zmq",
    "address",
    metavar="tcp://HOST:PORT",
    required=True,
    help="ZeroMQ stream of a Dectris detector (Stream V2).",
)
@click.option(
    "--channel", metavar="NAME", help="Threshold to take, of several.  [default: the first]"
)
@live_options
@click.option(
    "--scans",
    type=click.IntRange(1),
    help="Number of scans after which to stop.  [default: never, until Ctrl-C]",
)
@click.option(
    "--queue-frames",
    type=click.IntRange(1, 1_000_000),
    default=2000,
    show_default=True,
    help="Frames that may wait for the network.",
)
@click.option(
    "--when-behind",
    type=click.Choice([one.value for one in WhenBehind]),
    default=WhenBehind.BLOCK.value,
    show_default=True,
    help="What happens to a frame for which the queue has no room: it waits at the detector, or "
    "is dropped, counted and reported.",
)
@no_links_option
def command(
    address: str,
    channel: str | None,
    scans: int | None,
    queue_frames: int,
    when_behind: str,
    **values: Any,  # noqa: ANN401 - the options of live_options, as click parsed them
) -> None:
    """Reconstruct scans while a detector streams their frames.

    Positions come with the frames, from --positions, or from --raster and --step-m. Each scan's
    result is written every --save-s and at its end; Ctrl-C ends a scan with what has come.
    """
    reading = read_options_from(values)
    positions_m = known_positions_m(reading)
    setup = LiveSetup.of(values, reading, scans)
    stream = ZmqSource(address, queue_frames, WhenBehind(when_behind), channel)
    source: Source = stream if positions_m is None else WithPositions(stream, positions_m)
    try:
        run(source, setup.opened, setup.options, setup.terminal, lambda: stream.depth)
    finally:
        source.close()
    setup.terminal.check()
