"""The paper's claims and the project's aims, each held against the numbers.

The claims of Xing et al. (2024, doi 10.3389/aot.2024.1474654) are about networks that see the frame
alone. A claim about errors holds only if it holds on every evaluation set; claims about how much
training is needed are judged by the mean over the held-out families.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from benchmarks.study.ceiling import PUBLISHED
from benchmarks.study.networks import cost_key
from benchmarks.study.plan import NAMES, Run, Study
from benchmarks.study.results import NetworkCost, Outcome, Results, zoo_name
from benchmarks.study.sets import REAL, TRAINED
from wnet_edge.models.registry import ModelName, NetworkInput
from wnet_edge.physics.objects import Family

HELD_OUT = (Family.LINES.value, Family.DOTS.value)
SETS = (*HELD_OUT, TRAINED, REAL)

PAPER_PARAMETER_SHARE = 0.0826
PAPER_TIME_SHARE = 0.738
LATENCY_AIM = 0.10
W3_CORRELATION_AIM, BEST_CORRELATION_AIM = 0.96, 0.975


class Verdict(str, Enum):
    """What the numbers say."""

    HELD = "held"
    NOT_HELD = "not held"
    PENDING = "not measured yet"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Claim:
    """A sentence and what became of it.

    Attributes:
        said: the sentence.
        verdict: on it.
        because: the numbers.
    """

    said: str
    verdict: Verdict
    because: str


class Errors:
    """Phase errors by run and set: means over the seeds that are done."""

    def __init__(self, study: Study, results: Results) -> None:
        self._study, self._results = study, results

    def known(self, run: Run) -> bool:
        """Whether a seed of it is done."""
        return bool(self._done(run))

    def phase_mae_rad(self, run: Run, name: str) -> float:
        """On one set."""
        return float(np.mean([o.patches[name].phase_mae_rad for o in self._done(run)]))

    def held_out(self, run: Run) -> float:
        """Mean over the held-out families."""
        return float(np.mean([self.phase_mae_rad(run, name) for name in HELD_OUT]))

    def _done(self, run: Run) -> list[Outcome]:
        seeds = [r for r in self._study.runs if replace(r, seed=run.seed) == run]
        outcomes = [self._results.outcome(r.name) for r in seeds]
        return [o for o in outcomes if o is not None and o.done]

    def best(self, model: ModelName) -> Run | None:
        """The network at whichever rate validated best; None until all that are needed are done.

        Validated are frames of the trained families, which no figure reports.
        """
        return self.best_of(self._study.varied("learning_rate")[model])

    def best_of(self, runs: Sequence[Run]) -> Run | None:
        """Whichever validated best; None until all that are needed are done."""
        validated = {}
        for run in runs:
            outcome = self._results.outcome(run.name)
            if outcome is not None and outcome.done:
                validated[run] = outcome.history[-1]["validation_phase_mae_rad"]
            elif run in self._study.needed:
                return None
        return min(validated, key=validated.__getitem__) if validated else None


def paper_claims(study: Study, results: Results) -> list[Claim]:
    """The paper's claims in its order."""
    errors = Errors(study, results)
    main = {run.model: run for run in study.main(NetworkInput.FRAME)}
    best = {model: errors.best(model) for model in ModelName}
    others = tuple(model for model in ModelName if model is not ModelName.W2)
    w1, w2, w3, ptychonn = ModelName.W1, ModelName.W2, ModelName.W3, ModelName.PTYCHONN
    return [
        _lower("W1 beats PtychoNN in phase at equal training", errors, main, w1, (ptychonn,)),
        _lower("W1 beats PtychoNN in phase, each at its best rate", errors, best, w1, (ptychonn,)),
        _needs_less("W1 needs less data", "frames", study, errors),
        _needs_less("W1 needs fewer epochs", "epochs", study, errors),
        _lower("W2 is best in phase of the four", errors, main, w2, others),
        _lower("W2 is best in phase, each at its best rate", errors, best, w2, others),
        _parameters(study, results),
        _lower("W3 matches PtychoNN in phase", errors, main, w3, (ptychonn,)),
        _lower("W3 matches PtychoNN, each at its best rate", errors, best, w3, (ptychonn,)),
        _time(study, results),
        Claim(
            "The values in its tables",
            Verdict.NOT_TESTABLE,
            "they need PtychoNN's own scan and a GPU; neither is available here",
        ),
    ]


def aims(study: Study, results: Results) -> list[Claim]:
    """What the project asked of itself; W3 is the product: with the back-projected frame."""
    errors = Errors(study, results)
    main = replace(study.full, model=ModelName.W3, input=NetworkInput.BACK_PROJECTED)
    free = {"learning_rate": main.learning_rate, "phase_error": main.phase_error}
    product = errors.best_of([run for run in study.runs if replace(run, **free) == main])
    best = errors.best(ModelName.PTYCHONN)
    said = "W3, back-projected, is no worse in phase than PtychoNN as published"
    rivals = {ModelName.W3: product, ModelName.PTYCHONN: best}
    return [
        _lower(said, errors, rivals, ModelName.W3, (ModelName.PTYCHONN,)),
        _latency(study, results),
        _correlation(study, results, [ModelName.W3], W3_CORRELATION_AIM, "W3"),
        _correlation(study, results, list(ModelName), BEST_CORRELATION_AIM, "the best network"),
    ]


def ceiling_correlation(results: Results) -> float | None:
    """The most that an iterative reconstruction of the same frames shares with the reference."""
    ceiling = results.ceiling()
    if ceiling is None:
        return None
    found = [p.comparison.phase_correlation for p in ceiling.pairs if p.reference == PUBLISHED]
    return max(found, default=None)


def _lower(
    said: str,
    errors: Errors,
    runs: Mapping[ModelName, Run | None],
    network: ModelName,
    others: tuple[ModelName, ...],
) -> Claim:
    """Whether a network's phase error is no higher than any other's, on every set."""
    asked = {model: runs[model] for model in (network, *others)}
    done = [run for run in asked.values() if run is not None and errors.known(run)]
    if len(done) < len(asked):
        return _undone(said, [model for model, run in asked.items() if run not in done])
    compared, lower = [], 0
    for name in SETS:
        mine, *rest = (errors.phase_mae_rad(run, name) for run in done)
        lower += mine <= min(rest)
        compared.append(f"{name} {mine:.3f} against {min(rest):.3f}")
    verdict = Verdict.HELD if lower == len(SETS) else Verdict.NOT_HELD
    return Claim(said, verdict, f"{lower} of {len(SETS)} sets, rad: {'; '.join(compared)}")


def _undone(said: str, missing: Sequence[ModelName]) -> Claim:
    return Claim(
        said,
        Verdict.PENDING,
        f"not trained to the end: {', '.join(NAMES[model] for model in missing)}",
    )


def _needs_less(said: str, field: str, study: Study, errors: Errors) -> Claim:
    """Whether W1 with less of something is as good as PtychoNN with all of it."""
    most = getattr(study.full, field)
    less = [r for r in study.varied(field)[ModelName.W1] if getattr(r, field) < most]
    if not errors.known(study.full):
        return _undone(said, [study.full.model])
    goal = errors.held_out(study.full)
    done = {run: errors.held_out(run) for run in less if errors.known(run)}
    for run in sorted(done, key=lambda run: getattr(run, field)):
        if done[run] <= goal:
            mine = f"W1 {done[run]:.3f} rad with {getattr(run, field):,} {field}"
            return Claim(said, Verdict.HELD, f"{mine}, PtychoNN {goal:.3f} with {most:,}")
    if not less or any(run in study.needed and run not in done for run in less):
        return _undone(said, [ModelName.W1])
    mine = ", ".join(f"{done[run]:.3f} with {getattr(run, field):,}" for run in done)
    numbers = f"W1 {mine} {field}, PtychoNN {goal:.3f} rad with {most:,}"
    return Claim(said, Verdict.NOT_HELD, numbers)


def _parameters(study: Study, results: Results) -> Claim:
    said = "W3 has 8.26 % of PtychoNN's parameters"
    costs = _costs(study, results, NetworkInput.FRAME)
    if costs is None:
        return Claim(said, Verdict.PENDING, "not counted")
    share = costs[0].parameters / costs[1].parameters
    held = abs(share / PAPER_PARAMETER_SHARE - 1) <= 0.005
    numbers = f"{costs[0].parameters:,} of {costs[1].parameters:,}: {100 * share:.2f} %"
    return Claim(said, Verdict.HELD if held else Verdict.NOT_HELD, numbers)


def _time(study: Study, results: Results) -> Claim:
    said = f"W3 runs in {PAPER_TIME_SHARE} of PtychoNN's time"
    costs = _costs(study, results, NetworkInput.FRAME)
    if costs is None:
        return Claim(said, Verdict.PENDING, "not timed")
    ratios = {b: costs[0].latency_ms[b] / costs[1].latency_ms[b] for b in costs[0].latency_ms}
    held = max(ratios.values()) <= PAPER_TIME_SHARE
    numbers = ", ".join(f"{ratio:.3f} at batch {batch}" for batch, ratio in ratios.items())
    return Claim(
        said,
        Verdict.HELD if held else Verdict.NOT_HELD,
        f"{numbers} (ONNX Runtime, one CPU thread; the paper's is PyTorch on a GPU)",
    )


def _latency(study: Study, results: Results) -> Claim:
    said = f"W3, back-projected, takes at most {LATENCY_AIM:.2f} of PtychoNN's time at batch 8"
    networks = results.networks()
    mine = networks.get(cost_key(Run(ModelName.W3, NetworkInput.BACK_PROJECTED).spec))
    other = networks.get(cost_key(study.full.spec))
    if mine is None or other is None:
        return Claim(said, Verdict.PENDING, "not timed")
    ratio = mine.latency_ms["8"] / other.latency_ms["8"]
    return Claim(said, Verdict.HELD if ratio <= LATENCY_AIM else Verdict.NOT_HELD, f"{ratio:.3f}")


def _costs(study: Study, results: Results, input_: NetworkInput) -> list[NetworkCost] | None:
    """W3's and PtychoNN's, None until both are there."""
    networks = results.networks()
    keys = [
        cost_key(replace(study.full, model=m, input=input_).spec)
        for m in (ModelName.W3, ModelName.PTYCHONN)
    ]
    return None if not set(keys) <= networks.keys() else [networks[key] for key in keys]


def _correlation(
    study: Study, results: Results, models: list[ModelName], aim: float, who: str
) -> Claim:
    """Whether a network's stitched phase on the real scan reaches an aim."""
    said = f"Stitched phase of {who} has a correlation with the reference of at least {aim}"
    runs = [run for run in study.runs if run.model in models]
    found = {run.name: results.outcome(run.name) for run in runs}
    found |= {zoo_name(model): results.outcome(zoo_name(model)) for model in models}
    reached = {
        name: outcome.images["ours/whole"]
        for name, outcome in found.items()
        if outcome is not None and outcome.images
    }
    if not reached:
        return Claim(said, Verdict.PENDING, "no training is done")
    name = max(reached, key=lambda name: reached[name].phase_correlation)
    most, slope = reached[name].phase_correlation, reached[name].phase_slope
    numbers = f"{most:.3f} with a slope of {slope:.2f} ({name})"
    ceiling = ceiling_correlation(results)
    if ceiling is not None:
        numbers += f", {100 * most / ceiling:.1f} % of the ceiling, {ceiling:.3f}"
        if aim > ceiling:
            numbers += "; the aim is above the ceiling"
    missing = any(run.name not in reached for run in runs if run in study.needed)
    verdict = Verdict.PENDING if missing else Verdict.NOT_HELD
    return Claim(said, Verdict.HELD if most >= aim else verdict, numbers)
