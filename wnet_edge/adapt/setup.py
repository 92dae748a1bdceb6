"""What is known of a scan and its instrument before training begins."""

import time
from dataclasses import dataclass, replace

from wnet_edge.adapt.instrument_of_scan import SeenInstrument
from wnet_edge.adapt.measured_as import MeasuredAs
from wnet_edge.adapt.options import AdaptOptions
from wnet_edge.api.training import training_options
from wnet_edge.training.options import TrainingOptions
from wnet_edge.training.simulation import SimulatedFrames

_VALIDATION_FRAMES = 256
"""After every epoch: enough to see an error fall, and soon done."""


@dataclass(frozen=True, eq=False)
class Setup:
    """A scan, the instrument that was found in it, and when that began.

    Attributes:
        options: of the adaptation.
        seen: instrument and scan.
        measured: how its frames look.
        began_s: start of this run, by `time.monotonic`.
    """

    options: AdaptOptions
    seen: SeenInstrument
    measured: MeasuredAs
    began_s: float

    @property
    def training(self) -> TrainingOptions:
        """Options of the training, but for the number of epochs."""
        options = training_options(self.options.model, seed=self.options.seed)
        return replace(options, validation_frames=_VALIDATION_FRAMES)

    @property
    def spent_s(self) -> float:
        """Time of this run so far."""
        return time.monotonic() - self.began_s

    def supply(self, frames_per_epoch: int) -> SimulatedFrames:
        """Frames simulated as the scan's are measured."""
        instrument = self.seen.instrument
        simulation = self.measured.simulation(frames_per_epoch, instrument.frame_px)
        dark, seed = self.measured.dark, self.options.seed
        return SimulatedFrames(instrument, simulation, seed=seed, dark=dark)
