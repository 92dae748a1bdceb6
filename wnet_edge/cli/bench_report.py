"""What `wnet-edge bench` has found: tables for people, one object for programs."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib.metadata import version

import onnxruntime

from wnet_edge.cli.command_line import command_line
from wnet_edge.cli.terminal import print_line
from wnet_edge.package.opening import Package
from wnet_edge.runner.graph.device import this_device
from wnet_edge.runner.measuring.bench import Entrant, Row, TimedGraph
from wnet_edge.runner.measuring.interleaved import WARM_UP
from wnet_edge.runner.measuring.node_profile import Convolutions, NodeTime, OperatorTime


@dataclass(frozen=True)
class Misplaced:
    """Nodes of one graph that another provider ran than the one it was opened on."""

    entrant: Entrant
    nodes: tuple[NodeTime, ...]

    @property
    def line(self) -> str:
        """For people."""
        run_settings = self.entrant.run_settings
        found = ", ".join(f"{node.operator} {node.name} on {node.provider}" for node in self.nodes)
        return (
            f"{self.entrant.package.path}: {len(self.nodes)} nodes of "
            f"{run_settings.precision.value} do not run on {run_settings.provider.value}: {found}"
        )


@dataclass(frozen=True)
class InIntegers:
    """How many convolutions of one quantised graph run in integers."""

    entrant: Entrant
    convolutions: Convolutions

    @property
    def line(self) -> str:
        """For people."""
        found = self.convolutions
        return (
            f"{_label(self.entrant)}: {found.in_integers} of {found.all} convolutions in integers"
        )


@dataclass(frozen=True)
class Findings:
    """All that was measured.

    Attributes:
        packages: in the order in which they were named.
        threads: of the processor; 0 for one a core.
        runs: of each contestant at each batch size.
        rows: one a contestant and batch size.
        misplaced: graphs with nodes on another provider.
        in_integers: of the quantised graphs, where their provider tells.
        profile: of the first package's graph, at the first batch size; empty if not asked for.
        libraries: of the peers that were timed.
        notes: what was left out, one line each.
    """

    packages: Sequence[Package]
    threads: int
    runs: int
    rows: Sequence[Row]
    misplaced: Sequence[Misplaced]
    in_integers: Sequence[InIntegers]
    profile: Sequence[OperatorTime]
    libraries: Sequence[str]
    notes: Sequence[str]


def print_tables(findings: Findings) -> None:
    """Milliseconds a frame by batch size, alone and end to end, and operators if asked for."""
    threads = f"{findings.threads} threads" if findings.threads else "one thread per core"
    print_line(
        f"{this_device().processor}, {threads.replace('1 threads', '1 thread')}, {findings.runs} "
        f"interleaved runs each; ms per frame: median (95th, 99th percentile), × the first"
    )
    print_line("")
    print_line("graph alone, counts to patches:")
    _print_table(findings.rows, {id(row): row.graph for row in findings.rows})
    whole = [row for row in findings.rows if row.end_to_end is not None]
    print_line("")
    print_line("end to end, detector frames to patches on the image:")
    _print_table(whole, {id(row): row.end_to_end for row in whole if row.end_to_end})
    if findings.in_integers:
        print_line("")
    for one in findings.in_integers:
        print_line(one.line)
    if findings.profile:
        _print_profile(findings)


def as_values(findings: Findings) -> dict[str, object]:
    """For `--json`."""
    names = ("wnet-edge", "numpy", *findings.libraries)
    return {
        "command_line": command_line(),
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "device": asdict(this_device()),
        "versions": {
            "python": platform.python_version(),
            "onnxruntime": onnxruntime.__version__,
            **{name: version(name) for name in names},
        },
        "threads": findings.threads,
        "runs": findings.runs,
        "warm_up_runs": WARM_UP,
        "packages": [
            {"name": p.name, "path": str(p.path), "sha256": p.sha256, "model": p.manifest.model}
            for p in findings.packages
        ],
        "results": [_row_values(row) for row in findings.rows],
        "misplaced": [
            {
                **_entrant_values(one.entrant),
                "node": node.name,
                "operator": node.operator,
                "placed_on": node.provider,
            }
            for one in findings.misplaced
            for node in one.nodes
        ],
        "convolutions": [
            {
                **_entrant_values(one.entrant),
                "in_integers": one.convolutions.in_integers,
                "all": one.convolutions.all,
            }
            for one in findings.in_integers
        ],
        "profile": [asdict(one) for one in findings.profile],
        "notes": list(findings.notes),
    }


def _row_values(row: Row) -> dict[str, object]:
    return {
        **_entrant_values(row.entrant),
        "batch_size": row.batch_size,
        "graph": _measured_values(row.graph),
        "end_to_end": None if row.end_to_end is None else _measured_values(row.end_to_end),
    }


def _entrant_values(entrant: Entrant) -> dict[str, str]:
    return {
        "package": entrant.package.name,
        "package_sha256": entrant.package.sha256,
        "precision": entrant.run_settings.precision.value,
        "runtime": entrant.runtime,
        "provider": entrant.run_settings.provider.value,
    }


def _measured_values(measured: TimedGraph) -> dict[str, float]:
    return {
        **asdict(measured.latency),
        "frames_per_second": measured.latency.frames_per_second,
        "ratio": measured.ratio,
    }


def _label(entrant: Entrant) -> str:
    where = entrant.run_settings.provider.value if entrant.is_own else entrant.runtime
    return f"{entrant.package.name} {entrant.run_settings.precision.value} {where}"


def _print_table(rows: Sequence[Row], cells: Mapping[int, TimedGraph]) -> None:
    """A line a batch size, a column a contestant."""
    lines: dict[int, list[str]] = {}
    header = ["batch"]
    for row in rows:
        line = lines.setdefault(row.batch_size, [str(row.batch_size)])
        if len(header) == len(line):
            header.append(_label(row.entrant))
        measured = cells[id(row)]
        latency = measured.latency
        ratio = f" ×{measured.ratio:.3g}" if len(line) > 1 else ""
        line.append(f"{latency.p50_ms:.3g} ({latency.p95_ms:.3g}, {latency.p99_ms:.3g}){ratio}")
    _print_columns([header, *lines.values()])


def _print_profile(findings: Findings) -> None:
    first = findings.rows[0]
    print_line("")
    print_line(f"operators of {_label(first.entrant)}, batch {first.batch_size}:")
    _print_columns(
        [
            ["operator", "share", "ms per run", "calls"],
            *(
                [one.operator, f"{one.share:.1%}", f"{one.ms:.3g}", str(one.calls)]
                for one in findings.profile
            ),
        ]
    )


def _print_columns(lines: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=False)]
    for line in lines:
        cells = zip(line, widths, strict=False)
        print_line("  ".join(cell.ljust(width) for cell, width in cells).rstrip())
