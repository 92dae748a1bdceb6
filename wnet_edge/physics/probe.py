"""The probe (illumination) as incoherent modes on object pixels: zone plates, defocus, shifts.

A zone plate model for use without a measured probe, and operations that model how a real probe
differs from the measured one in simulation: defocus and shift.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import SimulationError
from wnet_edge.physics.binning import bin_frames
from wnet_edge.physics.forward import Wave, far_field, inverse_far_field
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.physics.geometry import central_window_start_px

_LIT_POWER = 0.9
"""Share of a probe's power within its diameter."""


@dataclass(frozen=True)
class ZonePlate:
    """A Fresnel zone plate with a central stop, illuminated by a partially coherent source.

    Attributes:
        outermost_zone_width_m: Δr; the numerical aperture is λ / (2 Δr).
        central_stop_fraction: diameter of the stop relative to the zone plate, 0 to below 1.
        defocus_m: distance of the sample downstream of the focus.
        source_size_m: RMS width of the demagnified source at the focus; 0 is fully coherent.
        modes: number of incoherent modes kept, strongest first.
    """

    outermost_zone_width_m: float = 30e-9
    central_stop_fraction: float = 0.4
    defocus_m: float = 20e-6
    source_size_m: float = 0.0
    modes: int = 1


def spatial_frequencies_per_m(window_px: int, pixel_size_m: float) -> NDArray[np.float64]:
    """Squared spatial frequencies |q|² on a centred grid, (window, window) float64, in 1/m²."""
    q = np.fft.fftshift(np.fft.fftfreq(window_px, pixel_size_m))
    squared: NDArray[np.float64] = q[:, None] ** 2 + q[None, :] ** 2
    return squared


def zone_plate_probe(
    optics: ZonePlate, *, wavelength_m: float, window_px: int, pixel_size_m: float
) -> NDArray[np.complex64]:
    """Probe of a zone plate, (modes, window, window) complex64, total intensity 1.

    A uniformly filled annular pupil, propagated by `defocus_m` (Fresnel), then convolved with a
    Gaussian source: incoherent copies at the nodes of a Gauss-Hermite quadrature, orthogonalised by
    a singular value decomposition (Thibault & Menzel, Nature 494, 68, 2013).

    Raises:
        SimulationError: if the optics are impossible or the pupil does not fit the window.
    """
    _check(optics, pixel_size_m)
    squared = spatial_frequencies_per_m(window_px, pixel_size_m)
    radius = 1 / (2 * optics.outermost_zone_width_m)
    pupil = (squared <= radius**2) & (squared >= (radius * optics.central_stop_fraction) ** 2)
    if not pupil.any():
        raise SimulationError(
            f"a window of {window_px} px of {pixel_size_m:.3g} m is too small for this zone plate"
        )
    field = pupil * np.exp(-1j * math.pi * wavelength_m * optics.defocus_m * squared)
    modes = _blur(field, optics, pixel_size_m)
    power = np.sum(np.abs(modes) ** 2)
    probe: NDArray[np.complex64] = (modes / np.sqrt(power)).astype(np.complex64)
    return probe


def defocus(
    probe: NDArray[np.complex64], *, distance_m: float, wavelength_m: float, pixel_size_m: float
) -> NDArray[np.complex64]:
    """Probe (modes, H, W) after free-space propagation by `distance_m` (Fresnel).

    Transfer function of Goodman, Introduction to Fourier Optics, 2005, eq. 4-20. Preserves the
    total intensity.
    """
    squared = spatial_frequencies_per_m(probe.shape[-1], pixel_size_m)
    transfer = np.exp(-1j * math.pi * wavelength_m * distance_m * squared)
    moved: NDArray[np.complex64] = inverse_far_field(far_field(probe) * transfer).astype(
        np.complex64
    )
    return moved


def shifted_probe(
    probe: NDArray[np.complex64], shift_px: NDArray[np.float64]
) -> NDArray[np.complex64]:
    """Probe (modes, H, W) shifted by row, column `shift_px`, periodic, with subpixel accuracy.

    By the Fourier shift theorem; preserves the total intensity.
    """
    height, width = probe.shape[-2:]
    rows = np.exp(-2j * math.pi * np.fft.fftfreq(height) * shift_px[0])
    columns = np.exp(-2j * math.pi * np.fft.fftfreq(width) * shift_px[1])
    moved: NDArray[np.complex64] = np.fft.ifft2(
        np.fft.fft2(probe) * (rows[:, None] * columns)
    ).astype(np.complex64)
    return moved


def fitted_probe(probe: NDArray[np.complex64], size_px: int) -> NDArray[np.complex64]:
    """Probe (modes, n, n) zero-padded or cropped to a window of `size_px`, centre on centre.

    The object pixel stays the same; a larger window corresponds to finer detector pixels.
    """
    probe_px = probe.shape[-1]
    if size_px <= probe_px:
        start = central_window_start_px(probe_px, size_px)
        return probe[:, start : start + size_px, start : start + size_px]
    start = central_window_start_px(size_px, probe_px)
    margin = (start, size_px - probe_px - start)
    return np.pad(probe, ((0, 0), margin, margin))


def probe_far_field(probe: NDArray[np.complex64], size_px: int) -> NDArray[np.float32]:
    """Far-field intensity Σ_modes |F P|² of a probe (modes, n, n) on `size_px` × `size_px` pixels.

    For more (finer) detector pixels the probe is padded, for fewer the far field is binned.

    Raises:
        ValueError: if the window is smaller and does not divide the probe's.
    """
    probe_px = probe.shape[-1]
    if size_px < probe_px and probe_px % size_px:
        raise ValueError(f"a window of {size_px} px does not divide a probe of {probe_px} px")
    intensity = probe_intensity(far_field(fitted_probe(probe, max(size_px, probe_px))))
    return bin_frames(intensity, max(probe_px // size_px, 1))


def probe_diameter_px(probe: NDArray[np.complex64]) -> float:
    """Diameter of a disc whose area is that of the brightest pixels with 90 % of the power.

    For probes of any shape and place (modes, n, n): a ring counts without its hole.
    """
    power = np.sort(probe_intensity(probe), axis=None)[::-1].cumsum(dtype=np.float64)
    lit_px = 1 + int(np.searchsorted(power, _LIT_POWER * power[-1]))
    return 2 * math.sqrt(lit_px / math.pi)


def space_bandwidth(probe: NDArray[np.complex64]) -> float:
    """Space-bandwidth product of a probe (modes, n, n): lit area on the object × on the detector.

    About 2, the smallest, for a focus, a pinhole or an Airy disc, hundreds far out of focus or
    behind a diffuser (Lohmann et al., J. Opt. Soc. Am. A 13, 470, 1996). Areas are participation
    ratios, (Σ I)² / Σ I².
    """
    size_px = probe.shape[-1]
    lit = (probe_intensity(probe), probe_far_field(probe, size_px))
    on_object, on_detector = (
        float(np.sum(one, dtype=np.float64) ** 2 / np.sum(one.astype(np.float64) ** 2))
        for one in lit
    )
    return float(on_object * on_detector / size_px**2)


def _check(optics: ZonePlate, pixel_size_m: float) -> None:
    if optics.modes < 1 or not 0 <= optics.central_stop_fraction < 1 or optics.source_size_m < 0:
        raise SimulationError(
            "a zone plate needs 1 mode or more, a stop of 0 to below 1, a source size of 0 or more"
        )
    if optics.outermost_zone_width_m <= pixel_size_m:
        raise SimulationError(
            f"an outermost zone of {optics.outermost_zone_width_m:.3g} m needs object pixels below "
            f"{optics.outermost_zone_width_m:.3g} m, not {pixel_size_m:.3g} m"
        )


def _blur(field: Wave, optics: ZonePlate, pixel_size_m: float) -> Wave:
    window_px = field.shape[-1]
    if optics.source_size_m == 0:
        if optics.modes > 1:
            raise SimulationError("several modes need a source size above 0")
        return inverse_far_field(field)[None]
    nodes, weights = np.polynomial.hermite_e.hermegauss(5)
    q = np.fft.fftshift(np.fft.fftfreq(window_px, pixel_size_m))
    ramps = np.exp(-2j * math.pi * optics.source_size_m * nodes[:, None] * q)
    shifted = np.einsum("ay,bx,yx->abyx", ramps, ramps, field).reshape(-1, window_px, window_px)
    share = np.sqrt(np.outer(weights, weights).ravel() / weights.sum() ** 2)
    copies = inverse_far_field(shifted) * share[:, None, None]
    _, strength, modes = np.linalg.svd(copies.reshape(len(copies), -1), full_matrices=False)
    if optics.modes > len(strength):
        raise SimulationError(f"at most {len(strength)} modes can be made, not {optics.modes}")
    kept = strength[: optics.modes, None] * modes[: optics.modes]
    shaped: Wave = kept.reshape(optics.modes, window_px, window_px)
    return shaped


def resampled_probe(probe: NDArray[np.complex64], size_px: int) -> NDArray[np.complex64]:
    """Probe (modes, n, n) on `size_px` × `size_px` pixels of the same field of view.

    Its far field is cropped or padded, as on a smaller or larger detector.
    """
    if probe.shape[-1] == size_px:
        return probe
    wave = fitted_probe(far_field(probe).astype(np.complex64), size_px)
    resampled: NDArray[np.complex64] = inverse_far_field(wave).astype(np.complex64)
    return resampled
