"""Shape after shape: trained, timed, its line kept, tables and figure up with it."""

import json
import platform
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.search_w3.shapes import Shape, shape_of
from benchmarks.search_w3.table import read_records, write_page
from benchmarks.search_w3.timing import TimingOptions, latency_ratios, ptychonn_run
from benchmarks.search_w3.training import (
    BATCH_FRAMES,
    RECIPE,
    SearchFrames,
    search_frames,
    train_shape,
)
from benchmarks.study.plan import EXAMPLE, ROOT, WINDOW_PX
from wnet_edge.io.scan_file import open_scan
from wnet_edge.models.registry import parameter_count

DEFAULT_FRAMES = 28_800


@dataclass(frozen=True)
class SearchOptions:
    """How shapes are compared.

    Attributes:
        frames: simulated frames that each is trained on, once.
        validation_frames: of other objects.
        seed: of the weights.
        timing: of the latency.
    """

    frames: int = DEFAULT_FRAMES
    validation_frames: int = 1024
    seed: int = 0
    timing: TimingOptions = field(default_factory=TimingOptions)


@dataclass(frozen=True)
class Places:
    """Where the search keeps what.

    Attributes:
        results: JSON lines, one a shape and seed.
        page: document that holds the tables between their marks.
        figure: picture beside it.
        frames: folder of the simulated frames.
    """

    results: Path = ROOT / "benchmarks" / "search_w3" / "results.jsonl"
    page: Path = ROOT / "docs" / "w3_search.md"
    figure: Path = ROOT / "docs" / "figures" / "w3_search.png"
    frames: Path = ROOT / "runs" / "search"


def search(shapes: tuple[Shape, ...], options: SearchOptions, places: Places) -> None:
    """Add what the results lack, shape after shape, and keep tables and figure up with them."""
    known = {_identity(record) for record in read_records(places.results)}
    missing = [s for s in shapes if _identity(_described(s, options)) not in known]
    if missing:
        frames = search_frames(places.frames, options.frames, options.validation_frames)
        baseline = ptychonn_run(frames.instrument.probe, WINDOW_PX)
    for shape in missing:
        record = _measured(shape, frames, baseline, options)
        with places.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        write_page(read_records(places.results), places.page, places.figure)
        _say(
            f"{shape.name}: phase {record['simulated_phase_mae_rad']:.4f} rad simulated, "
            f"{record['measured_phase_mae_rad']:.4f} measured, latency "
            f"{record['latency_ratio']:.4f} of PtychoNN's"
        )


def time_anew(options: TimingOptions, places: Places) -> None:
    """Time all shapes of the results in turn, best while the machine is idle; then the tables."""
    records = read_records(places.results)
    probe = open_scan(EXAMPLE).probe
    shapes = {_built(record): shape_of(record) for record in records}
    baseline = ptychonn_run(probe, WINDOW_PX)
    ratios = latency_ratios(
        list(shapes.values()), baseline, options, probe=probe, window_px=WINDOW_PX
    )
    found = dict(zip(shapes, ratios, strict=True))
    lines = [json.dumps(record | _latency(found[_built(record)])) for record in records]
    places.results.write_text("\n".join(lines) + "\n", "utf-8")
    write_page(read_records(places.results), places.page, places.figure)


def _latency(ratios: list[float]) -> dict[str, Any]:
    return {"latency_ratio": float(np.median(ratios)), "latency_ratios": ratios}


def _built(record: dict[str, Any]) -> str:
    return json.dumps([record["changes"], record["config"]], sort_keys=True)


def _described(shape: Shape, options: SearchOptions) -> dict[str, Any]:
    """What tells one line of the results from the others, as JSON values."""
    described = {
        "name": shape.name,
        "changes": [change.value for change in shape.changes],
        "config": asdict(shape.config),
        "frames": options.frames,
        "seed": options.seed,
    }
    return json.loads(json.dumps(described))


def _identity(record: dict[str, Any]) -> str:
    return json.dumps([_built(record), record["frames"], record["seed"]])


def _measured(
    shape: Shape,
    frames: SearchFrames,
    baseline: onnxruntime.InferenceSession,
    options: SearchOptions,
) -> dict[str, Any]:
    started = time.process_time()
    network, errors = train_shape(shape, frames, seed=options.seed)
    seconds = time.process_time() - started
    (ratios,) = latency_ratios(
        [shape], baseline, options.timing, probe=frames.instrument.probe, window_px=WINDOW_PX
    )
    return {
        **_described(shape, options),
        "parameters": parameter_count(network),
        **_latency(ratios),
        **{name: round(error, 5) for name, error in asdict(errors).items()},
        "training_cpu_s": round(seconds, 1),
        "steps": -(-options.frames // BATCH_FRAMES),
        "learning_rate": RECIPE.learning_rate,
        "validation_frames": options.validation_frames,
        "frames_sha256": frames.sha256,
        "machine": f"{platform.machine()}, {_processor()}",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "onnxruntime": onnxruntime.__version__,
        },
    }


def _processor() -> str:
    """Its name, where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "unknown")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
