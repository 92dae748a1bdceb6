"""Self-supervised fine-tuning of a trained network on one scan, without labels.

Adam (Kingma & Ba, ICLR 2015) on the misfit of `wnet_edge.training.live_image`, the learning rate
falling along half a cosine, batch norms frozen; the image is stitched anew for every epoch. After
each the R-factor of held-out frames is measured. Unless it has fallen at the end, no checkpoint is
written. An unfinished training lies in a file of its own, which every epoch replaces; from there it
resumes reproducibly.
"""

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch

from wnet_edge.errors import CheckpointError, ScanError, TrainingError
from wnet_edge.host.outputs import together
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.training.checkpoint import (
    Checkpoint,
    TrainingRecord,
    load_network,
    read_checkpoint,
    write_checkpoint,
)
from wnet_edge.training.curves import EpochFit, curve_path, write_curve
from wnet_edge.training.live_image import LiveImage, patches_of
from wnet_edge.training.progress import Progress
from wnet_edge.training.state import (
    TrainingState,
    check_unchanged,
    optimizer_for,
    restore,
    tensors,
)
from wnet_edge.training.unlabelled import UnlabelledFrames

SOURCE = "self-supervised"
"""Source of the training data in a checkpoint's record."""

_CLIP_NORM = 1.0
_SUFFIX = ".safetensors"
_HISTORY = {"training_loss", "held_out_r_factor", "seconds"}
_FEWEST_NEIGHBOURS = 2
_NOT_OURS = "is no self-supervised training; name another -o, or replace it with --force"


@dataclass(frozen=True)
class SelfSupervisedOptions:
    """All that affects the weights, besides the network and the scan.

    Attributes:
        epochs: number of epochs.
        learning_rate: of the first epoch.
        neighbours: neighbouring frames per step.
        seed: seed of the order of the frames.
    """

    epochs: int = 12
    learning_rate: float = 1e-4
    neighbours: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't train."""
        if self.epochs < 1 or self.neighbours < _FEWEST_NEIGHBOURS:
            raise TrainingError("self-supervised training needs 1 epoch and 2 frames per step")
        if not 0 < self.learning_rate < 1:
            raise TrainingError(f"a learning rate is between 0 and 1, not {self.learning_rate:g}")

    def settings(self) -> dict[str, Any]:
        """Settings that must be unchanged to resume, as JSON values."""
        recipe = {"name": "stitched", "learning_rate": self.learning_rate, "clip_norm": _CLIP_NORM}
        return {
            "epochs": self.epochs,
            "batch_size": self.neighbours,
            "seed": self.seed,
            "recipe": recipe,
            "freeze_norm": True,
        }

    def rate(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0 (Loshchilov & Hutter, ICLR 2017, eq. 5)."""
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * epoch / self.epochs))


@dataclass(frozen=True)
class Start:
    """Where a training starts: with trained weights, or after an epoch of its own.

    Attributes:
        file: that it was read from.
        checkpoint: its content; the instrument is that of the scan, too.
        network: with its weights.
        resumed: whether it is an unfinished training.
    """

    file: Path
    checkpoint: Checkpoint
    network: CountsNetwork
    resumed: bool

    @classmethod
    def of(cls, file: Path, *, resumed: bool) -> "Start":
        """Read a checkpoint; an unfinished one may be written over.

        Raises:
            CheckpointError: if it is missing, damaged, or to be resumed and not of this kind.
        """
        network, checkpoint = load_network(file, written_over=resumed)
        if resumed and not _is_ours(checkpoint.record, ("r_factor_before",)):
            raise CheckpointError(f"{file}: {_NOT_OURS}")
        return cls(file, checkpoint, network, resumed)


@dataclass(frozen=True)
class Tuned:
    """A finished training.

    Attributes:
        record: of the checkpoint.
        before: R-factor of the held-out frames with the weights that it started from.
        after: with those that it ended with.
    """

    record: TrainingRecord
    before: float
    after: float


def unfinished_path(checkpoint: Path) -> Path:
    """Path of the unfinished training: NAME.unfinished.safetensors beside NAME.safetensors."""
    return checkpoint.with_name(f"{checkpoint.name.removesuffix(_SUFFIX)}.unfinished{_SUFFIX}")


def tune(
    frames: UnlabelledFrames,
    options: SelfSupervisedOptions,
    checkpoint: Path,
    *,
    start: Start,
    turns: Mapping[str, str],
    device: torch.device,
    progress: Progress,
) -> Tuned:
    """Train on a scan; writes `checkpoint` and a CSV beside it if the held-out frames gain.

    Args:
        frames: of the scan.
        options: training options.
        checkpoint: file to write at the end.
        start: weights to start from, or unfinished training to resume.
        turns: orientations applied to frames and positions, by name; identities are omitted.
        device: device to train on.
        progress: notified of every step and epoch.

    Raises:
        ScanError: if the scan has too few frames whose probe the image covers.
        TrainingError: if the loss becomes NaN or infinite, or the R-factor of the held-out frames
            does not fall.
        CheckpointError: if `start` is of another training, or a file can't be written.
    """
    network = start.network.to(device)
    image = LiveImage(frames.training, device)
    if len(image.usable) < options.neighbours:
        raise ScanError(
            f"{frames.scan.path}: the image covers the probe of {len(image.usable)} of the "
            f"{len(frames.training.numbers)} frames to train on, and a step takes "
            f"{options.neighbours}; take a larger scan, or give a smaller --batch-size"
        )
    state = TrainingState(network, optimizer_for(network, options.learning_rate, 0.0), 0, 0, [])
    trained = start.checkpoint.record
    settings = _settings(frames, options, start, turns)
    if start.resumed:
        settings |= {name: trained.settings.get(name) for name in ("initial", "held_out")}
        restore(state, start.checkpoint, settings, start.file)
    else:
        before, compared = frames.held_out_fit(network, device)
        settings["held_out"] = {"frames": compared, "r_factor_before": before}
    told = settings["held_out"]
    progress.held_out(told["frames"], told["r_factor_before"])
    unfinished = unfinished_path(checkpoint)
    while state.epoch < options.epochs:
        _epoch(state, frames, image, options, progress)
        record = _record(trained, state, settings, device)
        write_checkpoint(unfinished, record, start.checkpoint.instrument, tensors(state))
        progress.fit(state.epoch, state.history[-1])
    before, after = told["r_factor_before"], state.history[-1]["held_out_r_factor"]
    if not after < before:
        unfinished.unlink()
        raise TrainingError(
            f"{checkpoint}: not written, for the R-factor of the held-out frames went from "
            f"{before:.4f} to {after:.4f}; refine images of this scan instead, with "
            "`wnet-edge infer --refine`"
        )
    settings["held_out"] = {**told, "r_factor_after": after}
    record = _record(trained, state, settings, device)
    rows = [
        EpochFit(epoch=epoch, learning_rate=options.rate(epoch - 1), **values)
        for epoch, values in enumerate(state.history, 1)
    ]
    with together():
        write_checkpoint(checkpoint, record, start.checkpoint.instrument, tensors(state))
        write_curve(curve_path(checkpoint), rows)
    unfinished.unlink()
    return Tuned(record, before, after)


def finished(checkpoint: Path, options: SelfSupervisedOptions) -> Tuned:
    """What a checkpoint that `tune` wrote says of itself.

    Raises:
        CheckpointError: if the file is damaged, of another kind, or trained with other options.
    """
    record = read_checkpoint(checkpoint, written_over=True).record
    if not _is_ours(record, ("r_factor_before", "r_factor_after")):
        raise CheckpointError(f"{checkpoint}: {_NOT_OURS}")
    told = record.settings["held_out"]
    check_unchanged(record.settings, {**record.settings, **options.settings()}, checkpoint)
    return Tuned(record, told["r_factor_before"], told["r_factor_after"])


def _is_ours(record: TrainingRecord, r_factors: tuple[str, ...]) -> bool:
    """Whether a record, which may be anybody's, is of such a training, with these R-factors."""
    told = record.settings.get("held_out")
    return (
        record.settings["data"]["source"] == SOURCE
        and isinstance(told, dict)
        and all(type(told.get(name)) in (int, float) for name in ("frames", *r_factors))
        and all(entry.keys() == _HISTORY for entry in record.history)
    )


def _epoch(
    state: TrainingState,
    frames: UnlabelledFrames,
    image: LiveImage,
    options: SelfSupervisedOptions,
    progress: Progress,
) -> None:
    """Stitch, train once around randomly drawn frames, then judge; appends to the history."""
    started = time.perf_counter()
    network = state.network.eval()  # batch norms keep their statistics
    device = next(network.parameters()).device
    part = frames.training
    image.renew(patches_of(network, part.counts, device))
    for group in state.optimizer.param_groups:
        group["lr"] = options.rate(state.epoch)
    rng = np.random.default_rng([options.seed, state.epoch])
    centres = rng.permutation(image.usable)[:: options.neighbours].tolist()
    losses = []
    for centre in progress.steps(centres, state.epoch):
        near = image.neighbours(centre, options.neighbours)
        counts = torch.from_numpy(part.counts[near]).to(device)
        loss = image.misfit(network(counts), near)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise TrainingError(
                f"the loss is {losses[-1]} in epoch {state.epoch + 1}: lower the learning rate"
            )
        state.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), _CLIP_NORM)
        state.optimizer.step()
        state.step += 1
    r_factor, _ = frames.held_out_fit(network, device)
    state.epoch += 1
    state.history.append(
        {
            "training_loss": float(np.mean(losses)),
            "held_out_r_factor": r_factor,
            "seconds": round(time.perf_counter() - started, 1),
        }
    )


def _settings(
    frames: UnlabelledFrames,
    options: SelfSupervisedOptions,
    start: Start,
    turns: Mapping[str, str],
) -> dict[str, Any]:
    """What the record says, and what must be unchanged to resume."""
    scan, trained = frames.scan, start.checkpoint.record.settings
    data: dict[str, Any] = {
        "source": SOURCE,
        "file": scan.path.name,
        "frames": scan.frame_count,
        "frames_per_epoch": len(frames.training.numbers),
        "sha256": scan.sha256,
        "probe_sha256": frames.instrument.probe_sha256,
        **turns,
    }
    if "detector" in trained["data"]:
        # The flux that the network knows is still that of its first training.
        data["detector"] = trained["data"]["detector"]
    content = hashlib.sha256(start.file.read_bytes()).hexdigest()
    return {
        **options.settings(),
        "network": trained["network"],
        "data": data,
        "initial": {"file": start.file.name, "sha256": content},
    }


def _record(
    trained: TrainingRecord,
    state: TrainingState,
    settings: dict[str, Any],
    device: torch.device,
) -> TrainingRecord:
    now = datetime.now(timezone.utc).replace(microsecond=0).isoformat()
    history = list(state.history)
    return TrainingRecord(trained.network, state.epoch, now, settings, history, device.type)
