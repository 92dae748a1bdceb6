"""W1 and W2: the W-Nets with a ConvNeXt V2 encoder and two convolutional decoders.

From the text of Xing et al. (2024, doi 10.3389/aot.2024.1474654): a large-kernel convolution that
downsamples the image; ConvNeXt V2 blocks stacked 2:2:4:2 with three downsampling layers between;
7 × 7 depthwise kernels, layer norm, GELU, global response normalisation and fourfold expansion in a
block; squeeze-and-excitation after the first three stages; two decoders of bilinear upsampling,
double convolution and batch norm; W1 has more parameters than PtychoNN, W2 more filters and blocks
than W1. Not in the paper and chosen here: all widths, W2's depths, the stem's kernel and stride,
ReLU in the decoders, sigmoid and π·tanh as output functions (PtychoNN's); and skip connections,
which suit the back-projected input, with which the encoder's maps lie on the object's pixels.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from wnet_edge.models.convnext import ChannelNorm, ConvNeXtBlock
from wnet_edge.models.layers import SqueezeExcitation
from wnet_edge.models.w_net import WNet, WNetConfig


@dataclass(frozen=True)
class W1Config(WNetConfig):
    """Shape of W1: more parameters than PtychoNN; four upsamplings in a decoder."""

    input_channels: int = 1
    skips: bool = False
    stem_kernel_px: int = 7
    widths: tuple[int, ...] = (24, 48, 96, 192)
    depths: tuple[int, ...] = (2, 2, 4, 2)
    kernel_px: int = 7
    expansion: float = 4
    squeeze_reduction: int = 4
    decoder_widths: tuple[int, ...] = (96, 48, 32, 16)


@dataclass(frozen=True)
class W2Config(W1Config):
    """Shape of W2: W1 with more filters and blocks, about five million parameters."""

    widths: tuple[int, ...] = (32, 64, 128, 288)
    depths: tuple[int, ...] = (3, 3, 6, 3)
    decoder_widths: tuple[int, ...] = (128, 64, 40, 20)


def _encoder_stage(config: W1Config, index: int) -> nn.Sequential:
    width = config.widths[index]
    if index == 0:
        kernel = config.stem_kernel_px
        reduce: list[nn.Module] = [
            nn.Conv2d(config.input_channels, width, kernel, stride=2, padding=kernel // 2),
            ChannelNorm(width),
        ]
    else:
        before = config.widths[index - 1]
        reduce = [ChannelNorm(before), nn.Conv2d(before, width, 2, stride=2)]
    blocks = [
        ConvNeXtBlock(width, config.kernel_px, config.expansion)
        for _ in range(config.depths[index])
    ]
    excitation = [SqueezeExcitation(width, config.squeeze_reduction)] if index < 3 else []
    return nn.Sequential(*reduce, *blocks, *excitation)


def _double_convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for narrow in (channels_in, channels_out):
        layers += [
            nn.Conv2d(narrow, channels_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


class _Decoder(nn.Module):
    """Decoder: the encoder's maps, finest first, to one image (B, 1, H, W), no output function."""

    def __init__(self, config: W1Config) -> None:
        super().__init__()
        self.skips = config.skips
        self.enlarge = nn.Upsample(scale_factor=2, mode="bilinear")
        taken = (*reversed(config.widths[:-1]), 0) if config.skips else (0, 0, 0, 0)
        widths = pairwise((config.widths[-1], *config.decoder_widths))
        self.stages = nn.ModuleList(
            _double_convolution(wide + skip, narrow)
            for (wide, narrow), skip in zip(widths, taken, strict=True)
        )
        self.head = nn.Conv2d(config.decoder_widths[-1], 1, 3, padding=1)

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Maps of the four stages, finest first, to (B, 1, H, W)."""
        x, finer = maps[-1], maps[-2::-1]
        for index, stage in enumerate(self.stages):
            x = self.enlarge(x)
            if self.skips and index < len(finer):
                x = torch.cat([x, finer[index]], dim=1)
            x = stage(x)
        image: torch.Tensor = self.head(x)
        return image


class W1(WNet):
    """W1 or W2, by its config."""

    def __init__(self, config: W1Config) -> None:
        encoder = nn.ModuleList(_encoder_stage(config, index) for index in range(4))
        super().__init__(encoder, _Decoder(config), _Decoder(config))
        self.apply(_initialise)


def _initialise(layer: nn.Module) -> None:
    """ConvNeXt's initialisation: normal with σ = 0.02 (Liu et al., CVPR 2022, appendix A)."""
    if isinstance(layer, nn.Linear):
        nn.init.trunc_normal_(layer.weight, std=0.02)
        nn.init.zeros_(layer.bias)
