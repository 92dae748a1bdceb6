"""`wnet-edge doctor`: what this machine has, what is missing, and how to get it."""

import click

from wnet_edge.cli.doctor_report import as_lines, as_values
from wnet_edge.cli.options import json_option, package_option, print_json
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import opened_package
from wnet_edge.errors import ProviderError
from wnet_edge.runner.doctor.checkup import check_up


@click.command()
@package_option
@json_option
def command(package: str, as_json: bool) -> None:
    """Check what this machine can run a package with, what is missing and how to get it.

    Every provider of the installed ONNX Runtime runs the package's golden frames. Exit code 1 if
    the automatic choice does not work, or if two wheels of ONNX Runtime overwrite each other.
    """
    checkup = check_up(opened_package(package, None), print_note)
    if as_json:
        print_json(as_values(checkup))
    else:
        for line in as_lines(checkup):
            print_line(line)
    if checkup.fault is not None:
        raise ProviderError(checkup.fault)
