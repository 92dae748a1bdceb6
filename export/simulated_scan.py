"""A scan simulated for the very instrument that a network knows, where no measured one calibrates.

Procedural objects under the checkpoint's own probe in its full window, then binned, with counts
from the middle of the range in training.
"""

import math
from pathlib import Path

import numpy as np

from wnet_edge.comparing.patch_errors import illuminated_px
from wnet_edge.export.options import Material
from wnet_edge.package.manifest import CalibrationSource
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.orientation import Orientation
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan
from wnet_edge.scan.scan import Scan
from wnet_edge.training.checkpoint import TrainingRecord

NAME = Path("simulated frames")
"""Stands for the scan's file in messages."""

_FRAMES = 30 * 30
"""Enough for three strips a beam's width apart."""

_STEPS_PER_BEAM = 6

_TILES = 3
"""Tiles of different objects along an edge of the scan."""

_PHOTONS = (1e6, 1e8)
"""Incident counts where those in training are unknown: the range of simulated training."""

_BATCH = 32

_SEED = 0
"""The same objects for every network; training draws others from any seed."""


def simulated_material(
    instrument: Instrument, record: TrainingRecord, orientation: Orientation
) -> Material:
    """Simulate a scan of the network's instrument.

    Args:
        instrument: instrument of the network.
        record: its training, for the counts.
        orientation: orientation that the package is to apply to measured frames.

    Raises:
        SimulationError: if the instrument can't be simulated.
    """
    step_px = max(1, illuminated_px(instrument.intensity) // _STEPS_PER_BEAM)
    edge_px = math.isqrt(_FRAMES) * step_px + instrument.frame_px
    photons = math.sqrt(
        math.prod(record.settings["data"].get("detector", {}).get("photons", _PHOTONS))
    )
    options = ScanOptions(
        frames=_FRAMES,
        step_px=step_px,
        tile_px=max(32, -(-edge_px // _TILES)),
        window_px=instrument.window_px,
        detector=Detector((photons, photons)),
        seed=_SEED,
    )
    virtual = VirtualScan(instrument.probe, options)
    frames = np.concatenate(
        [
            bin_frames(batch.frames.astype(np.float32), instrument.binning)
            for batch in virtual.batches(_BATCH)
        ]
    )
    scan = Scan(
        path=NAME,
        frames=frames,
        positions_m=virtual.positions_px.astype(np.float64) * instrument.object_pixel_size_m,
        geometry=None,
        mask=np.zeros(frames.shape[1:], np.bool_),
        probe=(virtual.probe * np.float32(math.sqrt(photons))).astype(np.complex64),
        binning=instrument.binning,
        assumed_object_pixel_size_m=instrument.object_pixel_size_m,
    )
    return Material(
        scan, source=CalibrationSource.SIMULATED, simulated=True, own=True, orientation=orientation
    )
