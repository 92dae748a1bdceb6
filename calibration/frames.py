"""Selection of the calibration frames: few, and as diverse as the scan allows.

First step of quantisation: **frames** → ranges → quantised graph. Neighbouring frames are similar,
so frames are chosen by farthest-point sampling in flux, texture and position (Gonzalez, Theor.
Comput. Sci. 38, 293, 1985), which includes rare ones early.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import CalibrationError
from wnet_edge.package.manifest import CalibrationSource
from wnet_edge.physics.probe import probe_far_field

LARGEST_COUNT = 256
"""Largest number of frames; more hardly widen the ranges, and the histograms of all layers are kept
in memory."""

FEWEST_COUNT = 32
"""Number of frames below which ranges depend on chance; a warning, not an error."""

LEAST_AGREEMENT = 0.5
"""Least correlation of the mean frame with the probe's far field: 0.99 for scan 247, 0 for random
numbers."""


_OTHER_SCAN = {
    CalibrationSource.MEASURED: "name a measured scan of that probe",
    CalibrationSource.SIMULATED: "leave --calibration out to have frames simulated for that probe",
    CalibrationSource.RANDOM: "name random ones",
}
"""Cure for frames of another kind than declared."""


def choose_frames(
    counts: NDArray[np.float32], positions_px: NDArray[np.float64], largest: int
) -> NDArray[np.int64]:
    """Choose frames that cover flux, texture and position; frame numbers (n,) int64, ascending.

    Args:
        counts: (N, 1, H, W) float32, masked pixels negative.
        positions_px: (N, 2) row, column.
        largest: largest number of frames to choose.
    """
    features = _features(np.maximum(counts[:, 0], 0), positions_px)
    taken = [int(np.argmax(np.sum((features - features.mean(axis=0)) ** 2, axis=1)))]
    distance = np.full(len(features), np.inf)
    while len(taken) < min(largest, len(features)):
        distance = np.minimum(distance, np.sum((features - features[taken[-1]]) ** 2, axis=1))
        taken.append(int(np.argmax(distance)))
    return np.sort(np.array(taken, dtype=np.int64))


def frames_sha256(counts: NDArray[np.float32]) -> str:
    """SHA-256 of counts as fed to the graph."""
    return hashlib.sha256(np.ascontiguousarray(counts).tobytes()).hexdigest()


def check_source(
    counts: NDArray[np.float32],
    probe: NDArray[np.complex64],
    *,
    simulated: bool,
    declared: CalibrationSource,
    name: str,
) -> None:
    """Check that calibration frames are of the declared kind: measured diffraction, or simulated.

    Args:
        counts: (N, 1, H, W) float32, masked pixels negative.
        probe: (modes, n, n), n a multiple of H.
        simulated: whether the file states that its frames are simulated.
        declared: kind of frames declared by the user.
        name: name of the file, for messages.

    Raises:
        CalibrationError: if they are of another kind.
    """
    found = CalibrationSource.SIMULATED if simulated else CalibrationSource.MEASURED
    if agreement(counts, probe) < LEAST_AGREEMENT:
        found = CalibrationSource.RANDOM
    if found is not declared:
        looks = {
            CalibrationSource.MEASURED: "diffraction that was measured",
            CalibrationSource.SIMULATED: "simulated frames",
            CalibrationSource.RANDOM: "no diffraction of the network's probe",
        }[found]
        raise CalibrationError(
            f"{name}: holds {looks}, and INT8 is to be calibrated on frames that are "
            f"{declared.value}; {_OTHER_SCAN[declared]}, or say --calibration-source {found.value}"
        )


def _features(lit: NDArray[np.float32], positions_px: NDArray[np.float64]) -> NDArray[np.float64]:
    """Features (N, 5), each 0 to 1: log flux, mean radius, log concentration, row, column."""
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


def agreement(counts: NDArray[np.float32], probe: NDArray[np.complex64]) -> float:
    """Correlation of the square roots of the mean frame and of the empty beam's frame."""
    mean = np.sqrt(np.maximum(counts[:, 0], 0).mean(axis=0, dtype=np.float64))
    beam = np.sqrt(probe_far_field(probe, counts.shape[-1]).astype(np.float64))
    if not (np.ptp(mean) > 0 and np.ptp(beam) > 0):
        return 0.0
    return float(np.corrcoef(mean.ravel(), beam.ravel())[0, 1])
