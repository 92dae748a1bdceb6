"""`wnet-edge`: the one command; errors become one line on stderr here and nowhere else.

Commands are imported when they are called, so that the edge never loads what only the workshop
has, and `wnet-edge -h` answers at once.
"""

import signal

# Until main is called Ctrl-C ends the process without a word: nothing would catch an exception.
try:  # noqa: SIM105 - contextlib takes ten milliseconds to load
    _HEARD = signal.signal(signal.SIGINT, signal.SIG_DFL)
except ValueError:  # not the main thread: somebody else's program
    pass

import atexit
import contextlib
import gc
import os
import sys
from collections.abc import Iterator
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import click

from wnet_edge.cli.adapt_command import with_adapt_command
from wnet_edge.cli.command_line import command_line
from wnet_edge.cli.terminal import ClosedPipeError, prepared_streams, print_note
from wnet_edge.errors import OtherInstrumentError, ProviderError, WNetEdgeError, not_installed
from wnet_edge.host.inputs import one_command
from wnet_edge.host.interrupts import (
    FAILED,
    exit_code,
    interrupted,
    interruptible,
    leave_if_hung,
    leaving_at_once,
)
from wnet_edge.host.outputs import check_current_folder

COMMANDS = {
    "demo": "Reconstruct the embedded example scan.",
    "example": "Copy the example scan and its reference image to a folder.",
    "infer": "Reconstruct scans: diffraction frames to an image of the object.",
    "follow": "Reconstruct a scan while its file is being written.",
    "stream": "Reconstruct scans while a detector streams their frames.",
    "replay": "Publish a recorded scan as a detector would.",
    "adapt": "Make a package for a new instrument from one scan.",
    "simulate": "Simulate a scan of a procedural object, with labels.",
    "train": "Train a network on simulated or measured frames.",
    "export": "Export a trained network to a verified package file.",
    "evaluate": "Measure the accuracy of a package on a scan, per precision.",
    "reference": "Reconstruct a scan iteratively, with pty-chi.",
    "compare": "Compare two images after removing shift, phase, ramp and scale.",
    "inspect": "Show what a package or a scan contains.",
    "verify": "Check a package's integrity and its results on this machine.",
    "tune": "Find the fastest run settings of a package on this device.",
    "bench": "Measure how long packages take on this machine.",
    "doctor": "Check this machine: what works, what is missing, how to get it.",
}
"""Command to its line in `wnet-edge -h`; the command itself is `wnet_edge.cli.NAME.command`."""

WORKSHOP_COMMANDS = ("adapt", "train", "export")
WORKSHOP_MODULES = frozenset({"torch", "onnx", "onnxscript", "safetensors", "scipy", "tqdm"})


class LazyGroup(click.Group):
    """A click group that imports a command's module when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names in the order in which a user meets them."""
        return list(COMMANDS)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own signature
        """Run the command; Ctrl-C becomes an error like any other."""
        try:
            with one_command():
                return super().invoke(ctx)
        except OtherInstrumentError as error:
            raise with_adapt_command(error) from error
        except KeyboardInterrupt as error:
            raise WNetEdgeError(
                f"interrupted, no output is left half-written; run again: {command_line()}"
            ) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, imported now; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in WORKSHOP_COMMANDS:  # its threads spin, and the network has the cores
            os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        if cmd_name == "adapt":  # threads that spin while they wait stop a busy machine
            os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        if cmd_name in WORKSHOP_COMMANDS:  # PyTorch's libraries end the process without one
            check_current_folder(Path(), WNetEdgeError)
        try:
            with leaving_at_once(), _uncollected():
                module = import_module(f"wnet_edge.cli.{cmd_name}")
        except ModuleNotFoundError as error:
            if error.name in WORKSHOP_MODULES:
                raise WNetEdgeError(not_installed(cmd_name, error, "train")) from error
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


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Context for loading modules: none is garbage, and looking for it takes 4 % of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _check_onnxruntime(error: Exception) -> None:
    """See whether it is what kept a command from being imported.

    Raises:
        ProviderError: if so, with the cure.
    """
    from wnet_edge.runner.doctor.wheels import import_fault  # reads all installed metadata

    fault = import_fault()
    if fault is not None:
        raise ProviderError(fault) from error


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success, 1 failure or Ctrl-C, 2 wrong usage, 143 ended by SIGTERM (a "
    "batch system), 129 by SIGHUP. However a command ends, no output is left half-written. Input "
    "files, and files that a scan links to, are never overwritten, not even with --force.",
)
@click.version_option(package_name="wnet-edge", prog_name="wnet-edge")
def group() -> None:
    """Image a ptychographic sample while it is scanned, with a neural network."""


def main() -> None:
    """Run the command line; exit 0 done, 1 failed or Ctrl-C, 2 usage, 143 SIGTERM."""
    with leaving_at_once():
        with prepared_streams():
            code = _run()
        leave_if_hung()
        # As the interpreter ends nobody catches an exception any more.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_DFL)
    sys.exit(code)


def _run() -> int:
    """Run the command and tell what went wrong; its exit code."""
    try:
        with interruptible():
            return group.main(prog_name="wnet-edge", standalone_mode=False) or 0
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except click.ClickException as error:
        _print_usage_error(error)
        return error.exit_code
    except ClosedPipeError:
        return FAILED
    except (click.Abort, KeyboardInterrupt):
        print_note("Error: interrupted")
    except WNetEdgeError as error:
        # An error that stopping a library leads to is none.
        stopped = interrupted() and not isinstance(error.__cause__, KeyboardInterrupt)
        print_note("Error: interrupted" if stopped else f"Error: {error}")
    except Exception:
        told = _nobodys_fault()
        if told is None:
            raise
        print_note(f"Error: {told}")
    return exit_code()


def _print_usage_error(error: click.ClickException) -> None:
    said = StringIO()
    error.show(said)
    for line in said.getvalue().splitlines():
        print_note(line)


def _nobodys_fault() -> str | None:
    """What brought an exception about that the program has not foreseen; None where it should."""
    if interrupted():
        return "interrupted"
    try:
        check_current_folder(Path(), WNetEdgeError)
    except WNetEdgeError as error:
        return str(error)
    return None


with contextlib.suppress(ValueError):
    signal.signal(signal.SIGINT, _HEARD)
