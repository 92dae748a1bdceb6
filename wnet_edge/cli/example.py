"""`wnet-edge example`, and the arguments that may name an embedded example instead of a file."""

import shutil
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.options import FILE, force_option
from wnet_edge.cli.terminal import print_line
from wnet_edge.embedded import EXAMPLE_LICENCE, EXAMPLES, resolved
from wnet_edge.errors import ScanError
from wnet_edge.host.outputs import check_output, replacing


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
    """Copy the embedded example scan and its reference reconstructions to FOLDER.

    Commands also take them without copying, as example:scan247, example:scan247-reference (the
    published one, of 60 iterations) and example:scan247-settled (one that has converged).
    """
    copies = {folder / f"{name}{path.suffix}": path for name, path in EXAMPLES.items()}
    copies[folder / EXAMPLE_LICENCE.name] = EXAMPLE_LICENCE
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
