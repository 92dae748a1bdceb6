"""The shapes of W3 that the search ranks: settings of `W3Config`, and variants beyond them.

Most variants change a network that is built already, so that the product's code has no options
which only the search needs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the field's name for it
from numpy.typing import NDArray
from torch import nn

from wnet_edge.models.back_projection import BackProjection
from wnet_edge.models.convnext import ChannelNorm
from wnet_edge.models.layers import DepthwiseBlock, SqueezeExcitation, upsample
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.models.w3 import FRAME_ONLY, W3, W3Config

_FULL_RESOLUTION_CHANNELS = 8


class Variant(str, Enum):
    """What `W3Config` can't say."""

    NONE = "none"
    FULL_RESOLUTION_HEAD = "full-resolution head"
    ONE_PROBE_MODE = "one probe mode"
    TWO_PROBE_MODES = "two probe modes"
    MIXED_FIRST = "channels mixed before the upsampling"
    LIGHT = "one probe mode, channels mixed before the upsampling"
    NO_EXCITATION = "no squeeze-and-excitation"
    GELU = "GELU"
    LAYER_NORM = "layer norm"


@dataclass(frozen=True)
class Shape:
    """One row of the table.

    Attributes:
        name: what it varies.
        config: in full.
        variant: what is changed after building.
    """

    name: str
    config: W3Config
    variant: Variant = Variant.NONE


START = W3Config(
    stem_kernel_px=7,
    widths=(24, 40, 56, 64),
    depths=(1, 2, 2, 1),
    kernel_px=5,
    expansion=2.0,
    decoder_widths=(40, 36, 24),
)
"""What the other shapes vary; written out, so that names stay true when the defaults change."""

IN_USE = Shape("two probe modes", W3Config(), Variant.TWO_PROBE_MODES)
"""What the registry builds."""

_LIGHT = replace(START, widths=(16, 32, 64, 64), depths=(1, 1, 1, 2), decoder_widths=(64, 32, 16))
"""Parameters where a frame has few pixels, channels in multiples of 16."""


def _light(name: str, **changes: Any) -> Shape:
    """A light shape, by what it changes of the first one."""
    return Shape(name, replace(_LIGHT, **changes), Variant.LIGHT)


_SHALLOW = replace(START, depths=(1, 1, 1, 1), kernel_px=7)

SHAPES = (
    Shape("start", START),
    Shape("start, light", START, Variant.LIGHT),
    _light("16-32-64-64, 1-1-1-2, 64-32-16"),
    _light(
        "16-32-48-64, 1-1-2-2, 64-40-16",
        widths=(16, 32, 48, 64),
        depths=(1, 1, 2, 2),
        decoder_widths=(64, 40, 16),
    ),
    _light("16-32-56-72, 1-1-1-2, 48-32-24", widths=(16, 32, 56, 72), decoder_widths=(48, 32, 24)),
    _light("16-32-64-64, 1-1-1-2, 48-32-16, kernels 7", decoder_widths=(48, 32, 16), kernel_px=7),
    _light(
        "16-32-48-96, 1-1-2-1, 40-40-16",
        widths=(16, 32, 48, 96),
        depths=(1, 1, 2, 1),
        decoder_widths=(40, 40, 16),
    ),
    _light("16-40-48-72, 1-1-1-2, 64-24-16", widths=(16, 40, 48, 72), decoder_widths=(64, 24, 16)),
    Shape("head at full resolution", START, Variant.FULL_RESOLUTION_HEAD),
    Shape("frame alone, no skips", FRAME_ONLY),
    Shape("no skips", replace(START, skips=False)),
    Shape("kernels 7", replace(START, kernel_px=7)),
    Shape(
        "widths 24-48-56-56, decoder 44-36-24",
        replace(START, widths=(24, 48, 56, 56), decoder_widths=(44, 36, 24)),
    ),
    Shape("GELU in the blocks", START, Variant.GELU),
    Shape("layer norm in the blocks", START, Variant.LAYER_NORM),
    Shape("channels mixed before the upsampling", START, Variant.MIXED_FIRST),
    Shape(
        "stem 5, decoder 44-36-24", replace(START, stem_kernel_px=5, decoder_widths=(44, 36, 24))
    ),
    Shape("frame alone, skips", replace(START, input_channels=1)),
    Shape("one probe mode", START, Variant.ONE_PROBE_MODE),
    IN_USE,
    Shape(
        "expansion 3, widths 20-36-48-56", replace(START, expansion=3.0, widths=(20, 36, 48, 56))
    ),
    Shape(
        "expansion 1.5, widths 24-44-64-72",
        replace(START, expansion=1.5, widths=(24, 44, 64, 72)),
    ),
    Shape(
        "depths 1-1-1-1, widths 24-40-64-64, decoder 48-36-24, kernels 7",
        replace(_SHALLOW, widths=(24, 40, 64, 64), decoder_widths=(48, 36, 24)),
    ),
    Shape("no squeeze-and-excitation", START, Variant.NO_EXCITATION),
    Shape("widths 32-40-52-56", replace(START, widths=(32, 40, 52, 56))),
    Shape("widths 16-40-56-64", replace(START, widths=(16, 40, 56, 64))),
    Shape(
        "depths 1-1-1-1, widths 24-32-64-80, decoder 44-32-24, kernels 7",
        replace(_SHALLOW, widths=(24, 32, 64, 80), decoder_widths=(44, 32, 24)),
    ),
    Shape(
        "widths 24-36-48-56, decoder 40-32-24, kernels 7",
        replace(START, widths=(24, 36, 48, 56), decoder_widths=(40, 32, 24), kernel_px=7),
    ),
)
"""Those that say most come first: a search that is stopped has them."""


def shape_of(record: dict[str, Any]) -> Shape:
    """The shape of a line of the results."""
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in record["config"].items()}
    return Shape(record["name"], W3Config(**config), Variant(record["variant"]))


def build_shape(
    shape: Shape, *, seed: int, probe: NDArray[np.complex64], window_px: int
) -> CountsNetwork:
    """The network of a shape with weights drawn from `seed`, probe as `registry.build` takes it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = W3(shape.config)
        seen = None
        if shape.config.input_channels > 1:
            seen = BackProjection(probe, window_px, _MODES_SENT_BACK.get(shape.variant))
        counts_network = CountsNetwork(network, seen)
        if shape.variant in _CHANGES:
            _CHANGES[shape.variant](counts_network)
    return counts_network


class _GeluBlock(DepthwiseBlock):
    """With ConvNeXt's activation in place of ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.spatial_norm(self.spatial(x))
        return x + self.narrow_norm(self.narrow(F.gelu(self.widen(mixed))))


def _full_resolution_head(network: CountsNetwork) -> None:
    """As published: the last upsampling is bilinear too, and a convolution makes the image."""
    for decoder in (network.network.amplitude_decoder, network.network.phase_decoder):
        channels = decoder.head[0].in_channels
        decoder.head = nn.Sequential(
            upsample(channels, _FULL_RESOLUTION_CHANNELS),
            nn.ReLU(),
            nn.Conv2d(_FULL_RESOLUTION_CHANNELS, 1, 3, padding=1),
        )


def _mixed_first(network: CountsNetwork) -> None:
    """The 1 × 1 convolution at a quarter of the pixels, then upsampling and depthwise."""
    for decoder in (network.network.amplitude_decoder, network.network.phase_decoder):
        for index, stage in enumerate(decoder.stages):
            mix = next(layer for layer in stage if getattr(layer, "kernel_size", 0) == (1, 1))
            narrow = mix.out_channels
            decoder.stages[index] = nn.Sequential(
                mix,
                nn.BatchNorm2d(narrow),
                nn.Upsample(scale_factor=2, mode="bilinear"),
                nn.Conv2d(narrow, narrow, 3, padding=1, groups=narrow, bias=False),
                nn.BatchNorm2d(narrow),
            )


def _replace_in_stages(
    network: CountsNetwork, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]
) -> None:
    for stage in network.network.encoder:
        for layers in (part for part in stage.modules() if isinstance(part, nn.Sequential)):
            for index, layer in enumerate(layers):
                if type(layer) is kind:
                    layers[index] = make(layer)


def _gelu(network: CountsNetwork) -> None:
    def with_gelu(block: DepthwiseBlock) -> nn.Module:
        channels, wide = block.spatial.in_channels, block.widen.out_channels
        return _GeluBlock(channels, block.spatial.kernel_size[0], wide / channels)

    _replace_in_stages(network, DepthwiseBlock, with_gelu)


def _layer_norm(network: CountsNetwork) -> None:
    """In place of the blocks' batch norms behind the depthwise convolution, as ConvNeXt has it."""
    for block in network.network.modules():
        if isinstance(block, DepthwiseBlock):
            block.spatial_norm = ChannelNorm(block.spatial.in_channels)


def _no_excitation(network: CountsNetwork) -> None:
    _replace_in_stages(network, SqueezeExcitation, lambda _: nn.Identity())


_MODES_SENT_BACK = {Variant.ONE_PROBE_MODE: 1, Variant.TWO_PROBE_MODES: 2, Variant.LIGHT: 1}
"""Of the probe's modes, where not all."""

_CHANGES = {
    Variant.FULL_RESOLUTION_HEAD: _full_resolution_head,
    Variant.MIXED_FIRST: _mixed_first,
    Variant.LIGHT: _mixed_first,
    Variant.NO_EXCITATION: _no_excitation,
    Variant.GELU: _gelu,
    Variant.LAYER_NORM: _layer_norm,
}
