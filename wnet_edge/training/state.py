"""Training state (network, optimiser, history), and its conversion to and from a checkpoint."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wnet_edge.errors import CheckpointError, TrainingError
from wnet_edge.models.dynamo import no_compiler_folder
from wnet_edge.models.registry import CountsNetwork, NetworkSpec, build
from wnet_edge.physics.instrument import Instrument
from wnet_edge.training.checkpoint import Checkpoint, load_weights, read_checkpoint, select
from wnet_edge.training.options import TrainingOptions


@dataclass
class TrainingState:
    """Mutable state of a training.

    Attributes:
        network: network being trained.
        optimizer: optimiser of its parameters.
        epoch: number of completed epochs.
        step: number of completed batches.
        history: one entry per epoch, with its errors.
    """

    network: CountsNetwork
    optimizer: torch.optim.AdamW
    epoch: int
    step: int
    history: list[dict[str, float]]


def start(
    options: TrainingOptions, instrument: Instrument, initial: Path | None = None
) -> TrainingState:
    """Initial state, with random weights or those of the checkpoint `initial`.

    Raises:
        CheckpointError: if `initial` is damaged or of another network.
        TrainingError: if batch norms are to be frozen and the network has none.
    """
    network = build(
        options.network,
        seed=options.seed,
        probe=instrument.probe,
        window_px=instrument.window_px,
    )
    recipe = options.recipe
    if options.freeze_norm and not any(isinstance(m, nn.BatchNorm2d) for m in network.modules()):
        raise TrainingError(
            f"{options.network.model.value} has no batch norms to freeze; leave out --freeze-norm"
        )
    if initial is not None:
        begun = read_checkpoint(initial)
        if begun.record.network != options.network:
            raise CheckpointError(
                f"{initial}: holds {_named(begun.record.network)}, not {_named(options.network)}"
            )
        load_weights(network, begun, initial)
    # Depthwise convolutions train several times faster in this memory layout on a CPU.
    network.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return TrainingState(
        network, optimizer_for(network, recipe.learning_rate, recipe.weight_decay), 0, 0, []
    )


def tensors(state: TrainingState) -> dict[str, torch.Tensor]:
    """Tensors of the state that a checkpoint stores, by name."""
    found = {f"model.{n}": t for n, t in state.network.network.state_dict().items()}
    for index, values in state.optimizer.state_dict()["state"].items():
        found |= {f"optimizer.{index}.{name}": value for name, value in values.items()}
    found["rng.torch"] = torch.get_rng_state()
    return found


def restore(
    state: TrainingState, checkpoint: Checkpoint, settings: dict[str, Any], path: Path
) -> None:
    """Restore the state of a checkpoint, to resume exactly where it stopped.

    Raises:
        CheckpointError: if it was trained with other settings, or its weights do not match.
    """
    check_unchanged(checkpoint.record.settings, settings, path)
    load_weights(state.network, checkpoint, path)
    try:
        _restore_optimizer(state, checkpoint)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: lacks the optimiser's state, as released weights do, or holds another's; "
            "start from its weights with --init"
        ) from error
    state.epoch = checkpoint.record.epoch
    state.history = list(checkpoint.record.history)


def check_unchanged(trained: dict[str, Any], settings: dict[str, Any], path: Path) -> None:
    """See that a checkpoint was trained with these settings.

    Raises:
        CheckpointError: naming those that differ.
    """
    changed = sorted(k for k in {*settings, *trained} if trained.get(k) != settings.get(k))
    if changed:
        raise CheckpointError(
            f"{path}: trained with a different {', '.join(changed)}; resume with the same options, "
            "or start from its weights with --init"
        )


def _restore_optimizer(state: TrainingState, checkpoint: Checkpoint) -> None:
    """Restore optimiser state, step and random state; raises any exception for damaged tensors."""
    optimizer: dict[str, Any] = state.optimizer.state_dict()
    values: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in select(checkpoint.tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        values.setdefault(int(index), {})[key] = tensor
    groups = state.optimizer.param_groups
    shapes = [parameter.shape for group in groups for parameter in group["params"]]
    if sorted(values) != list(range(len(shapes))):
        raise ValueError("other parameters")
    for number, shape in enumerate(shapes):
        if any(values[number][key].shape != shape for key in ("exp_avg", "exp_avg_sq")):
            raise ValueError("other shapes")
    optimizer["state"] = values
    state.optimizer.load_state_dict(optimizer)
    state.step = int(values[0]["step"].item())
    torch.set_rng_state(checkpoint.tensors["rng.torch"])


def _named(spec: NetworkSpec) -> str:
    return f"{spec.model.value} on the {spec.input.value} input, width {spec.width:g}"


def optimizer_for(
    network: CountsNetwork, learning_rate: float, weight_decay: float
) -> torch.optim.AdamW:
    """AdamW without weight decay on biases and normalisation gains, as in ConvNeXt's recipe."""
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    with no_compiler_folder():
        return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay)
