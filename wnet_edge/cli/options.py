"""What several commands share: options, the progress bar, the last line for programs."""

import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from wnet_edge.cli.terminal import print_line
from wnet_edge.io.containers.hdf5.faults import links_refused
from wnet_edge.io.images.result_format import ResultFormat
from wnet_edge.one_line import one_line
from wnet_edge.package.manifest import MAX_BATCH_SIZE, Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import BATCH_SIZE, MAX_THREADS, RunnerOptions

Command = TypeVar("Command", bound=Callable[..., Any])

AUTO = "auto"
FILE = click.Path(path_type=Path, readable=False)
"""A path as the user gave it; whether it can be read is for the library to say, in one line."""

package_option = click.option(
    "--package",
    default="w3",
    show_default=True,
    metavar="NAME|FILE",
    help="Name of an embedded package, or path of a .wnet file.",
)
force_option = click.option("--force", is_flag=True, help="Overwrite existing output files.")


def _refuse_links(ctx: click.Context, _: click.Parameter, refused: bool) -> None:
    if refused:
        ctx.with_resource(links_refused())


no_links_option = click.option(
    "--no-links",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_refuse_links,
    help="Read only the files named here; do not follow links in HDF5 files.",
)
trust_option = click.option(
    "--trust",
    metavar="PUBKEY",
    type=FILE,
    help="Refuse a package that is not signed with this public key (PEM file).",
)
format_option = click.option(
    "--format",
    "image_format",
    type=click.Choice([kind.value for kind in ResultFormat]),
    default=ResultFormat.NEXUS.value,
    show_default=True,
    help="Format of the result; tiff writes phase and amplitude to one file each.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object on the last line."
)


def _precision_option(auto: str) -> Callable[[Command], Command]:
    return click.option(
        "--precision",
        type=click.Choice([AUTO, *(kind.value for kind in Precision)]),
        default=AUTO,
        show_default=True,
        help=f"Precision of the network. auto: {auto}.",
    )


precision_option = _precision_option("the fastest found by `wnet-edge tune`, otherwise a safe one")
every_precision_option = _precision_option("every one in the package")
provider_option = click.option(
    "--provider",
    type=click.Choice([kind.value for kind in Provider]),
    default=Provider.AUTO.value,
    show_default=True,
    help="Execution provider. Any value but auto is used as given; if it is unavailable, the "
    "command fails.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(0, MAX_THREADS),
    help="CPU threads; 0: one per core.  [default: as found by `wnet-edge tune`, otherwise 0]",
)
batch_size_option = click.option(
    "--batch-size",
    type=click.IntRange(1, MAX_BATCH_SIZE),
    help=f"Frames per batch.  [default: as found by `wnet-edge tune`, otherwise {BATCH_SIZE}]",
)


def runner_options(command: Command) -> Command:
    """--precision, --provider, --threads and --batch-size, for `runner_options_from`."""
    for option in (batch_size_option, threads_option, provider_option, precision_option):
        command = option(command)
    return command


def runner_options_from(
    precision: str, provider: str, threads: int | None, batch_size: int | None
) -> RunnerOptions:
    """The options of `runner_options`, as the library takes them."""
    return RunnerOptions(
        precision=None if precision == AUTO else Precision(precision),
        provider=Provider(provider),
        threads=threads,
        batch_size=batch_size,
    )


def signature_values(package: Package, trust: Path | None) -> dict[str, object] | None:
    """For `--json`: by which key a package says it is signed, and whether that was checked."""
    if package.signature is None:
        return None
    return {"public_key": package.signature.public_key, "checked": trust is not None}


@contextmanager
def frame_progress(label: str, frame_count: int) -> Iterator[Callable[[int], None] | None]:
    """A bar on stderr that takes numbers of frames done; None where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with click.progressbar(length=frame_count, label=one_line(label), file=sys.stderr) as bar:
        yield bar.update


def finite(value: float | None) -> float | None:
    """A number, or None for what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None


def print_json(values: Mapping[str, object]) -> None:
    """One line that a program may read."""
    print_line(json.dumps(values, allow_nan=False))
