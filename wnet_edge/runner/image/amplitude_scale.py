"""The amplitude scale of patches, which the network, blind to flux, can't know."""

from copy import copy
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.gauge import probe_intensity

PLAUSIBLE_TRANSMISSION = (0.02, 1.2)
"""Median share of incident counts that reaches the detector, if the probe's power means anything:
thick samples let 2 % through, and probes from a reconstruction are 20 % wrong at times."""


class AmplitudeScale(str, Enum):
    """What the image's amplitude is relative to."""

    PROBE = "probe"  # the scan's own probe: amplitude² is transmission
    SCAN_MEDIAN = "scan-median"  # the median frame, whose RMS amplitude is 1


@dataclass(frozen=True)
class SettledScale:
    """What amplitudes are relative to, once enough frames have come to tell.

    Attributes:
        scale: what it is.
        factor: that brings the provisional scale to it.
        transmission: median share of the probe's power that reached the detector; None without a
            probe.
        median_counts: of the frames.
    """

    scale: AmplitudeScale
    factor: float
    transmission: float | None
    median_counts: float


class AmplitudeReference:
    """The amplitude scale of patches, s = sqrt(total counts / incident counts).

    Whether the probe's absolute power is usable is known only after the last frame; a provisional
    scale is corrected then.

    Args:
        probe: (modes, full, full) complex in square-root counts, or None.
    """

    def __init__(self, probe: NDArray[np.complex64] | None) -> None:
        self._incident = None if probe is None else float(probe_intensity(probe).sum())
        self._reference = self._incident
        self._totals: list[NDArray[np.float64]] = []

    def scale(self, totals: NDArray[np.float64]) -> NDArray[np.float32]:
        """(B,) for the total counts of the next batch; zero for a frame without counts."""
        self._totals.append(totals)
        if self._reference is None and totals.any():
            self._reference = float(np.median(totals[totals > 0]))
        return np.sqrt(totals / (self._reference or 1.0)).astype(np.float32)

    def of_first(self, count: int) -> "AmplitudeReference":
        """The same of the scan's first `count` frames, which knows of no later one."""
        copied = copy(self)
        copied._totals = [np.concatenate(list(self._totals))[:count]]
        return copied

    @property
    def totals(self) -> NDArray[np.float64]:
        """(N,) counts of every frame so far."""
        return np.concatenate(self._totals) if self._totals else np.zeros(0)

    def settled(self, used: NDArray[np.bool_]) -> SettledScale:
        """The scale by the frames so far of which `used` (N,) is True."""
        median = float(np.median(self.totals[used]))
        transmission = median / self._incident if self._incident else None
        low, high = PLAUSIBLE_TRANSMISSION
        if transmission is not None and low < transmission < high:
            return SettledScale(AmplitudeScale.PROBE, 1.0, transmission, median)
        factor = float(np.sqrt((self._reference or median) / median))
        return SettledScale(AmplitudeScale.SCAN_MEDIAN, factor, transmission, median)
