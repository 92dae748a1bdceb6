"""Networks by name, and the one shape in which all of them are trained and exported.

`build` gives counts in, amplitude and phase out: the normalisation of `wnet_edge.preprocess` and
the amplitude's range are part of the module, so that the exported graph is fed raw counts.
"""

from collections.abc import Callable
from enum import Enum

import torch
from torch import nn

from wnet_edge.models.ptychonn import PtychoNN, PtychoNNConfig
from wnet_edge.models.w3 import W3, W3Config

AMPLITUDE_CEILING = 2.0
"""Largest amplitude a head can say; labels have an illumination-weighted RMS of 1."""


class ModelName(str, Enum):
    """Networks that can be built."""

    PTYCHONN = "ptychonn"
    W3 = "w3"


_BUILDERS: dict[ModelName, Callable[[], nn.Module]] = {
    ModelName.PTYCHONN: lambda: PtychoNN(PtychoNNConfig()),
    ModelName.W3: lambda: W3(W3Config()),
}


class CountsNetwork(nn.Module):
    """A network behind its normalisation: counts to amplitude and phase.

    Attributes:
        network: what is trained; its parameters are the model's parameters.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Counts (B, 1, H, W) float32, masked pixels negative, to amplitude and phase_rad.

        Both outputs are (B, 1, H, W) float32; amplitude is relative to the patch's
        illumination-weighted RMS.
        """
        amplitude, phase_rad = self.network(normalise(counts))
        return AMPLITUDE_CEILING * amplitude, phase_rad


def normalise(counts: torch.Tensor) -> torch.Tensor:
    """Torch twin of `wnet_edge.preprocess.normalise`: sqrt(counts / mean over unmasked pixels)."""
    valid = (counts >= 0).to(counts.dtype)
    kept = torch.relu(counts)
    pixels = valid.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
    mean = kept.sum(dim=(2, 3), keepdim=True) / pixels
    return torch.sqrt(kept / mean.clamp(min=1e-12))


def build(model: ModelName, *, seed: int) -> CountsNetwork:
    """A network with weights drawn from `seed`; the global random state stays as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CountsNetwork(_BUILDERS[model]())


def parameter_count(network: nn.Module) -> int:
    """Trainable parameters, before any folding."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
