"""What a user may say of a scan's file on the command line, for every command that reads one.

The same flags may lie in a TOML file (`--profile 26id.toml`), by their names without the dashes in
front; what is typed goes before what the file says.
"""

import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from wnet_edge.cli.example import PART
from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import AUTO, FILE
from wnet_edge.errors import ScanError
from wnet_edge.host.inputs import input_file
from wnet_edge.io.found import ZeroFrequency
from wnet_edge.io.read_options import RasterOrder, ReadOptions
from wnet_edge.physics.orientation import Orientation

if TYPE_CHECKING:
    from wnet_edge.framing.for_network import Turns

Command = TypeVar("Command", bound=Callable[..., Any])

_MAX_PROFILE_BYTES = 1 << 20
MAX_PAIRED = 1_000_000
"""Pixels of a detector, rows of a raster."""

_PROFILED = (
    *(name for name in ReadOptions.__dataclass_fields__ if name != "beam_centre_px"),
    "beam_centre",
    "orientation",
    "position_orientation",
)


SCAN_FLAGS = tuple(f"--{name.replace('_', '-')}" for name in (*_PROFILED, "profile"))
"""As they are typed; each takes one value."""


class _Pair(click.ParamType[tuple[float, float]]):
    """Two numbers with a separator between: ROW,COLUMN or ROWSxCOLUMNS."""

    def __init__(self, name: str, separator: str, kind: Callable[[str], float]) -> None:
        self.name = name
        self._separator = separator
        self._kind = kind

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[float, float]:
        """Of text, or of a list of two numbers in a profile."""
        if isinstance(value, tuple):
            return value
        parts = value if isinstance(value, list) else str(value).lower().split(self._separator)
        try:
            first, second = (self._kind(part) for part in parts)
        except (TypeError, ValueError, OverflowError):
            self.fail(f"{value!r} is not {self.name}", param, ctx)
        # NaN is not within either.
        if not (abs(first) <= MAX_PAIRED and abs(second) <= MAX_PAIRED):
            self.fail(f"{value!r} is larger than {MAX_PAIRED}", param, ctx)
        return first, second


def _use_profile(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    """Make what the profile says the defaults of the command's options."""
    if path is None:
        return None
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    input_file(path, ScanError, "name a TOML file of scan options")
    try:
        if path.stat().st_size > _MAX_PROFILE_BYTES:
            raise ScanError(f"{path}: is too large for a profile; name a TOML file of scan options")
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ScanError(
            f"{path}: can't be read as TOML ({reason}); write options as name = value"
        ) from error
    named = {name.replace("-", "_"): value for name, value in values.items()}
    if unknown := sorted(set(named) - set(_PROFILED)):
        raise ScanError(
            f"{path}: {unknown[0][:40]!r} is not a scan option; choose from {', '.join(_PROFILED)}"
        )
    _check_profile(ctx, path, named)
    for name in ("positions", "probe", "mask"):
        if isinstance(named.get(name), str):
            named[name] = _beside(path, named[name])
    ctx.default_map = {**(ctx.default_map or {}), **named}
    return path


def _beside(profile: Path, text: str) -> str:
    """FILE or FILE:DATASET, where FILE lies beside the profile: seen from here."""
    file = text.rpartition(":")[0] if ":" in text else text
    return str(profile.parent / text) if (profile.parent / file).is_file() else text


def _check_profile(ctx: click.Context, path: Path, values: dict[str, Any]) -> None:
    """See that each value is one that its flag could have been typed with.

    Raises:
        ScanError: naming the flag.
    """
    for flag in ctx.command.params:
        if flag.name not in values:
            continue
        value = values[flag.name]
        typed = isinstance(value, (str, int, float)) and not isinstance(value, bool)
        pair = isinstance(value, list) and isinstance(flag.type, _Pair)
        try:
            if not (typed or pair):
                raise click.BadParameter(f"{value!r} is neither a number nor text")
            flag.type_cast_value(ctx, value)
        except (click.BadParameter, OverflowError) as error:
            reason = " ".join(str(getattr(error, "message", error)).split()).rstrip(".")
            raise ScanError(
                f"{path}: {flag.name}: {reason}; write what {flag.opts[0]} takes"
            ) from error


_KNOWN_WAYS_UP = click.Choice([way.value for way in Orientation])
_WAYS_UP = click.Choice([AUTO, *_KNOWN_WAYS_UP.choices])

_PROFILE = click.option(
    "--profile",
    type=FILE,
    is_eager=True,
    expose_value=False,
    callback=_use_profile,
    help="TOML file with values for the scan options: positions, energy_ev, orientation …",
)
_PROBE = click.option(
    "--probe",
    type=PART,
    metavar="FILE[:PATH]|PATH",
    help="Probe, given like --positions; none ignores the probe in the scan file.",
)
_GEOMETRY = (
    click.option(
        "--energy-ev", type=Number(1, 1e7), help="Photon energy in eV.  [default: the file's]"
    ),
    click.option(
        "--distance-m",
        type=Number(1e-6, 1e4),
        help="Sample-to-detector distance in m.  [default: the file's]",
    ),
    click.option(
        "--pixel-size-m",
        type=Number(1e-9, 1),
        help="Detector pixel size in m, of the frames as stored.  [default: the file's]",
    ),
)
_OPTIONS = (
    _PROFILE,
    click.option(
        "--entry",
        metavar="NAME",
        help="Entry to read from a file with several.  [default: the first with frames]",
    ),
    click.option(
        "--frames",
        metavar="PATH",
        help="Dataset of the frames in the scan file; geometry and mask are read from the same "
        "detector.  [default: detected]",
    ),
    click.option(
        "--frames-axes",
        metavar="AXES",
        help="Order of the axes of the frames array: NHW for frames, rows, columns; HWN if frames "
        "come last; RCHW or HWRC for a raster of R rows and C columns.  [default: NHW or RCHW, "
        "another one if only it fits the positions]",
    ),
    click.option(
        "--frames-range",
        type=_Pair("FIRST:END", ":", int),
        metavar="FIRST:END",
        help="Frames to use, counted from 0, END excluded: 0:72 for the first 72.  [default: all]",
    ),
    click.option(
        "--positions",
        type=PART,
        metavar="FILE[:PATH]|PATH",
        help="Probe positions: another file (CSV too), a dataset in it, or a dataset in the scan "
        "file; ROWS_PATH,COLUMNS_PATH names two datasets.  [default: the file's]",
    ),
    click.option(
        "--positions-unit",
        metavar="UNIT",
        help="Unit of the positions: m, mm, um, nm or px (object pixels).  [default: the file's]",
    ),
    _PROBE,
    click.option(
        "--mask",
        type=PART,
        metavar="FILE[:PATH]|PATH",
        help="Detector mask, given like --positions; none ignores the mask in the scan file.",
    ),
    click.option(
        "--mask-good",
        type=click.Choice(["0", "1"]),
        help="Value of a valid pixel in the mask: 0 as in CXI, NeXus and Eiger files, or 1 (any "
        "nonzero value) as in masks of valid pixels and weights.  [default: 0]",
    ),
    click.option(
        "--raster",
        type=_Pair("ROWSxCOLUMNS", "x", int),
        metavar="ROWSxCOLUMNS",
        help="Rows and columns of the raster, for a scan without positions.",
    ),
    click.option("--step-m", type=Number(1e-12, 1), help="Step of the raster in m."),
    click.option(
        "--raster-order",
        type=click.Choice([order.value for order in RasterOrder]),
        help="Whether every row of the raster was scanned in the same direction, or every second "
        "one backwards (snake).  [default: rows]",
    ),
    *_GEOMETRY,
    click.option(
        "--beam-centre",
        type=_Pair("ROW,COLUMN", ",", float),
        metavar="ROW,COLUMN",
        help="Beam centre on the detector in pixels.  [default: found with the package's probe]",
    ),
    click.option(
        "--zero-frequency",
        type=click.Choice([where.value for where in ZeroFrequency]),
        help="Location of the zero frequency in each frame.  [default: detected]",
    ),
)


GEOMETRY_FLAGS = ("energy_ev", "distance_m", "pixel_size_m")
"""Parameters of `geometry_options`."""


def geometry_options(command: Command) -> Command:
    """--profile and what says how a probe's pixel and energy are."""
    for option in reversed((_PROFILE, *_GEOMETRY)):
        command = option(command)
    return command


def scan_options_without_probe(command: Command) -> Command:
    """As `scan_options`, for a command that says more of its --probe."""
    for option in reversed(_OPTIONS):
        command = command if option is _PROBE else option(command)
    return command


def scan_options(command: Command) -> Command:
    """All flags of `ReadOptions`, and --profile, for `read_options_from`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def orientation_options(command: Command) -> Command:
    """--orientation and --position-orientation, for `way_up`."""
    command = click.option(
        "--position-orientation",
        type=_WAYS_UP,
        metavar="auto|TRANSFORM",
        default=Orientation.IDENTITY.value,
        show_default=True,
        help="Transform of the position axes: auto tries all, or one as for --orientation.",
    )(command)
    return click.option(
        "--orientation",
        type=_WAYS_UP,
        metavar="auto|TRANSFORM",
        help="Transform of each frame before anything else: auto tries all and takes the one whose "
        f"image explains the frames best, or {', '.join(way.value for way in Orientation)}.  "
        "[default: the package's]",
    )(command)


def known_orientation_options(command: Command) -> Command:
    """As `orientation_options`, where no network is there yet to find them by trial."""
    for flag, what in (
        ("--position-orientation", "the position axes"),
        ("--orientation", "each frame"),
    ):
        command = click.option(
            flag,
            type=_KNOWN_WAYS_UP,
            metavar="TRANSFORM",
            help=f"Transform of {what} before anything else, as `infer {flag} auto` finds it.  "
            f"[default: {Orientation.IDENTITY.value}]",
        )(command)
    return command


def is_scan_flag(parameter: click.Parameter) -> bool:
    """Whether it is one of the flags that say something of a scan's file."""
    return parameter.name in (*_PROFILED, "profile")


def typed_scan_flags(context: click.Context, *, but: Collection[str] = ()) -> list[str]:
    """The scan's flags that were typed, as the user knows them, less those with the names `but`."""
    return [
        flag.opts[0]
        for flag in context.command.params
        if is_scan_flag(flag)
        and flag.name not in but
        and context.get_parameter_source(str(flag.name)) is ParameterSource.COMMANDLINE
    ]


def read_options_from(values: dict[str, Any]) -> ReadOptions:
    """The options of `scan_options` as the library takes them; they are taken out of `values`."""
    centre = values.pop("beam_centre")
    where = values.pop("zero_frequency")
    order = values.pop("raster_order")
    others = {"beam_centre_px", "zero_frequency", "raster_order"}
    names = set(ReadOptions.__dataclass_fields__) - others
    return ReadOptions(
        **{name: values.pop(name) for name in names},
        beam_centre_px=centre,
        zero_frequency=None if where is None else ZeroFrequency(where),
        raster_order=None if order is None else RasterOrder(order),
    )


def way_up(text: str | None, otherwise: Orientation) -> Orientation | None:
    """An orientation as `run_job` takes it: None to be found by trial."""
    if text is None:
        return otherwise
    return None if text == AUTO else Orientation(text)


def turns_from(values: dict[str, Any]) -> "Turns":
    """The options of `known_orientation_options`; they are taken out of `values`."""
    from wnet_edge.framing.for_network import Turns  # what `infer` has no use for

    ways = (values.pop("orientation"), values.pop("position_orientation"))
    frames, positions = (way_up(way, Orientation.IDENTITY) or Orientation.IDENTITY for way in ways)
    return Turns(frames, positions)
