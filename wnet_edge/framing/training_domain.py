"""Training domain: whether a scan's flux and probe are within what the package was trained for.

A network gives an output for any input. How far flux and probe may differ from training before the
image degrades was measured (docs/trust.md); beyond that a scan is processed with a warning.
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.probe import fitted_probe

HARMLESS_DIMNESS = 10.0
"""Counts per frame may be lower than in training by this factor: so thinned, scan 247 kept its
phase correlation within 0.01. There is no upper limit: the network sees counts over their mean."""

LEAST_SIMILARITY = 0.65
"""Least similarity of the scan's probe to the package's; down to it, simulated scans kept their
phase correlation within 0.01."""


def probe_similarity(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> float:
    """Similarity of two probes (modes, n, n), 0 to 1, invariant to power, phase, modes and shift.

    Tr(ρσ) / sqrt(Tr ρ² · Tr σ²) of the mutual intensities ρ and σ of both, so that a set of modes
    and any unitary mixture of it are equivalent; the maximum over whole-pixel shifts.
    """
    a, b = np.fft.fft2(one), np.fft.fft2(other)
    overlap = np.zeros(one.shape[-2:])
    for mode in a:
        overlap += np.sum(np.abs(np.fft.ifft2(mode * np.conj(b))) ** 2, axis=0)
    return float(overlap.max() / np.sqrt(_purity(one) * _purity(other)))


def upright_probe(
    probe: NDArray[np.complex64], orientation: Orientation, package: Package
) -> tuple[NDArray[np.complex64], float]:
    """A scan's probe (modes, n, n) in the package's orientation, and its similarity.

    The probe may have been reconstructed from the stored or from the oriented frames; of both, the
    one more similar to the package's probe is taken.
    """
    known = fitted_probe(package.probe, probe.shape[-1])
    senses = (probe, orient(probe, orientation))
    similarities = [probe_similarity(sense, known) for sense in senses]
    best = int(np.argmax(similarities))
    return senses[best], similarities[best]


def _purity(modes: NDArray[np.complex64]) -> float:
    """Purity of a mutual intensity, Tr ρ² = Σ |⟨P_m|P_n⟩|²."""
    flat = modes.reshape(len(modes), -1)
    return float(np.sum(np.abs(flat @ flat.conj().T) ** 2))


def outside_training_domain(
    package: Package, median_counts: float, similarity: float | None
) -> tuple[str, ...]:
    """Warnings for a scan outside the package's training domain, one line each.

    Args:
        package: package that processes the scan.
        median_counts: median of the counts per frame.
        similarity: similarity of the scan's probe to the package's; None if it has no probe.
    """
    lines = []
    trained = package.manifest.training.counts
    if trained is not None and median_counts < trained.low / HARMLESS_DIMNESS:
        lines.append(
            f"frames have {median_counts:.2g} counts, fewer than the "
            f"{trained.low / HARMLESS_DIMNESS:.2g} down to which the package's images keep their "
            "quality: expose longer, or train for fewer"
        )
    if similarity is not None and similarity < LEAST_SIMILARITY:
        lines.append(
            f"the scan's probe is {100 * similarity:.0f} % like the package's, less than the "
            f"{100 * LEAST_SIMILARITY:.0f} % down to which images keep their quality: train a "
            "package for this probe"
        )
    return tuple(lines)
