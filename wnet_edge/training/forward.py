"""Forward model in torch, with gradients: the twin of `wnet_edge.physics.forward`."""

import torch


def expected_counts(patches: torch.Tensor, probe: torch.Tensor, binning: int) -> torch.Tensor:
    """Expected binned intensity of patches (B, full, full) under a probe (modes, full, full).

    (B, window, window) float32 with window = full / `binning`, relative to the incident counts if
    the probe's power is 1. The shift of the exit wave's origin is omitted: it only changes the
    phase of the detector wave.
    """
    spectrum = torch.fft.fft2(patches[:, None] * probe[None], norm="ortho")
    intensity = (spectrum.real**2 + spectrum.imag**2).sum(dim=1)
    full_px = patches.shape[-1]
    window_px = full_px // binning
    # Centring combined with the roll of the binning convention.
    rolled = torch.roll(intensity, (full_px // 2 + binning // 2,) * 2, dims=(1, 2))
    return rolled.reshape(-1, window_px, binning, window_px, binning).sum(dim=(2, 4))
