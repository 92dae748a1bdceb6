"""PtychoNN as published: the baseline for the W-Nets.

Cherukara et al., Appl. Phys. Lett. 117, 044103 (2020), in the authors' PyTorch version: encoder
32-64-128 of double 3 × 3 convolutions, ReLU and max-pooling; two decoders 128-64-64 with bilinear
upsampling; sigmoid amplitude and π·tanh phase. 1,247,074 parameters. Only the initialisation
differs: without normalisation layers and with PyTorch's default weights, training of the phase
stalls at the trivial error.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn


@dataclass(frozen=True)
class PtychoNNConfig:
    """Shape of the network; the defaults are the published values.

    Attributes:
        input_channels: 1 as published; 3 for the frame and its back-projection.
        encoder_widths: channels of the three encoder stages.
        decoder_widths: channels of the three decoder stages.
    """

    input_channels: int = 1
    encoder_widths: tuple[int, ...] = (32, 64, 128)
    decoder_widths: tuple[int, ...] = (128, 64, 64)


def _double_convolution(channels_in: int, channels_out: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels_out, channels_out, 3, padding=1),
        nn.ReLU(),
    ]


def _decoder(config: PtychoNNConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for narrow, wide in pairwise((config.encoder_widths[-1], *config.decoder_widths)):
        layers += _double_convolution(narrow, wide)
        layers.append(nn.Upsample(scale_factor=2, mode="bilinear"))
    layers.append(nn.Conv2d(config.decoder_widths[-1], 1, 3, padding=1))
    return nn.Sequential(*layers)


class PtychoNN(nn.Module):
    """PtychoNN: (B, C, H, W) to amplitude in (0, 1) and phase_rad in (−π, π), (B, 1, H, W) each."""

    def __init__(self, config: PtychoNNConfig) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for narrow, wide in pairwise((config.input_channels, *config.encoder_widths)):
            layers += [*_double_convolution(narrow, wide), nn.MaxPool2d(2)]
        self.encoder = nn.Sequential(*layers)
        self.amplitude_decoder = _decoder(config)
        self.phase_decoder = _decoder(config)
        self.apply(_initialise)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Amplitude and phase_rad, each (B, 1, H, W) float32."""
        code = self.encoder(x)
        amplitude = torch.sigmoid(self.amplitude_decoder(code))
        phase_rad = math.pi * torch.tanh(self.phase_decoder(code))
        return amplitude, phase_rad


def _initialise(layer: nn.Module) -> None:
    """He initialisation, which preserves variance through ReLUs (He et al., ICCV 2015, eq. 10)."""
    if isinstance(layer, nn.Conv2d):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
