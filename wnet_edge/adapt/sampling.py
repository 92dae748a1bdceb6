"""Choice of the network's window, the detector's binning and the object pixel.

A network sees frames of n × n pixels, each a bin of b × b of the detector's, and images the central
n of the n·b object pixels of the full window. What it sees of the object, λz / (b · pixel), does
not depend on n; so b follows from the probe's size, n from how much of the detector is to be used.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.geometry import central_window_start_px

WINDOWS_PX = (64, 128)
"""Of the networks; the smaller one takes a quarter of the time."""

LEAST_INSIDE = 0.88
"""Of the probe's power that must lie in what the network sees: with 90 % inside (scan 247) W3 is
good, and more binning would leave a tenth more to what it can't see."""

LEAST_WHOLE = 0.97
"""Of the probe's power that must lie within the central nine tenths of the widest window: a wider
probe is undersampled by this detector."""

_LARGEST_FULL_PX = 256
"""Of a full window: the time of a simulated frame grows with its area."""

_BEYOND_DETECTOR = 1.15
"""Largest ratio of the full window to the detector's edge: a quarter of the window may be masked
(`wnet_edge.framing.compatibility.LEAST_INSIDE`)."""


@dataclass(frozen=True)
class ChosenWindow:
    """Sampling of a network, and why it was chosen.

    Attributes:
        window_px: edge of the network's frames and patches.
        binning: stored pixels along an edge of one of the network's.
        inside: fraction of the probe's power in what the network sees.
        why: for the user, in one line.
    """

    window_px: int
    binning: int
    inside: float
    why: str

    @property
    def full_px(self) -> int:
        """Edge of the full window, in the detector's pixels."""
        return self.window_px * self.binning


def choose_window(
    probe: NDArray[np.complex64],
    detector_px: int,
    span_m: float,
    name: str,
    *,
    stored_binning: int = 1,
    window_px: int | None = None,
    binning: int | None = None,
) -> ChosenWindow:
    """Choose window and binning for a probe.

    Args:
        probe: (modes, n, n) complex64, centred, over the field of view `span_m`.
        detector_px: shorter edge of a frame, in unbinned detector pixels.
        span_m: λ × distance / detector pixel, what a window without binning shows of the object.
        name: of the scan, for messages.
        stored_binning: detector pixels along an edge that the file's frames sum already.
        window_px: as the user wants it; None to choose.
        binning: likewise, of the file's frames.

    Raises:
        ScanError: if no window is wide enough for the probe, or none fits the detector.
    """
    power = probe_intensity(probe)
    if _inside(power, 0.9) < LEAST_WHOLE:
        raise ScanError(
            f"{name}: the probe is wider than the {1e6 * span_m:.3g} µm that this detector's "
            "pixels sample; move the detector back, take smaller pixels, or focus more tightly"
        )
    largest_px = min(_BEYOND_DETECTOR * detector_px, _LARGEST_FULL_PX)
    windows = WINDOWS_PX if window_px is None else (window_px,)
    factors = [binning * stored_binning] if binning is not None else []
    if binning is None:
        factors += range(stored_binning, int(largest_px // min(windows)) + 1, stored_binning)
    fitting = [
        (factor, size)
        for factor in factors
        for size in windows
        if size * factor <= largest_px
        and (binning is not None or _inside(power, 1 / factor) >= LEAST_INSIDE)
    ]
    if not fitting:
        smallest = min(windows) * (binning or 1) * stored_binning
        if smallest > largest_px:
            raise ScanError(
                f"{name}: frames of {detector_px} px are too small for a window of {smallest} px; "
                "record more of the detector, or take a smaller --window or --binning"
            )
        raise ScanError(
            f"{name}: frames that sum {stored_binning} × {stored_binning} detector pixels show "
            "less of the object than its probe lights; give frames as the detector has them, or "
            "focus more tightly"
        )
    # Most of the detector first, for the resolution; then the smaller network.
    full_px = max(size * factor for factor, size in fitting)
    factor, size = min(
        (pair for pair in fitting if pair[0] * pair[1] == full_px), key=lambda pair: pair[1]
    )
    inside = _inside(power, 1 / factor)
    return ChosenWindow(size, factor, inside, _why(size, factor, inside, detector_px, span_m))


def _inside(power: NDArray[np.float32], share: float) -> float:
    """Fraction of the power (n, n) within the central `share` of the window's edge."""
    full_px = power.shape[-1]
    size = max(round(share * full_px), 1)
    start = central_window_start_px(full_px, size)
    central = power[start : start + size, start : start + size]
    return float(central.sum(dtype=np.float64) / power.sum(dtype=np.float64))


def _why(size: int, factor: int, inside: float, detector_px: int, span_m: float) -> str:
    full_px = size * factor
    binned = "" if factor == 1 else f" of {factor} × {factor} detector pixels each"
    rest = ""
    if full_px < detector_px:
        rest = f"; {detector_px - full_px} px at the detector's edge are not used"
    elif full_px > detector_px:
        rest = f"; {full_px - detector_px} px beyond the detector's edge are masked"
    return (
        f"window of {size} px{binned}, object pixel {1e9 * span_m / full_px:.4g} nm: "
        f"{100 * inside:.0f} % of the probe's power lies in the {1e6 * span_m / factor:.3g} µm "
        f"that the network sees{rest}"
    )
