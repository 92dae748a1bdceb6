"""Optics in words: `zone-plate:diameter=150um,outermost-zone=30nm,stop=60um,defocus=0.1mm`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from wnet_edge.errors import OptionError
from wnet_edge.physics.optics import FresnelZonePlate, KirkpatrickBaez, Lens, Optics, Pinhole

_UNITS_M = {"m": 1.0, "mm": 1e-3, "um": 1e-6, "µm": 1e-6, "μm": 1e-6, "nm": 1e-9}
_LENGTH = re.compile(r"([-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)\s*([a-zµμ]+)")
_SHORTEST_M, _LONGEST_M = 1e-10, 1e3


@dataclass(frozen=True)
class _Kind:
    """A kind of optics.

    Attributes:
        required: names of lengths that must be told.
        optional: names of lengths that may be.
        make: makes the optics of the lengths told.
    """

    required: tuple[str, ...]
    optional: tuple[str, ...]
    make: Callable[[Mapping[str, float]], Optics]

    def form(self, name: str) -> str:
        """How it is written."""
        told = [f"{key}=…" for key in self.required] + [f"[{key}=…]" for key in self.optional]
        return f"{name}:{','.join(told)}"


_KINDS = {
    "zone-plate": _Kind(
        ("diameter", "outermost-zone"),
        ("stop", "defocus"),
        lambda told: FresnelZonePlate(
            told["diameter"], told["outermost-zone"], told.get("stop", 0.0), told.get("defocus")
        ),
    ),
    "kb": _Kind(
        ("aperture-v", "aperture-h", "focal-v", "focal-h"),
        ("defocus",),
        lambda told: KirkpatrickBaez(
            (told["aperture-v"], told["aperture-h"]),
            (told["focal-v"], told["focal-h"]),
            told.get("defocus"),
        ),
    ),
    "pinhole": _Kind(
        ("diameter", "distance"), (), lambda told: Pinhole(told["diameter"], told["distance"])
    ),
    "lens": _Kind((), ("defocus",), lambda told: Lens(told.get("defocus"))),
}

FORMS = tuple(kind.form(name) for name, kind in _KINDS.items())
"""How each kind of optics is written."""


def optics_from(text: str) -> Optics:
    """The optics that a text describes, `KIND:NAME=LENGTH,…`, lengths with a unit.

    Raises:
        OptionError: if it is no description of optics, with the form of one.
    """
    name, _, rest = text.partition(":")
    kind = _KINDS.get(name.strip().lower())
    if kind is None:
        raise OptionError(f"{text!r} describes no optics; write one of {' · '.join(FORMS)}")
    told: dict[str, float] = {}
    for word in filter(None, (part.strip() for part in rest.split(","))):
        key, equals, value = (part.strip() for part in word.partition("="))
        if not equals or key not in (*kind.required, *kind.optional) or key in told:
            raise OptionError(f"{word!r} has no place in {text!r}; write {kind.form(name)}")
        told[key] = _length_m(value, signed=key == "defocus")
    missing = [key for key in kind.required if key not in told]
    if missing:
        raise OptionError(f"{text!r} lacks {', '.join(missing)}; write {kind.form(name)}")
    if "stop" in told and told["stop"] >= told["diameter"]:
        raise OptionError(f"{text!r}: the stop is as wide as the zone plate")
    return kind.make(told)


def _length_m(text: str, *, signed: bool) -> float:
    found = _LENGTH.fullmatch(text)
    if found is None or found[2] not in _UNITS_M:
        raise OptionError(f"{text!r} is not a length with a unit, such as 30nm, 150um or 2.5mm")
    length_m = float(found[1]) * _UNITS_M[found[2]]
    if abs(length_m) > _LONGEST_M or (length_m < _SHORTEST_M and not signed):
        raise OptionError(f"{text!r} is not within {_SHORTEST_M:g} … {_LONGEST_M:g} m")
    return length_m
