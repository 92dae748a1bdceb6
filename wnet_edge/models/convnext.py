"""The ConvNeXt V2 block of W1 and W2 (Woo et al., CVPR 2023), and the normalisations in it."""

import torch
import torch.nn.functional as F
from torch import nn

_EPSILON = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel, (B, C, H, W) to the same shape.

    Ba et al. (2016, eqs. 3 and 4), as ConvNeXt applies it (Liu et al., CVPR 2022).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=_EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class GlobalResponseNorm(nn.Module):
    """Global response normalisation across channels (Woo et al., CVPR 2023, eqs. 1 to 3).

    (B, H, W, C) to the same shape; initialised as identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, H, W, C) to (B, H, W, C)."""
        norm = x.square().sum(dim=(1, 2), keepdim=True).sqrt()
        share = norm / (norm.mean(dim=-1, keepdim=True) + _EPSILON)
        return x + self.gain * (x * share) + self.bias


class ConvNeXtBlock(nn.Module):
    """ConvNeXt V2 residual block (Woo et al., CVPR 2023, fig. 5), (B, C, H, W) to the same shape.

    Depthwise k × k, layer norm, 1 × 1 to expansion × C, GELU, GRN, 1 × 1 to C, added to the input.
    """

    def __init__(self, channels: int, kernel_px: int, expansion: float) -> None:
        super().__init__()
        wide = round(channels * expansion)
        self.spatial = nn.Conv2d(
            channels, channels, kernel_px, padding=kernel_px // 2, groups=channels
        )
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.widen = nn.Linear(channels, wide)
        self.response = GlobalResponseNorm(wide)
        self.narrow = nn.Linear(wide, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, C, H, W) to (B, C, H, W)."""
        mixed = self.norm(self.spatial(x).permute(0, 2, 3, 1))
        mixed = self.narrow(self.response(F.gelu(self.widen(mixed))))
        added: torch.Tensor = x + mixed.permute(0, 3, 1, 2)
        return added
