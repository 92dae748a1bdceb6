"""`wnet-edge tune`: the fastest accurate way to run a package on this device."""

import math
import sys
from pathlib import Path

import click

from wnet_edge.cli.number_types import Number
from wnet_edge.cli.options import (
    json_option,
    print_json,
    provider_option,
    trust_option,
)
from wnet_edge.cli.terminal import print_line, print_note
from wnet_edge.embedded import opened_package
from wnet_edge.package.manifest import MAX_BATCH_SIZE, Precision
from wnet_edge.runner.choosing.tune import (
    MAX_PHASE_RMS_RAD,
    TUNED_BATCH_SIZES,
    Tuned,
    TuneOptions,
    tune,
)
from wnet_edge.runner.choosing.tune_record import TimedSettings, room_for, write_record
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import MAX_THREADS

_SHOWN = 10


@click.command()
@click.argument("package", metavar="FILE.wnet|NAME")
@trust_option
@click.option(
    "--precision",
    "precisions",
    type=click.Choice([kind.value for kind in Precision]),
    multiple=True,
    help="Precision to try; repeatable.  [default: all in the package]",
)
@provider_option
@click.option(
    "--threads",
    type=click.IntRange(1, MAX_THREADS),
    multiple=True,
    help="Number of CPU threads to try; repeatable.  [default: 1, 2, 4 … all cores]",
)
@click.option(
    "--batch-size",
    "batch_sizes",
    type=click.IntRange(1, MAX_BATCH_SIZE),
    multiple=True,
    default=TUNED_BATCH_SIZES,
    show_default=True,
    help="Batch size to try, in frames; repeatable.",
)
@click.option(
    "--max-phase-rms-rad",
    type=Number(0, math.pi),
    default=MAX_PHASE_RMS_RAD,
    show_default=True,
    help="Largest RMS phase difference from FP32 on the golden frames, in rad.",
)
@json_option
def command(
    package: str,
    trust: Path | None,
    precisions: tuple[str, ...],
    provider: str,
    threads: tuple[int, ...],
    batch_sizes: tuple[int, ...],
    max_phase_rms_rad: float,
    as_json: bool,
) -> None:
    """Find the fastest run settings of a package on this device, and store them.

    Precisions, providers, thread counts and batch sizes are timed; what is not accurate enough on
    the package's golden frames is dropped. From then on, infer uses the fastest settings that its
    own options allow, for this package on this device.
    """
    opened = opened_package(package, trust)
    options = TuneOptions(
        precisions=tuple(dict.fromkeys(Precision(text) for text in precisions)),
        provider=Provider(provider),
        threads=tuple(dict.fromkeys(threads)),
        batch_sizes=tuple(dict.fromkeys(batch_sizes)),
        max_phase_rms_rad=max_phase_rms_rad,
    )
    path = room_for(opened)
    tuned = tune(opened, options, _tell)
    write_record(tuned.record, path)
    if as_json:
        print_json(_values(tuned, path))
        return
    for line in _table(tuned):
        print_line(line)
    print_line(f"stored: {path}")


def _tell(step: str) -> None:
    if sys.stderr.isatty():
        print_note(f"tune: {step}")


def _table(tuned: Tuned) -> list[str]:
    timed = tuned.record.timed
    # Those that are slower are told of too where they are the best of their kind.
    best = {one.run_settings.precision: one for one in reversed(timed)}.values()
    shown = sorted({*timed[:_SHOWN], *best}, key=lambda one: one.ms_per_frame)
    head = "precision  provider  threads  batch  ms per frame  frames/s  × the fastest"
    rows = [_row(one, timed[0]) for one in shown]
    left = len(timed) - len(shown)
    return [
        head,
        *rows,
        *([f"({left} slower settings)"] if left else []),
        *(f"{one.precision.value} on {one.provider.value}: {one.reason}" for one in tuned.dropped),
    ]


def _row(one: TimedSettings, fastest: TimedSettings) -> str:
    run_settings, ratio = one.run_settings, one.ms_per_frame / fastest.ms_per_frame
    return (
        f"{run_settings.precision.value:9}  {run_settings.provider.value:8}  "
        f"{run_settings.threads or 'all':>7}  {run_settings.batch_size:5}  "
        f"{one.ms_per_frame:12.4g}  {1000 / one.ms_per_frame:8.0f}  {ratio:13.2f}"
    )


def _values(tuned: Tuned, path: Path) -> dict[str, object]:
    record = tuned.record
    return {
        "package_sha256": record.package_sha256,
        "device": vars(record.device),
        "max_phase_rms_rad": record.max_phase_rms_rad,
        "kept": str(path),
        "timed": [
            {
                "precision": one.run_settings.precision.value,
                "provider": one.run_settings.provider.value,
                "threads": one.run_settings.threads,
                "batch_size": one.run_settings.batch_size,
                "ms_per_frame": one.ms_per_frame,
            }
            for one in record.timed
        ],
        "dropped": [
            {"precision": d.precision.value, "provider": d.provider.value, "reason": d.reason}
            for d in tuned.dropped
        ],
    }
