"""`wnet-edge`: the one command; errors become one line on stderr here and nowhere else.

Commands are imported when they are called, so that the edge never loads what only the workshop
has, and `wnet-edge -h` answers at once.
"""

import shlex
import sys
from importlib import import_module
from importlib.metadata import version
from typing import Any

import click

from wnet_edge.errors import ProviderError, WNetEdgeError
from wnet_edge.runner.wheels import import_fault

COMMANDS = {
    "demo": "the embedded scan through the embedded package, to an image",
    "example": "the embedded scan and its reconstruction, as files",
    "infer": "a scan through a package, to an image",
    "simulate": "a scan of procedural objects, with labels",
    "train": "a network on simulated frames, to a checkpoint",
    "export": "a trained network to one verified package file",
    "evaluate": "accuracy of a package on a scan, precision by precision",
    "compare": "two images after removing shift, phase, ramp and scale",
    "inspect": "what a package or a scan holds",
    "verify": "a package's hashes and golden frames on this machine",
    "tune": "fastest precision, provider, threads and batch on this device",
    "bench": "how long packages take on this machine, in turn",
    "doctor": "what this machine has, what is missing and how to get it",
}
"""Command to its line in `wnet-edge -h`; the command itself is `wnet_edge.cli.NAME.command`."""

WORKSHOP_MODULES = frozenset({"torch", "onnx", "onnxscript", "safetensors", "scipy", "tqdm"})


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which a user meets them."""
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; Ctrl-C becomes an error like any other."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            again = shlex.join(["wnet-edge", *sys.argv[1:]])
            raise WNetEdgeError(
                f"interrupted, no output is left half-written; again: {again}"
            ) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = import_module(f"wnet_edge.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if error.name in WORKSHOP_MODULES:
                raise WNetEdgeError(
                    f"{cmd_name} needs {error.name}, which the edge install leaves out: "
                    "pip install 'wnet-edge[train]'"
                ) from error
            _check_onnxruntime(error)
            raise
        except (ImportError, AttributeError) as error:
            _check_onnxruntime(error)
            raise
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The table of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _check_onnxruntime(error: Exception) -> None:
    """See whether it is what kept a command from being imported.

    Raises:
        ProviderError: if so, with the cure.
    """
    fault = import_fault()
    if fault is not None:
        raise ProviderError(fault) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("wnet-edge"), prog_name="wnet-edge")
def group() -> None:
    """See a ptychographic sample while it scans: frames in, image out."""


def main() -> None:
    """Run the command line; exit 0 done, 1 failed, 2 usage."""
    try:
        group(prog_name="wnet-edge")
    except WNetEdgeError as error:
        click.echo(f"Error: {' '.join(str(error).splitlines())}", err=True)
        sys.exit(1)
