"""ePIE of binned frames: the iterative engine that is held against itself in `ceiling`.

Maiden & Rodenburg, Ultramicroscopy 109, 1256 (2009), with the incoherent modes of Thibault &
Menzel, Nature 494, 68 (2013). pty-chi, the engine of the field, computes whole detector pixels; the
embedded frames hold sums of 2 × 2 of them. Here the model's intensity is summed as the detector
was, and the four pixels of a bin share one correction.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.physics.gauge import illumination_weight, probe_intensity

_STEP = 1.0
"""Of object and probe alike: α = β = 1 in Maiden & Rodenburg's eqs. 6 and 7."""

_MARGIN_PX = 2


@dataclass(frozen=True)
class Frames:
    """What is measured.

    Attributes:
        counts: (N, n, n) float32 binned counts, zero frequency in the centre, masked bins negative.
        positions_px: (N, 2) float64 row, column of the top-left pixel of each full window.
        probe: (modes, full, full) complex64, square-root counts, to start from.
    """

    counts: NDArray[np.float32]
    positions_px: NDArray[np.float64]
    probe: NDArray[np.complex64]

    def part(self, frames: slice) -> "Frames":
        """Some of the frames."""
        return Frames(self.counts[frames], self.positions_px[frames], self.probe)


@dataclass(frozen=True)
class EpieOptions:
    """How to reconstruct.

    Attributes:
        iterations: passes over all frames.
        sub_pixel: shift the probe by the fraction of a pixel, or round positions.
        refine_probe: improve the probe along with the object, or hold it as it was given.
        seed: of the order of the frames, drawn anew each iteration.
    """

    iterations: int = 60
    sub_pixel: bool = True
    refine_probe: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Reconstruction:
    """An object.

    Attributes:
        image: (H, W) complex64.
        coverage: (H, W) float32, summed illumination weight.
        r_factor: Σ|√counts − |Ψ|| / Σ√counts in the last iteration.
    """

    image: NDArray[np.complex64]
    coverage: NDArray[np.float32]
    r_factor: float


def reconstruct(
    frames: Frames, options: EpieOptions, progress: Callable[[int, float], None]
) -> Reconstruction:
    """Object of the frames, begun as empty.

    Args:
        frames: measured.
        options: how.
        progress: told of every iteration and its R-factor.
    """
    full_px = frames.probe.shape[-1]
    binning = full_px // frames.counts.shape[-1]
    corners, fractions = _placed(frames.positions_px, sub_pixel=options.sub_pixel)
    shape = tuple((corners.max(axis=0) + full_px + _MARGIN_PX).tolist())
    engine = _Engine(frames, shape, binning, refine_probe=options.refine_probe)
    rng = np.random.default_rng(options.seed)
    r_factor = math.nan
    for iteration in range(options.iterations):
        misfit = measured = 0.0
        for index in rng.permutation(len(corners)).tolist():
            ramp = engine.ramp(fractions[index]) if options.sub_pixel else None
            one, other = engine.improve(index, corners[index].tolist(), ramp)
            misfit, measured = misfit + one, measured + other
        r_factor = misfit / measured
        progress(iteration + 1, r_factor)
    coverage = np.zeros(shape, dtype=np.float32)
    weight = illumination_weight(probe_intensity(frames.probe))
    for row, column in corners.tolist():
        coverage[row : row + full_px, column : column + full_px] += weight
    return Reconstruction(engine.object.numpy(), coverage, r_factor)


def _placed(
    positions_px: NDArray[np.float64], *, sub_pixel: bool
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Corner (N, 2) of each window in the image, and how much further it lies, (N, 2)."""
    relative = positions_px - positions_px.min(axis=0) + _MARGIN_PX
    corners = np.rint(relative).astype(np.int64)
    fractions = relative - corners if sub_pixel else np.zeros_like(relative)
    return corners, fractions


class _Engine:
    """Object and probe as they become, and the step that one frame makes.

    The probe is kept in Fourier space: there, a shift by a fraction of a pixel is a product.
    """

    def __init__(
        self, frames: Frames, shape: tuple[int, ...], binning: int, *, refine_probe: bool
    ) -> None:
        self._full_px, self._binning = frames.probe.shape[-1], binning
        self._refine_probe = refine_probe
        # The order of an FFT begins with zero frequency, for the bins too.
        centred = np.fft.ifftshift(frames.counts, axes=(-2, -1))
        self._masked = torch.from_numpy(centred < 0)
        self._root = torch.from_numpy(np.sqrt(np.maximum(centred, 0)))
        self._probe_transform = torch.fft.fft2(torch.from_numpy(frames.probe.copy()))
        self.object = torch.ones(shape, dtype=torch.complex64)
        self._turns = torch.from_numpy(-2j * np.pi * np.fft.fftfreq(self._full_px))

    def ramp(self, fraction_px: NDArray[np.float64]) -> torch.Tensor:
        """Factor (full, full) on a transform that shifts by (rows, columns)."""
        rows, columns = (torch.exp(self._turns * share) for share in fraction_px.tolist())
        return (rows[:, None] * columns[None]).to(torch.complex64)

    def improve(
        self, index: int, corner: list[int], ramp: torch.Tensor | None
    ) -> tuple[float, float]:
        """One step of object and probe; Σ|√counts − |Ψ|| and Σ√counts of the frame before it."""
        row, column = corner
        window = slice(row, row + self._full_px), slice(column, column + self._full_px)
        patch = self.object[window]
        transform = self._probe_transform if ramp is None else self._probe_transform * ramp
        probe = torch.fft.ifft2(transform)
        exit_wave = probe * patch
        wave = torch.fft.fft2(exit_wave, norm="ortho")
        modulus = self._binned((wave.real**2 + wave.imag**2).sum(dim=0)).sqrt_()
        root, masked = self._root[index], self._masked[index]
        ratio = torch.where(masked, 1.0, root / modulus.clamp(min=1e-3))
        change = torch.fft.ifft2(wave * self._spread(ratio), norm="ortho") - exit_wave
        misfit = (root - modulus).abs_().masked_fill_(masked, 0).sum()

        brightness = (probe.real**2 + probe.imag**2).sum(dim=0).max()
        if self._refine_probe:
            opacity = (patch.real**2 + patch.imag**2).max()
            probe_step = torch.fft.fft2(change * patch.conj() * (_STEP / opacity))
            self._probe_transform += probe_step if ramp is None else probe_step * ramp.conj()
        patch += (probe.conj() * change).sum(dim=0) * (_STEP / brightness)
        return misfit.item(), root.sum().item()

    def _binned(self, intensity: torch.Tensor) -> torch.Tensor:
        """(full, full) summed as the detector was: see `wnet_edge.physics.binning.bin_frames`."""
        b, n = self._binning, self._full_px // self._binning
        rolled = torch.roll(intensity, (b // 2, b // 2), dims=(0, 1))
        return rolled.view(n, b, n, b).sum(dim=(1, 3))

    def _spread(self, bins: torch.Tensor) -> torch.Tensor:
        """Adjoint of `_binned`: every pixel gets its bin's value."""
        b = self._binning
        wide = bins.repeat_interleave(b, dim=0).repeat_interleave(b, dim=1)
        return torch.roll(wide, (-(b // 2), -(b // 2)), dims=(0, 1))
