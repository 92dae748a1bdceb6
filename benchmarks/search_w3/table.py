"""The search's results as tables in docs/w3_search.md, one a budget of frames, and a figure."""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.search_w3.shapes import IN_USE

BEGIN, END = "<!-- tables of python -m benchmarks.search_w3 -->", "<!-- end of tables -->"


@dataclass(frozen=True)
class Row:
    """One shape, its seeds averaged.

    Attributes:
        number: by which the figure names it.
        name: what it varies.
        in_use: the shape that the product builds.
        pareto_best: no other is both as fast and as good in phase on simulated frames.
        seeds: trainings that were averaged.
        parameters: trainable.
        latency_ratio: to PtychoNN.
        simulated_phase_mae_rad: and the following, means over the seeds.
        simulated_phase_half_range_rad: half of what lies between the seeds.
    """

    number: int
    name: str
    in_use: bool
    pareto_best: bool
    seeds: int
    parameters: int
    latency_ratio: float
    simulated_phase_mae_rad: float
    simulated_phase_half_range_rad: float
    simulated_amplitude_mae: float
    measured_phase_mae_rad: float
    training_cpu_s: float


def read_records(path: Path) -> list[dict[str, Any]]:
    """Lines of the results; none where there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def rows(records: list[dict[str, Any]], frames: int) -> list[Row]:
    """Shapes trained on `frames` frames, the best phase on simulated frames first."""
    shapes: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record["frames"] == frames:
            key = json.dumps([record["changes"], record["config"]], sort_keys=True)
            shapes.setdefault(key, []).append(record)
    in_use = ([c.value for c in IN_USE.changes], json.loads(json.dumps(asdict(IN_USE.config))))
    means = sorted((_means(group) for group in shapes.values()), key=_phase)
    return [
        Row(
            number=number,
            in_use=(mean.pop("changes"), mean.pop("config")) == in_use,
            pareto_best=all(
                m["latency_ratio"] > mean["latency_ratio"] for m in means[: number - 1]
            ),
            **mean,
        )
        for number, mean in enumerate(means, 1)
    ]


def write_page(records: list[dict[str, Any]], page: Path, figure: Path) -> None:
    """Put the tables between their marks in the page, and draw the one with the most shapes.

    Raises:
        ValueError: if the page has no marks.
    """
    budgets = sorted({record["frames"] for record in records}, reverse=True)
    ranked = {frames: rows(records, frames) for frames in budgets}
    text = page.read_text("utf-8")
    tables = "\n\n".join(table(shown, frames) for frames, shown in ranked.items())
    marked = f"{BEGIN}\n\n{tables}\n\n{END}"
    new, count = re.subn(f"{BEGIN}.*{END}", lambda _: marked, text, flags=re.DOTALL)
    if count != 1:
        raise ValueError(f"{page}: has no place for the table, {BEGIN} … {END}")
    page.write_text(new, "utf-8")
    figure.parent.mkdir(parents=True, exist_ok=True)
    draw(max(ranked.values(), key=len), figure)


def table(shown: list[Row], frames: int) -> str:
    """Markdown."""
    lines = [
        f"### {frames:,} training frames",
        "",
        "| | shape | parameters | latency / PtychoNN | phase MAE, simulated (rad) | amplitude MAE, "
        "simulated | phase MAE, measured (rad) | seeds | training, CPU s |",
        f"|{'---|' * 9}",
    ]
    for row in shown:
        name = f"**{row.name}**" if row.in_use else row.name
        spread = f" ± {row.simulated_phase_half_range_rad:.4f}" if row.seeds > 1 else ""
        cells = (
            f"{row.number}{' ●' if row.pareto_best else ''}",
            name,
            f"{row.parameters:,}",
            f"{row.latency_ratio:.3f}",
            f"{row.simulated_phase_mae_rad:.4f}{spread}",
            f"{row.simulated_amplitude_mae:.4f}",
            f"{row.measured_phase_mae_rad:.4f}",
            f"{row.seeds}",
            f"{row.training_cpu_s:.0f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(shown: list[Row], path: Path) -> None:
    """Phase error against latency, on simulated and on measured frames."""
    with mpl.rc_context({"font.size": 8, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(8, 3.4), dpi=110, layout="constrained")
        panels = figure.subplots(1, 2)
        errors = ("simulated_phase_mae_rad", "measured_phase_mae_rad")
        titles = ("simulated, other objects", "scan 247, selection strip")
        for axes, error, title in zip(panels, errors, titles, strict=True):
            for row in shown:
                colour = "tab:red" if row.in_use else "tab:blue"
                place = (row.latency_ratio, getattr(row, error))
                filled = colour if row.pareto_best else "white"
                axes.plot(*place, "o", color=colour, markerfacecolor=filled, markersize=5)
                axes.annotate(str(row.number), place, (3, 3), textcoords="offset points")
            axes.set_title(title)
            axes.set_xlabel("latency / PtychoNN")
            axes.set_ylabel("weighted phase MAE (rad)")
        figure.savefig(path)


def _phase(mean: dict[str, Any]) -> float:
    return mean["simulated_phase_mae_rad"]


def _means(group: list[dict[str, Any]]) -> dict[str, Any]:
    first = group[0]
    phases = [_phase(record) for record in group]
    averaged = (
        "latency_ratio",
        "simulated_phase_mae_rad",
        "simulated_amplitude_mae",
        "measured_phase_mae_rad",
        "training_cpu_s",
    )
    return {
        **{name: first[name] for name in ("name", "changes", "config", "parameters")},
        "seeds": len(group),
        "simulated_phase_half_range_rad": (max(phases) - min(phases)) / 2,
        **{name: sum(record[name] for record in group) / len(group) for name in averaged},
    }
