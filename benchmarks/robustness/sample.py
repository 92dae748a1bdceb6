"""The object of all scans: four kinds that no training has drawn, side by side."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.refinement.unseen import OBJECTS
from benchmarks.robustness.conditions import Conditions

_KINDS = ("star", "grains", "circuit", "cells")
_BLOCK_PX = 320
_SEED = 11


def sample(size_px: int, conditions: Conditions) -> NDArray[np.complex64]:
    """Transmission (size_px, size_px) complex64 with these ranges of phase and absorption."""
    repeats = -(-size_px // (2 * _BLOCK_PX))
    exponent = np.tile(_exponent(), (repeats, repeats))[:size_px, :size_px]
    absorbed = exponent.real * (conditions.absorption / np.ptp(_exponent().real))
    turned = exponent.imag * (conditions.phase_rad / np.ptp(_exponent().imag))
    drawn: NDArray[np.complex64] = np.exp(absorbed + 1j * turned).astype(np.complex64)
    return drawn


@lru_cache(maxsize=1)
def _exponent() -> NDArray[np.complex128]:
    """Logarithm of O, of two by two blocks, in each of which every kind has another quarter."""
    drawn = [np.log(OBJECTS[kind](_BLOCK_PX, np.random.default_rng(_SEED))) for kind in _KINDS]
    half = _BLOCK_PX // 2
    quarters = [
        (slice(row, row + half), slice(column, column + half))
        for row in (0, half)
        for column in (0, half)
    ]
    blocks = []
    for turn in range(4):
        block = np.empty((_BLOCK_PX, _BLOCK_PX), np.complex128)
        for number, quarter in enumerate(quarters):
            block[quarter] = drawn[(number + turn) % 4][quarter]
        blocks.append(block)
    return np.block([blocks[:2], blocks[2:]])
