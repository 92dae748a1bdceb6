"""Far-field forward model, from probe and patch to the detector wave, and its adjoint.

Ψ = fftshift(fft2(ifftshift(P · O), norm="ortho")); the frame's expectation is Σ_modes |Ψ|².
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Wave = NDArray[np.complexfloating[Any, Any]]

_AXES = (-2, -1)


def far_field(wave: Wave) -> Wave:
    """Propagate an exit wave (..., H, W) to the detector: centred, unitary Fourier transform."""
    return np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(wave, _AXES), norm="ortho"), _AXES)


def inverse_far_field(field: Wave) -> Wave:
    """Propagate a detector wave (..., H, W) back to the exit wave; also adjoint of `far_field`."""
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(field, _AXES), norm="ortho"), _AXES)


def propagate(patches: Wave, probe: Wave) -> Wave:
    """Detector waves (N, modes, H, W) of patches (N, H, W) under a probe (modes, H, W)."""
    return far_field(patches[:, None] * probe[None])


def propagate_adjoint(fields: Wave, probe: Wave) -> Wave:
    """Adjoint of `propagate` in the patches: (N, modes, H, W) to (N, H, W)."""
    waves = inverse_far_field(fields) * np.conj(probe)[None]
    adjoint: Wave = waves.sum(axis=1)
    return adjoint


def expected_counts(patches: Wave, probe: Wave) -> NDArray[np.float32]:
    """Expected counts Σ_modes |Ψ|², (N, H, W) float32, in the unit of |probe|²."""
    fields = propagate(patches, probe)
    counts: NDArray[np.float32] = np.sum(np.abs(fields) ** 2, axis=1).astype(np.float32)
    return counts
