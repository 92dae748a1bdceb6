"""The amplitude scale of patches, which the network, blind to flux, can't know."""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.scan.scan import Scan

PLAUSIBLE_TRANSMISSION = (0.02, 1.2)
"""Median share of incident counts that reaches the detector, if the probe's power means anything:
thick samples let 2 % through, and probes from a reconstruction are 20 % wrong at times."""


class AmplitudeScale(str, Enum):
    """What the image's amplitude is relative to."""

    PROBE = "probe"  # the scan's own probe: amplitude² is transmission
    SCAN_MEDIAN = "scan-median"  # the median frame, whose RMS amplitude is 1


class Light:
    """The amplitude scale of patches, s = sqrt(total counts / incident counts).

    Whether the probe's power is worth anything shows only when all frames have passed, and the
    image is proportional to s: so a reference is taken first, and put right at the end.
    """

    def __init__(self, scan: Scan) -> None:
        self._incident = None if scan.probe is None else float(probe_intensity(scan.probe).sum())
        self._reference = self._incident
        self._totals: list[NDArray[np.float64]] = []

    def scale(self, totals: NDArray[np.float64]) -> NDArray[np.float32]:
        """(B,) for the totals of the next batch; zero for a dead frame."""
        self._totals.append(totals)
        if self._reference is None and totals.any():
            self._reference = float(np.median(totals[totals > 0]))
        return np.sqrt(totals / (self._reference or 1.0)).astype(np.float32)

    @property
    def totals(self) -> NDArray[np.float64]:
        """(N,) counts of every frame so far."""
        return np.concatenate(self._totals) if self._totals else np.zeros(0)

    def settle(self, used: NDArray[np.bool_]) -> tuple[AmplitudeScale, float, float | None]:
        """What the scale is relative to, the factor that makes it so, the probe's transmission."""
        median = float(np.median(self.totals[used]))
        transmission = median / self._incident if self._incident else None
        low, high = PLAUSIBLE_TRANSMISSION
        if transmission is not None and low < transmission < high:
            return AmplitudeScale.PROBE, 1.0, transmission
        factor = float(np.sqrt((self._reference or median) / median))
        return AmplitudeScale.SCAN_MEDIAN, factor, transmission
