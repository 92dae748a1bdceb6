"""Which frames of the calibration strip the quantiser sees: few, and as unlike as the scan has.

First step of quantisation: **frames** → ranges → quantised graph. Neighbouring frames are alike, so
frames are taken one by one, each the farthest from those already taken in flux, texture and place
(Gonzalez, Theor. Comput. Sci. 38, 293, 1985), and the rare ones come in early.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import CalibrationError
from wnet_edge.package.manifest import CalibrationSource
from wnet_edge.physics.probe import probe_far_field

LARGEST_COUNT = 256
"""Frames: more hardly widen the ranges, and histograms of all layers are kept in memory."""

FEWEST_COUNT = 32
"""Frames: with less, ranges hang on chance; a warning, not a refusal."""

_LEAST_AGREEMENT = 0.5
"""Of the mean frame with the probe's far field: 0.99 for scan 247, 0 for random numbers."""


def choose_frames(
    counts: NDArray[np.float32], positions_px: NDArray[np.float64], largest: int
) -> NDArray[np.int64]:
    """Numbers of at most `largest` frames that cover flux, texture and place, (n,) int64 ascending.

    Args:
        counts: (N, 1, H, W), masked pixels negative.
        positions_px: (N, 2).
        largest: how many are wanted.
    """
    features = _features(np.maximum(counts[:, 0], 0), positions_px)
    taken = [int(np.argmax(np.sum((features - features.mean(axis=0)) ** 2, axis=1)))]
    distance = np.full(len(features), np.inf)
    while len(taken) < min(largest, len(features)):
        distance = np.minimum(distance, np.sum((features - features[taken[-1]]) ** 2, axis=1))
        taken.append(int(np.argmax(distance)))
    return np.sort(np.array(taken, dtype=np.int64))


def frames_sha256(counts: NDArray[np.float32]) -> str:
    """Fingerprint of frames as the graph takes them."""
    return hashlib.sha256(np.ascontiguousarray(counts).tobytes()).hexdigest()


def check_source(
    counts: NDArray[np.float32],
    probe: NDArray[np.complex64],
    *,
    simulated: bool,
    declared: CalibrationSource,
    name: str,
) -> None:
    """Refuse frames that are no measured diffraction, unless that is what was asked for.

    Args:
        counts: (N, 1, H, W), masked pixels negative.
        probe: (modes, n, n), n a multiple of H.
        simulated: the file says that its frames are.
        declared: what the user takes them for.
        name: of the file.

    Raises:
        CalibrationError: if they are something else.
    """
    found = CalibrationSource.SIMULATED if simulated else CalibrationSource.MEASURED
    if _agreement(counts, probe) < _LEAST_AGREEMENT:
        found = CalibrationSource.RANDOM
    if found is not declared:
        looks = {
            CalibrationSource.MEASURED: "diffraction that was measured",
            CalibrationSource.SIMULATED: "simulated frames",
            CalibrationSource.RANDOM: "no diffraction of the network's probe",
        }[found]
        raise CalibrationError(
            f"{name}: holds {looks}, and INT8 is to be calibrated on frames that are "
            f"{declared.value}; name a measured scan of that probe, or say "
            f"--calibration-source {found.value}"
        )


def _features(lit: NDArray[np.float32], positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, 5): log flux, mean radius, log concentration, row and column, each from 0 to 1."""
    total = np.maximum(lit.sum(axis=(1, 2), dtype=np.float64), 1)
    share = lit / total[:, None, None]
    index = np.arange(lit.shape[-1]) - lit.shape[-1] // 2
    radius = np.hypot(index[:, None], index)
    columns = [
        np.log(total),
        np.sum(share * radius, axis=(1, 2)),
        np.log(np.sum(share**2, axis=(1, 2)) + 1e-12),
        *positions_px.T,
    ]
    features = np.stack(columns, axis=1).astype(np.float64)
    span = np.ptp(features, axis=0)
    scaled: NDArray[np.float64] = (features - features.min(axis=0)) / np.where(span > 0, span, 1)
    return scaled


def _agreement(counts: NDArray[np.float32], probe: NDArray[np.complex64]) -> float:
    """Correlation of the mean frame's square root with the empty beam's."""
    mean = np.sqrt(np.maximum(counts[:, 0], 0).mean(axis=0, dtype=np.float64))
    beam = np.sqrt(probe_far_field(probe, counts.shape[-1]).astype(np.float64))
    if not (np.ptp(mean) > 0 and np.ptp(beam) > 0):
        return 0.0
    return float(np.corrcoef(mean.ravel(), beam.ravel())[0, 1])
