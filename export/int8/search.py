"""Search for an INT8 graph within the budget: calibration method, and layers that stay in float.

An unsigned layout first with one integer path through the whole network, which is what makes INT8
fast on processors. Every calibrator is tried; with the best one, if the budget asks for it, the
layers of the largest loss stay in float, one in ten at most.

Else, or if no such graph is within the budget, the operators between the layers stay in float.
Every calibrator is tried with all layers quantised. With the best one, a few layers stay in float
whose accuracy loss is large for the bytes they save; if the budget is exceeded, more layers return
to float, largest loss first, until it holds.

Losses are measured on the selection strip, which is used neither for calibration nor for the
reported figures.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import onnx
from numpy.typing import NDArray

from wnet_edge.calibration.ranges import RangeMethod, Ranges
from wnet_edge.export.budget import Budget, described
from wnet_edge.export.held_out import MeasuredStrip
from wnet_edge.export.int8.layers import Layer, layers_of
from wnet_edge.export.int8.quantise import Scheme, quantised
from wnet_edge.export.refused_precision import PrecisionError
from wnet_edge.judging.yardstick import Judge, Loss, against_fp32, phase_rms_rad
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision

MARGIN = 0.4
"""Fraction of the budget permitted as loss on the selection strip: with W1, W3 and PtychoNN, in 21
quantised variants, the report strip of scan 247 lost up to 1.7 times as much; that of another scan,
twice."""

MOST_CHANGE = 0.8
"""Fraction of the budget permitted as change of the selection strip's image, for better or worse:
against a reference a rounding error may help by chance, but not on another strip. In none of those
trials did the report strip lose more than 0.9 of the change of the selection strip's image."""

SPARED_SHARE = 0.01
"""Fraction of an INT8 graph's bytes spent on layers in float in any case: a few small layers at the
network's ends cause most of the error."""

SENSITIVITY_FRAMES = 8
"""Number of frames on which a single layer's loss is measured."""

_WHOLE_SHARE = 0.1
"""Largest fraction of the layers that return to float in a graph of one integer path: with more of
them it would be none."""

Run = Callable[[bytes, NDArray[np.float32]], PatchArrays]
"""Patches of a quantised graph for counts (N, 1, H, W), as the runner computes them here."""


@dataclass(frozen=True)
class Trial:
    """A measured quantisation scheme.

    Attributes:
        method: calibration method.
        per_channel: as in `Scheme`.
        whole: likewise.
        kept: names of the layers in float.
        loss: loss of accuracy on the selection strip.
        change: loss there relative to FP32's own image.
        phase_rms_rad: RMS phase difference from FP32.
        size_bytes: size of the graph.
    """

    method: RangeMethod
    per_channel: bool
    whole: bool
    kept: tuple[str, ...]
    loss: Loss
    change: Loss
    phase_rms_rad: float
    size_bytes: int


class OverBudgetError(PrecisionError):
    """A precision loses more accuracy than the budget allows.

    Attributes:
        trials: schemes that were tried, in order.
    """

    def __init__(
        self, reason: str, precision: Precision, trials: tuple[Trial, ...], flags: str
    ) -> None:
        cure = f"allow it with {flags}" if flags else "train the network longer"
        super().__init__(reason, cure, precision)
        self.trials = trials


@dataclass(frozen=True)
class LayerCost:
    """Accuracy loss and bytes saved by quantising one layer alone.

    Attributes:
        layer: the layer.
        phase_rms_rad: RMS phase difference from FP32 with this layer alone in INT8.
        saved_bytes: bytes saved by INT8; negative if scales and nodes take more than they save.
    """

    layer: Layer
    phase_rms_rad: float
    saved_bytes: int


@dataclass(frozen=True)
class FoundInt8:
    """Result of the search.

    Attributes:
        content: ONNX bytes of the chosen graph.
        ranges: ranges that it was quantised with.
        scheme: its quantisation scheme.
        trials: all measured schemes, in order.
        costs: costs of the layers, largest loss first.
    """

    content: bytes
    ranges: Ranges
    scheme: Scheme
    trials: tuple[Trial, ...]
    costs: tuple[LayerCost, ...]


@dataclass(frozen=True)
class Problem:
    """Graph to quantise, layout, and the criteria of the search.

    Attributes:
        graph: FP32 ONNX bytes, with unique node names.
        layout: layout of the INT8 graph.
        selection: selection strip, with FP32's accuracy.
        run: runs a candidate graph.
        budget: accuracy budget.
    """

    graph: bytes
    layout: Precision
    selection: MeasuredStrip
    run: Run
    budget: Budget

    @cached_property
    def own(self) -> MeasuredStrip:
        """The selection strip with FP32's own output as ground truth."""
        known = self.selection
        if known.yardstick.judge is Judge.FP32:
            return known
        yardstick = against_fp32(known.yardstick.part, known.fp32)
        return MeasuredStrip(yardstick, known.fp32, yardstick.accuracy(known.fp32))

    def measured(self, ranges: Ranges, scheme: Scheme) -> tuple[bytes, Trial]:
        """Quantise and measure a candidate; returns its ONNX bytes and the trial."""
        content = quantised(self.graph, ranges, scheme)
        part = self.selection.yardstick.part
        patches = self.run(content, part.counts)
        trial = Trial(
            method=ranges.method,
            per_channel=scheme.per_channel,
            whole=scheme.whole,
            kept=tuple(sorted(scheme.kept)),
            loss=self.selection.loss(patches),
            change=self.own.loss(patches),
            phase_rms_rad=phase_rms_rad(part, patches, self.selection.fp32),
            size_bytes=len(content),
        )
        return content, trial

    def share(self, trial: Trial) -> float:
        """Fraction of the permitted loss or change that a trial takes."""
        return max(
            self.budget.share(trial.loss) / MARGIN, self.budget.share(trial.change) / MOST_CHANGE
        )

    def holds(self, trial: Trial) -> bool:
        """Whether a trial is within the budget with the margin for other strips."""
        return self.share(trial) <= 1


def search(problem: Problem, candidates: Sequence[Ranges]) -> FoundInt8:
    """Search for a graph within the budget: one integer path, or the closest to FP32.

    Raises:
        OverBudgetError: if no number of layers in float meets the budget; states the best trial.
    """
    # Signed activations have no range for a ReLU to disappear into.
    whole = () if problem.layout is Precision.INT8 else _search_whole(problem, candidates)
    if isinstance(whole, FoundInt8):
        return whole
    found = _search_by_layer(problem, candidates)
    if isinstance(found, FoundInt8):
        return replace(found, trials=(*whole, *found.trials))
    raise _over_budget(problem, (*whole, *found))


def starting_point(problem: Problem, candidates: Sequence[Ranges]) -> tuple[Ranges, Scheme]:
    """The ranges closest to FP32, with the scheme that the search tries first."""
    scheme = Scheme(problem.layout)
    if problem.layout is not Precision.INT8:
        scheme = replace(scheme, whole=True)
    measured = [_Measured.of(problem, ranges, scheme) for ranges in candidates]
    return min(measured, key=_cost).ranges, scheme


def _search_whole(problem: Problem, candidates: Sequence[Ranges]) -> FoundInt8 | tuple[Trial, ...]:
    """One integer path, with as few layers as possible in float; or trials."""
    scheme = Scheme(problem.layout, whole=True)
    measured = [_Measured.of(problem, ranges, scheme) for ranges in candidates]
    best = min(measured, key=_cost)
    costs = layer_costs(problem, best.ranges, scheme)
    dearest = [cost.layer.name for cost in costs]
    for count in range(math.floor(_WHOLE_SHARE * len(costs)) + 1):
        if count:
            kept = frozenset(dearest[:count])
            measured.append(_Measured.of(problem, best.ranges, replace(scheme, kept=kept)))
        holding = [m for m in measured if problem.holds(m.trial)]
        if holding:
            return _found(min(holding, key=_cost), measured, costs)
    return tuple(m.trial for m in measured)


def _search_by_layer(
    problem: Problem, candidates: Sequence[Ranges]
) -> FoundInt8 | tuple[Trial, ...]:
    """Layers alone, those in float whose loss is large for the bytes they save; or trials."""
    scheme = Scheme(problem.layout)
    measured = [_Measured.of(problem, ranges, scheme) for ranges in candidates]
    best = min(measured, key=_cost)
    # One scale per layer takes fewer bytes, and is sometimes as accurate.
    measured.append(_Measured.of(problem, best.ranges, replace(scheme, per_channel=False)))
    best = min(measured, key=_cost)
    costs = layer_costs(problem, best.ranges, best.scheme)
    spared = _spared(costs, SPARED_SHARE * len(best.content))
    measured.append(_Measured.of(problem, best.ranges, replace(best.scheme, kept=spared)))
    holding = [m for m in measured if problem.holds(m.trial)]
    if holding:
        return _found(min(holding, key=_cost), measured, costs)
    dearest = [cost.layer.name for cost in costs if cost.layer.name not in spared]
    for count in _growing(len(dearest)):
        kept = spared.union(dearest[:count])
        measured.append(_Measured.of(problem, best.ranges, replace(best.scheme, kept=kept)))
        if problem.holds(measured[-1].trial):
            return _found(measured[-1], measured, costs)
    return tuple(m.trial for m in measured)


def _found(
    chosen: "_Measured", measured: Sequence["_Measured"], costs: tuple[LayerCost, ...]
) -> FoundInt8:
    trials = tuple(m.trial for m in measured)
    return FoundInt8(chosen.content, chosen.ranges, chosen.scheme, trials, costs)


def _over_budget(problem: Problem, trials: tuple[Trial, ...]) -> OverBudgetError:
    # With a budget of zero all fractions are equal.
    nearest = min(trials, key=lambda t: (problem.share(t), t.phase_rms_rad))
    return OverBudgetError(
        f"no {problem.layout.value} graph takes less than {MARGIN:.0%} of the budget on the "
        f"selection strip and changes its image by less than {MOST_CHANGE:.0%} of it, which leaves "
        f"what another strip may need: at best, with {len(nearest.kept)} of "
        f"{len(layers_of(onnx.load_from_string(problem.graph)))} layers in float and "
        f"{nearest.method.value} ranges, {described(nearest.loss)}, and against fp32's own image "
        f"{described(nearest.change)}",
        problem.layout,
        trials,
        problem.budget.flags_for(
            _times(nearest.loss, 1 / MARGIN), _times(nearest.change, 1 / MOST_CHANGE)
        ),
    )


def _times(loss: Loss, factor: float) -> Loss:
    return Loss(factor * loss.ssim, None if loss.psnr_db is None else factor * loss.psnr_db)


def _spared(costs: Sequence[LayerCost], most_bytes: float) -> frozenset[str]:
    """Layers to keep in float for `most_bytes` altogether, most accuracy per byte first."""

    def worth(cost: LayerCost) -> float:
        # Squared, since the layers' errors add in quadrature.
        return cost.phase_rms_rad**2 / max(cost.saved_bytes, 1)

    spared, spent = [], 0
    for cost in sorted(costs, key=worth, reverse=True):
        spent += max(cost.saved_bytes, 0)
        if spent > most_bytes:
            break
        spared.append(cost.layer.name)
    return frozenset(spared)


def layer_costs(problem: Problem, ranges: Ranges, scheme: Scheme) -> tuple[LayerCost, ...]:
    """Costs of each layer quantised alone by `scheme`, largest loss first."""
    scheme = replace(scheme, whole=False)
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
    """Numbers of layers returned to float in successive trials: steps of one, then of a quarter."""
    counts, count = [], 1
    while count < most:
        counts.append(count)
        count += max(1, count // 4)
    return counts
