"""What the study trains, reconstructs and measures: all of it as data, in the order of need.

Families `lines` and `dots` are in no training set. Every run of the main table has the same frames,
epochs, seed and schedule (one cycle to the rate in its name).
"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.study.epie import EpieOptions
from wnet_edge.models.registry import ModelName, NetworkInput, NetworkSpec
from wnet_edge.physics.objects import Contrast, Family
from wnet_edge.training.options import PhaseError
from wnet_edge.training.simulation import SimulationOptions

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
REFERENCE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"
WINDOW_PX = 64

TRAINED_FAMILIES = (Family.THRESHOLDED, Family.LABYRINTH, Family.EDGES, Family.SMOOTH)
HELD_OUT_FAMILIES = (Family.LINES, Family.DOTS)

_BACKGROUND, _PHASE_RAD = 1e-4, 3.0

FRAMES = SimulationOptions(
    detector=replace(SimulationOptions().detector, background=_BACKGROUND),
    contrast=Contrast.up_to(_PHASE_RAD),
    blur_px=0.0,
)
"""Those of a clean detector, as the product's first trainings had them; the results stay
comparable when its defaults change."""

EQUAL_RATE = 1e-3
"""The paper's."""

FASTER_RATE = 3e-3

NAMES = {
    ModelName.PTYCHONN: "PtychoNN",
    ModelName.W1: "W1",
    ModelName.W2: "W2",
    ModelName.W3: "W3",
}
"""Of the networks, in tables and pictures."""

_COST = {ModelName.W3: 0.3, ModelName.PTYCHONN: 1.0, ModelName.W1: 1.5, ModelName.W2: 4.0}
"""Of a training step, about, for the order alone."""


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        model: which network.
        input: what it sees of a frame.
        frames: simulated once, the same every epoch.
        epochs: passes over them in one cycle of the learning rate.
        learning_rate: peak of the cycle.
        seed: of frames, weights and order.
        width: factor on the network's channels.
        phase_error: in the loss; the paper's unless said otherwise.
    """

    model: ModelName
    input: NetworkInput = NetworkInput.FRAME
    frames: int = 4000
    epochs: int = 20
    learning_rate: float = EQUAL_RATE
    seed: int = 0
    width: float = 1.0
    phase_error: PhaseError = PhaseError.ABSOLUTE

    @property
    def name(self) -> str:
        """Stem of its checkpoint and of its results."""
        narrow = "" if self.width == 1 else f"-w{self.width:g}"
        chord = "-chord" if self.phase_error is PhaseError.CHORD else ""
        return (
            f"{self.model.value}-{self.input.value}-n{self.frames}-e{self.epochs}"
            f"-lr{self.learning_rate:g}-s{self.seed}{narrow}{chord}"
        )

    @property
    def spec(self) -> NetworkSpec:
        """The network."""
        return NetworkSpec(self.model, self.input, self.width)

    @property
    def cost(self) -> float:
        """Time it takes, in an arbitrary unit."""
        return _COST[self.model] * self.width * self.frames * self.epochs

    def checkpoint(self, folder: Path) -> Path:
        """Its file in a folder of checkpoints."""
        return folder / f"{self.name}.safetensors"

    def command(self, folder: Path) -> str:
        """The command line, typed in the repository, that trains the same weights."""
        path = self.checkpoint(folder)
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        families = [word for f in TRAINED_FAMILIES for word in ("--family", f.value)]
        width = [] if self.width == 1 else ["--width", f"{self.width:g}"]
        words = [
            *("wnet-edge", "train", "--model", self.model.value, "--input", self.input.value),
            *("--probe", "example:scan247", "-o", str(shown)),
            *("--frames-per-epoch", str(self.frames), "--fixed"),
            *("--background", f"{_BACKGROUND:g}", "--blur-px", "0"),
            *("--phase-rad", f"{_PHASE_RAD:g}"),
            *("--epochs", str(self.epochs), *families),
            *("--lr", f"{self.learning_rate:g}", "--phase-error", self.phase_error.value),
            *("--seed", str(self.seed), *width, "--resume"),
        ]
        return shlex.join(words)


@dataclass(frozen=True)
class Iterative:
    """A reconstruction by ePIE.

    Attributes:
        options: how.
        first: of the frames taken.
        step: from each frame taken to the next.
    """

    options: EpieOptions
    first: int = 0
    step: int = 1


@dataclass(frozen=True)
class Study:
    """All that is measured.

    Attributes:
        full: PtychoNN as in the main table: frames, epochs and width of the others there.
        needed: trainings that the claims rest on, cheap ones before dear ones.
        optional: trainings that make the picture fuller, after those.
        simulated_frames: frames in each simulated evaluation set.
        reconstructions: ePIE by name, all of them on the same frames.
        pairs: names of the reconstructions that are compared; each is with the reference as well.
        converged: name of the one that stitched images are held against too.
        latency_rounds: timings of each graph.
    """

    full: Run
    needed: tuple[Run, ...]
    optional: tuple[Run, ...]
    simulated_frames: int
    reconstructions: dict[str, Iterative]
    pairs: tuple[tuple[str, str], ...]
    converged: str
    latency_rounds: int

    @property
    def runs(self) -> tuple[Run, ...]:
        """All trainings, in the order in which they are run."""
        return (*self.needed, *self.optional)

    def main(self, input_: NetworkInput) -> tuple[Run, ...]:
        """The four networks side by side, at equal schedule."""
        return tuple(replace(self.full, model=model, input=input_) for model in ModelName)

    @property
    def chords(self) -> tuple[Run, ...]:
        """Runs with the product's own loss."""
        return tuple(run for run in self.runs if run.phase_error is PhaseError.CHORD)

    def varied(self, field: str) -> dict[ModelName, tuple[Run, ...]]:
        """Runs like the main one but for one field, its largest value first."""
        found: dict[ModelName, tuple[Run, ...]] = {}
        for main in self.main(NetworkInput.FRAME):
            runs = [r for r in self.runs if replace(r, **{field: getattr(main, field)}) == main]
            found[main.model] = tuple(sorted(runs, key=lambda r: -getattr(r, field)))
        return found


def _cheap_first(runs: list[Run]) -> tuple[Run, ...]:
    return tuple(sorted(dict.fromkeys(runs), key=lambda run: run.cost))


_SWEPT = (ModelName.PTYCHONN, ModelName.W1, ModelName.W3)
_W_NETS = (ModelName.W1, ModelName.W2, ModelName.W3)
_OURS = [
    Run(model, NetworkInput.BACK_PROJECTED) for model in ModelName if model is not ModelName.W3
]
_BACK_PROJECTED_W3 = Run(ModelName.W3, NetworkInput.BACK_PROJECTED)
_PRODUCT = [
    _BACK_PROJECTED_W3,
    replace(_BACK_PROJECTED_W3, phase_error=PhaseError.CHORD),
    replace(_BACK_PROJECTED_W3, phase_error=PhaseError.CHORD, learning_rate=FASTER_RATE),
]
"""W3 as it is shipped, by loss and rate."""

_LARGER = replace(_PRODUCT[-1], model=ModelName.W1)
"""What the product's recipe makes of a larger network."""


def _iteratives(short: int, long: int, step: int) -> dict[str, Iterative]:
    """Reconstructions that differ in one thing each."""
    held = EpieOptions(long, refine_probe=False)
    return {
        f"{short} iterations": Iterative(EpieOptions(short), step=step),
        f"{short} iterations, another order": Iterative(EpieOptions(short, seed=1), step=step),
        f"{long} iterations": Iterative(EpieOptions(long), step=step),
        f"{long} iterations, another order": Iterative(EpieOptions(long, seed=1), step=step),
        f"{long} iterations, probe held": Iterative(held, step=step),
        "rounded positions": Iterative(EpieOptions(short, sub_pixel=False), step=step),
        "even frames": Iterative(EpieOptions(short), step=2 * step),
        "odd frames": Iterative(EpieOptions(short), first=step, step=2 * step),
    }


def _pairs(short: int, long: int) -> tuple[tuple[str, str], ...]:
    return (
        (f"{short} iterations", f"{short} iterations, another order"),
        (f"{long} iterations", f"{long} iterations, another order"),
        (f"{short} iterations", f"{long} iterations"),
        (f"{long} iterations, probe held", f"{long} iterations"),
        (f"{short} iterations", "rounded positions"),
        ("even frames", "odd frames"),
    )


FULL = Study(
    full=Run(ModelName.PTYCHONN),
    needed=_cheap_first(
        [
            *(Run(model) for model in ModelName),
            *(Run(model, frames=n) for n in (400, 1000) for model in _SWEPT),
            *(Run(model, epochs=10) for model in _SWEPT),
            *(Run(model, learning_rate=FASTER_RATE) for model in _SWEPT),
            *_PRODUCT,
        ]
    ),
    optional=_cheap_first(
        [
            *(Run(model, epochs=5) for model in _SWEPT),
            *(Run(model, frames=2000) for model in _SWEPT),
            Run(ModelName.W2, learning_rate=FASTER_RATE),
            _LARGER,
            *_OURS,
            *(replace(r, learning_rate=FASTER_RATE) for r in _OURS if r.model in _W_NETS),
            Run(ModelName.PTYCHONN, learning_rate=3e-4),
            *(Run(model, seed=seed) for seed in (1, 2) for model in _SWEPT),
        ]
    ),
    simulated_frames=400,
    reconstructions=_iteratives(60, 300, 1),
    pairs=_pairs(60, 300),
    converged="300 iterations",
    latency_rounds=30,
)

_QUICK = Run(ModelName.PTYCHONN, frames=64, epochs=1, width=0.25)

QUICK = Study(
    full=_QUICK,
    needed=(_QUICK, replace(_QUICK, model=ModelName.W3)),
    optional=(),
    simulated_frames=16,
    reconstructions={
        name: made for name, made in _iteratives(1, 2, 4).items() if name.endswith("frames")
    },
    pairs=_pairs(1, 2)[-1:],
    converged="even frames",
    latency_rounds=2,
)
"""The same from end to end in a minute or two, for the tests; its numbers say nothing."""
