"""The training loop: batches in, one checkpoint per epoch out; resumes reproducibly.

AdamW (Loshchilov & Hutter, ICLR 2019) on the losses of `wnet_edge.training.loss`, as set by
`wnet_edge.training.options`. Every batch of an epoch depends on seed and epoch alone, so an
interrupted training resumes after the last complete epoch and ends with the same weights. Under
torchrun several processes train together (`wnet_edge.training.distributed`); rank 0 writes.
"""

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wnet_edge.errors import CheckpointError, TrainingError
from wnet_edge.host.outputs import together
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.training.batch import Batch, FrameSupply
from wnet_edge.training.checkpoint import TrainingRecord, read_checkpoint, write_checkpoint
from wnet_edge.training.curves import EpochErrors, TensorBoard, curve_path, write_curve
from wnet_edge.training.device import PROCESSOR
from wnet_edge.training.distributed import average_statistics, data_parallel, this_rank
from wnet_edge.training.loss import weighted_chord, weighted_mae
from wnet_edge.training.options import PhaseError, Schedule, TrainingOptions, Weighting
from wnet_edge.training.progress import Progress
from wnet_edge.training.replicas import Replicas, replicas
from wnet_edge.training.state import TrainingState, restore, start, tensors

_RISE = 0.2
"""Fraction of the steps in which the learning rate rises."""

_WARMING_BATCHES = 2
"""Before a timing: PyTorch prepares its kernels in them."""


@dataclass(frozen=True)
class _Run:
    """Everything that an epoch needs.

    Attributes:
        options: training options.
        state: network, optimiser and history.
        network: network to call in training; averages gradients over processes.
        loss_weight: (window, window), weights of the pixels, mean 1.
        steps_per_epoch: batches of the epoch at hand.
        device: device of the network.
        copies: of the network, in threads of their own; None for none.
    """

    options: TrainingOptions
    state: TrainingState
    network: nn.Module
    loss_weight: torch.Tensor
    steps_per_epoch: int
    device: torch.device
    copies: Replicas | None = None

    def learning_rate(self, epoch: int, step: int) -> float:
        """Learning rate at a step of an epoch, both counted from 0.

        Each epoch is an equal part of the schedule, however many steps it has.
        """
        recipe, steps = self.options.recipe, self.steps_per_epoch
        if recipe.schedule is Schedule.CONSTANT:
            return recipe.learning_rate
        done = epoch * steps + step
        return recipe.learning_rate * one_cycle(done, self.options.epochs * steps)

    def curve(self) -> list[EpochErrors]:
        """Errors of all epochs so far."""
        return [
            EpochErrors(
                epoch=epoch + 1,
                learning_rate=self.learning_rate(epoch, self.steps_per_epoch - 1),
                **errors,
            )
            for epoch, errors in enumerate(self.state.history)
        ]


def train(
    supply: FrameSupply,
    options: TrainingOptions,
    checkpoint: Path,
    *,
    resume: bool = False,
    initial: Path | None = None,
    tensorboard: Path | None = None,
    device: torch.device = PROCESSOR,
    copies: int = 1,
    progress: Progress,
) -> TrainingRecord:
    """Train a network; writes `checkpoint` after every epoch, and the errors to a CSV beside it.

    Args:
        supply: source of the batches.
        options: training options.
        checkpoint: file written after every epoch.
        resume: resume from `checkpoint` if it exists; if it is complete, nothing is done.
        initial: checkpoint of the same model whose weights to start from.
        tensorboard: folder for event files; None for none.
        device: device to train on.
        copies: of the network, each of which takes a share of every batch in a thread of its own;
            on the processor only.
        progress: notified of every batch and epoch.

    Raises:
        TrainingError: if the loss becomes NaN or infinite, a batch does not fit in the device's
            memory, or the options are inconsistent.
        CheckpointError: if a checkpoint to resume or start from does not match.
    """
    here = this_rank()
    if options.batch_size < here.count:
        raise TrainingError(
            f"{options.batch_size} frames per batch are too few for {here.count} processes; give a "
            "larger --batch-size"
        )
    state = start(options, supply.instrument, initial)
    state.network.to(device)
    settings = {**options.settings(), "data": supply.describe()}
    if resume and checkpoint.exists():
        begun = read_checkpoint(checkpoint, written_over=True)
        restore(state, begun, settings, checkpoint)
        if begun.record.device != device.type and state.epoch < options.epochs:
            progress.moved(begun.record.device, device.type)
    if not here.agree(state.epoch):
        raise CheckpointError(
            f"{checkpoint}: not every process finds the same; name a folder that all machines share"
        )
    record = _record(state, options, settings, device)
    if state.epoch >= options.epochs:
        progress.nothing_left()
        return record
    run = _run(state, supply, options, device)
    with ExitStack() as opened:
        board = None
        if tensorboard is not None and here.first:
            board = opened.enter_context(closing(TensorBoard(tensorboard, run.curve())))
        run = replace(run, copies=opened.enter_context(replicas(state.network, copies)))
        held_out = list(supply.validation(options.validation_frames, options.batch_size))
        while state.epoch < options.epochs:
            run = replace(run, steps_per_epoch=_steps(supply, options))
            # Closed in any case, so that no worker goes on simulating after Ctrl-C.
            with closing(supply.epoch(state.epoch, options.batch_size)) as batches:
                _epoch(run, progress.steps(batches, state.epoch), held_out)
            record = _record(state, options, settings, device)
            if here.first:
                with together():
                    write_checkpoint(checkpoint, record, supply.instrument, tensors(state))
                    write_curve(curve_path(checkpoint), run.curve())
            if board is not None:
                board.add(run.curve()[-1])
            progress.epoch(state.epoch, state.history[-1])
    return record


def seconds_per_frame(
    supply: FrameSupply,
    options: TrainingOptions,
    batches: Sequence[Batch],
    device: torch.device = PROCESSOR,
    copies: int = 1,
) -> float:
    """Time of training on a frame that is there, measured with weights that are thrown away.

    Args:
        supply: source of the batches.
        options: training options.
        batches: to train on; the first two only warm up.
        device: device to train on.
        copies: as for `train`.

    Raises:
        TrainingError: if a batch does not fit in the device's memory.
    """
    state = start(options, supply.instrument)
    state.network.to(device)
    began_s = time.perf_counter()
    with replicas(state.network, copies) as together:
        run = replace(_run(state, supply, options, device), copies=together)
        for step, batch in enumerate(batches):
            if step == _WARMING_BATCHES:
                began_s = time.perf_counter()
            _step(run, batch, step)
    frames = sum(len(batch.counts) for batch in batches[_WARMING_BATCHES:])
    return (time.perf_counter() - began_s) / frames


def validate(
    network: CountsNetwork, batches: Iterable[Batch], weight: torch.Tensor
) -> tuple[float, float]:
    """Weighted mean absolute errors (amplitude, phase_rad) over the batches, in evaluation mode.

    Runs on the device of `weight`; of several processes each takes every n-th batch.
    """
    network.eval()
    here = this_rank()
    totals = torch.zeros(3, dtype=torch.float64)
    with torch.inference_mode():
        for batch in islice(batches, here.rank, None, here.count):
            own = batch.on(weight.device)
            errors = weighted_mae(network(own.counts), (own.amplitude, own.phase_rad), weight)
            totals[:2] += torch.stack(errors).double().cpu() * len(own.counts)
            totals[2] += len(own.counts)
    network.train()
    sums = here.summed(totals)
    amplitude, phase_rad = (sums[:2] / sums[2]).tolist()
    return amplitude, phase_rad


def one_cycle(step: int, steps: int) -> float:
    """One-cycle schedule: learning rate relative to the peak, half a cosine up, then half one down.

    Smith & Topin (2019), with the cosine of Loshchilov & Hutter (ICLR 2017, eq. 5).
    """
    rise = _RISE * steps
    if step < rise:
        return 0.5 - 0.5 * math.cos(math.pi * (step + 1) / (rise + 1))
    return 0.5 + 0.5 * math.cos(math.pi * (step - rise) / (steps - rise))


def _epoch(run: _Run, batches: Iterable[Batch], held_out: Iterable[Batch]) -> None:
    """Train on all batches once, then validate; appends the errors to the history."""
    started = time.perf_counter()
    state = run.state
    run.network.train()
    if run.copies is not None:
        run.copies.train()
    if run.options.freeze_norm:
        for network in (state.network,) if run.copies is None else run.copies.all:
            for module in network.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
    total, frames = 0.0, 0
    try:
        for step, batch in enumerate(batches):
            total += _step(run, batch, step) * len(batch.counts)
            frames += len(batch.counts)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{run.options.batch_size} frames per batch do not fit into the GPU's memory; give "
            "a smaller --batch-size, or --device cpu"
        ) from error
    average_statistics(state.network.network)
    if run.copies is not None:
        run.copies.average_statistics()
    amplitude, phase_rad = validate(state.network, held_out, run.loss_weight)
    state.epoch += 1
    state.history.append(
        {
            "frames": frames,
            "training_loss": total / frames,
            "validation_amplitude_mae": amplitude,
            "validation_phase_mae_rad": phase_rad,
            "seconds": round(time.perf_counter() - started, 1),
        }
    )


def _step(run: _Run, batch: Batch, step: int) -> float:
    """The epoch's `step` on a whole batch; returns the batch's mean loss before it."""
    state = run.state
    state.optimizer.zero_grad(set_to_none=True)
    if run.copies is None:
        mean = _backward(run, batch)
    else:
        mean = run.copies.backward(batch, partial(_loss, run))
    if not math.isfinite(mean):
        raise TrainingError(
            f"the loss is {mean} in epoch {state.epoch + 1}: lower the learning rate"
        )
    for group in state.optimizer.param_groups:
        group["lr"] = run.learning_rate(state.epoch, step)
    torch.nn.utils.clip_grad_norm_(state.network.parameters(), run.options.recipe.clip_norm)
    state.optimizer.step()
    state.step += 1
    return mean


def _backward(run: _Run, batch: Batch) -> float:
    """Gradients of a batch's mean loss, of which each process takes a share; gives that loss."""
    here = this_rank()
    own, share = here.share(batch)
    loss = _loss(run, run.network, own.on(run.device)) * share
    mean = here.summed(loss.detach().clone()).item() / here.count
    loss.backward()  # type: ignore[no-untyped-call]
    return mean


def _loss(run: _Run, network: nn.Module, batch: Batch) -> torch.Tensor:
    """Mean loss of a batch."""
    counts = batch.counts.contiguous(memory_format=torch.channels_last)
    said, label = network(counts), (batch.amplitude, batch.phase_rad)
    amplitude_error, phase_error = weighted_mae(said, label, run.loss_weight)
    if run.options.recipe.phase_error is PhaseError.CHORD:
        phase_error = weighted_chord(said[1], batch.phase_rad, run.loss_weight)
    return amplitude_error + phase_error


def _run(
    state: TrainingState, supply: FrameSupply, options: TrainingOptions, device: torch.device
) -> _Run:
    return _Run(
        options=options,
        state=state,
        network=data_parallel(state.network),
        loss_weight=_loss_weight(supply, options).to(device),
        steps_per_epoch=_steps(supply, options),
        device=device,
    )


def _steps(supply: FrameSupply, options: TrainingOptions) -> int:
    """Batches of the next epoch."""
    return -(-supply.frames_per_epoch // options.batch_size)


def _loss_weight(supply: FrameSupply, options: TrainingOptions) -> torch.Tensor:
    weight = torch.from_numpy(supply.instrument.weight)
    uniform = options.recipe.weighting is Weighting.UNIFORM
    return torch.ones_like(weight) if uniform else weight


def _record(
    state: TrainingState,
    options: TrainingOptions,
    settings: dict[str, Any],
    device: torch.device,
) -> TrainingRecord:
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return TrainingRecord(
        options.network, state.epoch, now.isoformat(), settings, list(state.history), device.type
    )
