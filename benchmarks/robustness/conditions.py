"""What may be wrong with a scan: one frozen value for all of it, and the series of the tables."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Conditions:
    """Of one simulated scan; the defaults are a good one.

    Attributes:
        photons: counts per frame without the sample.
        defocus_um: of the probe, beyond the package's.
        defocus_drift_um: defocus of the last frame relative to the first, growing evenly.
        shift_drift_px: shift of the probe on the last frame relative to the first, likewise.
        position_noise_px: RMS distance of a frame's true position from the one in the file.
        dead_fraction: share of detector pixels that count nothing.
        dead_masked: whether the file's mask marks them.
        background: counts per pixel, relative to the mean count.
        beamstop_px: diameter of a masked disc over the direct beam, detector pixels.
        modes: number of incoherent modes of the probe; None: the package's.
        blur_px: RMS width of a Gaussian by which every frame is blurred, detector pixels.
        step: of the raster, relative to the probe's diameter.
        phase_rad: range of the object's phase.
        absorption: range of the logarithm of its amplitude.
        slices: number of layers of the object.
        thickness_um: distance from the first layer to the last.
    """

    photons: float = 1e7
    defocus_um: float = 0.0
    defocus_drift_um: float = 0.0
    shift_drift_px: float = 0.0
    position_noise_px: float = 0.0
    dead_fraction: float = 0.0
    dead_masked: bool = True
    background: float = 0.0
    beamstop_px: int = 0
    modes: int | None = None
    blur_px: float = 0.0
    step: float = 0.2
    phase_rad: float = 1.5
    absorption: float = 0.15
    slices: int = 1
    thickness_um: float = 0.0


@dataclass(frozen=True)
class Series:
    """One table: a quantity, and the conditions of its rows by what they are called."""

    quantity: str
    rows: tuple[tuple[str, Conditions], ...]


GOOD = Conditions()

_FLUX = {"1/1000": 1e-3, "1/100": 1e-2, "1/40": 1 / 40, "1/16": 1 / 16, "1/4": 1 / 4} | {
    str(factor): factor for factor in (1, 4, 16, 100)
}


def _series(quantity: str, name: str, values: Iterable[float], **others: float) -> Series:
    rows = [(f"{value:g}", replace(GOOD, **{name: value}, **others)) for value in values]
    return Series(quantity, tuple(rows))


SERIES: dict[str, Series] = {
    "flux": Series(
        "counts per frame relative to 1e7",
        tuple((name, replace(GOOD, photons=1e7 * factor)) for name, factor in _FLUX.items()),
    ),
    "defocus": _series(
        "defocus of the probe, µm",
        "defocus_um",
        (-16, -8, -4, -2, -1, -0.5, 0, 0.5, 1, 2, 4, 8, 16),
    ),
    "defocus-drift": _series(
        "defocus that grows during the scan, to µm", "defocus_drift_um", (2, 4, 8, 16, 32)
    ),
    "shift-drift": _series(
        "probe that wanders during the scan, to px", "shift_drift_px", (1, 2, 4, 8, 16)
    ),
    "positions": _series(
        "noise of the positions, px RMS", "position_noise_px", (0.25, 0.5, 1, 2, 4, 8)
    ),
    "dead": _series(
        "dead pixels, masked, share", "dead_fraction", (0.001, 0.005, 0.01, 0.02, 0.05)
    ),
    "dead-unmasked": _series(
        "dead pixels, not in the file's mask, share",
        "dead_fraction",
        (0.001, 0.005, 0.01, 0.02, 0.05),
        dead_masked=False,
    ),
    "background": _series(
        "flat background relative to the mean count", "background", (0.01, 0.03, 0.1, 0.3, 1)
    ),
    "beamstop": _series(
        "diameter of a beamstop, detector px", "beamstop_px", (8, 16, 32, 48, 56, 64, 72, 80)
    ),
    "modes": _series("incoherent modes of the probe", "modes", (1, 2, 3, 4, 5)),
    "coherence": _series(
        "blur of the frames, detector px RMS", "blur_px", (0.25, 0.5, 0.75, 1, 1.5, 2)
    ),
    "overlap": Series(
        "linear overlap of neighbouring probes",
        tuple(
            (f"{percent} %", replace(GOOD, step=1 - percent / 100))
            for percent in (90, 80, 70, 60, 50, 40, 30, 20, 10, 0)
        ),
    ),
    "phase": _series(
        "range of the object's phase, rad", "phase_rad", (0.05, 0.1, 0.2, 0.5, 1, 2, 3, 4.5, 6.3, 9)
    ),
    "absorption": _series(
        "absorption, exponent of the amplitude", "absorption", (0, 0.15, 0.5, 1, 2, 3)
    ),
    "thickness": _series(
        "thickness of an object of three slices, µm",
        "thickness_um",
        (2, 5, 10, 20, 40, 80),
        slices=3,
    ),
}
