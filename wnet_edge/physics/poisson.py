"""Expected deviation of the square root of Poisson counts: the noise floor of any R-factor."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

_LARGE = 60.0
_GRID = np.concatenate([[0.0], np.geomspace(1e-4, _LARGE, 400)])


def _exact(mean: float) -> float:
    """E|√k − √mean| for k ~ Poisson(mean), by direct summation."""
    k = np.arange(int(mean + 12 * math.sqrt(mean) + 25))
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(k[1:]))])
    chance = np.exp(k * math.log(mean) - mean - log_factorial)
    return float(np.sum(chance * np.abs(np.sqrt(k) - math.sqrt(mean))))


@cache
def _table() -> NDArray[np.float64]:
    return np.array([0.0, *(_exact(mean) for mean in _GRID[1:])])


def expected_root_deviation(mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """E|√k − √mean| for counts k ~ Poisson(mean), elementwise, of any shape.

    1/√(2π) for large means, where √k is normal with variance 1/4 (Bartlett, Supplement to J. Royal
    Stat. Soc. 3, 68, 1936); tabulated below 60.
    """
    near: NDArray[np.float64] = np.interp(mean, _GRID, _table())
    return np.where(mean < _LARGE, near, 1 / math.sqrt(2 * math.pi))
