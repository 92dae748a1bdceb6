"""The search for an INT8 graph within the budget: which ranges, and which layers stay in float.

Every calibrator is tried with all layers quantised. With the best of them, some layers are left in
float that are dear for the bytes they save; if the budget does not hold, more go back to float, the
dearest first, until it does. Costs are measured on the scan's selection strip, which neither
calibrates nor reports.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray

from wnet_edge.calibration.ranges import RangeMethod, Ranges
from wnet_edge.errors import ExportError
from wnet_edge.export.budget import Budget, described
from wnet_edge.export.held_out import MeasuredStrip
from wnet_edge.export.int8.layers import Layer, layers_of
from wnet_edge.export.int8.quantise import Scheme, quantised
from wnet_edge.judging.yardstick import Judge, Loss, against_fp32, phase_rms_rad
from wnet_edge.package.golden import Patches
from wnet_edge.package.manifest import Precision

MARGIN = 0.4
"""Share of the budget that the selection strip may lose: with W1, W3 and PtychoNN, quantised in 21
ways, the report strip of scan 247 lost up to 1.7 times as much; that of another scan, twice."""

MOST_CHANGE = 0.8
"""Share of the budget by which the selection strip's image may change, for better or worse: against
a reference an error may help by luck, and does not on the next strip. In none of those trials did
the report strip lose more than 0.9 of what the selection strip's image changed."""

SPARED_SHARE = 0.01
"""Of an INT8 graph's bytes, spent on accuracy whether or not the budget asks for it: a few small
layers, at the network's ends, make most of the error."""

SENSITIVITY_FRAMES = 8
"""That a single layer's cost is measured on."""

Run = Callable[[bytes, NDArray[np.float32]], Patches]
"""Patches of a quantised graph for counts (N, 1, H, W), as the runner computes them here."""


@dataclass(frozen=True)
class Trial:
    """A scheme that was measured.

    Attributes:
        method: of the ranges.
        per_channel: as in `Scheme`.
        kept: layers in float, by name.
        loss: on the selection strip.
        change: of the image there, which FP32's own is held against.
        phase_rms_rad: difference from FP32.
        size_bytes: of the graph.
    """

    method: RangeMethod
    per_channel: bool
    kept: tuple[str, ...]
    loss: Loss
    change: Loss
    phase_rms_rad: float
    size_bytes: int


class OverBudgetError(ExportError):
    """A precision costs more accuracy than the budget allows.

    Attributes:
        reason: what it costs, without the cure.
        precision: that does.
        trials: what was tried for it, in order.
    """

    def __init__(self, reason: str, precision: Precision, trials: tuple[Trial, ...]) -> None:
        super().__init__(
            f"{reason}; allow more with --max-ssim-drop and --max-psnr-drop-db, or leave this "
            "precision out"
        )
        self.reason, self.precision, self.trials = reason, precision, trials


@dataclass(frozen=True)
class LayerCost:
    """What quantising one layer alone costs and saves.

    Attributes:
        layer: which.
        phase_rms_rad: difference from FP32 with this layer alone in INT8.
        saved_bytes: by having it in INT8; below zero where scales and nodes take more than weights.
    """

    layer: Layer
    phase_rms_rad: float
    saved_bytes: int


@dataclass(frozen=True)
class FoundInt8:
    """The graph that was chosen, and how.

    Attributes:
        content: ONNX.
        ranges: that it was quantised with.
        scheme: of it.
        trials: everything that was measured, in order.
        costs: of the layers, dearest first.
    """

    content: bytes
    ranges: Ranges
    scheme: Scheme
    trials: tuple[Trial, ...]
    costs: tuple[LayerCost, ...]


@dataclass(frozen=True)
class Problem:
    """What is to be quantised, and what it is judged by.

    Attributes:
        graph: FP32, every node with a name of its own.
        layout: of the INT8 graph.
        selection: the strip, and what FP32 gives of it.
        run: runs a candidate.
        budget: to keep to.
    """

    graph: bytes
    layout: Precision
    selection: MeasuredStrip
    run: Run
    budget: Budget

    @cached_property
    def own(self) -> MeasuredStrip:
        """FP32's own image of the strip, as the yardstick."""
        known = self.selection
        if known.yardstick.judge is Judge.FP32:
            return known
        yardstick = against_fp32(known.yardstick.part, known.fp32)
        return MeasuredStrip(yardstick, known.fp32, yardstick.accuracy(known.fp32))

    def measured(self, ranges: Ranges, scheme: Scheme) -> tuple[bytes, Trial]:
        """A candidate and what it costs."""
        content = quantised(self.graph, ranges, scheme)
        part = self.selection.yardstick.part
        patches = self.run(content, part.counts)
        trial = Trial(
            method=ranges.method,
            per_channel=scheme.per_channel,
            kept=tuple(sorted(scheme.kept)),
            loss=self.selection.loss(patches),
            change=self.own.loss(patches),
            phase_rms_rad=phase_rms_rad(part, patches, self.selection.fp32),
            size_bytes=len(content),
        )
        return content, trial

    def share(self, trial: Trial) -> float:
        """How much of what is allowed a trial takes, 1 being all of it."""
        return max(
            self.budget.share(trial.loss) / MARGIN, self.budget.share(trial.change) / MOST_CHANGE
        )

    def holds(self, trial: Trial) -> bool:
        """Whether a trial leaves the margin that another strip may need."""
        return self.share(trial) <= 1


def search(problem: Problem, candidates: Sequence[Ranges]) -> FoundInt8:
    """The graph that is nearest to FP32 of those within the budget, few layers in float first.

    Raises:
        OverBudgetError: if no number of layers makes the budget hold, with the best that was found.
    """
    scheme = Scheme(problem.layout)
    measured = [_Measured.of(problem, ranges, scheme) for ranges in candidates]
    best = min(measured, key=_cost)
    # One scale for all of a layer's channels is smaller, and sometimes as good.
    measured.append(_Measured.of(problem, best.ranges, replace(scheme, per_channel=False)))
    best = min(measured, key=_cost)
    costs = layer_costs(problem, best.ranges, best.scheme)
    spared = _spared(costs, SPARED_SHARE * len(best.content))
    measured.append(_Measured.of(problem, best.ranges, replace(best.scheme, kept=spared)))
    trials = [m.trial for m in measured]
    holding = [m for m in measured if problem.holds(m.trial)]
    if holding:
        chosen = min(holding, key=_cost)
        return FoundInt8(chosen.content, chosen.ranges, chosen.scheme, tuple(trials), costs)
    dearest = [cost.layer.name for cost in costs if cost.layer.name not in spared]
    for count in _growing(len(dearest)):
        kept = spared.union(dearest[:count])
        tried = _Measured.of(problem, best.ranges, replace(best.scheme, kept=kept))
        trials.append(tried.trial)
        if problem.holds(tried.trial):
            return FoundInt8(tried.content, tried.ranges, tried.scheme, tuple(trials), costs)
    # Every share of a budget of zero is the same.
    nearest = min(trials, key=lambda t: (problem.share(t), t.phase_rms_rad))
    raise OverBudgetError(
        f"no {problem.layout.value} graph takes less than {MARGIN:.0%} of the budget on the "
        f"selection strip and changes its image by less than {MOST_CHANGE:.0%} of it, which leaves "
        f"what another strip may need: at best, with {len(nearest.kept)} of {len(costs)} layers in "
        f"float and {nearest.method.value} ranges, {described(nearest.loss)}, and against fp32's "
        f"own image {described(nearest.change)}",
        problem.layout,
        tuple(trials),
    )


def _spared(costs: Sequence[LayerCost], most_bytes: float) -> frozenset[str]:
    """Layers that stay in float for `most_bytes` altogether, those first that buy most by it."""

    def worth(cost: LayerCost) -> float:
        # Squares, since the layers' errors add up as if independent.
        return cost.phase_rms_rad**2 / max(cost.saved_bytes, 1)

    spared, spent = [], 0
    for cost in sorted(costs, key=worth, reverse=True):
        spent += max(cost.saved_bytes, 0)
        if spent > most_bytes:
            break
        spared.append(cost.layer.name)
    return frozenset(spared)


def layer_costs(problem: Problem, ranges: Ranges, scheme: Scheme) -> tuple[LayerCost, ...]:
    """What each layer costs and saves if it alone is quantised as `scheme` says, dearest first."""
    layers = layers_of(onnx.load_from_string(problem.graph))
    part, patches = problem.selection.yardstick.part, problem.selection.fp32
    few = part.only(np.arange(len(part.numbers)) < SENSITIVITY_FRAMES)
    fp32 = (patches[0][:SENSITIVITY_FRAMES], patches[1][:SENSITIVITY_FRAMES])
    names = frozenset(layer.name for layer in layers)
    in_float = len(quantised(problem.graph, ranges, replace(scheme, kept=names)))
    costs = []
    for layer in layers:
        alone = quantised(problem.graph, ranges, replace(scheme, kept=names - {layer.name}))
        error_rad = phase_rms_rad(few, problem.run(alone, few.counts), fp32)
        costs.append(LayerCost(layer, error_rad, in_float - len(alone)))
    return tuple(sorted(costs, key=lambda cost: -cost.phase_rms_rad))


@dataclass(frozen=True)
class _Measured:
    content: bytes
    ranges: Ranges
    scheme: Scheme
    trial: Trial

    @classmethod
    def of(cls, problem: Problem, ranges: Ranges, scheme: Scheme) -> "_Measured":
        content, trial = problem.measured(ranges, scheme)
        return cls(content, ranges, scheme, trial)


def _cost(measured: _Measured) -> float:
    return measured.trial.phase_rms_rad


def _growing(most: int) -> list[int]:
    """How many layers are given back, one after the other: by one first, then by a quarter."""
    counts, count = [], 1
    while count < most:
        counts.append(count)
        count += max(1, count // 4)
    return counts
