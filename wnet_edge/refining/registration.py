"""How far apart two overlapping patches lie on the object, by what both of them show.

A single-shot network sees its patch without being told where the frame was taken, so neighbouring
patches can be registered with each other (Du et al., arXiv 2405.20910, 2024). The measure is the
weighted, normalised cross-correlation |Σ w w′ a*·b| / √(Σ w w′ |a|² · Σ w w′ |b|²) over the
overlap, a and b without their means over it (Padfield, IEEE Trans. Image Process. 21, 2706, 2012):
without the normalisation the window pulls its peak towards no displacement, and distances come out
short.
"""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from wnet_edge.refining.fourier import correlation_spectrum, cross_correlation, real_correlation

ReadPatch = Callable[[int], NDArray[np.complex64]]
"""The patch (h, h) of a frame."""

_LEAST_OVERLAP = 0.12
"""Of the weights of two patches in one place; with less, chance looks like agreement."""

_OVERLAP_POWER = 0.25
_LEAST_BEND = 1e-3
_LEAST_SPREAD = 1e-2

_AT_ONCE = 64
"""Pairs that wait for a thread."""

_HELD_PATCHES = 512
"""Spectra of patches that are kept, so that memory does not grow with the scan."""


@dataclass(frozen=True, eq=False)
class Displacement:
    """Of a second patch from a first.

    Attributes:
        shift_px: (2,) row, column, with fractions.
        firmness: (2, 2), minus the second derivative of the correlation at its peak, 1/px²: near
            zero along lines and edges, along which patches may slide.
    """

    shift_px: NDArray[np.float64]
    firmness: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Spectra:
    """Padded transforms of a patch: of w·a, complex, and of w·|a|², real."""

    wave: NDArray[np.complex64]
    power: NDArray[np.complex64]


class Registration:
    """Displacements between patches of one scan.

    Args:
        weight: (h, h) float32 ≥ 0, illumination weight of a patch.
        read: gives patches, of any global phase.
    """

    def __init__(self, weight: NDArray[np.float32], read: ReadPatch) -> None:
        self._weight = weight / weight.max()
        self._read = read
        self._size = 2 * weight.shape[-1]
        spectrum = correlation_spectrum(self._weight, self._size)
        self._weight_spectrum = spectrum
        self._wide_weight_spectrum = correlation_spectrum(
            self._weight.astype(np.complex64), self._size
        )
        overlap = real_correlation(spectrum, spectrum, self._size)
        self._overlap = np.maximum(overlap / overlap.max(), 0)
        self._common = np.maximum(overlap, _LEAST_OVERLAP * overlap.max())
        self._shift = np.fft.fftfreq(self._size, 1 / self._size)
        self._held: OrderedDict[int, _Spectra] = OrderedDict()

    def displacements(
        self,
        pairs: NDArray[np.int64],
        expected_px: NDArray[np.float64],
        reach_px: float,
        threads: int,
    ) -> list[Displacement]:
        """Of the second patch of each pair (K, 2) from the first, near (K, 2) `expected_px`.

        Of peaks that are as high the nearest is taken; none that is farther than `reach_px`.
        """
        found: list[Displacement] = []
        with ThreadPoolExecutor(threads, "registration") as pool:
            for start in range(0, len(pairs), _AT_ONCE):
                some = slice(start, start + _AT_ONCE)
                first, second = (map(self._spectra, side.tolist()) for side in pairs[some].T)
                found += pool.map(
                    self._displacement, first, second, expected_px[some], repeat(reach_px)
                )
        return found

    def _displacement(
        self,
        first: "_Spectra",
        second: "_Spectra",
        expected_px: NDArray[np.float64],
        reach_px: float,
    ) -> Displacement:
        agreement = self._agreement(first, second)
        row_px, column_px = self._shift[:, None] - expected_px[0], self._shift - expected_px[1]
        far = (row_px**2 + column_px**2) / reach_px**2
        # A small overlap agrees by chance more easily.
        told = agreement * self._overlap**_OVERLAP_POWER * np.exp(-far / 2)
        told[(far > 1) | (self._overlap < _LEAST_OVERLAP)] = 0
        row, column = divmod(int(np.argmax(told)), self._size)
        offset_px, firmness = _peak(self._around(agreement, row, column).astype(np.float64))
        return Displacement(np.array([self._shift[row], self._shift[column]]) + offset_px, firmness)

    def _agreement(self, one: _Spectra, other: _Spectra) -> NDArray[np.float32]:
        """Correlation by displacement, of deviations from each patch's mean over the overlap."""
        size, weight, wide = self._size, self._weight_spectrum, self._wide_weight_spectrum
        first, second = (
            cross_correlation(one.wave, wide),
            cross_correlation(wide, other.wave),
        )
        both = cross_correlation(one.wave, other.wave)
        both -= first * second / self._common
        spread = _spread(real_correlation(one.power, weight, size), first, self._common)
        spread *= _spread(real_correlation(weight, other.power, size), second, self._common)
        agreement = np.zeros_like(spread)
        np.divide(np.abs(both), np.sqrt(spread), out=agreement, where=spread > 0)
        return agreement

    def _around(self, values: NDArray[np.float32], row: int, column: int) -> NDArray[np.float32]:
        """The 3 × 3 values around a place, periodic."""
        near = np.arange(-1, 2)
        around: NDArray[np.float32] = values[
            ((row + near) % self._size)[:, None], (column + near) % self._size
        ]
        return around

    def _spectra(self, frame: int) -> _Spectra:
        if frame in self._held:
            self._held.move_to_end(frame)
            return self._held[frame]
        patch, weight = self._read(frame), self._weight
        # What all patches share would agree anywhere.
        patch = patch - np.complex64(np.sum(weight * patch) / weight.sum())
        made = _Spectra(
            correlation_spectrum(weight * patch, self._size),
            correlation_spectrum(weight * (patch.real**2 + patch.imag**2), self._size),
        )
        self._held[frame] = made
        if len(self._held) > _HELD_PATCHES:
            self._held.popitem(last=False)
        return made


def _spread(
    power: NDArray[np.float32], mean: NDArray[np.complex64], common: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Σ w w′ |a|² about the mean over the overlap; 0 where that is nothing but rounding."""
    spread = power - (mean.real**2 + mean.imag**2) / common
    spread[spread < _LEAST_SPREAD * spread.max()] = 0
    return spread


def _peak(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Top of a parabola through 3 × 3 values, (2,) from the middle one, and its firmness (2, 2).

    The latter is minus the second derivative, without directions in which that is above zero.
    """
    slope = np.array([values[2, 1] - values[0, 1], values[1, 2] - values[1, 0]]) / 2
    along = 2 * values[1, 1] - np.array([values[0, 1] + values[2, 1], values[1, 0] + values[1, 2]])
    across = -(values[2, 2] - values[2, 0] - values[0, 2] + values[0, 0]) / 4
    bends, axes = np.linalg.eigh(np.array([[along[0], across], [across, along[1]]]))
    bends = np.maximum(bends, 0)
    steps = (axes.T @ slope) / np.maximum(bends, _LEAST_BEND)
    return axes @ np.clip(steps, -1, 1), (axes * bends) @ axes.T
