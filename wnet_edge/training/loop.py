"""The training loop: batches in, a checkpoint an epoch out; resumes to the same weights.

AdamW with a one-cycle schedule (Smith & Topin, 2019) and the illumination-weighted loss of
`wnet_edge.training.loss`. Every batch of an epoch depends on seed and epoch alone, so an
interrupted training goes on at the last whole epoch as if nothing had happened.
"""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from wnet_edge.errors import CheckpointError, TrainingError
from wnet_edge.models.registry import CountsNetwork, ModelName, build
from wnet_edge.training.batch import Batch, FrameSupply
from wnet_edge.training.checkpoint import (
    Checkpoint,
    TrainingRecord,
    load_weights,
    read_checkpoint,
    select,
    write_checkpoint,
)
from wnet_edge.training.loss import weighted_mae
from wnet_edge.training.progress import Progress

_RISE = 0.2
"""Share of the steps in which the learning rate rises."""


@dataclass(frozen=True)
class TrainingOptions:
    """How to train.

    Attributes:
        model: which network.
        epochs: passes over `frames_per_epoch` frames.
        batch_size: frames a step.
        learning_rate: peak of the one-cycle schedule.
        weight_decay: AdamW's.
        validation_frames: frames held out to measure the error after each epoch.
        seed: of the weights and of the order of everything random.
    """

    model: ModelName
    epochs: int = 8
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    validation_frames: int = 512
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't train."""
        if self.epochs < 1 or self.batch_size < 2 or self.validation_frames < 1:
            raise TrainingError("training needs 1 epoch, 2 frames a batch and 1 validation frame")
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"a learning rate is between 0 and 1, not {self.learning_rate:g}")


@dataclass
class _State:
    """What changes while training."""

    network: CountsNetwork
    optimizer: torch.optim.AdamW
    epoch: int
    step: int
    history: list[dict[str, float]]


def train(
    supply: FrameSupply,
    options: TrainingOptions,
    checkpoint: Path,
    *,
    resume: bool = False,
    initial: Path | None = None,
    progress: Progress,
) -> TrainingRecord:
    """Train and leave the last epoch's checkpoint at `checkpoint`.

    Args:
        supply: where batches come from.
        options: how to train.
        checkpoint: file written after every epoch.
        resume: go on from `checkpoint` if it is there.
        initial: checkpoint of the same model whose weights to start from.
        progress: told of every batch and epoch.

    Raises:
        TrainingError: if the loss is no longer a number.
        CheckpointError: if a checkpoint to go on from does not fit.
    """
    settings = {**asdict(options), "model": options.model.value, "data": supply.describe()}
    state = _start(options, initial)
    if resume and checkpoint.exists():
        _restore(state, read_checkpoint(checkpoint), settings, checkpoint)
    weight = torch.from_numpy(supply.instrument.weight)
    steps = options.epochs * -(-supply.frames_per_epoch // options.batch_size)
    record = _record(state, options, settings)
    while state.epoch < options.epochs:
        started = time.perf_counter()
        batches = supply.epoch(state.epoch, options.batch_size)
        loss = _epoch(state, options, steps, progress.batches(batches, state.epoch), weight)
        amplitude, phase_rad = validate(state.network, _held_out(supply, options), weight)
        state.epoch += 1
        state.history.append(
            {
                "training_loss": loss,
                "validation_amplitude_mae": amplitude,
                "validation_phase_mae_rad": phase_rad,
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
        record = _record(state, options, settings)
        write_checkpoint(checkpoint, record, supply.instrument, _tensors(state))
        progress.epoch(state.epoch, state.history[-1])
    return record


def validate(
    network: CountsNetwork, batches: Iterable[Batch], weight: torch.Tensor
) -> tuple[float, float]:
    """Weighted mean absolute errors (amplitude, phase_rad) over the batches, in evaluation mode."""
    network.eval()
    total, frames = torch.zeros(2, dtype=torch.float64), 0
    with torch.inference_mode():
        for batch in batches:
            errors = weighted_mae(network(batch.counts), (batch.amplitude, batch.phase_rad), weight)
            total += torch.stack(errors).double() * len(batch.counts)
            frames += len(batch.counts)
    network.train()
    amplitude, phase_rad = (total / frames).tolist()
    return amplitude, phase_rad


def _held_out(supply: FrameSupply, options: TrainingOptions) -> Iterator[Batch]:
    return supply.validation(options.validation_frames, options.batch_size)


def _start(options: TrainingOptions, initial: Path | None) -> _State:
    network = build(options.model, seed=options.seed)
    if initial is not None:
        start = read_checkpoint(initial)
        if start.record.model != options.model:
            raise CheckpointError(
                f"{initial}: holds {start.record.model.value}, not {options.model.value}"
            )
        load_weights(network, start, initial)
    # Depthwise convolutions train several times faster in this memory layout on a CPU.
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    return _State(network.train(), optimizer, 0, 0, [])


def _epoch(
    state: _State,
    options: TrainingOptions,
    steps: int,
    batches: Iterable[Batch],
    weight: torch.Tensor,
) -> float:
    total, frames = 0.0, 0
    for batch in batches:
        counts = batch.counts.contiguous(memory_format=torch.channels_last)
        errors = weighted_mae(state.network(counts), (batch.amplitude, batch.phase_rad), weight)
        loss = errors[0] + errors[1]
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} in epoch {state.epoch + 1}: lower the learning rate"
            )
        _set_learning_rate(state, options, steps)
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(state.network.parameters(), 1.0)
        state.optimizer.step()
        state.step += 1
        total += loss.item() * len(counts)
        frames += len(counts)
    return total / frames


def one_cycle(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step: half a cosine up, then half a cosine down.

    Smith & Topin (2019), with the cosine of Loshchilov & Hutter (ICLR 2017, eq. 5).
    """
    rise = _RISE * steps
    if step < rise:
        return 0.5 - 0.5 * math.cos(math.pi * (step + 1) / (rise + 1))
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def _set_learning_rate(state: _State, options: TrainingOptions, steps: int) -> None:
    for group in state.optimizer.param_groups:
        group["lr"] = options.learning_rate * one_cycle(state.step, steps)


def _record(state: _State, options: TrainingOptions, settings: dict[str, Any]) -> TrainingRecord:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return TrainingRecord(
        options.model, state.epoch, now.isoformat(), settings, list(state.history)
    )


def _tensors(state: _State) -> dict[str, torch.Tensor]:
    tensors = {f"model.{n}": t for n, t in state.network.network.state_dict().items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    tensors["rng.torch"] = torch.get_rng_state()
    return tensors


def _restore(state: _State, checkpoint: Checkpoint, settings: dict[str, Any], path: Path) -> None:
    """Continue exactly where the checkpoint stopped."""
    changed = sorted(k for k in settings if checkpoint.record.settings.get(k) != settings[k])
    if changed:
        raise CheckpointError(
            f"{path}: trained with another {', '.join(changed)}; resume with the same options, or "
            "start from its weights with --init"
        )
    load_weights(state.network, checkpoint, path)
    optimizer: dict[str, Any] = state.optimizer.state_dict()
    values: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in select(checkpoint.tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        values.setdefault(int(index), {})[key] = tensor
    optimizer["state"] = values
    state.optimizer.load_state_dict(optimizer)
    state.step = int(values[0]["step"].item())
    torch.set_rng_state(checkpoint.tensors["rng.torch"])
    state.epoch = checkpoint.record.epoch
    state.history = list(checkpoint.record.history)
