"""W3: the small W-Net, depthwise throughout, for the edge.

From the text of Xing et al. (2024, doi 10.3389/aot.2024.1474654): a large-kernel convolution that
reduces the image, ConvNeXt blocks with depthwise convolutions, three downsampling layers between
their stages, squeeze-and-excitation after the first three stages, two decoders of bilinear
upsampling and convolutions with batch norm, 8.26 % of PtychoNN's parameters. Widths, depths,
kernels and the activation are our reconstruction: the paper does not give them.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from wnet_edge.models.layers import DepthwiseBlock, SqueezeExcitation, downsample, upsample


@dataclass(frozen=True)
class W3Config:
    """Shape of the network; the defaults give 103,008 parameters within half a percent.

    Attributes:
        stem_kernel_px: edge of the strided convolution that halves the frame.
        widths: channels of the four stages, at 1/2, 1/4, 1/8 and 1/16 of the window.
        depths: blocks of each stage.
        kernel_px: edge of the depthwise kernels.
        expansion: width of a block's inner layer over its outer.
        squeeze_reduction: channels over those inside squeeze-and-excitation.
        decoder_widths: channels after each of the decoder's four upsamplings.
    """

    stem_kernel_px: int = 7
    widths: tuple[int, int, int, int] = (16, 32, 64, 96)
    depths: tuple[int, int, int, int] = (1, 1, 1, 1)
    kernel_px: int = 7
    expansion: float = 2.0
    squeeze_reduction: int = 4
    decoder_widths: tuple[int, int, int, int] = (48, 32, 24, 8)


def _stage(config: W3Config, index: int) -> nn.Sequential:
    width = config.widths[index]
    layers: list[nn.Module] = [
        DepthwiseBlock(width, config.kernel_px, config.expansion)
        for _ in range(config.depths[index])
    ]
    if index < 3:
        layers.append(SqueezeExcitation(width, config.squeeze_reduction))
    return nn.Sequential(*layers)


def _decoder(config: W3Config) -> nn.Sequential:
    layers: list[nn.Module] = []
    for wide, narrow in pairwise((config.widths[-1], *config.decoder_widths)):
        layers.append(upsample(wide, narrow))
    layers.append(nn.Conv2d(config.decoder_widths[-1], 1, 3, padding=1))
    return nn.Sequential(*layers)


class W3(nn.Module):
    """Normalised frame (B, 1, H, W) to amplitude in (0, 1) and phase_rad in (−π, π), same shape.

    H and W are multiples of 16.
    """

    def __init__(self, config: W3Config) -> None:
        super().__init__()
        kernel, width = config.stem_kernel_px, config.widths[0]
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, kernel, stride=2, padding=kernel // 2, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        layers: list[nn.Module] = [_stage(config, 0)]
        for index in range(1, 4):
            layers += [
                downsample(config.widths[index - 1], config.widths[index]),
                _stage(config, index),
            ]
        self.encoder = nn.Sequential(*layers)
        self.amplitude_decoder = _decoder(config)
        self.phase_decoder = _decoder(config)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Amplitude and phase_rad, each (B, 1, H, W) float32."""
        code = self.encoder(self.stem(x))
        amplitude = torch.sigmoid(self.amplitude_decoder(code))
        phase_rad = math.pi * torch.tanh(self.phase_decoder(code))
        return amplitude, phase_rad
