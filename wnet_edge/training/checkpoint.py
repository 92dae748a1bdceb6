"""Checkpoints: weights, optimiser and random state in one safetensors file, no pickle.

Tensors are `model.*`, `optimizer.*`, `rng.*` and `probe`; the rest is JSON in the file's metadata.
Written atomically after every epoch, so that an interruption leaves the previous one.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from wnet_edge.errors import CheckpointError, SimulationError
from wnet_edge.host.inputs import input_file
from wnet_edge.host.outputs import replacing
from wnet_edge.models.registry import (
    CountsNetwork,
    ModelName,
    NetworkInput,
    NetworkSpec,
    build,
)
from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.checkpoint_metadata import MAX_METADATA_BYTES, check_metadata

SCHEMA_VERSION = 2
_METADATA_KEY = "wnet_edge"
MAX_CHECKPOINT_BYTES = 1 << 30
"""Largest checkpoint file: that of the widest network with its optimiser state."""

_DAMAGE = (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError, SimulationError)
"""Exceptions raised on reading a damaged checkpoint."""


@dataclass(frozen=True)
class TrainingRecord:
    """Metadata of a checkpoint.

    Attributes:
        network: specification of the network.
        epoch: number of completed epochs.
        created: ISO 8601 time in UTC at which the epoch ended.
        settings: training settings, which must be unchanged to resume and which export records.
        history: one entry per epoch, with the validation errors.
        device: kind of device that the last epoch was trained on.
    """

    network: NetworkSpec
    epoch: int
    created: str
    settings: dict[str, Any]
    history: list[dict[str, float]] = field(default_factory=list)
    device: str = "cpu"


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as read: metadata, the instrument it is for, and tensors by name."""

    record: TrainingRecord
    instrument: Instrument
    tensors: dict[str, torch.Tensor]


def write_checkpoint(
    path: Path,
    record: TrainingRecord,
    instrument: Instrument,
    tensors: dict[str, torch.Tensor],
) -> None:
    """Write a checkpoint atomically, replacing an existing one.

    Raises:
        CheckpointError: if the file can't be written.
    """
    described = asdict(instrument)
    probe = torch.view_as_real(torch.from_numpy(described.pop("probe")))
    metadata = {"schema_version": SCHEMA_VERSION, **asdict(record), "instrument": described}
    data = save(
        {
            name: tensor.detach().cpu().contiguous()
            for name, tensor in {**tensors, "probe": probe}.items()
        },
        metadata={_METADATA_KEY: json.dumps(metadata, sort_keys=True)},
    )
    with replacing(path, CheckpointError, force=True) as temporary:
        temporary.write_bytes(data)


def read_checkpoint(path: Path, *, written_over: bool = False) -> Checkpoint:
    """Read and check a checkpoint, which outputs must not overwrite unless `written_over`.

    Raises:
        CheckpointError: if the file is missing, damaged, or not a checkpoint of wnet-edge.
    """
    if not written_over:
        input_file(path, CheckpointError, "name a checkpoint")
    try:
        if path.stat().st_size > MAX_CHECKPOINT_BYTES:
            raise ValueError("larger than any network here")
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {})[_METADATA_KEY]
            if len(text) > MAX_METADATA_BYTES:
                raise ValueError("its metadata are too large")
            metadata = json.loads(text)
            if isinstance(metadata, dict) and metadata.pop("schema_version") != SCHEMA_VERSION:
                raise CheckpointError(f"{path}: written by another version; train again or upgrade")
            check_metadata(metadata)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata["network"] = _spec(metadata["network"])
        probe = torch.view_as_complex(tensors.pop("probe")).numpy()
        instrument = Instrument(probe=probe, **metadata.pop("instrument"))
        return Checkpoint(TrainingRecord(**metadata), instrument, tensors)
    except _DAMAGE as error:
        raise CheckpointError(
            f"{path}: not a wnet-edge checkpoint, or damaged ({error})"
        ) from error


def load_network(path: Path, *, written_over: bool = False) -> tuple[CountsNetwork, Checkpoint]:
    """Load the trained network in evaluation mode, and its checkpoint, as `read_checkpoint`.

    Raises:
        CheckpointError: as `read_checkpoint`, and if the weights are of another network.
    """
    checkpoint = read_checkpoint(path, written_over=written_over)
    instrument = checkpoint.instrument
    network = build(
        checkpoint.record.network, seed=0, probe=instrument.probe, window_px=instrument.window_px
    )
    load_weights(network, checkpoint, path)
    return network.eval(), checkpoint


def load_weights(network: CountsNetwork, checkpoint: Checkpoint, path: Path) -> None:
    """Copy the `model.*` tensors into the network.

    Raises:
        CheckpointError: if they are of another network, or not finite.
    """
    weights = select(checkpoint.tensors, "model.")
    if not all(bool(torch.isfinite(weight).all()) for weight in weights.values()):
        raise CheckpointError(f"{path}: holds weights that are not finite numbers; train again")
    try:
        network.network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{path}: its weights do not fit {checkpoint.record.network.model.value} as this "
            "version builds it; train again"
        ) from error


def _spec(values: dict[str, Any]) -> NetworkSpec:
    return NetworkSpec(
        ModelName(values["model"]), NetworkInput(values["input"]), float(values["width"])
    )


def select(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Tensors whose name begins with `prefix`, by name without it."""
    return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
