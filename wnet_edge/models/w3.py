"""W3: the small W-Net for the edge, with depthwise convolutions throughout.

From the text of Xing et al. (2024, doi 10.3389/aot.2024.1474654): a large-kernel convolution that
downsamples the image, ConvNeXt blocks with depthwise convolutions, three downsampling layers
between their stages, squeeze-and-excitation after the first three stages, two decoders of bilinear
upsampling and convolutions with batch norm, 8.26 % of PtychoNN's parameters. Not in the paper and
chosen here, by comparison with other shapes in `benchmarks/search_w3`: widths, depths, kernels and
the activation. Three departures from it: a decoder mixes channels before it upsamples, where a map
has a quarter of the pixels; no convolution runs at full resolution (the last one outputs four
channels at half of it, which a pixel shuffle interleaves); and with the back-projected input, with
which the encoder's maps lie on the object's pixels, the decoders have skip connections from the
encoder. Parameters are where a map has few pixels, channels come in multiples of eight.
"""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn

from wnet_edge.models.layers import DepthwiseBlock, SqueezeExcitation, downsample, upsample
from wnet_edge.models.w_net import WNet, WNetConfig


@dataclass(frozen=True)
class W3Config(WNetConfig):
    """Shape of W3: 103,008 parameters within half a percent; three upsamplings in a decoder."""

    input_channels: int = 3
    skips: bool = True
    stem_kernel_px: int = 7
    widths: tuple[int, ...] = (16, 32, 64, 64)
    depths: tuple[int, ...] = (2, 1, 1, 2)
    kernel_px: int = 5
    expansion: float = 2.0
    squeeze_reduction: int = 4
    decoder_widths: tuple[int, ...] = (56, 32, 16)


FRAME_ONLY = W3Config(
    input_channels=1, skips=False, widths=(24, 40, 64, 64), decoder_widths=(64, 32, 24)
)
"""W3 for the frame alone: wider in place of the skip connections, with the same parameter count."""


def _stage(config: W3Config, index: int) -> nn.Sequential:
    width = config.widths[index]
    layers: list[nn.Module] = [
        DepthwiseBlock(width, config.kernel_px, config.expansion)
        for _ in range(config.depths[index])
    ]
    if index < 3:
        layers.append(SqueezeExcitation(width, config.squeeze_reduction))
    return nn.Sequential(*layers)


class _Decoder(nn.Module):
    """Decoder: the encoder's maps, finest first, to one image (B, 1, H, W), no output function."""

    def __init__(self, config: W3Config) -> None:
        super().__init__()
        self.stages = nn.ModuleList()
        self.skips = nn.ModuleList()
        finer = reversed(config.widths[:-1])
        for (wide, narrow), skip in zip(
            pairwise((config.widths[-1], *config.decoder_widths)), finer, strict=True
        ):
            self.stages.append(upsample(wide, narrow))
            if config.skips:
                self.skips.append(
                    nn.Sequential(nn.Conv2d(skip, narrow, 1, bias=False), nn.BatchNorm2d(narrow))
                )
        last = config.decoder_widths[-1]
        wide = round(config.expansion * last)
        self.head = nn.Sequential(
            nn.Conv2d(last, last, 3, padding=1, groups=last, bias=False),
            nn.BatchNorm2d(last),
            nn.Conv2d(last, wide, 1),
            nn.ReLU(),
            nn.Conv2d(wide, 4, 1),
            nn.PixelShuffle(2),
        )

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        """Maps of the four stages, finest first, to (B, 1, H, W)."""
        x = maps[-1]
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if self.skips:
                x = x + self.skips[index](maps[-2 - index])
            x = torch.relu(x)
        image: torch.Tensor = self.head(x)
        return image


class W3(WNet):
    """W3, by its config."""

    def __init__(self, config: W3Config) -> None:
        kernel, width = config.stem_kernel_px, config.widths[0]
        stem = nn.Sequential(
            nn.Conv2d(
                config.input_channels, width, kernel, stride=2, padding=kernel // 2, bias=False
            ),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        encoder = nn.ModuleList([nn.Sequential(stem, _stage(config, 0))])
        for index, (wide, narrow) in enumerate(pairwise(config.widths), 1):
            encoder.append(nn.Sequential(downsample(wide, narrow), _stage(config, index)))
        super().__init__(encoder, _Decoder(config), _Decoder(config))
