"""Losses of training and validation: amplitude and phase errors weighted by the illumination."""

import math

import torch


def wrap_phase(difference_rad: torch.Tensor) -> torch.Tensor:
    """Wrap a phase difference to (−π, π], same shape; the gradient is 1 everywhere."""
    turns = torch.round(difference_rad.detach() / (2 * math.pi))
    return difference_rad - 2 * math.pi * turns


def weighted_mae(
    prediction: tuple[torch.Tensor, torch.Tensor],
    label: tuple[torch.Tensor, torch.Tensor],
    weight: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean absolute errors (amplitude, phase_rad), scalars, weighted by the illumination.

    Args:
        prediction: amplitude and phase_rad, (B, 1, H, W) each.
        label: amplitude and phase_rad, (B, 1, H, W) each.
        weight: (H, W) of mean 1, so that pixels without illumination do not contribute.
    """
    amplitude = (weight * (prediction[0] - label[0]).abs()).mean()
    phase_rad = (weight * wrap_phase(prediction[1] - label[1]).abs()).mean()
    return amplitude, phase_rad


def weighted_chord(
    phase_rad: torch.Tensor, label_rad: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Squared chord loss of the phase, weighted mean of 2·|exp(iφ) − exp(iφ₀)|², a scalar.

    Equals 4·(1 − cos(φ − φ₀)). If a frame is compatible with several phases, the absolute error is
    least at their median, this loss at their circular mean, which is the average that stitching
    takes over overlapping patches.

    Args:
        phase_rad: (B, 1, H, W).
        label_rad: (B, 1, H, W).
        weight: (H, W) of mean 1.
    """
    return 4 * (weight * (1 - torch.cos(phase_rad - label_rad))).mean()
