"""Conversion of units in scan files to metres or electronvolts."""

from enum import Enum

JOULE_PER_EV = 1.602176634e-19
"""Exact since the SI of 2019."""


class Quantity(Enum):
    """Physical quantity, by the unit that wnet-edge uses for it."""

    LENGTH = "m"
    ENERGY = "eV"


_FACTORS = {
    Quantity.LENGTH: {
        **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
        **dict.fromkeys(("cm", "centimetre", "centimeter"), 1e-2),
        **dict.fromkeys(("mm", "millimetre", "millimeter", "millimetres", "millimeters"), 1e-3),
        **dict.fromkeys(("um", "µm", "μm", "micron", "microns", "micrometre", "micrometer"), 1e-6),
        **dict.fromkeys(("micrometres", "micrometers"), 1e-6),
        **dict.fromkeys(("nm", "nanometre", "nanometer", "nanometres", "nanometers"), 1e-9),
        **dict.fromkeys(("å", "angstrom", "angstroms", "ang"), 1e-10),
        **dict.fromkeys(("pm", "picometre", "picometer"), 1e-12),
    },
    Quantity.ENERGY: {
        **dict.fromkeys(("ev", "electronvolt", "electronvolts"), 1.0),
        "kev": 1e3,
        **dict.fromkeys(("j", "joule", "joules"), 1 / JOULE_PER_EV),
    },
}


def unit_factor(unit: str, quantity: Quantity) -> float | None:
    """Factor from `unit` to metres or electronvolts; None for an unknown unit."""
    return _FACTORS[quantity].get(unit.strip().lower())
