"""Gauge fixing of patches: the global phase and amplitude scale that a frame does not determine.

A frame is invariant under a global phase of the patch, and a normalised frame under a global
scale, so both are fixed by convention in labels before training and in patches before metrics; the
stitcher restores them. Every sum is weighted by the probe's intensity: pixels without illumination
carry no information.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.physics.labelled_frames import PatchLabels

ComplexArray = NDArray[np.complexfloating[Any, Any]]
Real = NDArray[np.floating[Any]]


def probe_intensity(probe: ComplexArray) -> NDArray[np.float32]:
    """Probe intensity Σ_modes |P|², (H, W) float32, of incoherent modes (modes, H, W) complex."""
    intensity: NDArray[np.float32] = np.sum(np.abs(probe) ** 2, axis=0, dtype=np.float32)
    return intensity


def illumination_weight(intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weight of a pixel in loss and image: sqrt(Σ_modes |P|²) scaled to mean 1, (H, W) float32.

    Args:
        intensity: (H, W), Σ_modes |P|².

    Raises:
        ValueError: if the probe is zero everywhere.
    """
    amplitude: NDArray[np.float32] = np.sqrt(intensity)
    mean = float(amplitude.mean())
    if not mean > 0:
        raise ValueError("the probe is dark in the whole window")
    weight: NDArray[np.float32] = amplitude / np.float32(mean)
    return weight


def fix_gauge(patches: ComplexArray, intensity: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Patches (..., H, W) complex64 with their global phase fixed: Σ |P|²·patch real and positive.

    patch · conj(g) / |g| with g = Σ |P|²·patch; a patch with g = 0 stays as it is.
    """
    g = np.sum(patches * intensity, axis=(-2, -1), keepdims=True)
    magnitude = np.abs(g)
    turn = np.where(magnitude > 0, np.conj(g) / np.where(magnitude > 0, magnitude, 1), 1)
    fixed: NDArray[np.complex64] = (patches * turn).astype(np.complex64, copy=False)
    return fixed


def amplitude_scale(patches: ComplexArray, intensity: NDArray[np.float32]) -> NDArray[np.float32]:
    """Illumination-weighted RMS of |patch|, s = sqrt(Σ|P|²|patch|² / Σ|P|²), shape (...) float32.

    By Parseval's theorem s² is the fraction of the incident counts that reaches the detector.
    """
    power = np.sum(np.abs(patches) ** 2 * intensity, axis=(-2, -1))
    scale: NDArray[np.float32] = np.sqrt(power / intensity.sum()).astype(np.float32)
    return scale


def wrap_rad(phase: Real) -> Real:
    """Wrap phases (...) in rad to [−π, π)."""
    return (phase + np.pi) % (2 * np.pi) - np.pi


def wrapped_difference_rad(phase: Real, reference: Real) -> Real:
    """Wrapped difference phase − reference, (...) rad in [−π, π)."""
    return wrap_rad(np.subtract(phase, reference))


def labels(
    patches: NDArray[np.complex64], probe: NDArray[np.complex64], window_px: int
) -> PatchLabels:
    """Training labels of patches (N, H, W) under a probe (modes, H, W).

    Amplitude relative to the patch's RMS under the whole probe, and phase with the gauge fixed in
    the network's window; of the centre of the patch, (window_px, window_px).
    """
    intensity = probe_intensity(probe)
    start = central_window_start_px(patches.shape[-1], window_px)
    window = slice(start, start + window_px)
    scale = np.maximum(amplitude_scale(patches, intensity), 1e-6)[:, None, None]
    label = fix_gauge(patches[:, window, window] / scale, intensity[window, window])
    return PatchLabels(np.abs(label), np.angle(label))
