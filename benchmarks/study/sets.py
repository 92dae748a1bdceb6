"""What the networks are judged on, frame by frame: simulated objects, and the real scan.

Two families of objects that no training drew, the trained ones from other random numbers, and the
report strip of scan 247 with labels cut from its reference.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.study.plan import FRAMES, HELD_OUT_FAMILIES, TRAINED_FAMILIES
from benchmarks.study.results import SetFacts
from benchmarks.study.scan247 import Scan247
from wnet_edge.comparing import metrics
from wnet_edge.comparing import patch_errors as single_shot
from wnet_edge.comparing.patch_errors import Maps, patch_errors
from wnet_edge.models.registry import CountsNetwork
from wnet_edge.physics.instrument import Instrument
from wnet_edge.physics.labelled_frames import PatchLabels
from wnet_edge.physics.objects import Family
from wnet_edge.training.batch import joined_batches
from wnet_edge.training.simulation import SimulatedFrames

REAL = "scan 247"
TRAINED = "trained families"

_SEED = 247_000
"""Of no training."""

_BATCH = 32


@dataclass(frozen=True)
class EvaluationSet:
    """Frames with ground-truth patches.

    Attributes:
        name: of the set.
        counts: (N, 1, n, n) float32, masked pixels negative.
        labels: of these frames.
    """

    name: str
    counts: NDArray[np.float32]
    labels: PatchLabels


def evaluation_sets(scan: Scan247, simulated_frames: int) -> list[EvaluationSet]:
    """All sets, the held-out families first."""
    place = scan.instrument
    simulated = [
        *((family.value, (family,)) for family in HELD_OUT_FAMILIES),
        (TRAINED, TRAINED_FAMILIES),
    ]
    made = [_simulated(name, place, families, simulated_frames) for name, families in simulated]
    return [*made, EvaluationSet(REAL, scan.counts[scan.report], scan.labels(scan.report))]


def illuminated(instrument: Instrument) -> NDArray[np.bool_]:
    """Pixels of a patch that are judged, (n, n) bool."""
    return single_shot.illuminated(instrument.intensity)


def set_facts(truth: EvaluationSet, weight: Maps, mask: NDArray[np.bool_]) -> SetFacts:
    """Ranges of a set, and the errors of patches that show nothing."""
    ones = np.ones_like(truth.labels.amplitude)
    return SetFacts(
        frames=len(truth.counts),
        illuminated_px=int(mask.sum()),
        phase_range_rad=metrics.data_range(truth.labels.phase_rad[:, mask]),
        amplitude_range=metrics.data_range(truth.labels.amplitude[:, mask]),
        flat=patch_errors(ones, np.zeros_like(ones), truth.labels, weight, mask),
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
) -> EvaluationSet:
    supply = SimulatedFrames(instrument, replace(FRAMES, families=families), seed=_SEED)
    made = joined_batches(supply.validation(frames, _BATCH))
    labels = PatchLabels(made.amplitude[:, 0].numpy(), made.phase_rad[:, 0].numpy())
    return EvaluationSet(name, made.counts.numpy(), labels)
