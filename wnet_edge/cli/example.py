"""The embedded examples: the names by which commands take them, and `wnet-edge example`.

`example:NAME` stands wherever a scan or a reconstruction is asked for, as `w3` does for a package.
This is the one place that knows where they lie.
"""

import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.options import FILE, force_option
from wnet_edge.cli.terminal import print_line
from wnet_edge.errors import ScanError
from wnet_edge.outputs import check_output, replacing

_FOLDER = Path(str(files("wnet_edge") / "examples"))

EXAMPLE_SCAN = _FOLDER / "cnm26id_scan247_64px.cxi"
EXAMPLE_REFERENCE = _FOLDER / "cnm26id_scan247_reference.npz"

PREFIX = "example:"
EXAMPLES = {"scan247": EXAMPLE_SCAN, "scan247-reference": EXAMPLE_REFERENCE}
"""Name to file."""

_LICENCE = _FOLDER / "LICENSE.tike"


def resolved(text: str) -> str:
    """A path as it was typed, or where the example lies that `example:NAME[:DATASET]` names.

    Raises:
        ScanError: if there is no such example.
    """
    if not text.startswith(PREFIX):
        return text
    name, colon, dataset = text.removeprefix(PREFIX).partition(":")
    if name not in EXAMPLES:
        known = ", ".join(PREFIX + known for known in EXAMPLES)
        raise ScanError(
            f"{PREFIX}{name}: no such example; choose from {known}, or ./{PREFIX}{name}"
        )
    return f"{EXAMPLES[name]}{colon}{dataset}"


def named(text: str) -> Path:
    """What outputs are named after: the path as it was typed, or an example's name."""
    return Path(text.removeprefix(PREFIX))


class DataFile(click.ParamType[Path]):
    """A file of the user's, or `example:NAME`; whether it can be read is for the library to say."""

    name = "file"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,  # noqa: ARG002 - likewise
        ctx: click.Context | None,  # noqa: ARG002
    ) -> Path:
        """The file's path."""
        return Path(resolved(str(value)))


class DataPart(click.ParamType[str]):
    """FILE, FILE:DATASET or DATASET, where FILE may be `example:NAME`."""

    name = "part"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's own signature
        param: click.Parameter | None,  # noqa: ARG002 - likewise
        ctx: click.Context | None,  # noqa: ARG002
    ) -> str:
        """The same with the example's path."""
        return resolved(str(value))


DATA, PART = DataFile(), DataPart()


@click.command()
@click.argument("folder", metavar="FOLDER", type=FILE)
@force_option
def command(folder: Path, force: bool) -> None:
    """Copy the embedded example scan and its reference reconstruction to FOLDER.

    Commands also take them without copying, as example:scan247 and example:scan247-reference.
    """
    copies = {folder / f"{name}{path.suffix}": path for name, path in EXAMPLES.items()}
    copies[folder / _LICENCE.name] = _LICENCE
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ScanError(
            f"{folder}: can't be created ({(error.strerror or '').lower()}); name another folder"
        ) from error
    for copy in copies:
        check_output(copy, ScanError, force=force)
    for copy, source in copies.items():
        with replacing(copy, ScanError, force=force) as temporary:
            shutil.copyfile(source, temporary)
        print_line(str(copy))
