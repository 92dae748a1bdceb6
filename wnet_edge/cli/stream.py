"""`wnet-edge stream`: a detector's stream, to an image that grows with the scan."""

from contextlib import closing
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from click.core import ParameterSource
from numpy.typing import NDArray

from wnet_edge.cli.live_options import LiveSetup, live_options
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import no_links_option
from wnet_edge.cli.scan_options import read_options_from
from wnet_edge.errors import ScanError, WNetEdgeError, not_installed
from wnet_edge.io.containers.units import Quantity, unit_factor
from wnet_edge.live.bounded_queue import WhenBehind
from wnet_edge.live.known_positions import WithPositions, known_positions_m
from wnet_edge.live.pairing import Match
from wnet_edge.live.pv_scans import PositionNames, ScanRules

if TYPE_CHECKING:
    from wnet_edge.live.pv_source import PvSource
    from wnet_edge.live.zmq_source import ZmqSource

_PV_OPTIONS = (
    click.option("--input-pv", "pv", metavar="PV", help="NTNDArray PV of a detector (EPICS PVA)."),
    click.option(
        "--position-names",
        metavar="ROW,COLUMN",
        help="Attributes of each frame, or fields of --position-pv, that hold its position.",
    ),
    click.option(
        "--position-names-unit",
        metavar="UNIT",
        default="m",
        show_default=True,
        help="Their unit: m, um, nm.",
    ),
    click.option("--position-pv", metavar="PV", help="PV with the position of each frame."),
    click.option(
        "--position-match",
        type=click.Choice([match.value for match in Match]),
        default=Match.NUMBER.value,
        show_default=True,
        help="How positions of --position-pv find their frames: by uniqueId, or by time stamp.",
    ),
    click.option(
        "--position-tolerance-ms",
        type=Number(0, 60_000),
        default=1e3 * ScanRules.tolerance_s,
        show_default=True,
        help="By time stamp: largest difference between a frame and a position before or after it; "
        "in between, positions are interpolated.",
    ),
    click.option(
        "--scan-pv", metavar="PV", help="PV that is not 0 while a scan runs, as Acquire is."
    ),
    click.option(
        "--first-id",
        type=click.IntRange(0, 2**31 - 1),
        default=1,
        show_default=True,
        help="uniqueId of a scan's first frame.",
    ),
    click.option(
        "--idle-s",
        type=Number(0.1, 1e6),
        help="Time without a frame after which a scan ends.  "
        f"[default: {ScanRules.idle_s:g} for a PV; ZeroMQ: it ends by its end message, or the next "
        "start]",
    ),
)
_PV_NAMES = (
    *("position_names", "position_pv", "position_tolerance_ms"),
    *("scan_pv", "first_id"),
)


def _pv_options(command: Any) -> Any:  # noqa: ANN401 - click's decorators
    for option in reversed(_PV_OPTIONS):
        command = option(command)
    return command


@click.command()
@_pv_options
@click.option(
    "--input-zmq",
    "address",
    metavar="tcp://HOST:PORT",
    help="ZeroMQ stream of a Dectris detector (Stream V2, or V1 of older ones).",
)
@click.option(
    "--channel", metavar="NAME", help="Threshold to take, of several.  [default: the first]"
)
@live_options
@click.option(
    "--scans",
    type=click.IntRange(1, 1_000_000),
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
    help="What happens to a frame for which the queue has no room; a dropped one is counted and "
    "reported.  [default: drop-oldest for a PV, block for ZeroMQ, where the detector waits]",
)
@no_links_option
def command(
    pv: str | None,
    address: str | None,
    scans: int | None,
    **values: Any,  # noqa: ANN401 - the options above, as click parsed them
) -> None:
    """Reconstruct scans while a detector streams their frames.

    Positions come with the frames, from a second PV, from --positions, or from --raster and
    --step-m. Each scan's result is written every --save-s and at its end; Ctrl-C ends a scan with
    what has come. PVs are found as EPICS_PVA_ADDR_LIST and EPICS_PVA_AUTO_ADDR_LIST say.
    """
    if (pv is None) == (address is None):
        raise click.UsageError("give either --input-pv or --input-zmq")
    reading = read_options_from(values)
    positions_m = known_positions_m(reading)
    setup = LiveSetup.of(values, reading, scans)
    stream: PvSource | ZmqSource
    stream = _pv(pv, values, positions_m) if pv is not None else _zmq(str(address), values)
    with closing(stream):
        source = stream if positions_m is None else WithPositions(stream, positions_m)
        setup.run(source, lambda: stream.depth)


def _when_behind(values: dict[str, Any], otherwise: WhenBehind) -> WhenBehind:
    chosen = values["when_behind"]
    return otherwise if chosen is None else WhenBehind(chosen)


def _zmq(address: str, values: dict[str, Any]) -> "ZmqSource":
    context = click.get_current_context()
    typed = [
        name
        for name in _PV_NAMES
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    ]
    if typed:
        raise click.UsageError(f"--{typed[0].replace('_', '-')} goes with --input-pv")
    try:
        from wnet_edge.live.zmq_source import ZmqSource
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed("stream", error, "live")) from error
    behind = _when_behind(values, WhenBehind.BLOCK)
    return ZmqSource(address, values["queue_frames"], behind, values["channel"], values["idle_s"])


def _pv(pv: str, values: dict[str, Any], positions_m: NDArray[np.float64] | None) -> "PvSource":
    if values["channel"] is not None:
        raise click.UsageError("--channel goes with --input-zmq")
    names = position_names(values)
    if values["position_pv"] is not None and names is None:
        names = PositionNames()
    if positions_m is None and names is None:
        raise click.UsageError(
            "positions are missing: give --position-names, --position-pv, --positions, or --raster "
            "with --step-m"
        )
    rules = ScanRules(
        first_number=values["first_id"],
        frame_count=None if positions_m is None else len(positions_m),
        idle_s=pv_idle_s(values),
        positions=names,
        position_match=None if values["position_pv"] is None else Match(values["position_match"]),
        tolerance_s=values["position_tolerance_ms"] / 1e3,
    )
    try:
        from wnet_edge.live.pv_source import PvSource
    except ModuleNotFoundError as error:
        raise WNetEdgeError(not_installed("stream", error, "live")) from error
    return PvSource(
        pv,
        rules,
        values["position_pv"],
        values["scan_pv"],
        values["queue_frames"],
        _when_behind(values, WhenBehind.DROP_OLDEST),
    )


def pv_idle_s(values: dict[str, Any]) -> float:
    """After how long without a frame of a PV a scan ends."""
    return ScanRules.idle_s if values["idle_s"] is None else float(values["idle_s"])


def position_names(values: dict[str, Any]) -> PositionNames | None:
    """The names of --position-names and their unit.

    Raises:
        ScanError: if the unit is no unit of length.
    """
    text, unit = values["position_names"], values["position_names_unit"]
    metres = unit_factor(unit, Quantity.LENGTH)
    if metres is None:
        raise ScanError(f"--position-names-unit {unit[:20]} is no unit of length; give um, say")
    if text is None:
        return None
    row, comma, column = text.partition(",")
    if not (row and comma and column):
        raise click.UsageError(f"--position-names {text[:40]} is not ROW,COLUMN")
    return PositionNames(row, column, metres)
