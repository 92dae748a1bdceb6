"""Training domain: whether a scan is within what a package's images are known to stand.

A network gives an output for any input. How far flux, probe, overlap and mask may differ from
training before the image degrades was measured (docs/trust.md, docs/robustness.md); beyond that a
scan is processed with a warning.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.framing.compatibility import nearest_neighbour_m
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation, orient
from wnet_edge.physics.probe import fitted_probe, probe_diameter_px
from wnet_edge.scan.scan import Scan

HARMLESS_DIMNESS = 10.0
"""Counts per frame may be lower than in training by this factor: so thinned, scan 247 kept its
phase correlation within 0.01. There is no upper limit: the network sees counts over their mean."""

LEAST_SIMILARITY = 0.65
"""Least similarity of the scan's probe to the package's; down to it, simulated scans kept their
phase correlation within 0.01."""

LEAST_OVERLAP = 0.5
"""Least linear overlap of neighbouring probes. From 83 %, simulated scans of unseen objects lose
0.011 of their phase correlation down to 55 %, 0.022 at 45 %, 0.029 at 28 %, 0.064 at 10 %."""

MOST_MASKED = 0.08
"""Largest share of the window's pixels that may be masked: a beamstop over 5 % of them costs 0.012
of the phase correlation, over 11 % 0.060, whether or not it hides light."""

MOST_HIDDEN = 0.05
"""Largest share of the probe's far field on masked pixels: a beamstop over 2 % of it costs 0.012 of
the phase correlation, over 10 % 0.042, over 20 % 0.080."""

MOST_BACKGROUND = 0.06
"""Largest level of the darkest pixels, relative to the mean count: a flat background of 3 % of it
costs 0.003 of the phase correlation, of 10 % 0.033, of 30 % 0.2. What the sample scatters there
reaches 0.015 on scan 247, and 0.045 with phases up to 2π."""


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


@dataclass(frozen=True)
class Observed:
    """What a scan and its frames tell of how it was measured, without an image.

    Attributes:
        median_counts: median of the counts per frame.
        similarity: similarity of the scan's probe to the package's; None if it has no probe.
        overlap: linear overlap of neighbouring probes, 1 − step / diameter; negative where they lie
            apart.
        masked: share of the window's pixels that are masked.
        hidden: share of the far field of the package's probe on them.
        background: counts in the darkest pixels beyond the probe's there, relative to the mean.
    """

    median_counts: float
    similarity: float | None
    overlap: float
    masked: float
    hidden: float
    background: float


def probe_overlap(scan: Scan, package: Package) -> float:
    """Linear overlap of the package's probe at neighbouring positions: 1 − step / diameter.

    By the median distance to the nearest neighbour, which in a raster is its finer step.
    """
    step_m = nearest_neighbour_m(scan.positions_m[~scan.left_out])
    diameter_m = probe_diameter_px(package.probe) * package.manifest.object_pixel_size_m
    return 1 - step_m / diameter_m


def outside_training_domain(package: Package, observed: Observed) -> tuple[str, ...]:
    """Warnings for a scan outside the package's training domain, one line each."""
    lines = []
    trained = package.manifest.training.counts
    if trained is not None and observed.median_counts < trained.low / HARMLESS_DIMNESS:
        lines.append(
            f"frames have {observed.median_counts:.2g} counts, fewer than the "
            f"{trained.low / HARMLESS_DIMNESS:.2g} down to which the package's images keep their "
            "quality: expose longer, or make a package for them with wnet-edge adapt SCAN"
        )
    similarity = observed.similarity
    if similarity is not None and similarity < LEAST_SIMILARITY:
        lines.append(
            f"the scan's probe is {100 * similarity:.0f} % like the package's, less than the "
            f"{100 * LEAST_SIMILARITY:.0f} % down to which images keep their quality: make a "
            "package for this probe with wnet-edge adapt SCAN"
        )
    if observed.overlap < LEAST_OVERLAP:
        lines.append(
            f"neighbouring positions are {1 - observed.overlap:.2f} probe diameters apart, more "
            f"than the {1 - LEAST_OVERLAP:.2f} up to which images keep their quality: scan with "
            "smaller steps, or check the unit of the positions (--positions-unit)"
        )
    if observed.masked > MOST_MASKED or observed.hidden > MOST_HIDDEN:
        lines.append(
            f"{100 * observed.masked:.0f} % of the pixels are masked and hide "
            f"{100 * observed.hidden:.0f} % of the beam, more than the {100 * MOST_MASKED:.0f} % "
            f"and {100 * MOST_HIDDEN:.0f} % up to which images keep their quality: use a smaller "
            "beamstop or an attenuator, or check the mask (--mask)"
        )
    if observed.background > MOST_BACKGROUND:
        lines.append(
            f"even the darkest pixels have {100 * observed.background:.0f} % of the mean count, "
            f"more than the {100 * MOST_BACKGROUND:.0f} % up to which images keep their quality: "
            "if it is background, subtract it, or shield the detector from stray light"
        )
    return tuple(lines)
