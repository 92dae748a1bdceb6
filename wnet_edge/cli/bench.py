"""`wnet-edge bench`: how long packages take on this machine, in turn with each other and peers."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import click

from wnet_edge.cli.bench_peers import Peer, installed_peers, peer_run
from wnet_edge.cli.bench_report import Findings, InIntegers, Misplaced, as_values, print_tables
from wnet_edge.cli.options import (
    FILE,
    force_option,
    frame_progress,
    json_option,
    print_json,
    provider_option,
)
from wnet_edge.cli.terminal import print_note
from wnet_edge.embedded import opened_package
from wnet_edge.errors import PeerError, ProviderError, ResultError
from wnet_edge.host.outputs import check_output, replacing
from wnet_edge.package.manifest import MAX_BATCH_SIZE, Precision
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import MAX_THREADS, RunnerOptions
from wnet_edge.runner.measuring.bench import (
    BENCH_BATCH_SIZES,
    Entrant,
    Opened,
    Row,
    batches_to_time,
    frames_to_run,
    open_graphs,
    precisions_to_time,
    time_batch,
)
from wnet_edge.runner.measuring.node_profile import (
    NodeTime,
    OperatorTime,
    by_operator,
    convolutions_run,
    misplaced,
    profile_graph,
)

DEFAULT_PACKAGES = ("ptychonn", "w3")
PLACEMENT_RUNS, PROFILE_RUNS = 1, 50
MAX_RUNS = 100_000


@click.command()
@click.argument("packages", metavar="[FILE.wnet|NAME]...", nargs=-1)
@click.option(
    "--batch",
    "batches",
    multiple=True,
    type=click.IntRange(1, MAX_BATCH_SIZE),
    help="Frames per batch; repeatable. Packages with a fixed batch size take its multiples.  "
    f"[default: {', '.join(map(str, BENCH_BATCH_SIZES))}]",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice([kind.value for kind in Precision]),
    multiple=True,
    help="Precision to time, where a package has it; repeatable.  [default: fp32]",
)
@provider_option
@click.option(
    "--threads",
    type=click.IntRange(0, MAX_THREADS),
    default=1,
    show_default=True,
    help="CPU threads; 0: one per core. One thread keeps ratios comparable.",
)
@click.option(
    "--runs",
    type=click.IntRange(1, MAX_RUNS),
    default=50,
    show_default=True,
    help="Timed runs of each graph, after warm-up.",
)
@click.option(
    "--peers",
    is_flag=True,
    help="Also time PyTorch, eager and compiled, and OpenVINO, also in bfloat16 where the CPU has "
    "it, if installed.",
)
@click.option("--profile", is_flag=True, help="Also show the first package's time per operator.")
@click.option("--strict", is_flag=True, help="Fail if a node of a graph runs on another provider.")
@click.option("-o", "--output", type=FILE, help="File for the JSON that --json prints.")
@force_option
@json_option
def command(
    packages: tuple[str, ...],
    batches: tuple[int, ...],
    precisions: tuple[str, ...],
    provider: str,
    threads: int,
    runs: int,
    peers: bool,
    profile: bool,
    strict: bool,
    output: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    """Time packages in interleaved rounds: ptychonn and w3, unless others are named.

    Times the graph alone, and end to end from detector frames to patches placed on the image.
    Ratios are of medians, relative to the first graph of the first package. With --peers, a runtime
    is timed only if it reproduces the package's golden patches.
    """
    if output is not None:
        check_output(output, ResultError, force=force)
    opened = [opened_package(name, None) for name in packages or DEFAULT_PACKAGES]
    asked = [Precision(name) for name in precisions]
    graphs = [
        (package, RunnerOptions(precision, Provider(provider), threads))
        for package in opened
        for precision in precisions_to_time(package, asked, Provider(provider))
    ]
    batch_sizes = batches_to_time(opened, batches)
    here, notes = installed_peers() if peers else ((), ())
    told = _Told()
    told.tell(notes)
    rows = _time_all(graphs, batch_sizes, runs, here, told)
    entrants = [row.entrant for row in rows if row.batch_size == batch_sizes[0]]
    placed = _placed(entrants)
    findings = Findings(
        packages=opened,
        threads=threads,
        runs=runs,
        rows=rows,
        misplaced=_misplaced(placed),
        in_integers=_in_integers(placed),
        profile=_profile(entrants[0]) if profile else (),
        libraries=[peer.library for peer in here],
        notes=told.lines,
    )
    _report(findings, output, force=force, as_json=as_json)
    if strict and findings.misplaced:
        raise ProviderError("; ".join(one.line for one in findings.misplaced))


class _Told:
    """What a user should know, each line once, on stderr as soon as it is known."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, lines: Iterable[str]) -> None:
        """Say what has not been said yet."""
        for line in lines:
            if line not in self.lines:
                self.lines.append(line)
                print_note(f"Warning: {line}")


def _time_all(
    graphs: Sequence[tuple[Package, RunnerOptions]],
    batch_sizes: Sequence[int],
    runs: int,
    peers: Sequence[Peer],
    told: _Told,
) -> list[Row]:
    """Every graph and its peers at every batch size, on the provider that the first one chose."""
    rows = []
    for size in batch_sizes:
        own, warnings = open_graphs([(p, replace(asked, batch_size=size)) for p, asked in graphs])
        told.tell(warnings)
        graphs = [
            (package, replace(asked, provider=entrant.run_settings.provider))
            for (package, asked), (entrant, _) in zip(graphs, own, strict=True)
        ]
        contestants = own + _open_peers([entrant for entrant, _ in own], peers, told)
        with frame_progress(f"batch {size}", frames_to_run(contestants, size, runs)) as progress:
            rows += time_batch(contestants, size, runs, progress)
    return rows


def _open_peers(entrants: Sequence[Entrant], peers: Sequence[Peer], told: _Told) -> list[Opened]:
    """Every graph in every peer that can run it and computes the same."""
    opened = []
    for entrant in entrants:
        for peer in peers:
            run_settings = replace(entrant.run_settings, provider=Provider.CPU)
            try:
                run = peer_run(peer, entrant.package, run_settings)
            except PeerError as error:
                told.tell([str(error)])
            else:
                opened.append((Entrant(entrant.package, run_settings, peer.value), run))
    return opened


def _placed(entrants: Sequence[Entrant]) -> list[tuple[Entrant, tuple[NodeTime, ...]]]:
    """Nodes of the graphs of which they tell something: quantised, or not on the processor."""
    return [
        (entrant, _nodes(entrant, PLACEMENT_RUNS))
        for entrant in entrants
        if entrant.is_own
        and (
            entrant.run_settings.precision.quantised
            or entrant.run_settings.provider is not Provider.CPU
        )
    ]


def _misplaced(placed: Sequence[tuple[Entrant, tuple[NodeTime, ...]]]) -> list[Misplaced]:
    """Graphs with nodes that their provider left to another; the processor has none to leave."""
    found = [
        Misplaced(entrant, misplaced(nodes, entrant.run_settings.provider))
        for entrant, nodes in placed
    ]
    return [one for one in found if one.nodes]


def _in_integers(placed: Sequence[tuple[Entrant, tuple[NodeTime, ...]]]) -> list[InIntegers]:
    """Of the quantised graphs; a provider that runs a graph as one node does not tell."""
    found = [
        InIntegers(entrant, convolutions_run(nodes))
        for entrant, nodes in placed
        if entrant.run_settings.precision.quantised
    ]
    return [one for one in found if one.convolutions.all]


def _profile(entrant: Entrant) -> tuple[OperatorTime, ...]:
    return by_operator(_nodes(entrant, PROFILE_RUNS))


def _nodes(entrant: Entrant, runs: int) -> tuple[NodeTime, ...]:
    return profile_graph(
        entrant.package, entrant.run_settings, entrant.run_settings.batch_size, runs
    )


def _report(findings: Findings, output: Path | None, *, force: bool, as_json: bool) -> None:
    for one in findings.misplaced:
        print_note(f"Warning: {one.line}")
    values = as_values(findings)
    if output is not None:
        with replacing(output, ResultError, force=force) as temporary:
            temporary.write_text(f"{json.dumps(values, allow_nan=False, indent=2)}\n", "utf-8")
    if as_json:
        print_json(values)
    else:
        print_tables(findings)
