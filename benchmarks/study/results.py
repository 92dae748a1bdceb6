"""What the study has measured, as JSON in one folder: the report needs nothing else.

A file per training, one for the evaluation sets, one for what the networks cost, one for the
ceiling; each says on what machine, with which versions and by which command.
"""

import json
import math
import os
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from wnet_edge.comparing.comparison import Comparison
from wnet_edge.comparing.patch_errors import PatchErrors
from wnet_edge.models.registry import ModelName

_PACKAGES = ("torch", "onnxruntime-gpu", "numpy")


@dataclass(frozen=True)
class SetFacts:
    """What an evaluation set is.

    Attributes:
        frames: in it.
        illuminated_px: pixels of a patch that are judged.
        phase_range_rad: span of the central 99 % of the labels' phases.
        amplitude_range: the same of the amplitudes.
        flat: errors of an answer without any structure: what a network that learned nothing has.
    """

    frames: int
    illuminated_px: int
    phase_range_rad: float
    amplitude_range: float
    flat: PatchErrors


@dataclass(frozen=True)
class Outcome:
    """What has become of one training.

    Attributes:
        epoch: epochs done.
        epochs: epochs asked for.
        created: time of the last one.
        history: one entry an epoch.
        patches: single-shot errors by set; empty until the training is done.
        images: stitched images against the reference, by way of stitching and part of the scan,
            `ours/whole` say; empty until the training is done.
    """

    epoch: int
    epochs: int
    created: str
    history: list[dict[str, float]]
    patches: dict[str, PatchErrors]
    images: dict[str, Comparison]

    @property
    def done(self) -> bool:
        """Whether it has been trained to the end and measured."""
        return self.epoch >= self.epochs and bool(self.patches)

    @property
    def seconds(self) -> float:
        """Of training."""
        return sum(entry["seconds"] for entry in self.history)


@dataclass(frozen=True)
class NetworkCost:
    """What a network costs, whatever its weights.

    Attributes:
        parameters: trainable, before folding.
        multiply_adds: of one frame, back-projection included.
        onnx_bytes: of the FP32 graph.
        latency_ms: a frame, by batch size; ONNX Runtime, CPU, one thread.
    """

    parameters: int
    multiply_adds: int
    onnx_bytes: int
    latency_ms: dict[str, float]


@dataclass(frozen=True)
class Pair:
    """Two images of the same object, compared."""

    image: str
    reference: str
    comparison: Comparison


@dataclass(frozen=True)
class Reconstructed:
    """One iterative reconstruction: R-factor of its last iteration, and its time."""

    name: str
    frames: int
    r_factor: float
    seconds: float


@dataclass(frozen=True)
class Ceiling:
    """The iterative engine against itself and against the published reference."""

    reconstructions: list[Reconstructed]
    pairs: list[Pair]


def zoo_name(model: ModelName) -> str:
    """Name under which the results of the shipped weights are kept."""
    return f"zoo-{model.value}"


class Results:
    """The JSON files of one folder.

    Args:
        folder: made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def outcome(self, name: str) -> Outcome | None:
        """Of a run, or of the zoo's weights, by name; None where nothing is known."""
        found = self._read(f"run-{name}")
        if found is None:
            return None
        found["patches"] = {k: PatchErrors(**v) for k, v in found["patches"].items()}
        found["images"] = {k: _comparison(v) for k, v in found["images"].items()}
        return Outcome(**found)

    def write_outcome(self, name: str, outcome: Outcome, command: str) -> None:
        """Keep what has become of a training."""
        values = asdict(outcome)
        values["images"] = {k: v.as_json() for k, v in outcome.images.items()}
        self._write(f"run-{name}", values, command)

    def sets(self) -> dict[str, SetFacts]:
        """Evaluation sets by name."""
        found = self._read("sets") or {}
        return {
            name: SetFacts(**{**facts, "flat": PatchErrors(**facts["flat"])})
            for name, facts in found.items()
        }

    def write_sets(self, sets: dict[str, SetFacts], command: str) -> None:
        """Keep the evaluation sets."""
        self._write("sets", {name: asdict(facts) for name, facts in sets.items()}, command)

    def networks(self) -> dict[str, NetworkCost]:
        """Costs by `MODEL-INPUT`."""
        return {k: NetworkCost(**v) for k, v in (self._read("networks") or {}).items()}

    def write_networks(self, networks: dict[str, NetworkCost], command: str) -> None:
        """Keep what networks cost."""
        self._write("networks", {k: asdict(v) for k, v in networks.items()}, command)

    def ceiling(self) -> Ceiling | None:
        """None until measured."""
        found = self._read("ceiling")
        if found is None:
            return None
        pairs = [
            Pair(p["image"], p["reference"], _comparison(p["comparison"])) for p in found["pairs"]
        ]
        return Ceiling([Reconstructed(**r) for r in found["reconstructions"]], pairs)

    def write_ceiling(self, ceiling: Ceiling, command: str) -> None:
        """Keep the ceiling."""
        pairs = [
            {"image": p.image, "reference": p.reference, "comparison": p.comparison.as_json()}
            for p in ceiling.pairs
        ]
        values = {"reconstructions": [asdict(r) for r in ceiling.reconstructions], "pairs": pairs}
        self._write("ceiling", values, command)

    def _read(self, name: str) -> Any:
        path = self._folder / f"{name}.json"
        return json.loads(path.read_text("utf-8"))["results"] if path.exists() else None

    def _write(self, name: str, values: dict[str, Any], command: str) -> None:
        content = {"command": command, "made_on": _made_on(), "results": values}
        path = self._folder / f"{name}.json"
        path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", "utf-8")


def _made_on() -> dict[str, Any]:
    packages = {name: version(name) for name in _PACKAGES}
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **packages,
    }


def _comparison(values: dict[str, Any]) -> Comparison:
    """What `Comparison.as_json` gave, back."""
    known: dict[str, Any] = {k: math.nan if v is None else v for k, v in values.items()}
    known |= {key: tuple(values[key]) for key in ("shift_px", "ramp_rad_per_px")}
    return Comparison(**known)
