"""The shapes of W3 that the search ranks: settings of `W3Config`, and changes beyond them.

Most changes are made to a network that is built already, so that the product's code has no options
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
_HEAD_EXPANSION = 2


class Change(str, Enum):
    """What `W3Config` can't say."""

    ONE_PROBE_MODE = "one probe mode"
    ALL_PROBE_MODES = "all probe modes"
    MIXED_FIRST = "channels mixed before the upsampling"
    WIDE_HEAD = "head with an inner layer"
    DENSE_HEAD = "head of one dense convolution"
    FULL_RESOLUTION_HEAD = "head at full resolution"
    NO_EXCITATION = "no squeeze-and-excitation"
    GELU = "GELU"
    LAYER_NORM = "layer norm"


@dataclass(frozen=True)
class Shape:
    """One row of the table.

    Attributes:
        name: what it varies.
        config: in full.
        changes: what is changed after building.
    """

    name: str
    config: W3Config
    changes: tuple[Change, ...] = ()


START = W3Config(
    stem_kernel_px=7,
    widths=(24, 40, 56, 64),
    depths=(1, 2, 2, 1),
    kernel_px=5,
    expansion=2.0,
    decoder_widths=(40, 36, 24),
)
"""What the first shapes vary; written out, so that names stay true when the defaults change."""

IN_USE = Shape("start, two probe modes", W3Config())
"""What the registry builds."""

_ALL_MODES = (Change.ALL_PROBE_MODES,)

_LIGHTER = (Change.ONE_PROBE_MODE, Change.MIXED_FIRST)

_LIGHT = replace(START, widths=(16, 32, 64, 64), depths=(1, 1, 1, 2), decoder_widths=(64, 32, 16))
"""Parameters where a frame has few pixels, channels in multiples of 16."""


def _start(name: str, *changes: Change, **config: Any) -> Shape:
    """A shape with all modes of the probe, by what it changes of `START`."""
    return Shape(name, replace(START, **config), (*_ALL_MODES, *changes))


def _light(name: str, *changes: Change, **config: Any) -> Shape:
    """A light shape, by what it changes of the first one."""
    return Shape(name, replace(_LIGHT, **config), (*_LIGHTER, *changes))


SHAPES = (
    IN_USE,
    _start("start"),
    _light("16-32-64-64, 1-1-1-2, 56-40-16, W", Change.WIDE_HEAD, decoder_widths=(56, 40, 16)),
    _light("16-32-64-64, 1-1-1-2, 56-32-16, W", Change.WIDE_HEAD, decoder_widths=(56, 32, 16)),
    Shape(
        "16-32-64-64, 2-1-1-2, 56-32-16, W, two modes",
        replace(_LIGHT, depths=(2, 1, 1, 2), decoder_widths=(56, 32, 16)),
        (Change.MIXED_FIRST, Change.WIDE_HEAD),
    ),
    _light("16-32-64-64, 1-1-1-2, 56-32-16, D", Change.DENSE_HEAD, decoder_widths=(56, 32, 16)),
    Shape("start, light", START, _LIGHTER),
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
    _start("head at full resolution", Change.FULL_RESOLUTION_HEAD),
    Shape("frame alone, no skips", FRAME_ONLY),
    _start("no skips", skips=False),
    _start("kernels 7", kernel_px=7),
    _start(
        "widths 24-48-56-56, decoder 44-36-24",
        widths=(24, 48, 56, 56),
        decoder_widths=(44, 36, 24),
    ),
    _start("GELU in the blocks", Change.GELU),
    _start("layer norm in the blocks", Change.LAYER_NORM),
    _start("channels mixed before the upsampling", Change.MIXED_FIRST),
    _start("stem 5, decoder 44-36-24", stem_kernel_px=5, decoder_widths=(44, 36, 24)),
    _start("frame alone, skips", input_channels=1),
    Shape("one probe mode", START, (Change.ONE_PROBE_MODE,)),
    _start("expansion 3, widths 20-36-48-56", expansion=3.0, widths=(20, 36, 48, 56)),
    _start("expansion 1.5, widths 24-44-64-72", expansion=1.5, widths=(24, 44, 64, 72)),
    _start("no squeeze-and-excitation", Change.NO_EXCITATION),
    _start("widths 32-40-52-56", widths=(32, 40, 52, 56)),
    _start("widths 16-40-56-64", widths=(16, 40, 56, 64)),
)
"""Those that say most come first: a search that is stopped has them."""


def shape_of(record: dict[str, Any]) -> Shape:
    """The shape of a line of the results."""
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in record["config"].items()}
    changes = tuple(Change(change) for change in record["changes"])
    return Shape(record["name"], W3Config(**config), changes)


def build_shape(
    shape: Shape, *, seed: int, probe: NDArray[np.complex64], window_px: int
) -> CountsNetwork:
    """The network of a shape with weights drawn from `seed`, probe as `registry.build` takes it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = W3(shape.config)
        seen = None
        if shape.config.input_channels > 1:
            modes = [_MODES_SENT_BACK[c] for c in shape.changes if c in _MODES_SENT_BACK]
            seen = BackProjection(probe, window_px, modes[0] if modes else _MODES_IN_USE)
        counts_network = CountsNetwork(network, seen)
        for change in shape.changes:
            if change in _CHANGES:
                _CHANGES[change](counts_network)
    return counts_network


class _GeluBlock(DepthwiseBlock):
    """With ConvNeXt's activation in place of ReLU."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.spatial_norm(self.spatial(x))
        return x + self.narrow_norm(self.narrow(F.gelu(self.widen(mixed))))


def _full_resolution_head(network: CountsNetwork) -> None:
    """As published: the last upsampling is bilinear too, and a convolution makes the image."""
    for decoder in _decoders(network):
        channels = decoder.head[0].in_channels
        decoder.head = nn.Sequential(
            upsample(channels, _FULL_RESOLUTION_CHANNELS),
            nn.ReLU(),
            nn.Conv2d(_FULL_RESOLUTION_CHANNELS, 1, 3, padding=1),
        )


def _dense_head(network: CountsNetwork) -> None:
    """All channels of a 3 × 3 neighbourhood give the four pixels between them."""
    for decoder in _decoders(network):
        channels = decoder.head[0].in_channels
        decoder.head = nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.PixelShuffle(2))


def _wide_head(network: CountsNetwork) -> None:
    """A ConvNeXt-style block without its sum gives the four pixels."""
    for decoder in _decoders(network):
        spatial, norm, narrow, shuffle = decoder.head
        wide = _HEAD_EXPANSION * spatial.in_channels
        decoder.head = nn.Sequential(
            spatial,
            norm,
            nn.Conv2d(spatial.in_channels, wide, 1),
            nn.ReLU(),
            nn.Conv2d(wide, narrow.out_channels, 1),
            shuffle,
        )


def _mixed_first(network: CountsNetwork) -> None:
    """The 1 × 1 convolution at a quarter of the pixels, then upsampling and depthwise."""
    for decoder in _decoders(network):
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


def _decoders(network: CountsNetwork) -> tuple[Any, Any]:
    return network.network.amplitude_decoder, network.network.phase_decoder


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


_MODES_IN_USE = 2
_MODES_SENT_BACK = {Change.ONE_PROBE_MODE: 1, Change.ALL_PROBE_MODES: None}
"""Of the probe's modes, where not those in use."""

_CHANGES = {
    Change.MIXED_FIRST: _mixed_first,
    Change.WIDE_HEAD: _wide_head,
    Change.DENSE_HEAD: _dense_head,
    Change.FULL_RESOLUTION_HEAD: _full_resolution_head,
    Change.NO_EXCITATION: _no_excitation,
    Change.GELU: _gelu,
    Change.LAYER_NORM: _layer_norm,
}
