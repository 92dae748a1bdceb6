"""Every shape trained the same way, on the same frames, and its errors.

The frames are simulated once with the probe of the embedded scan and kept in files that all shapes
read, in one order; validation is on frames of other objects, and on the selection strip of the
measured scan against labels cut from its iterative reconstruction.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.search_w3.shapes import Shape, build_shape
from benchmarks.study.plan import WINDOW_PX
from benchmarks.study.scan247 import Scan247, open_scan247
from wnet_edge.calibration.split import split_by_region
from wnet_edge.errors import SimulationError
from wnet_edge.host.outputs import replacing
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.batch import Batch
from wnet_edge.training.loop import one_cycle, validate
from wnet_edge.training.loss import weighted_mae
from wnet_edge.training.options import RECIPES, RecipeName
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions
from wnet_edge.training.state import optimizer_for

BATCH_FRAMES = 32
RECIPE = RECIPES[RecipeName.FAST]
_SIMULATION_SEED = 0


@dataclass(frozen=True)
class SearchFrames:
    """What all shapes are trained and judged on.

    Attributes:
        instrument: of the embedded scan.
        training: (N, 3, H, W) float32: counts, amplitude, phase_rad; memory-mapped.
        validation: the same of held-out objects.
        selection: the same of the selection strip, labels from the reference.
        sha256: of what the simulated frames are made of.
    """

    instrument: Instrument
    training: NDArray[np.float32]
    validation: NDArray[np.float32]
    selection: NDArray[np.float32]
    sha256: str


@dataclass(frozen=True)
class Errors:
    """Illumination-weighted mean absolute errors, on simulated frames and the selection strip."""

    simulated_phase_mae_rad: float
    simulated_amplitude_mae: float
    measured_phase_mae_rad: float
    measured_amplitude_mae: float


def search_frames(folder: Path, frames: int, validation_frames: int) -> SearchFrames:
    """Frames from the files in `folder`, simulated first where they are not there."""
    scan = open_scan247()
    supply = SimulatedFrames(
        scan.instrument, SimulationOptions(frames_per_epoch=frames), seed=_SIMULATION_SEED
    )
    described = json.dumps([supply.describe(), validation_frames], sort_keys=True)
    sha256 = hashlib.sha256(described.encode()).hexdigest()
    folder.mkdir(parents=True, exist_ok=True)
    training, validation = (folder / f"{name}-{sha256[:8]}.npy" for name in ("train", "validate"))
    if not training.exists():
        _store(training, supply.epoch(0, BATCH_FRAMES), frames)
    if not validation.exists():
        _store(validation, supply.validation(validation_frames, BATCH_FRAMES), validation_frames)
    return SearchFrames(
        scan.instrument,
        np.load(training, mmap_mode="r"),
        np.load(validation, mmap_mode="r"),
        _selection_strip(scan),
        sha256,
    )


def train_shape(shape: Shape, frames: SearchFrames, *, seed: int) -> tuple[CountsNetwork, Errors]:
    """One pass over the training frames with the product's fast recipe."""
    network = build_shape(shape, seed=seed, probe=frames.instrument.probe, window_px=WINDOW_PX)
    # Depthwise convolutions train several times faster in this memory layout on a CPU.
    network.network.to(memory_format=torch.channels_last)
    optimizer = optimizer_for(network, RECIPE.learning_rate, RECIPE.weight_decay)
    weight = torch.from_numpy(frames.instrument.weight)
    steps = -(-len(frames.training) // BATCH_FRAMES)
    network.train()
    for step, batch in enumerate(_batches(frames.training)):
        for group in optimizer.param_groups:
            group["lr"] = RECIPE.learning_rate * one_cycle(step, steps)
        errors = weighted_mae(network(batch.counts), (batch.amplitude, batch.phase_rad), weight)
        optimizer.zero_grad(set_to_none=True)
        sum(errors).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), RECIPE.clip_norm)
        optimizer.step()
    simulated_amplitude, simulated_phase_rad = validate(
        network, _batches(frames.validation), weight
    )
    measured_amplitude, measured_phase_rad = validate(network, _batches(frames.selection), weight)
    return network.eval(), Errors(
        simulated_phase_mae_rad=simulated_phase_rad,
        simulated_amplitude_mae=simulated_amplitude,
        measured_phase_mae_rad=measured_phase_rad,
        measured_amplitude_mae=measured_amplitude,
    )


def _batches(frames: NDArray[np.float32]) -> Iterator[Batch]:
    for start in range(0, len(frames), BATCH_FRAMES):
        part = torch.from_numpy(np.array(frames[start : start + BATCH_FRAMES]))
        counts = part[:, :1].contiguous(memory_format=torch.channels_last)
        yield Batch(counts, part[:, 1:2], part[:, 2:])


def _store(path: Path, batches: Iterator[Batch], frames: int) -> None:
    """Whole or not at all."""
    with replacing(path, SimulationError, force=True) as temporary:
        stored = np.lib.format.open_memmap(
            temporary, "w+", np.float32, (frames, 3, WINDOW_PX, WINDOW_PX)
        )
        start = 0
        for batch in batches:
            parts = torch.cat([batch.counts, batch.amplitude, batch.phase_rad], dim=1)
            stored[start : start + len(parts)] = parts.numpy()
            start += len(parts)
        stored.flush()


def _selection_strip(scan: Scan247) -> NDArray[np.float32]:
    """Frames of the strip that chooses; the strips that report and calibrate stay unseen."""
    chosen = split_by_region(scan.positions_px, WINDOW_PX).selection
    amplitude, phase_rad = scan.labels(chosen)
    return np.concatenate([scan.counts[chosen], amplitude[:, None], phase_rad[:, None]], axis=1)
