"""Is this scan like what the package was trained for? Asked of its flux and of its probe.

A network answers whatever it is shown. How far flux and probe may be from training before the image
suffers was measured (docs/trust.md); beyond that a scan is worked on, with a warning.
"""

import numpy as np
from numpy.typing import NDArray

from wnet_edge.orientation import Orientation, orient
from wnet_edge.package import Package
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.runner.window import FramedScan

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
    as_stored, turned = probe, orient(probe, orientation)
    similarities = probe_similarity(as_stored, known), probe_similarity(turned, known)
    return (
        (turned, similarities[1])
        if similarities[1] > similarities[0]
        else (
            as_stored,
            similarities[0],
        )
    )


def _purity(modes: NDArray[np.complex64]) -> float:
    """Tr ρ² = Σ |⟨P_m|P_n⟩|²."""
    flat = modes.reshape(len(modes), -1)
    return float(np.sum(np.abs(flat @ flat.conj().T) ** 2))


def unfamiliar(framed: FramedScan, package: Package, median_counts: float) -> tuple[str, ...]:
    """What sets the scan apart from the package's training, one line each.

    Args:
        framed: as the package saw it.
        package: that looked at it.
        median_counts: of its frames.
    """
    lines = []
    trained = package.manifest.training.counts
    if trained is not None and median_counts < trained.low / HARMLESS_DIMNESS:
        lines.append(
            f"frames have {median_counts:.2g} counts, fewer than the "
            f"{trained.low / HARMLESS_DIMNESS:.2g} down to which the package's images keep their "
            "quality: expose longer, or train for fewer"
        )
    if framed.scan.probe is not None:
        _, similarity = upright_probe(framed.scan.probe, framed.window.orientation, package)
        if similarity < LEAST_SIMILARITY:
            lines.append(
                f"the scan's probe is {100 * similarity:.0f} % like the package's, less than the "
                f"{100 * LEAST_SIMILARITY:.0f} % down to which images keep their quality: train a "
                "package for this probe"
            )
    return tuple(lines)
