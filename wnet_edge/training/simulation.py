"""Simulation of training frames and labels on the fly, in torch.

canvas (`wnet_edge.physics.objects`) → patches → far field under a perturbed probe → binning →
Poisson counts → batch.
"""

import json
import math
from collections.abc import Generator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.host.prefetch import prefetched
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.gauge import labels
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.objects import Contrast, Family, draw_object
from wnet_edge.physics.probe import spatial_frequencies_per_m
from wnet_edge.scan.counts import MASKED
from wnet_edge.training.batch import Batch, joined_batches, split_batches
from wnet_edge.training.forward import expected_counts
from wnet_edge.training.workers import in_order

_VALIDATION_STREAM = 2**31
"""Random number stream of the validation frames, beyond those of the epochs."""

_VALIDATION_FRAMES_PER_CANVAS = 8
"""Small, so that the validation frames include objects of every family."""

_CHUNK_FRAMES = 1600
"""Frames simulated at a time by one process: bounded memory, but many objects in a batch."""

_AHEAD_FRAMES = 800
"""Likewise by a thread, for the first of which an epoch waits."""


@dataclass(frozen=True)
class ProbeErrors:
    """Random perturbations of the measured probe, drawn per batch.

    Attributes:
        defocus_m: RMS of the (normal) defocus.
        mode_power: RMS of the relative change of each mode's power.
        ripple: RMS of a smooth relative error of the complex field.
        shift_px: RMS of the probe's shift along each axis, object pixels: a position error.
        tilt_px: RMS of the beam's shift on the detector along each axis, detector pixels.
    """

    defocus_m: float = 0.5e-6
    mode_power: float = 0.05
    ripple: float = 0.03
    shift_px: float = 0.2
    tilt_px: float = 0.2


@dataclass(frozen=True)
class SimulationOptions:
    """Parameters of the simulated training frames.

    Attributes:
        frames_per_epoch: new frames per epoch.
        canvas_px: edge of an object canvas.
        frames_per_canvas: patches cut from one canvas.
        families: families of objects, drawn with equal probability.
        detector: flux, background, dead pixels.
        contrast: how strong the objects are.
        least_background: counts per pixel, relative to the mean count, from which the background
            of a frame is drawn, log-uniform, up to the detector's.
        blur_px: largest RMS blur of frames, detector pixels, by a source larger than the probe's
            modes tell; drawn for every second batch.
        gain_error: RMS relative error of the intensity in a bin, beyond counting noise.
        probe_errors: perturbations of the probe.
    """

    frames_per_epoch: int = 12_000
    canvas_px: int = 512
    frames_per_canvas: int = 50
    families: tuple[Family, ...] = tuple(Family)
    detector: Detector = field(
        default_factory=lambda: Detector((1e6, 1e8), background=0.1, dead_fraction=1e-2)
    )
    contrast: Contrast = field(default_factory=lambda: Contrast(odd=0.15))
    least_background: float = 1e-5
    blur_px: float = 1.2
    gain_error: float = 0.03
    probe_errors: ProbeErrors = field(default_factory=ProbeErrors)


@dataclass(frozen=True)
class _Chunk:
    """Frames of an epoch that are simulated together."""

    stream: int
    index: int
    frames: int
    batch_size: int
    frames_per_canvas: int


class SimulatedFrames:
    """Supply of simulated frames: a new set each epoch, reproducible by seed.

    Args:
        instrument: probe, window, binning.
        options: parameters of the simulation.
        seed: seed of objects, positions and noise.
        workers: number of worker processes; the frames do not depend on it.
        dark: (window, window) bool, True for the network's pixels that this detector never
            measures: beamstop, gaps; None for none.

    Raises:
        SimulationError: if a canvas is too small for a window, or the wavelength is not known.
    """

    def __init__(
        self,
        instrument: Instrument,
        options: SimulationOptions,
        *,
        seed: int,
        workers: int = 0,
        dark: NDArray[np.bool_] | None = None,
    ) -> None:
        self._full_px = instrument.frame_px
        if instrument.wavelength_m is None:
            raise SimulationError("simulation needs the wavelength of the instrument")
        if options.canvas_px < self._full_px:
            raise SimulationError(
                f"canvases of {options.canvas_px} px are smaller than the window of "
                f"{self._full_px} px"
            )
        self.instrument = instrument
        self.options = options
        self._seed = seed
        self._workers = workers
        self._dark = None if dark is None or not dark.any() else torch.from_numpy(dark)
        power = math.sqrt(float(np.sum(np.abs(instrument.probe) ** 2)))
        self.probe = (instrument.probe / np.float32(power)).astype(np.complex64)
        squared = spatial_frequencies_per_m(self._full_px, instrument.object_pixel_size_m)
        fresnel = (math.pi * instrument.wavelength_m * squared).astype(np.float32)
        self._fresnel_rad_per_m = torch.fft.ifftshift(torch.from_numpy(fresnel))

    @property
    def frames_per_epoch(self) -> int:
        """Number of frames per epoch."""
        return self.options.frames_per_epoch

    def describe(self) -> dict[str, Any]:
        """All options, and the probe's fingerprint."""
        dark = {} if self._dark is None else {"dark_pixels": int(self._dark.sum())}
        return {
            "source": "simulation",
            "probe_sha256": self.instrument.probe_sha256,
            **dark,
            **json.loads(json.dumps(asdict(self.options))),
        }

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of one epoch."""
        return self._batches(
            epoch, self.frames_per_epoch, batch_size, self.options.frames_per_canvas
        )

    def first_frames(
        self, epoch: int, frames: int, batch_size: int, threads: int = 1
    ) -> Generator[Batch, None, None]:
        """Batches of an epoch of any number of frames, simulated in threads beside their use."""
        chunks = _chunks(epoch, frames, batch_size, self.options.frames_per_canvas, _AHEAD_FRAMES)
        with prefetched(self._chunk, chunks, "simulate", threads) as made:
            for _, arrays in made:
                yield from split_batches(arrays, batch_size)

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """Validation batches, which are in no epoch; the same at each call."""
        return self._batches(_VALIDATION_STREAM, frames, batch_size, _VALIDATION_FRAMES_PER_CANVAS)

    def _batches(
        self, stream: int, frames: int, batch_size: int, frames_per_canvas: int
    ) -> Generator[Batch, None, None]:
        """Batches in chunks, each with its own random numbers, so that any process can do it."""
        chunks = _chunks(stream, frames, batch_size, frames_per_canvas, _CHUNK_FRAMES)
        for arrays in in_order(self._chunk, chunks, self._workers):
            yield from split_batches(arrays, batch_size)

    def _chunk(self, chunk: "_Chunk") -> tuple[NDArray[np.float32], ...]:
        """Counts, amplitudes and phases, (n, 1, H, W) each; arrays are cheaper to send."""
        rng = np.random.default_rng([self._seed, chunk.stream, chunk.index])
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        patches = self._patches(chunk.frames, chunk.frames_per_canvas, rng)
        made = joined_batches(
            self._batch(patches[start : start + chunk.batch_size], rng, noise)
            for start in range(0, chunk.frames, chunk.batch_size)
        )
        return made.counts.numpy(), made.amplitude.numpy(), made.phase_rad.numpy()

    def _patches(
        self, frames: int, frames_per_canvas: int, rng: np.random.Generator
    ) -> list[NDArray[np.complex64]]:
        """Full windows cut from new canvases, in random order, rotated and mirrored at random."""
        options, full_px = self.options, self._full_px
        patches: list[NDArray[np.complex64]] = []
        for _ in range(math.ceil(frames / frames_per_canvas)):
            family = options.families[rng.integers(len(options.families))]
            canvas = draw_object(family, options.canvas_px, rng=rng, contrast=options.contrast)
            corners = rng.integers(0, options.canvas_px - full_px + 1, (frames_per_canvas, 2))
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
        blur_px = self.options.blur_px * rng.random() if rng.random() < 0.5 else 0.0
        expected = expected_counts(
            torch.from_numpy(full), self._wrong_probe(rng, noise), self.instrument.binning, blur_px
        )
        counts = detect(expected, self.options, noise)
        if self._dark is not None:
            counts = counts.masked_fill(self._dark, float(MASKED))
        amplitude, phase_rad = labels(full, self.probe, self.instrument.window_px)
        return Batch(
            counts=counts[:, None],
            amplitude=torch.from_numpy(amplitude)[:, None],
            phase_rad=torch.from_numpy(phase_rad)[:, None],
        )

    def _wrong_probe(self, rng: np.random.Generator, noise: torch.Generator) -> torch.Tensor:
        errors = self.options.probe_errors
        probe = torch.from_numpy(self.probe)
        turn_rad = -float(rng.normal(0, errors.defocus_m)) * self._fresnel_rad_per_m
        turn_rad = turn_rad + torch.fft.ifftshift(self._ramp_rad(rng.normal(0, errors.shift_px, 2)))
        probe = torch.fft.ifft2(torch.fft.fft2(probe) * _phasor(turn_rad))
        probe = probe * _phasor(self._ramp_rad(rng.normal(0, errors.tilt_px, 2)))
        power = 1 + errors.mode_power * torch.randn(len(probe), 1, 1, generator=noise)
        coarse = torch.randn(2, len(probe), 16, 16, generator=noise)
        smooth = torch.nn.functional.interpolate(coarse, size=probe.shape[-2:], mode="bicubic")
        ripple = errors.ripple * torch.complex(smooth[0], smooth[1]) / math.sqrt(2)
        probe = probe * power.clamp(min=0.1).sqrt() * (1 + ripple)
        normalised: torch.Tensor = probe / torch.linalg.vector_norm(probe)
        return normalised

    def _ramp_rad(self, shift: NDArray[np.float64]) -> torch.Tensor:
        """Phase ramp (full, full), centred, that shifts the transform by (rows, columns)."""
        index = torch.arange(self._full_px) - self._full_px // 2
        rows, columns = (2 * math.pi / self._full_px * float(s) * index for s in shift)
        return rows[:, None] + columns[None]


def _chunks(
    stream: int, frames: int, batch_size: int, frames_per_canvas: int, most: int
) -> list[_Chunk]:
    """Frames of a stream in chunks of whole batches, `most` at a time."""
    size = max(most // batch_size, 1) * batch_size
    return [
        _Chunk(stream, index, min(size, frames - start), batch_size, frames_per_canvas)
        for index, start in enumerate(range(0, frames, size))
    ]


def _phasor(phase_rad: torch.Tensor) -> torch.Tensor:
    return torch.polar(torch.ones_like(phase_rad), phase_rad)


def detect(
    expected: torch.Tensor, options: SimulationOptions, noise: torch.Generator
) -> torch.Tensor:
    """Draw counts (B, h, w) float32, masked bins negative, from expected binned intensities.

    Torch twin of `wnet_edge.physics.detector.detect`, applied after binning, since sums of Poisson
    counts are Poisson-distributed.
    """
    detector = options.detector
    low, high = np.log(detector.photons)
    draw = torch.rand(len(expected), 1, 1, generator=noise)
    mean = expected * torch.exp(low + (high - low) * draw)
    if detector.background > 0:
        low, high = min(options.least_background, detector.background), detector.background
        level = low * (high / low) ** torch.rand(len(mean), 1, 1, generator=noise)
        mean = mean + level * mean.mean(dim=(1, 2), keepdim=True)
    mean = mean * (1 + options.gain_error * torch.randn(mean.shape, generator=noise)).clamp(min=0)
    counts = torch.poisson(mean, generator=noise)
    share = detector.dead_fraction * torch.rand(len(counts), 1, 1, generator=noise)
    dead = torch.rand(counts.shape, generator=noise) < share
    return counts.masked_fill(dead, float(MASKED))


def _turn(patch: NDArray[np.complex64], turn: int) -> NDArray[np.complex64]:
    """One of the eight symmetries of a square."""
    turned = np.rot90(patch, turn % 4)
    return turned.T if turn >= 4 else turned
