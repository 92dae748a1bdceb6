"""Batches of training frames with labels, and the instrument they belong to."""

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.gauge import illumination_weight, probe_intensity
from wnet_edge.geometry import central_window_start_px
from wnet_edge.io.probe_file import MeasuredProbe


@dataclass(frozen=True)
class Instrument:
    """What a network is trained for, and what its package is checked against.

    Attributes:
        probe: (modes, full, full) complex64, full = window_px × binning.
        window_px: edge of the network's window.
        binning: detector pixels along an edge that are summed into one input pixel.
        object_pixel_size_m: edge of an object pixel.
        wavelength_m: of the light.

    Raises:
        SimulationError: if the probe is not of the full window's size, or dark in it.
    """

    probe: NDArray[np.complex64]
    window_px: int
    binning: int
    object_pixel_size_m: float
    wavelength_m: float

    def __post_init__(self) -> None:
        """Refuse a probe that does not fit."""
        full_px = self.window_px * self.binning
        if self.probe.ndim != 3 or self.probe.shape[1:] != (full_px, full_px):
            raise SimulationError(
                f"a {self.window_px}-px network with {self.binning} × {self.binning} binning needs "
                f"a probe of (modes, {full_px}, {full_px}), not {self.probe.shape}"
            )
        if not np.isfinite(self.probe).all() or not probe_intensity(self.probe)[self.window].any():
            raise SimulationError("the probe is dark in the network's window, or not finite")

    @property
    def window(self) -> tuple[slice, slice]:
        """The network's window in the full window."""
        start = central_window_start_px(self.window_px * self.binning, self.window_px)
        return (slice(start, start + self.window_px),) * 2

    @property
    def weight(self) -> NDArray[np.float32]:
        """Illumination weight in the network's window, (window, window), for the loss."""
        return illumination_weight(probe_intensity(self.probe)[self.window])

    @property
    def probe_sha256(self) -> str:
        """SHA-256 of the probe's samples."""
        return hashlib.sha256(np.ascontiguousarray(self.probe).tobytes()).hexdigest()


def instrument_of(probe: MeasuredProbe, window_px: int) -> Instrument:
    """The instrument of a probe, as a network with this window sees it.

    Raises:
        SimulationError: if the probe does not fit the window.
    """
    try:
        return Instrument(
            probe=probe.modes,
            window_px=window_px,
            binning=max(probe.full_window_px // window_px, 1),
            object_pixel_size_m=probe.object_pixel_size_m,
            wavelength_m=probe.wavelength_m,
        )
    except SimulationError as error:
        raise SimulationError(f"{probe.path}: {error}; choose another --window") from error


@dataclass(frozen=True)
class Batch:
    """Frames with labels, each (B, 1, H, W) float32.

    Attributes:
        counts: binned counts, masked pixels negative.
        amplitude: label relative to its illumination-weighted RMS.
        phase_rad: gauge-fixed label.
    """

    counts: torch.Tensor
    amplitude: torch.Tensor
    phase_rad: torch.Tensor

    def on(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(self.counts.to(device), self.amplitude.to(device), self.phase_rad.to(device))


def split_batches(
    arrays: tuple[NDArray[np.float32], ...], batch_size: int
) -> Generator[Batch, None, None]:
    """Counts, amplitudes and phases, (N, 1, H, W) each, in batches; the last may be smaller."""
    parts = (torch.split(torch.from_numpy(array), batch_size) for array in arrays)
    yield from (Batch(*part) for part in zip(*parts, strict=True))


def joined_batches(batches: Iterable[Batch]) -> Batch:
    """All frames of some batches as one."""
    parts = list(batches)
    return Batch(
        counts=torch.cat([part.counts for part in parts]),
        amplitude=torch.cat([part.amplitude for part in parts]),
        phase_rad=torch.cat([part.phase_rad for part in parts]),
    )


class FrameSupply(Protocol):
    """Where batches come from: simulation on the fly, or a file."""

    @property
    def instrument(self) -> Instrument:
        """What the frames belong to."""
        ...

    @property
    def frames_per_epoch(self) -> int:
        """Frames that `epoch` gives."""
        ...

    def describe(self) -> dict[str, Any]:
        """What the frames are made of, as JSON values; the same for the same frames."""
        ...

    def epoch(self, epoch: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches of one epoch, the same for the same epoch."""
        ...

    def validation(self, frames: int, batch_size: int) -> Generator[Batch, None, None]:
        """Batches that no epoch holds, the same at each call; `frames` at most."""
        ...
