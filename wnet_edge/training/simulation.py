"""Frames and labels made on the fly: canvases from `wnet_edge.physics.objects`, the rest in torch.

canvas → patches → far field under a slightly wrong probe → binning → Poisson counts → batch. The
forward model is the torch twin of `wnet_edge.physics.forward`; the tests hold the two together.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.gauge import amplitude_scale, fix_gauge, probe_intensity
from wnet_edge.geometry import central_window_start_px
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.objects import Family, draw_object
from wnet_edge.physics.probe import spatial_frequencies_per_m
from wnet_edge.preprocess import MASKED
from wnet_edge.training.batch import Batch

_VALIDATION_STREAM = 2**31
"""Stream of random numbers that no epoch reaches."""


@dataclass(frozen=True)
class ProbeErrors:
    """How far the probe of a batch may be from the one that was measured.

    Attributes:
        defocus_m: RMS of a normal distribution of the sample's distance from where it was.
        mode_power: RMS of the relative change of each mode's power.
        ripple: RMS of a smooth relative error of the complex field.
    """

    defocus_m: float = 1e-6
    mode_power: float = 0.05
    ripple: float = 0.05


@dataclass(frozen=True)
class SimulationOptions:
    """What frames are made of.

    Attributes:
        window_px: edge of the network's window and of its binned frames.
        binning: detector pixels a bin; full window = window_px × binning.
        frames_per_epoch: new frames each epoch.
        canvas_px: edge of an object canvas.
        frames_per_canvas: patches cut from one canvas.
        families: kinds of object, drawn with equal chance.
        detector: flux, background, dead pixels.
        gain_error: RMS relative error of the intensity in a bin that no noise model explains.
        probe_errors: see `ProbeErrors`.
    """

    window_px: int = 64
    binning: int = 2
    frames_per_epoch: int = 12_000
    canvas_px: int = 512
    frames_per_canvas: int = 200
    families: tuple[Family, ...] = tuple(Family)
    detector: Detector = field(
        default_factory=lambda: Detector((1e6, 1e8), background=1e-4, dead_fraction=1e-3)
    )
    gain_error: float = 0.05
    probe_errors: ProbeErrors = field(default_factory=ProbeErrors)


class SimulatedFrames:
    """Batches of simulated frames, a new set each epoch, the same for the same seed.

    Args:
        probe: (modes, full, full) complex64, full = window_px × binning.
        pixel_size_m: object pixel.
        wavelength_m: for the defocus of `ProbeErrors`.
        seed: of objects, positions and noise.

    Raises:
        SimulationError: if the probe is not of the full window's size.
    """

    def __init__(
        self,
        probe: NDArray[np.complex64],
        options: SimulationOptions,
        *,
        pixel_size_m: float,
        wavelength_m: float,
        seed: int,
    ) -> None:
        full_px = options.window_px * options.binning
        if probe.ndim != 3 or probe.shape[1:] != (full_px, full_px):
            raise SimulationError(
                f"a {options.window_px}-px network with {options.binning} × {options.binning} "
                f"binning needs a probe of (modes, {full_px}, {full_px}), not {probe.shape}"
            )
        power = math.sqrt(float(np.sum(np.abs(probe) ** 2)))
        self.probe = (probe / np.float32(power)).astype(np.complex64)
        self.options = options
        self.seed = seed
        self._intensity = probe_intensity(self.probe)
        self._fresnel = torch.from_numpy(
            (math.pi * wavelength_m * spatial_frequencies_per_m(full_px, pixel_size_m)).astype(
                np.float32
            )
        )
        start = central_window_start_px(full_px, options.window_px)
        self.window = slice(start, start + options.window_px)

    @property
    def window_intensity(self) -> NDArray[np.float32]:
        """Σ_modes |P|² in the network's window, (window, window)."""
        return self._intensity[self.window, self.window]

    @property
    def frames_per_epoch(self) -> int:
        """Frames that `epoch` gives."""
        return self.options.frames_per_epoch

    def epoch(self, epoch: int, batch_size: int) -> Iterator[Batch]:
        """Batches of one epoch."""
        return self._batches(epoch, self.options.frames_per_epoch, batch_size)

    def validation(self, frames: int, batch_size: int) -> Iterator[Batch]:
        """Batches that no epoch holds, the same at each call."""
        return self._batches(_VALIDATION_STREAM, frames, batch_size)

    def _batches(self, stream: int, frames: int, batch_size: int) -> Iterator[Batch]:
        rng = np.random.default_rng([self.seed, stream])
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        patches = self._patches(frames, rng)
        for start in range(0, frames, batch_size):
            yield self._batch(patches[start : start + batch_size], rng, noise)

    def _patches(self, frames: int, rng: np.random.Generator) -> list[NDArray[np.complex64]]:
        """Full windows of fresh canvases, in random order, turned and mirrored at random."""
        options = self.options
        full_px = options.window_px * options.binning
        patches: list[NDArray[np.complex64]] = []
        for _ in range(math.ceil(frames / options.frames_per_canvas)):
            family = options.families[rng.integers(len(options.families))]
            canvas = draw_object(family, options.canvas_px, rng=rng)
            corners = rng.integers(
                0, options.canvas_px - full_px + 1, (options.frames_per_canvas, 2)
            )
            patches += [canvas[r : r + full_px, c : c + full_px] for r, c in corners]
        order = rng.permutation(len(patches))[:frames]
        return [patches[i] for i in order]

    def _batch(
        self,
        patches: list[NDArray[np.complex64]],
        rng: np.random.Generator,
        noise: torch.Generator,
    ) -> Batch:
        turns = rng.integers(0, 8, len(patches))
        full = np.stack([_turn(p, t) for p, t in zip(patches, turns, strict=True)])
        expected = self.expected(torch.from_numpy(full), self._wrong_probe(rng, noise))
        counts = detect(expected, self.options, noise)
        scale = amplitude_scale(full, self._intensity)
        label = full[:, self.window, self.window] / np.maximum(scale, 1e-6)[:, None, None]
        gauged = fix_gauge(label, self.window_intensity)
        return Batch(
            counts=counts[:, None],
            amplitude=torch.from_numpy(np.abs(gauged))[:, None],
            phase_rad=torch.from_numpy(np.angle(gauged))[:, None],
        )

    def expected(self, patches: torch.Tensor, probe: torch.Tensor) -> torch.Tensor:
        """Patches (B, full, full) under a probe (modes, full, full) to binned shares of the counts.

        (B, window, window) float32. The shift of the exit wave's origin is left out: it changes the
        detector wave by a phase alone.
        """
        spectrum = torch.fft.fft2(patches[:, None] * probe[None], norm="ortho")
        intensity = (spectrum.real**2 + spectrum.imag**2).sum(dim=1)
        binning, window_px = self.options.binning, self.options.window_px
        half = window_px * binning // 2
        # Centring and the roll of the binning convention in one.
        rolled = torch.roll(intensity, (half + binning // 2,) * 2, dims=(1, 2))
        return rolled.reshape(-1, window_px, binning, window_px, binning).sum(dim=(2, 4))

    def _wrong_probe(self, rng: np.random.Generator, noise: torch.Generator) -> torch.Tensor:
        errors = self.options.probe_errors
        probe = torch.from_numpy(self.probe)
        transfer = torch.polar(
            torch.ones(()), -float(rng.normal(0, errors.defocus_m)) * self._fresnel
        )
        probe = torch.fft.ifft2(torch.fft.fft2(probe) * torch.fft.ifftshift(transfer))
        power = 1 + errors.mode_power * torch.randn(len(probe), 1, 1, generator=noise)
        coarse = torch.randn(2, len(probe), 16, 16, generator=noise)
        smooth = torch.nn.functional.interpolate(coarse, size=probe.shape[-2:], mode="bicubic")
        ripple = errors.ripple * torch.complex(smooth[0], smooth[1]) / math.sqrt(2)
        probe = probe * power.clamp(min=0.1).sqrt() * (1 + ripple)
        normalised: torch.Tensor = probe / torch.linalg.vector_norm(probe)
        return normalised


def detect(
    expected: torch.Tensor, options: SimulationOptions, noise: torch.Generator
) -> torch.Tensor:
    """Binned shares (B, h, w) of the incident counts to counts, float32, masked bins negative.

    The torch twin of `wnet_edge.physics.detector.detect`, after binning: sums of Poisson counts are
    Poisson counts.
    """
    detector = options.detector
    low, high = np.log(detector.photons)
    draw = torch.rand(len(expected), 1, 1, generator=noise)
    mean = expected * torch.exp(low + (high - low) * draw)
    mean = mean + detector.background * mean.mean(dim=(1, 2), keepdim=True)
    mean = mean * (1 + options.gain_error * torch.randn(mean.shape, generator=noise)).clamp(min=0)
    counts = torch.poisson(mean, generator=noise)
    dead = torch.rand(counts.shape, generator=noise) < detector.dead_fraction
    return counts.masked_fill(dead, float(MASKED))


def _turn(patch: NDArray[np.complex64], turn: int) -> NDArray[np.complex64]:
    """One of the eight symmetries of a square."""
    turned = np.rot90(patch, turn % 4)
    return turned.T if turn >= 4 else turned
