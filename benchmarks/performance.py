"""Measures the tables of docs/performance.md anew and puts them in their places.

    python -m benchmarks.performance

Some minutes, on a machine that does nothing else. A table stands between a comment with its name
and `<!-- end -->`; what is written around it is left alone.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.w3_profile import roofline
from benchmarks.w3_profile import table as w3_profile

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
END = "<!-- end -->"

PTYCHONN = "bench ptychonn w3"
PRECISIONS = (
    "bench w3 --precision fp32 --precision fp16 --precision int8 --precision int8-u8s8 --batch 1 "
    "--batch 8"
)
PRECISIONS_OF_PEERS = ("fp32", "int8-u8s8")
PEERS_BATCHES, PEERS_THREADS = (1, 8, 32), (1, 2)
PEERS_RUNS = 15
PROFILE_BATCH_SIZE = 8

XAVIER_MS = {1: "2.3", 16: "0.68"}
"""PtychoNN on a Jetson AGX Xavier, 128-pixel frames, TensorRT: Babu et al. 2023, Table 2."""


def measured(arguments: str) -> dict[str, Any]:
    """What `wnet-edge` gives with `--json` for a call of `bench`."""
    with TemporaryDirectory() as folder:
        output = Path(folder) / "bench.json"
        _run([*shlex.split(arguments), "--provider", "cpu", "-o", str(output)])
        values: dict[str, Any] = json.loads(output.read_bytes())
    return values


def _run(words: Sequence[str]) -> None:
    program = Path(sys.executable).with_name("wnet-edge")
    subprocess.run([program, *words], check=True, stdout=subprocess.DEVNULL)


def against_ptychonn() -> str:
    """W3 beside PtychoNN at every batch size, graph alone and end to end."""
    values = measured(PTYCHONN)
    rows = {(row["package"], row["batch_size"]): row for row in values["results"]}
    lines = [
        "| batch | PtychoNN | W3 | W3 / PtychoNN | PtychoNN, end to end | W3, end to end | "
        "W3 / PtychoNN | W3, frames/s end to end | PtychoNN, Jetson AGX Xavier |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for size in dict.fromkeys(size for _, size in rows):
        first, second = rows["ptychonn", size], rows["w3", size]
        cells = [str(size)]
        for part in ("graph", "end_to_end"):
            cells += [_times(first[part]), _times(second[part]), f"{second[part]['ratio']:.3f}"]
        cells += [f"{second['end_to_end']['frames_per_second']:.0f}", XAVIER_MS.get(size, "")]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _machine(values)])


def between_precisions() -> str:
    """W3 in every precision that its package holds."""
    values = measured(PRECISIONS)
    lines = ["| | batch | ms per frame | ratio |", "|---|---|---|---|"]
    for row in sorted(values["results"], key=lambda row: int(row["batch_size"])):
        graph, size = row["graph"], row["batch_size"]
        lines.append(
            f"| W3, {row['precision']} | {size} | {_times(graph)} | {graph['ratio']:.2f} |"
        )
    return "\n".join([*lines, "", _machine(values), *_notes(values["notes"])])


def against_peers() -> str:
    """Both networks in every runtime that computes the same, by threads and batch size."""
    precisions = [word for kind in PRECISIONS_OF_PEERS for word in ("--precision", kind)]
    batches = [word for size in PEERS_BATCHES for word in ("--batch", str(size))]
    found = {}
    with TemporaryDirectory() as folder:
        packages = [str(Path(folder) / f"{model}.wnet") for model in ("w3", "ptychonn")]
        for package in packages:
            _run(["export", "--model", Path(package).stem, *precisions, "-o", package])
        for threads in PEERS_THREADS:
            how = ["--peers", "--threads", str(threads), "--runs", str(PEERS_RUNS)]
            found[threads] = measured(shlex.join(["bench", *packages, *how, *precisions, *batches]))
    places = [(threads, size) for threads in PEERS_THREADS for size in PEERS_BATCHES]
    cells: dict[str, dict[tuple[int, int], str]] = {}
    for threads, values in found.items():
        for row in values["results"]:
            name = f"{row['package']}, {row['precision']}, {row['runtime']}"
            graph = row["graph"]
            shown = f"{graph['p50_ms']:.3g} ({graph['ratio']:.2f})"
            cells.setdefault(name, {})[threads, row["batch_size"]] = shown
    heads = [f"{t} thread{'s' if t > 1 else ''}, batch {size}" for t, size in places]
    lines = [f"| | {' | '.join(heads)} |", f"|{'---|' * (len(heads) + 1)}"]
    lines += [
        f"| {name} | {' | '.join(of.get(place, '') for place in places)} |"
        for name, of in cells.items()
    ]
    notes = dict.fromkeys(line for values in found.values() for line in values["notes"])
    left_out = [line.replace(f"{folder}/", "") for line in notes]
    return "\n".join([*lines, "", _machine(found[PEERS_THREADS[0]]), *_notes(left_out)])


def operators() -> str:
    """W3's time by operator."""
    return w3_profile(PROFILE_BATCH_SIZE)


TABLES: dict[str, Callable[[], str]] = {
    "ptychonn": against_ptychonn,
    "precisions": between_precisions,
    "peers": against_peers,
    "operators": operators,
    "roofline": lambda: roofline(PROFILE_BATCH_SIZE),
}


def _times(measured: dict[str, float]) -> str:
    return f"{measured['p50_ms']:.3g} ({measured['p95_ms']:.3g}, {measured['p99_ms']:.3g})"


def _machine(values: dict[str, Any]) -> str:
    libraries = ("onnxruntime", "torch", "openvino")
    versions = ", ".join(
        f"{n} {values['versions'][n]}" for n in libraries if n in values["versions"]
    )
    return f"{values['device']['processor']}, {values['device']['cores']} cores; {versions}."


def _notes(lines: Sequence[str]) -> list[str]:
    """What was left out, packages by their names."""
    return [f"Left out: {line.replace(str(PAGE.parents[1]) + '/', '')}." for line in lines]


def replaced(page: str, name: str, table: str) -> str:
    """The page with another table of that name.

    Raises:
        ValueError: if the page has no place for it.
    """
    begin = f"<!-- {name} -->\n"
    head, found, rest = page.partition(begin)
    _, end, tail = rest.partition(END)
    if not (found and end):
        raise ValueError(f"{PAGE} has no place for the table {name}")
    return f"{head}{begin}{table}\n{end}{tail}"


def main() -> None:
    """Measure the tables that are named, or all of them."""
    for name in sys.argv[1:] or TABLES:
        table = TABLES[name]()
        PAGE.write_text(replaced(PAGE.read_text("utf-8"), name, table), "utf-8")


if __name__ == "__main__":
    main()
