"""What the networks are judged on, frame by frame: simulated objects, and the real scan.

Two families of objects that no training drew, the trained ones from other random numbers, and the
report strip of scan 247 with labels cut from its reference.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.study.plan import HELD_OUT_FAMILIES, TRAINED_FAMILIES
from benchmarks.study.results import SetFacts
from benchmarks.study.scan247 import Scan247
from wnet_edge.comparing import metrics
from wnet_edge.comparing import patch_errors as single_shot
from wnet_edge.comparing.patch_errors import LabelledSet, Maps, patch_errors
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.objects import Family
from wnet_edge.training.batch import joined_batches
from wnet_edge.training.simulation import SimulatedFrames, SimulationOptions

REAL = "scan 247"
TRAINED = "trained families"

_SEED = 247_000
"""Of no training."""

_BATCH = 32


def evaluation_sets(scan: Scan247, simulated_frames: int) -> list[LabelledSet]:
    """All sets, the held-out families first."""
    place = scan.instrument
    simulated = [
        *((family.value, (family,)) for family in HELD_OUT_FAMILIES),
        (TRAINED, TRAINED_FAMILIES),
    ]
    made = [_simulated(name, place, families, simulated_frames) for name, families in simulated]
    amplitude, phase_rad = scan.labels(scan.report)
    return [*made, LabelledSet(REAL, scan.counts[scan.report], amplitude, phase_rad)]


def illuminated(instrument: Instrument) -> NDArray[np.bool_]:
    """Pixels of a patch that are judged, (n, n) bool."""
    return single_shot.illuminated(probe_intensity(instrument.probe)[instrument.window])


def set_facts(truth: LabelledSet, weight: Maps, mask: NDArray[np.bool_]) -> SetFacts:
    """Ranges of a set, and the errors of patches that show nothing."""
    ones = np.ones_like(truth.amplitude)
    return SetFacts(
        frames=len(truth.counts),
        illuminated_px=int(mask.sum()),
        phase_range_rad=metrics.data_range(truth.phase_rad[:, mask]),
        amplitude_range=metrics.data_range(truth.amplitude[:, mask]),
        flat=patch_errors(ones, np.zeros_like(ones), truth, weight, mask),
    )


def patches(
    network: CountsNetwork, counts: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Amplitude and phase_rad, (N, n, n) float32 each, of counts (N, 1, n, n)."""
    with torch.inference_mode():
        parts = [network(part) for part in torch.split(torch.from_numpy(counts), _BATCH)]
    amplitude, phase_rad = (torch.cat(maps)[:, 0].numpy() for maps in zip(*parts, strict=True))
    return amplitude, phase_rad


def _simulated(
    name: str, instrument: Instrument, families: tuple[Family, ...], frames: int
) -> LabelledSet:
    supply = SimulatedFrames(instrument, SimulationOptions(families=families), seed=_SEED)
    made = joined_batches(supply.validation(frames, _BATCH))
    return LabelledSet(
        name, made.counts.numpy(), made.amplitude[:, 0].numpy(), made.phase_rad[:, 0].numpy()
    )
