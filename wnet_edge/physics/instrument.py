"""The instrument a network is trained for: probe, window, binning, object pixel, wavelength."""

import hashlib
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.physics.gauge import illumination_weight, probe_intensity
from wnet_edge.physics.geometry import central_window_start_px
from wnet_edge.physics.probe import fitted_probe


@dataclass(frozen=True)
class Instrument:
    """Parameters of the instrument for which a network is trained.

    Attributes:
        probe: (modes, full, full) complex64, full = window_px × binning.
        window_px: edge of the network's window.
        binning: detector pixels along an edge that are summed into one input pixel.
        object_pixel_size_m: edge of an object pixel.
        wavelength_m: photon wavelength; None if unknown. Only simulation needs it.

    Raises:
        SimulationError: if the probe is not of the full window's size, or zero.
    """

    probe: NDArray[np.complex64]
    window_px: int
    binning: int
    object_pixel_size_m: float
    wavelength_m: float | None = None

    def __post_init__(self) -> None:
        """Refuse a probe that does not fit."""
        full_px = self.frame_px
        if self.probe.ndim != 3 or self.probe.shape[1:] != (full_px, full_px):
            raise SimulationError(
                f"a {self.window_px}-px network with {self.binning} × {self.binning} binning needs "
                f"a probe of (modes, {full_px}, {full_px}), not {self.probe.shape}"
            )
        if not np.isfinite(self.probe).all() or not self.intensity.any():
            raise SimulationError("the probe is dark in the network's window, or not finite")

    @property
    def window(self) -> tuple[slice, slice]:
        """Slices (rows, columns) of the network's window in the full window."""
        start = central_window_start_px(self.frame_px, self.window_px)
        return (slice(start, start + self.window_px),) * 2

    @property
    def frame_px(self) -> int:
        """Edge of the full window and of the probe."""
        return self.window_px * self.binning

    @property
    def intensity(self) -> NDArray[np.float32]:
        """Probe intensity in the network's window, (window_px, window_px) float32."""
        return probe_intensity(self.probe)[self.window]

    @property
    def weight(self) -> NDArray[np.float32]:
        """Illumination weight in the network's window, (window_px, window_px) float32, mean 1."""
        return illumination_weight(self.intensity)

    def on(self, frame_px: int) -> "Instrument":
        """The same instrument with a full window of `frame_px`, at the same object pixel.

        A multiple of the network's window; the probe is padded or cropped.
        """
        probe = fitted_probe(self.probe, frame_px)
        return replace(self, probe=probe, binning=frame_px // self.window_px)

    @property
    def probe_sha256(self) -> str:
        """SHA-256 of the probe's samples."""
        return hashlib.sha256(np.ascontiguousarray(self.probe).tobytes()).hexdigest()
