"""`wnet-edge replay`: a recorded scan, published as a detector would, to rehearse with."""

import time
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.example import DATA
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import FILE, force_option, no_links_option
from wnet_edge.cli.scan_options import read_options_from, scan_options
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.errors import ScanError, WNetEdgeError, not_installed
from wnet_edge.host.inputs import one_command
from wnet_edge.io.found import FoundScan
from wnet_edge.io.parts.complete_scan import (
    detector_mask,
    known_geometry,
    known_positions_m,
    required_frames,
)
from wnet_edge.io.scan_file import find_scan
from wnet_edge.live.file_publisher import Recording, publish_file
from wnet_edge.live.source import begin_of

_CONNECT_S = 60.0


@click.command()
@click.argument("scan", metavar="SCAN", type=DATA)
@click.option("--pv", metavar="PV", help="Publish as NTNDArray PV, the positions as attributes.")
@click.option(
    "--zmq",
    "address",
    metavar="tcp://HOST:PORT",
    help="Publish as a Dectris detector does (Stream V2); * as the port takes a free one.",
)
@click.option("--file", "output", type=FILE, help="Write as a CXI file that grows (SWMR).")
@click.option(
    "--rate",
    "rate_hz",
    type=Number(1e-3, 1e6),
    default=100.0,
    show_default=True,
    help="Frames per second.",
)
@click.option(
    "--wait-s",
    type=Number(0, 3600),
    default=0.0,
    show_default=True,
    help="With --pv: time from the first client to the first frame, for others to connect.",
)
@scan_options
@no_links_option
@force_option
def command(
    scan: Path,
    pv: str | None,
    address: str | None,
    output: Path | None,
    rate_hz: float,
    wait_s: float,
    force: bool,
    **values: Any,  # noqa: ANN401 - the options of scan_options, as click parsed them
) -> None:
    """Publish a recorded scan, frame by frame, as a detector would while it scans.

    `wnet-edge stream` and `follow` take it from there. With --pv and --zmq it waits for a client.
    """
    if sum(target is not None for target in (pv, address, output)) != 1:
        raise click.UsageError("give one of --pv, --zmq and --file")
    with one_command():
        found = find_scan(scan, read_options_from(values))
        try:
            if output is not None:
                frames = publish_file(output, _recording(found), rate_hz, force=force)
                print_line(f"{output}: {frames} frames")
            elif address is not None:
                _publish_zmq(address, found, rate_hz)
            else:
                _publish_pv(str(pv), found, rate_hz, wait_s)
        except ModuleNotFoundError as error:
            raise WNetEdgeError(not_installed("replay", error, "live")) from error


def _recording(found: FoundScan) -> Recording:
    return Recording(
        frames=required_frames(found).value,
        positions_m=known_positions_m(found),
        geometry=known_geometry(found),
        mask=detector_mask(found),
        probe=None if found.probe is None else found.probe.value,
        binning=found.binning,
    )


def _publish_zmq(address: str, found: FoundScan, rate_hz: float) -> None:
    from wnet_edge.live.zmq_publisher import ZmqPublisher

    frames = required_frames(found).value
    positions_m, count = known_positions_m(found), int(frames.shape[0])
    begin = begin_of(found, found.path.stem, positions_m, count)
    with ZmqPublisher(address) as publisher:
        print_note(f"publishing at {publisher.address}")
        publisher.publish(begin, frames, rate_hz)
    print_line(f"{address}: {frames.shape[0]} frames")


def _publish_pv(pv: str, found: FoundScan, rate_hz: float, wait_s: float) -> None:
    from wnet_edge.live.pv_publisher import PvPublisher

    frames, positions_m = required_frames(found).value, known_positions_m(found)
    publisher = PvPublisher(pv)
    try:
        print_note(f"publishing as {pv}")
        if not publisher.wait_for_client(_CONNECT_S):
            raise ScanError(f"{pv}: nobody has listened for {_CONNECT_S:.0f} s; start the client")
        time.sleep(wait_s)
        reached_hz = publisher.publish(frames, positions_m, rate_hz)
    finally:
        publisher.close()
    print_line(f"{pv}: {frames.shape[0]} frames at {reached_hz:.0f} per second")
