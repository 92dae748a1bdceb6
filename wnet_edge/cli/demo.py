"""`wnet-edge demo`: the embedded scan through the embedded package, to an image."""

from pathlib import Path

import click

from wnet_edge.cli.command_line import command_line
from wnet_edge.cli.infer import report
from wnet_edge.cli.options import (
    frame_progress,
    json_option,
    runner_options,
    runner_options_from,
)
from wnet_edge.embedded import EXAMPLE_SCAN, find_package
from wnet_edge.package.opening import open_package
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.image.job import Job, run_job

PACKAGE = "w3"
RESULT, PICTURE = Path("wnet-edge-demo.h5"), Path("wnet-edge-demo.png")


@click.command()
@click.option(
    "--live",
    is_flag=True,
    help="Take ten seconds for it, as if it were being scanned now, and show the growing image on "
    "a page in the browser.",
)
@click.option("--no-browser", is_flag=True, help="With --live: only serve the page.")
@runner_options
@json_option
def command(
    live: bool,
    no_browser: bool,
    precision: str,
    provider: str,
    threads: int | None,
    batch_size: int | None,
    as_json: bool,
) -> None:
    """Reconstruct the embedded example scan with the embedded package.

    The sample is an etched tungsten test pattern, measured at APS/CNM 26-ID. Writes
    ./wnet-edge-demo.h5 and ./wnet-edge-demo.png, replacing those of an earlier run.
    """
    if no_browser and not live:
        raise click.UsageError("--no-browser goes with --live")
    options = runner_options_from(precision, provider, threads, batch_size)
    if live:
        from wnet_edge.cli.demo_live import run_live

        run_live(PACKAGE, options, (RESULT, PICTURE), browser=not no_browser, as_json=as_json)
        return
    job = Job(
        scan=EXAMPLE_SCAN,
        outputs=(RESULT,),
        picture=PICTURE,
        force=True,
        command_line=command_line(),
    )
    package = open_package(find_package(PACKAGE))
    done = run_job(job, open_best_graph(package, options), frame_progress)
    report(job, package, done, as_json=as_json)
