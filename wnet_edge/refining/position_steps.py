"""How far each frame's position should move, by what its exit waves lack.

A step δ of a window changes exit waves by P · (δ·∇O): by least squares δ = M⁻¹ b with
b = Re Σ (∇O)* · conj(P) Δψ and M = Re Σ |P|² ∇O* ∇O (Odstrčil, Menzel & Guizar-Sicairos, Opt.
Express 26, 3108, 2018, eq. 29, for both directions together).
"""

import numpy as np
from numpy.typing import NDArray

_STEP = 2.0
"""Of the least-squares one: amplitudes tell about half of what exit waves lack."""

_LONGEST_PX = 0.5
"""A step in one pass."""

_FIRM = 0.02
"""Of the firmer direction: along lines and edges a position is left where it is."""


def position_step(
    window: NDArray[np.complex64], lacking: NDArray[np.complex64], power: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Row and column (2,), pixels, by which a frame's window should move on the object.

    Args:
        window: (n, n), the object under the frame.
        lacking: (n, n), what it lacks, Σ_modes conj(P) Δψ.
        power: (n, n), Σ_modes |P|².
    """
    slopes = np.gradient(window)
    pull = np.array([np.vdot(slope, lacking).real for slope in slopes])
    stiffness = np.array(
        [[np.vdot(one * power, other).real for other in slopes] for one in slopes], np.float64
    )
    firm = np.linalg.eigvalsh(stiffness)[-1]
    if firm <= 0:
        return np.zeros(2)
    step = _STEP * np.linalg.solve(stiffness + _FIRM * firm * np.eye(2), pull)
    length = float(np.hypot(*step))
    limited: NDArray[np.float64] = step * min(1.0, _LONGEST_PX / max(length, _LONGEST_PX))
    return limited
