"""Checkpoints: weights, optimiser and random state in one safetensors file, no pickle.

Tensors are `model.*`, `optimizer.*` and `rng.*`; the rest is JSON in the file's metadata. Written
after every epoch, beside the target and renamed, so that an interruption leaves the last whole one.
"""

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from wnet_edge.errors import CheckpointError
from wnet_edge.models.registry import CountsNetwork, ModelName, build

SCHEMA_VERSION = 1
_METADATA_KEY = "wnet_edge"


@dataclass(frozen=True)
class TrainingRecord:
    """What a checkpoint says of itself.

    Attributes:
        model: which network.
        epoch: epochs completed.
        created: ISO 8601 time in UTC at which the epoch ended.
        settings: everything that resuming must find unchanged, and export writes down.
        history: one entry an epoch, with the validation errors.
    """

    model: ModelName
    epoch: int
    created: str
    settings: dict[str, Any]
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: its record and its tensors by name."""

    record: TrainingRecord
    tensors: dict[str, torch.Tensor]


def write_checkpoint(path: Path, record: TrainingRecord, tensors: dict[str, torch.Tensor]) -> None:
    """Write atomically. Tensors are stored as they are, contiguous."""
    metadata = {"schema_version": SCHEMA_VERSION, **asdict(record)}
    data = save(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        metadata={_METADATA_KEY: json.dumps(metadata, sort_keys=True)},
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint.

    Raises:
        CheckpointError: if the file is missing, damaged, or not a checkpoint of ours.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {})[_METADATA_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if metadata.pop("schema_version") != SCHEMA_VERSION:
            raise CheckpointError(f"{path}: written by another version; train again or upgrade")
        metadata["model"] = ModelName(metadata["model"])
        return Checkpoint(TrainingRecord(**metadata), tensors)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: not a wnet-edge checkpoint, or damaged ({error})"
        ) from error


def load_network(path: Path) -> tuple[CountsNetwork, TrainingRecord]:
    """The trained network in evaluation mode, and its record.

    Raises:
        CheckpointError: as `read_checkpoint`, and if the weights are not this network's.
    """
    checkpoint = read_checkpoint(path)
    network = build(checkpoint.record.model, seed=0)
    load_weights(network, checkpoint, path)
    return network.eval(), checkpoint.record


def load_weights(network: CountsNetwork, checkpoint: Checkpoint, path: Path) -> None:
    """Copy the `model.*` tensors into the network.

    Raises:
        CheckpointError: if they are another network's.
    """
    weights = select(checkpoint.tensors, "model.")
    try:
        network.network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: its weights do not fit {checkpoint.record.model.value} as this version "
            "builds it; train again"
        ) from error


def select(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Tensors whose name begins with `prefix`, without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
