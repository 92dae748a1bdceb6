"""Is this scan like what the package was trained for? Asked of its flux and of its probe.

A network answers whatever it is shown. How far flux and probe may be from training before the image
suffers was measured (docs/trust.md); beyond that a scan is worked on, with a warning.
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.probe import fitted_probe

HARMLESS_DIMNESS = 10.0
"""So many times fewer counts than the least in training left the phase correlation of scan 247,
thinned, within 0.01. There is no upper end: the network sees counts over their mean."""

LEAST_SIMILARITY = 0.65
"""Of the scan's probe to the package's: down to it, simulated scans kept their phase correlation
within 0.01."""


def probe_similarity(one: NDArray[np.complex64], other: NDArray[np.complex64]) -> float:
    """How alike two probes (modes, n, n) are, 0 to 1: blind to power, phase, mode order and place.

    Tr(ρσ) / sqrt(Tr ρ² · Tr σ²) of the mutual intensities ρ and σ of both, so that a set of modes
    and any unitary mixture of it are the same; the largest value over shifts of one by whole
    pixels.
    """
    a, b = np.fft.fft2(one), np.fft.fft2(other)
    overlap = np.zeros(one.shape[-2:])
    for mode in a:
        overlap += np.sum(np.abs(np.fft.ifft2(mode * np.conj(b))) ** 2, axis=0)
    return float(overlap.max() / np.sqrt(_purity(one) * _purity(other)))


def upright_probe(
    probe: NDArray[np.complex64], orientation: Orientation, package: Package
) -> tuple[NDArray[np.complex64], float]:
    """A scan's probe (modes, n, n) as the package sees its frames, and its similarity.

    A probe may have been recovered from the frames as stored or from turned ones: the sense that
    is more like the package's probe is taken.
    """
    known = fitted_probe(package.probe, probe.shape[-1])
    senses = (probe, orient(probe, orientation))
    similarities = [probe_similarity(sense, known) for sense in senses]
    best = int(np.argmax(similarities))
    return senses[best], similarities[best]


def _purity(modes: NDArray[np.complex64]) -> float:
    """Tr ρ² = Σ |⟨P_m|P_n⟩|²."""
    flat = modes.reshape(len(modes), -1)
    return float(np.sum(np.abs(flat @ flat.conj().T) ** 2))


def outside_training_domain(
    package: Package, median_counts: float, similarity: float | None
) -> tuple[str, ...]:
    """What sets a scan apart from the package's training, one line each.

    Args:
        package: that looked at it.
        median_counts: of its frames.
        similarity: of its probe to the package's; None where it has none.
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
