"""The study's pictures: patches and images from checkpoints, curves from results alone."""

import io
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from benchmarks.study.claims import Errors
from benchmarks.study.evaluate import Yardsticks, stitched
from benchmarks.study.networks import cost_key
from benchmarks.study.plan import EQUAL_RATE, NAMES, Run, Study
from benchmarks.study.results import Results
from benchmarks.study.scan247 import Scan247
from benchmarks.study.sets import EvaluationSet, illuminated, patches
from wnet_edge.comparing.comparison import ObjectImage
from wnet_edge.comparing.patch_errors import phase_aligned
from wnet_edge.models.registry import CountsNetwork, ModelName, NetworkInput
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.training.checkpoint import load_network
from wnet_edge.training.options import PhaseError

EXAMPLES, STITCHED, SWEEPS, LATENCY = (
    "study_examples.png",
    "study_stitched.png",
    "study_sweeps.png",
    "study_latency.png",
)

_ERROR = "phase MAE, held-out families (rad)"
_TEXT = 6
"""Points, of what stands beside pictures."""

_PIXELS_SHOWN = 256
_COLOURS = 48
"""In a file: enough for grey pictures, and it keeps them small."""

Maps = NDArray[np.float32]


def label(run: Run) -> str:
    """Network, input, and a loss and rate of our own, as tables and pictures name them."""
    with_beam = "" if run.input is NetworkInput.FRAME else ", back-projected"
    chord = ", chord" if run.phase_error is PhaseError.CHORD else ""
    rate = "" if run.learning_rate == EQUAL_RATE else f", rate {run.learning_rate:g}"
    return f"{NAMES[run.model]}{with_beam}{chord}{rate}"


def draw_images(study: Study, against: Yardsticks, checkpoints: Path, folder: Path) -> None:
    """Examples and stitched images of the main runs whose training is done."""
    folder.mkdir(parents=True, exist_ok=True)
    networks = {}
    for run in (*study.main(NetworkInput.FRAME), *study.main(NetworkInput.BACK_PROJECTED)):
        path = run.checkpoint(checkpoints)
        if path.exists():
            network, checkpoint = load_network(path)
            if checkpoint.record.epoch >= run.epochs:
                networks[label(run)] = network
    if networks:
        draw_examples(networks, against.scan, against.sets, folder / EXAMPLES)
        draw_stitched(networks, against, folder / STITCHED)


def draw_examples(
    networks: dict[str, CountsNetwork], scan: Scan247, sets: list[EvaluationSet], path: Path
) -> None:
    """One frame of every set: phases in one row, amplitudes in the next (the paper's Fig. 2)."""
    dark = ~illuminated(scan.instrument)
    figure = _figure(2 * len(sets), 2 + len(networks))
    axes = figure.subplots(2 * len(sets), 2 + len(networks), squeeze=False)
    for index, truth in enumerate(sets):
        middle = slice(len(truth.counts) // 2, len(truth.counts) // 2 + 1)
        counts = truth.counts[middle]
        label = PatchLabels(*(maps[middle] for maps in truth.labels))
        phase_row, amplitude_row = axes[2 * index], axes[2 * index + 1]
        _show(phase_row[0], np.log1p(np.maximum(counts[0, 0], 0)), None)
        amplitude_row[0].axis("off")
        shown = {"label": label}
        for name, network in networks.items():
            amplitude, phase_rad = patches(network, counts)
            near = phase_aligned(amplitude, phase_rad, label, scan.instrument.weight)
            shown[name] = (amplitude, near)
        spans = [_span(maps[0][~dark]) for maps in (label.phase_rad, label.amplitude)]
        for column, (name, (amplitude, phase_rad)) in enumerate(shown.items(), 1):
            _show(phase_row[column], np.where(dark, np.nan, phase_rad[0]), spans[0])
            _show(amplitude_row[column], np.where(dark, np.nan, amplitude[0]), spans[1])
            if index == 0:
                phase_row[column].set_title(name.replace(", ", "\n"), fontsize=_TEXT)
        phase_row[0].set_ylabel(truth.name, fontsize=_TEXT)
        phase_row[1].set_ylabel("phase", fontsize=_TEXT)
        amplitude_row[1].set_ylabel("amplitude", fontsize=_TEXT)
    axes[0, 0].set_title("frame (log)", fontsize=_TEXT)
    _save(figure, path)


def draw_stitched(networks: dict[str, CountsNetwork], against: Yardsticks, path: Path) -> None:
    """Phase of the real scan's middle: both reconstructions and each network."""
    scan = against.scan
    whole = np.arange(len(scan.counts))
    shown = {"reference": scan.reference, f"ePIE, {against.converged.name}": against.converged}
    shown |= {
        name: stitched(*patches(network, scan.counts), scan, whole)
        for name, network in networks.items()
    }
    columns = min(len(shown), 5)
    rows = -(-len(shown) // columns)
    figure = _figure(rows, columns, panel_inch=1.45)
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    reference_phase = _middle_phase(scan.reference)
    for place, (name, image) in zip(axes, shown.items(), strict=False):
        _show(place, _middle_phase(image), _span(reference_phase))
        place.set_title(name, fontsize=_TEXT)
    for place in axes[len(shown) :]:
        place.axis("off")
    _save(figure, path)


def draw_curves(study: Study, results: Results, folder: Path) -> None:
    """Error against data and epochs (the paper's Figs. 3, 4), accuracy against latency.

    No picture of nothing: what has no point yet is not drawn.
    """
    folder.mkdir(parents=True, exist_ok=True)
    errors = Errors(study, results)
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    for axis, field in zip(figure.subplots(1, 2), ("frames", "epochs"), strict=True):
        for model in ModelName:
            _curve(axis, study, errors, model, field)
        axis.set(xlabel=f"{field} in training", ylabel=_ERROR, xscale="log")
        if axis.lines:
            axis.legend()
    if any(axis.lines for axis in figure.axes):
        _save(figure, folder / SWEEPS)

    costs = results.networks()
    figure = Figure(figsize=(5, 3.2), layout="constrained")
    axis = figure.subplots()
    for run in (*study.main(NetworkInput.FRAME), *study.main(NetworkInput.BACK_PROJECTED)):
        cost = costs.get(cost_key(run.spec))
        if errors.known(run) and cost is not None:
            point = cost.latency_ms["8"], errors.held_out(run)
            axis.plot(*point, "o")
            axis.annotate(label(run), point, fontsize=8)
    axis.set(xlabel="ms per frame, batch 8, one thread", ylabel=_ERROR, xscale="log")
    if axis.lines:
        _save(figure, folder / LATENCY)


def _curve(axis: Axes, study: Study, errors: Errors, model: ModelName, field: str) -> None:
    runs = [run for run in study.varied(field)[model] if errors.known(run)]
    if runs:
        values = [getattr(run, field) for run in runs]
        axis.plot(values, [errors.held_out(run) for run in runs], "o-", label=NAMES[model])


def _figure(rows: int, columns: int, panel_inch: float = 0.95) -> Figure:
    size = (columns * panel_inch + 0.3, rows * panel_inch + 0.3)
    return Figure(figsize=size, layout="constrained")


def _show(axis: Axes, image: NDArray[np.floating], span: tuple[float, float] | None) -> None:
    low, high = span if span is not None else (None, None)
    axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axis.set(xticks=[], yticks=[])


def _span(values: NDArray[np.floating]) -> tuple[float, float]:
    low, high = np.percentile(values, (0.5, 99.5))
    return float(low), float(high)


def _middle_phase(image: ObjectImage) -> NDArray[np.float32]:
    """Phase around its mean in a square around the middle of what is covered."""
    assert image.coverage is not None
    rows, columns = (
        int(np.average(np.arange(n), weights=image.coverage.sum(axis=1 - axis)))
        for axis, n in enumerate(image.coverage.shape)
    )
    half = _PIXELS_SHOWN // 2
    square = image.image[max(rows - half, 0) : rows + half, max(columns - half, 0) : columns + half]
    phase: NDArray[np.float32] = np.angle(square * np.conj(square.sum()))
    return phase


def _save(figure: Figure, path: Path) -> None:
    """A small PNG: few colours suffice."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    with Image.open(buffer) as picture:
        picture.convert("RGB").quantize(_COLOURS).save(path, optimize=True)
