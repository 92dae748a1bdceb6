"""The object of all scans: four kinds that no training has drawn, in a chequered field.

It repeats after about a scan's width, so that scans of larger steps see the same object.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.refinement.unseen import OBJECTS
from benchmarks.robustness.conditions import Conditions

_TILES = (("star", "grains"), ("circuit", "cells"))
_TILE_PX = 112
_DRAWN_PX = 320
_SEED = 11


def sample(size_px: int, conditions: Conditions) -> NDArray[np.complex64]:
    """Transmission (size_px, size_px) complex64 with these ranges of phase and absorption."""
    repeats = -(-size_px // (2 * _TILE_PX))
    exponent = np.tile(_exponent(), (repeats, repeats))[:size_px, :size_px]
    absorbed = exponent.real * (conditions.absorption / np.ptp(_exponent().real))
    turned = exponent.imag * (conditions.phase_rad / np.ptp(_exponent().imag))
    drawn: NDArray[np.complex64] = np.exp(absorbed + 1j * turned).astype(np.complex64)
    return drawn


@lru_cache(maxsize=1)
def _exponent() -> NDArray[np.complex128]:
    """Logarithm of the transmission of two by two tiles, each cut beside its drawing's middle."""
    cut = slice(_DRAWN_PX // 2, _DRAWN_PX // 2 + _TILE_PX)
    return np.block(
        [
            [
                np.log(OBJECTS[kind](_DRAWN_PX, np.random.default_rng(_SEED))[cut, cut])
                for kind in row
            ]
            for row in _TILES
        ]
    )
