"""Layers shared by the networks: squeeze-and-excitation, depthwise blocks, upsampling stages.

Every normalisation is a batch norm after a convolution and every activation a ReLU, so that on
export the former folds into the convolution and the latter fuses with it.
"""

import torch
from torch import nn


class SqueezeExcitation(nn.Module):
    """Squeeze-and-excitation: weights channels by global means (Hu et al., CVPR 2018, eqs. 2-4).

    (B, C, H, W) to the same shape.

    Args:
        channels: C.
        reduction: the inner layer has C / reduction channels.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        squeezed = max(channels // reduction, 4)
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.excite = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        pooled = x.mean(dim=(2, 3), keepdim=True)
        weight = torch.sigmoid(self.excite(torch.relu(self.squeeze(pooled))))
        return x * weight


class DepthwiseBlock(nn.Module):
    """A ConvNeXt-style residual block (Liu et al., CVPR 2022, fig. 4) that folds into four layers.

    Depthwise k × k, batch norm, 1 × 1 to expansion × C, ReLU, 1 × 1 to C, batch norm, added to the
    input. (B, C, H, W) to the same shape.
    """

    def __init__(self, channels: int, kernel_px: int, expansion: float) -> None:
        super().__init__()
        wide = round(channels * expansion)
        self.spatial = nn.Conv2d(
            channels, channels, kernel_px, padding=kernel_px // 2, groups=channels, bias=False
        )
        self.spatial_norm = nn.BatchNorm2d(channels)
        self.widen = nn.Conv2d(channels, wide, 1)
        self.narrow = nn.Conv2d(wide, channels, 1, bias=False)
        self.narrow_norm = nn.BatchNorm2d(channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        mixed = self.spatial_norm(self.spatial(x))
        mixed = self.narrow_norm(self.narrow(torch.relu(self.widen(mixed))))
        added: torch.Tensor = x + mixed
        return added


def downsample(channels_in: int, channels_out: int) -> nn.Sequential:
    """Depthwise-separable downsampling by 2: (B, C_in, H, W) to (B, C_out, H / 2, W / 2)."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_in, 3, stride=2, padding=1, groups=channels_in, bias=False),
        nn.BatchNorm2d(channels_in),
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
    )


def upsample(channels_in: int, channels_out: int) -> nn.Sequential:
    """1 × 1 convolution, bilinear upsampling by 2, then a depthwise one, each with batch norm.

    (B, C_in, H, W) to (B, C_out, 2 H, 2 W). Mixing channels before the upsampling takes a quarter
    of the work that it takes behind it.
    """
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.Upsample(scale_factor=2, mode="bilinear"),
        nn.Conv2d(channels_out, channels_out, 3, padding=1, groups=channels_out, bias=False),
        nn.BatchNorm2d(channels_out),
    )
