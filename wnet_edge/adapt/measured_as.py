"""Simulation of frames as an instrument measures them: its counts, background and dead pixels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.calibration.frames import LEAST_AGREEMENT, agreement
from wnet_edge.errors import ScanError
from wnet_edge.physics.detector import MAX_PHOTONS, Detector
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.probe import probe_far_field
from wnet_edge.scan.counts import BinShares
from wnet_edge.scan.preparation import prepare_frames
from wnet_edge.scan.scan import Scan
from wnet_edge.training.simulation import SimulationOptions

_SAMPLED_FRAMES = 64

_DIMMER, _BRIGHTER = 0.1, 3.0
"""Range of the counts in training, relative to those of the scan: a scan ten times as short keeps
its quality, and what is brighter looks the same to a network that sees counts over their mean."""

_LEAST_BACKGROUND, _MOST_BACKGROUND = 0.02, 1.0
_DARKEST = 5
"""Percentile of the mean frame's pixels that bounds the background from above."""

_BLUR_PX = 0.6
"""Largest blur of training frames: the modes of the scan's own probe hold most of its coherence,
and frames unlike this instrument's cost accuracy on it."""

_STRAY_DEAD = 1e-2
"""Largest fraction of pixels that fail at random, beyond those that the detector never measures."""

_CANVAS_WINDOWS = 2
_LEAST_CANVAS_PX = 512
_FRAMES_PER_CANVAS = 50


@dataclass(frozen=True, eq=False)
class MeasuredAs:
    """How frames of a scan look to a network.

    Attributes:
        median_counts: of a frame.
        counts: range of the incident counts to train for.
        background: counts per pixel, relative to the mean count.
        dark: (w, w) bool, the network's pixels that are never measured.
    """

    median_counts: float
    counts: tuple[float, float]
    background: float
    dark: NDArray[np.bool_]

    @property
    def text(self) -> str:
        """In a line, for the user."""
        low, high = self.counts
        dark = int(self.dark.sum())
        return (
            f"frames of {self.median_counts:.3g} counts: trained for {low:.2g} to {high:.2g}, "
            f"background up to {self.background:.2g} of the mean count"
            + (f", {dark} of {self.dark.size} pixels never measured" if dark else "")
        )

    def simulation(self, frames_per_epoch: int, full_px: int) -> SimulationOptions:
        """Options of frames under a full window of `full_px`."""
        return SimulationOptions(
            frames_per_epoch=frames_per_epoch,
            canvas_px=max(_LEAST_CANVAS_PX, _CANVAS_WINDOWS * full_px),
            frames_per_canvas=_FRAMES_PER_CANVAS,
            detector=Detector(self.counts, background=self.background, dead_fraction=_STRAY_DEAD),
            blur_px=_BLUR_PX,
        )


def measured_as(scan: Scan, instrument: Instrument) -> MeasuredAs:
    """Look at frames from all over a scan.

    Args:
        scan: framed for the network.
        instrument: of the network.

    Raises:
        ScanError: if its frames can't be read, hold no counts, or are not of the probe.
    """
    binning = scan.binning_to(instrument.window_px)
    spread = np.linspace(0, scan.frame_count - 1, min(scan.frame_count, _SAMPLED_FRAMES))
    numbers = np.unique(spread.astype(np.int64))
    prepared = prepare_frames(scan, numbers, binning)
    if not prepared.usable.any():
        raise ScanError(f"{scan.path}: its frames have no counts; give another scan")
    alike = agreement(prepared.counts[prepared.usable], instrument.probe)
    if alike < LEAST_AGREEMENT:
        raise ScanError(
            f"{scan.path}: its mean frame is no far field of the probe (correlation {alike:.2f}); "
            "give the probe of this scan with --probe, or describe its optics with --optics"
        )
    counts = prepared.counts[prepared.usable, 0]
    median = float(np.median(prepared.totals[prepared.usable]))
    mean = np.maximum(counts, 0).mean(axis=0, dtype=np.float64)
    dark = BinShares.of(scan.mask, binning).dead
    seen = mean[~dark]
    background = float(np.percentile(seen, _DARKEST) / max(float(seen.mean()), 1e-12))
    far = probe_far_field(instrument.probe, scan.frame_px)
    incident = median * float(far.sum() / max(float(far[~scan.mask].sum()), 1e-30))
    low, high = _DIMMER * incident, min(_BRIGHTER * incident, MAX_PHOTONS)
    return MeasuredAs(
        median_counts=median,
        counts=(max(low, 1.0), max(high, 1.0)),
        background=float(np.clip(background, _LEAST_BACKGROUND, _MOST_BACKGROUND)),
        dark=dark,
    )
