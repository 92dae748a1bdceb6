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
from wnet_edge.models.layers import DepthwiseBlock, SqueezeExcitation
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.models.w3 import FRAME_ONLY, W3, W3Config

_FULL_RESOLUTION_CHANNELS = 8


class Change(str, Enum):
    """What `W3Config` can't say."""

    MIXED_LAST = "channels mixed behind the upsampling"
    FULL_RESOLUTION_HEAD = "head at full resolution"
    SEPARABLE_HEAD = "head without an inner layer"
    DENSE_HEAD = "head of one dense convolution"
    ONE_PROBE_MODE = "one probe mode"
    ALL_PROBE_MODES = "all probe modes"
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
"""W3 of the first generation; written out, so that names stay true when the defaults change."""

_FIRST = (Change.MIXED_LAST, Change.SEPARABLE_HEAD, Change.ALL_PROBE_MODES)
"""How the first generation differed, beside its config."""

_ONE_SEPARABLE = (Change.ONE_PROBE_MODE, Change.SEPARABLE_HEAD)


def _first(name: str, *changes: Change, without: Change | None = None, **config: Any) -> Shape:
    """A shape of the first generation, by what it changes of its start."""
    kept = tuple(change for change in _FIRST if change is not without)
    return Shape(name, replace(START, **config), (*kept, *changes))


def _light(
    widths: tuple[int, ...],
    depths: tuple[int, ...],
    decoder_widths: tuple[int, ...],
    *changes: Change,
    kernel_px: int = 5,
) -> Shape:
    """A shape of the second generation, named by its numbers and changes."""
    numbers = ["-".join(map(str, each)) for each in (widths, depths, decoder_widths)]
    kernels = [] if kernel_px == 5 else [f"kernels {kernel_px}"]
    name = ", ".join([*numbers, *kernels, *(change.value for change in changes)])
    sizes = {"widths": widths, "depths": depths, "decoder_widths": decoder_widths}
    return Shape(name, replace(START, **sizes, kernel_px=kernel_px), changes)


IN_USE = _light((16, 32, 64, 64), (2, 1, 1, 2), (56, 32, 16))
"""What the registry builds."""

SHAPES = (
    IN_USE,
    _first("start"),
    _light((16, 32, 64, 64), (1, 1, 1, 2), (56, 40, 16), Change.ONE_PROBE_MODE),
    _light((16, 32, 64, 64), (1, 1, 1, 2), (56, 32, 16), Change.ONE_PROBE_MODE),
    _light((16, 32, 64, 64), (1, 1, 1, 2), (56, 32, 16), Change.ONE_PROBE_MODE, Change.DENSE_HEAD),
    Shape("start, light", START, _ONE_SEPARABLE),
    _light((16, 32, 64, 64), (1, 1, 1, 2), (64, 32, 16), *_ONE_SEPARABLE),
    _light((16, 32, 48, 64), (1, 1, 2, 2), (64, 40, 16), *_ONE_SEPARABLE),
    _light((16, 32, 56, 72), (1, 1, 1, 2), (48, 32, 24), *_ONE_SEPARABLE),
    _light((16, 32, 64, 64), (1, 1, 1, 2), (48, 32, 16), *_ONE_SEPARABLE, kernel_px=7),
    _light((16, 32, 48, 96), (1, 1, 2, 1), (40, 40, 16), *_ONE_SEPARABLE),
    _light((16, 40, 48, 72), (1, 1, 1, 2), (64, 24, 16), *_ONE_SEPARABLE),
    Shape("no squeeze-and-excitation", W3Config(), (Change.NO_EXCITATION,)),
    Shape("no skips", replace(W3Config(), skips=False)),
    Shape("frame alone, no skips", FRAME_ONLY),
    _first("start, one probe mode", Change.ONE_PROBE_MODE, without=Change.ALL_PROBE_MODES),
    _first("start, two probe modes", without=Change.ALL_PROBE_MODES),
    _first("start, channels mixed before the upsampling", without=Change.MIXED_LAST),
    _first(
        "start, head at full resolution",
        Change.FULL_RESOLUTION_HEAD,
        without=Change.SEPARABLE_HEAD,
    ),
    _first("start, frame alone, no skips", input_channels=1, skips=False, widths=(24, 44, 60, 68)),
    _first("start, no skips", skips=False),
    _first("start, kernels 7", kernel_px=7),
    _first(
        "start, widths 24-48-56-56, decoder 44-36-24",
        widths=(24, 48, 56, 56),
        decoder_widths=(44, 36, 24),
    ),
    _first("start, GELU in the blocks", Change.GELU),
    _first("start, layer norm in the blocks", Change.LAYER_NORM),
    _first("start, stem 5, decoder 44-36-24", stem_kernel_px=5, decoder_widths=(44, 36, 24)),
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
            *_mixed_last(channels, _FULL_RESOLUTION_CHANNELS),
            nn.ReLU(),
            nn.Conv2d(_FULL_RESOLUTION_CHANNELS, 1, 3, padding=1),
        )


def _separable_head(network: CountsNetwork) -> None:
    """A depthwise-separable convolution gives the four pixels."""
    for decoder in _decoders(network):
        spatial, norm, _, _, last, shuffle = decoder.head
        narrow = nn.Conv2d(spatial.in_channels, last.out_channels, 1)
        decoder.head = nn.Sequential(spatial, norm, narrow, shuffle)


def _dense_head(network: CountsNetwork) -> None:
    """All channels of a 3 × 3 neighbourhood give the four pixels between them."""
    for decoder in _decoders(network):
        spatial, *_, last, shuffle = decoder.head
        dense = nn.Conv2d(spatial.in_channels, last.out_channels, 3, padding=1)
        decoder.head = nn.Sequential(dense, shuffle)


def _all_mixed_last(network: CountsNetwork) -> None:
    """Upsampling, then a depthwise-separable convolution (Howard et al., 2017, fig. 3)."""
    for decoder in _decoders(network):
        for index, stage in enumerate(decoder.stages):
            mix = stage[0]
            decoder.stages[index] = nn.Sequential(*_mixed_last(mix.in_channels, mix.out_channels))


def _mixed_last(channels_in: int, channels_out: int) -> tuple[nn.Module, ...]:
    return (
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(channels_in, channels_in, 3, padding=1, groups=channels_in, bias=False),
        nn.BatchNorm2d(channels_in),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
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
    Change.MIXED_LAST: _all_mixed_last,
    Change.FULL_RESOLUTION_HEAD: _full_resolution_head,
    Change.SEPARABLE_HEAD: _separable_head,
    Change.DENSE_HEAD: _dense_head,
    Change.NO_EXCITATION: _no_excitation,
    Change.GELU: _gelu,
    Change.LAYER_NORM: _layer_norm,
}
