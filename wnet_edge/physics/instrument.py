"""The instrument a network is trained for: probe, window, binning, object pixel, wavelength."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.physics.gauge import illumination_weight, probe_intensity
from wnet_edge.physics.geometry import central_window_start_px


@dataclass(frozen=True)
class Instrument:
    """Parameters of the instrument for which a network is trained.

    Attributes:
        probe: (modes, full, full) complex64, full = window_px × binning.
        window_px: edge of the network's window.
        binning: detector pixels along an edge that are summed into one input pixel.
        object_pixel_size_m: edge of an object pixel.
        wavelength_m: photon wavelength.

    Raises:
        SimulationError: if the probe is not of the full window's size, or zero.
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
        """Slices (rows, columns) of the network's window in the full window."""
        start = central_window_start_px(self.window_px * self.binning, self.window_px)
        return (slice(start, start + self.window_px),) * 2

    @property
    def weight(self) -> NDArray[np.float32]:
        """Illumination weight in the network's window, (window_px, window_px) float32."""
        return illumination_weight(probe_intensity(self.probe)[self.window])

    @property
    def probe_sha256(self) -> str:
        """SHA-256 of the probe's samples."""
        return hashlib.sha256(np.ascontiguousarray(self.probe).tobytes()).hexdigest()
