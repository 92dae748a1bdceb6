"""Forward model in torch, with gradients: the twin of `wnet_edge.physics.forward`."""

import math

import torch


def expected_counts(
    patches: torch.Tensor, probe: torch.Tensor, binning: int, blur_px: float = 0.0
) -> torch.Tensor:
    """Expected binned intensity of patches (B, full, full) under a probe (modes, full, full).

    (B, window, window) float32 with window = full / `binning`, relative to the incident counts if
    the probe's power is 1. The shift of the exit wave's origin is omitted: it only changes the
    phase of the detector wave.

    `blur_px` is the RMS width, in detector pixels, of a Gaussian that blurs the intensity: partial
    coherence beyond the probe's modes.
    """
    spectrum = torch.fft.fft2(patches[:, None] * probe[None], norm="ortho")
    intensity = (spectrum.real**2 + spectrum.imag**2).sum(dim=1)
    if blur_px > 0:
        intensity = _blurred(intensity, blur_px)
    full_px = patches.shape[-1]
    window_px = full_px // binning
    # Centring combined with the roll of the binning convention.
    rolled = torch.roll(intensity, (full_px // 2 + binning // 2,) * 2, dims=(1, 2))
    return rolled.reshape(-1, window_px, binning, window_px, binning).sum(dim=(2, 4))


def _blurred(intensity: torch.Tensor, sigma_px: float) -> torch.Tensor:
    """Intensities (B, n, n), periodic, convolved with a Gaussian along rows and columns."""
    reach = max(math.ceil(3 * sigma_px), 1)
    at = torch.arange(-reach, reach + 1, dtype=intensity.dtype)
    taps = torch.exp(-(at**2) / (2 * sigma_px**2))
    taps = taps / taps.sum()
    padded = torch.nn.functional.pad(intensity[:, None], (reach,) * 4, mode="circular")
    along = torch.nn.functional.conv2d(padded, taps[None, None, :, None])
    return torch.nn.functional.conv2d(along, taps[None, None, None, :])[:, 0]
