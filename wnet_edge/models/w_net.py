"""Common structure of the W-Nets: an encoder of four stages, decoders for amplitude and phase."""

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class WNetConfig:
    """Shape of a W-Net.

    Attributes:
        input_channels: 1 for the frame, 3 for the frame and its back-projection.
        skips: whether the decoders have skip connections from the encoder.
        stem_kernel_px: kernel edge of the strided convolution that downsamples the frame by 2.
        widths: channels of the four stages, at 1/2, 1/4, 1/8 and 1/16 of the window.
        depths: number of blocks of each stage.
        kernel_px: edge of the depthwise kernels.
        expansion: ratio of a block's inner to its outer channels.
        squeeze_reduction: ratio of outer to inner channels in squeeze-and-excitation.
        decoder_widths: channels after each upsampling of a decoder.
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
    """W-Net: (B, C, H, W) to amplitude in (0, 1) and phase_rad in (−π, π), (B, 1, H, W) each.

    H and W are multiples of 16.

    Args:
        encoder: stages, each applied to the output of the one before.
        amplitude_decoder: all encoder maps, finest first, to one image without output function.
        phase_decoder: likewise.
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
