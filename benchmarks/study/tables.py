"""Markdown tables of the study: one row a network, cells that are not known yet say so."""

import math
from collections.abc import Callable, Sequence

from benchmarks.study.claims import SETS
from benchmarks.study.figures import label
from benchmarks.study.networks import cost_key
from benchmarks.study.plan import Run
from benchmarks.study.results import Ceiling, NetworkCost, Outcome, PatchErrors, Results
from wnet_edge.comparing.comparison import Comparison

Cells = Sequence[str]


def table(head: Cells, rows: Sequence[Cells]) -> str:
    """Rows under a head, short ones filled up."""
    lines = [head, ["---"] * len(head)]
    lines += [[*row, *[""] * (len(head) - len(row))] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def not_run(run: Run, outcome: Outcome | None) -> str:
    """What a cell says of a training that is not done."""
    return f"not run yet (epoch {outcome.epoch if outcome else 0} of {run.epochs})"


def outcomes(runs: dict[str, Run], results: Results) -> dict[str, Outcome | str]:
    """What has become of runs, by what a table calls them: a remark on those that are not done."""
    found = {said: (run, results.outcome(run.name)) for said, run in runs.items()}
    return {
        said: outcome if outcome is not None and outcome.done else not_run(run, outcome)
        for said, (run, outcome) in found.items()
    }


def patch_table(known: dict[str, Outcome | str], name: str, flat: PatchErrors | None) -> str:
    """Single-shot errors on one set; at the end those of an answer without structure."""
    head = [
        *("", "phase MAE, rad", "phase MSE, rad²", "phase PSNR, dB", "phase SSIM"),
        *("amplitude MAE", "amplitude MSE", "amplitude PSNR, dB", "amplitude SSIM"),
    ]
    rows = _rows(known, lambda outcome: _patch_cells(outcome.patches[name]))
    if flat is not None:
        rows.append(["*nothing seen: flat patch*", *_patch_cells(flat)])
    return table(head, rows)


def sweep_table(known: dict[str, Outcome | str]) -> str:
    """Weighted mean absolute errors on every set."""
    head = ["", *(f"phase, {n}" for n in SETS), *(f"amplitude, {n}" for n in SETS)]

    def cells(outcome: Outcome) -> list[str]:
        errors = [outcome.patches[name] for name in SETS]
        phases = [f"{e.phase_mae_rad:.4f}" for e in errors]
        return [*phases, *(f"{e.amplitude_mae:.4f}" for e in errors)]

    return table(head, _rows(known, cells))


def image_table(known: dict[str, Outcome | str], way: str, ceiling: float | None) -> str:
    """The stitched scan against the reference."""
    head = [
        *("", "phase correlation", "of the ceiling", "phase slope", "resolution, nm"),
        *("phase PSNR, dB", "phase SSIM", "phase MSE, rad²", "amplitude correlation"),
        *("amplitude PSNR, dB", "amplitude SSIM", "pixels"),
    ]
    return table(head, _rows(known, lambda outcome: _image_cells(outcome.images[way], ceiling)))


def _rows(
    known: dict[str, Outcome | str], cells: Callable[[Outcome], list[str]]
) -> list[list[str]]:
    return [
        [said, *([outcome] if isinstance(outcome, str) else cells(outcome))]
        for said, outcome in known.items()
    ]


def cost_table(runs: dict[str, Run], results: Results, baseline: Run) -> str:
    """Size, work and time of each network; times also as a share of the baseline's."""
    costs = results.networks()
    base = costs.get(cost_key(baseline.spec))
    head = [
        *("", "parameters", "multiply-adds, million", "FP32 file, MB", "training, s"),
        *("ms per frame, batch 1", "/ PtychoNN", "ms per frame, batch 8", "/ PtychoNN"),
    ]
    rows = []
    for said, run in runs.items():
        cost, outcome = costs.get(cost_key(run.spec)), results.outcome(run.name)
        trained = not_run(run, outcome)
        if outcome is not None and outcome.done:
            trained = f"{outcome.seconds:,.0f}"
        if cost is None or base is None:
            rows.append([said, "not measured yet", "", "", trained])
        else:
            rows.append([said, *_size_cells(cost), trained, *_time_cells(cost, base)])
    return table(head, rows)


def ceiling_tables(ceiling: Ceiling) -> str:
    """Every pair of reconstructions, and how each of them fits its frames."""
    pairs = [
        [
            f"{p.image} / {p.reference}",
            f"{p.comparison.phase_correlation:.4f}",
            f"{p.comparison.phase_slope:.3f}",
            _nm(p.comparison.resolution_m),
            f"{p.comparison.amplitude_correlation:.3f}",
        ]
        for p in ceiling.pairs
    ]
    made = [
        [r.name, str(r.frames), f"{r.r_factor:.4f}", f"{r.seconds:,.0f}"]
        for r in ceiling.reconstructions
    ]
    head = ["", "phase correlation", "phase slope", "resolution, nm", "amplitude correlation"]
    return table(head, pairs) + "\n" + table(["", "frames", "R-factor", "s"], made)


def run_table(runs: Sequence[Run], results: Results) -> str:
    """Every training: how far it is, its validation error, its time."""
    rows = []
    for run in runs:
        outcome = results.outcome(run.name)
        if outcome is None or not outcome.history:
            rows.append([f"`{run.name}`", not_run(run, outcome)])
            continue
        last = outcome.history[-1]
        rows.append(
            [
                f"`{run.name}`",
                "done" if outcome.done else not_run(run, outcome),
                f"{last['validation_phase_mae_rad']:.4f}",
                f"{last['validation_amplitude_mae']:.4f}",
                f"{outcome.seconds:,.0f}",
            ]
        )
    head = ["training", "", "validation phase MAE, rad", "validation amplitude MAE", "s"]
    return table(head, rows)


def named(runs: Sequence[Run]) -> dict[str, Run]:
    """Runs by what a table calls them."""
    return {label(run): run for run in runs}


def _patch_cells(e: PatchErrors) -> list[str]:
    return [
        *(f"{e.phase_mae_rad:.4f}", f"{e.phase_mse:.4f}", f"{e.phase_psnr_db:.2f}"),
        *(f"{e.phase_ssim:.3f}", f"{e.amplitude_mae:.4f}", f"{e.amplitude_mse:.5f}"),
        *(f"{e.amplitude_psnr_db:.2f}", f"{e.amplitude_ssim:.3f}"),
    ]


def _image_cells(c: Comparison, ceiling: float | None) -> list[str]:
    share = "" if ceiling is None else f"{100 * c.phase_correlation / ceiling:.1f} %"
    return [
        *(f"{c.phase_correlation:.4f}", share, f"{c.phase_slope:.3f}", _nm(c.resolution_m)),
        *(f"{c.phase_psnr_db:.2f}", _number(c.phase_ssim, 3), f"{c.phase_mse:.4f}"),
        *(f"{c.amplitude_correlation:.3f}", f"{c.amplitude_psnr_db:.2f}"),
        *(_number(c.amplitude_ssim, 3), f"{c.overlap_px:,}"),
    ]


def _size_cells(cost: NetworkCost) -> list[str]:
    return [
        f"{cost.parameters:,}",
        f"{cost.multiply_adds / 1e6:,.1f}",
        f"{cost.onnx_bytes / 1e6:.2f}",
    ]


def _time_cells(cost: NetworkCost, base: NetworkCost) -> list[str]:
    return [
        cell
        for batch, latency_ms in cost.latency_ms.items()
        for cell in (f"{latency_ms:.2f}", f"{latency_ms / base.latency_ms[batch]:.3f}")
    ]


def _nm(length_m: float) -> str:
    return "–" if math.isnan(length_m) else f"{1e9 * length_m:.1f}"


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"
