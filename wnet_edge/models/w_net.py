"""What the W-Nets have in common: an encoder of four stages, and a decoder each for two images."""

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class WNetConfig:
    """Shape of a W-Net.

    Attributes:
        input_channels: 1 for the frame, 3 for the frame and its back-projection.
        skips: decoders take the encoder's maps along.
        stem_kernel_px: edge of the strided convolution that halves the frame.
        widths: channels of the four stages, at 1/2, 1/4, 1/8 and 1/16 of the window.
        depths: blocks of each stage.
        kernel_px: edge of the depthwise kernels.
        expansion: width of a block's inner layer over its outer.
        squeeze_reduction: channels over those inside squeeze-and-excitation.
        decoder_widths: channels after each of the decoder's upsamplings.
    """

    input_channels: int
    skips: bool
    stem_kernel_px: int
    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernel_px: int
    expansion: float
    squeeze_reduction: int
    decoder_widths: tuple[int, ...]


class WNet(nn.Module):
    """Input (B, C, H, W) to amplitude in (0, 1) and phase_rad in (−π, π), (B, 1, H, W).

    H and W are multiples of 16.

    Args:
        encoder: stages, each on the map of the one before.
        amplitude_decoder: all maps, finest first, to one image without an output function.
        phase_decoder: the same.
    """

    def __init__(
        self, encoder: nn.ModuleList, amplitude_decoder: nn.Module, phase_decoder: nn.Module
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.amplitude_decoder = amplitude_decoder
        self.phase_decoder = phase_decoder

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Amplitude and phase_rad, each (B, 1, H, W) float32."""
        maps: list[torch.Tensor] = []
        for stage in self.encoder:
            x = stage(x)
            maps.append(x)
        amplitude = torch.sigmoid(self.amplitude_decoder(maps))
        phase_rad = math.pi * torch.tanh(self.phase_decoder(maps))
        return amplitude, phase_rad
