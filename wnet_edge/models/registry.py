"""Networks by name, and their common form for training and export: counts to amplitude and phase.

`build` returns a module that includes the normalisation of `wnet_edge.scan.counts`, the
back-projection and the amplitude's range, so that the exported graph takes raw counts.
"""

from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from wnet_edge.models.back_projection import BackProjection
from wnet_edge.models.ptychonn import PtychoNN, PtychoNNConfig
from wnet_edge.models.w1 import W1, W1Config, W2Config
from wnet_edge.models.w3 import FRAME_ONLY, W3, W3Config
from wnet_edge.models.w_net import WNetConfig

Config = TypeVar("Config", bound=WNetConfig)

AMPLITUDE_CEILING = 2.0
"""Largest amplitude of the output; labels have an illumination-weighted RMS of 1."""

MIN_WIDTH, MAX_WIDTH = 0.05, 4.0
"""Range of the factor on the number of channels: a useful network, and one that fits a package."""

_WIDTH_STEP = 4
"""Scaled widths are multiples of this."""


class ModelName(str, Enum):
    """Networks that can be built."""

    PTYCHONN = "ptychonn"
    W1 = "w1"
    W2 = "w2"
    W3 = "w3"


_MODES_SENT_BACK = {ModelName.W3: 2}
"""Number of probe modes that are back-projected, if not all: each takes 8 % of W3's time
(docs/w3_search.md)."""


class NetworkInput(str, Enum):
    """Input channels of a network."""

    FRAME = "frame"
    BACK_PROJECTED = "back-projected"


@dataclass(frozen=True)
class NetworkSpec:
    """Specification of a network to build.

    Attributes:
        model: name of the network.
        input: the frame alone, as published, or with its back-projection; with the latter the
            W-Nets' decoders have skip connections from the encoder.
        width: factor on all numbers of channels, which are rounded to multiples of 4.

    Raises:
        ValueError: if the width is out of range.
    """

    model: ModelName
    input: NetworkInput = NetworkInput.FRAME
    width: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a width out of range."""
        if not MIN_WIDTH <= self.width <= MAX_WIDTH:
            raise ValueError(f"width is {self.width:g}, not within {MIN_WIDTH:g} … {MAX_WIDTH:g}")


class CountsNetwork(nn.Module):
    """A network with its normalisation: counts to amplitude and phase.

    Attributes:
        network: the trained part; its parameters are the model's parameters.
        back_projection: gives the additional input channels; None for the frame alone.
    """

    def __init__(self, network: nn.Module, back_projection: BackProjection | None = None) -> None:
        super().__init__()
        self.network = network
        self.back_projection = back_projection

    def forward(self, counts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Counts (B, 1, H, W) float32, masked pixels negative, to amplitude and phase_rad.

        Both outputs are (B, 1, H, W) float32; amplitude is relative to the patch's
        illumination-weighted RMS.
        """
        valid = (counts >= 0).to(counts.dtype)
        seen = normalise(counts, valid)
        if self.back_projection is not None:
            estimate = self.back_projection(seen, valid)
            seen = torch.cat([seen, estimate], dim=1)
        amplitude, phase_rad = self.network(seen)
        return AMPLITUDE_CEILING * amplitude, phase_rad


def normalise(counts: torch.Tensor, valid: torch.Tensor) -> torch.Tensor:
    """Torch twin of `wnet_edge.scan.counts.normalise`: sqrt(counts / mean over unmasked pixels).

    Counts and `valid`, 1 where a pixel is not masked and 0 where it is: (B, 1, H, W).
    """
    kept = torch.relu(counts)
    pixels = valid.sum(dim=(2, 3), keepdim=True).clamp(min=1.0)
    mean = kept.sum(dim=(2, 3), keepdim=True) / pixels
    return torch.sqrt(kept / mean.clamp(min=1e-12))


def build(
    spec: NetworkSpec, *, seed: int, probe: NDArray[np.complex64], window_px: int
) -> CountsNetwork:
    """Build a network with random initial weights; the global random state is preserved.

    Args:
        spec: network to build.
        seed: seed of the weights.
        probe: (modes, N, N) complex64 in the full window, for the back-projection.
        window_px: edge of the network's window, a multiple of 16 that divides N.

    Raises:
        ValueError: if the window is no multiple of 16.
    """
    if window_px % 16:
        raise ValueError(f"a window of {window_px} px is not a multiple of 16")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _network(spec)
    if spec.input is NetworkInput.FRAME:
        return CountsNetwork(network)
    modes = _MODES_SENT_BACK.get(spec.model)
    return CountsNetwork(network, BackProjection(probe, window_px, modes))


def parameter_count(network: nn.Module) -> int:
    """Number of trainable parameters, before folding of batch norms."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)


def _network(spec: NetworkSpec) -> nn.Module:
    seen = spec.input is NetworkInput.BACK_PROJECTED
    channels = 3 if seen else 1
    if spec.model is ModelName.PTYCHONN:
        published = PtychoNNConfig(input_channels=channels)
        encoder = _scaled(published.encoder_widths, spec.width)
        decoder = _scaled(published.decoder_widths, spec.width)
        return PtychoNN(replace(published, encoder_widths=encoder, decoder_widths=decoder))
    if spec.model is ModelName.W3:
        return W3(_narrowed(W3Config() if seen else FRAME_ONLY, spec.width))
    large = W1Config if spec.model is ModelName.W1 else W2Config
    return W1(_narrowed(large(input_channels=channels, skips=seen), spec.width))


def _narrowed(config: Config, factor: float) -> Config:
    return replace(
        config,
        widths=_scaled(config.widths, factor),
        decoder_widths=_scaled(config.decoder_widths, factor),
    )


def _scaled(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    if factor == 1:
        return widths
    return tuple(max(round(width * factor / _WIDTH_STEP), 1) * _WIDTH_STEP for width in widths)
