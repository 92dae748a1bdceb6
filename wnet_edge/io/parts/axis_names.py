"""Interpretation of motor names: direction of the axis, set point or read-back.

Names differ from beamline to beamline (samx, SampleX_value_set, zpssy, Achse_X), so there is no
fixed list: every reading of a name as a direction is a candidate, and counts only if there is a
counterpart for the other direction (`wnet_edge.io.parts.motors`): index has no indey, energy no
energx.
"""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum, IntEnum


class Direction(Enum):
    """Direction of an axis: along columns, along rows, or along the beam (or z)."""

    X = "x"
    Y = "y"
    Z = "z"


class Role(IntEnum):
    """Kind of a motor's values; a larger one states its position more reliably."""

    SET = 0
    UNSAID = 1
    READ_BACK = 2


@dataclass(frozen=True)
class Reading:
    """One interpretation of a name.

    Attributes:
        direction: direction of the axis.
        rest: the name without direction and role; equal for counterparts.
    """

    direction: Direction
    rest: str


_X, _Y, _Z = Direction
_LETTERS = {"x": _X, "y": _Y, "z": _Z}
_WORDS = {
    **{letter: (direction, "*") for letter, direction in _LETTERS.items()},
    **dict.fromkeys(("h", "hor", "horiz", "horizontal", "horizontale"), (_X, "*lying")),
    **dict.fromkeys(("waagerecht", "orizzontale", "水平", "横"), (_X, "*lying")),
    **dict.fromkeys(("v", "ver", "vert", "vertical", "verticale", "vertikal"), (_Y, "*lying")),
    **dict.fromkeys(("senkrecht", "垂直", "縦"), (_Y, "*lying")),
    **dict.fromkeys(("col", "cols", "column", "columns", "spalte", "spalten"), (_X, "*grid")),
    **dict.fromkeys(("colonne", "colonnes", "columna", "columnas", "colonna"), (_X, "*grid")),
    **dict.fromkeys(("row", "rows", "zeile", "zeilen", "ligne", "lignes"), (_Y, "*grid")),
    **dict.fromkeys(("fila", "filas", "riga", "righe"), (_Y, "*grid")),
    **dict.fromkeys(("fast", "schnell", "rapide", "rapido"), (_X, "*speed")),
    **dict.fromkeys(("slow", "langsam", "lent", "lento"), (_Y, "*speed")),
    **dict.fromkeys(("abscissa", "abscisse", "abszisse"), (_X, "*graph")),
    **dict.fromkeys(("ordinate", "ordonnee"), (_Y, "*graph")),
}
"""Whole words for directions, each with the family of words among which its counterpart is."""

_ROLES = {
    **dict.fromkeys(("set", "setpoint", "setpt", "setpos", "sp", "demand", "target"), Role.SET),
    **dict.fromkeys(("nominal", "requested", "request", "command", "commanded", "cmd"), Role.SET),
    **dict.fromkeys(("desired", "planned", "ideal", "soll", "sollwert", "consigne"), Role.SET),
    **dict.fromkeys(("rbv", "rb", "readback", "readbacks", "encoder", "encoders"), Role.READ_BACK),
    **dict.fromkeys(("enc", "measured", "actual", "real", "ist", "istwert"), Role.READ_BACK),
    **dict.fromkeys(("mesure", "average", "avg", "interferometer", "corrected"), Role.READ_BACK),
    **dict.fromkeys(("setpoints", "targets"), Role.SET),
    **dict.fromkeys(("value", "values", "raw", "data", "position", "positions"), Role.UNSAID),
    **dict.fromkeys(("val", "pos", "read", "back", "motor", "axis"), Role.UNSAID),
}
"""Words for the role of a value, which are not part of the motor's name."""

_OTHER_WORDS = """
index indices idx number num frame frames image images energy delay time times timestamp epoch
dwell exposure intensity monitor mon i0 i1 ic count counts counter rate current temperature temp
voltage pressure flux sum total max min error errors err std stdev stddev sigma uncertainty
variance theta phi chi omega kappa gamma tth rot rotation angle angles tilt pitch roll yaw r th
ry rz rx roi com cofm centroid center centre dpc gradient bpm xbpm qbpm beam pixel pixels size
width height step steps start stop end velocity speed slit slits mirror kb osa pinhole aperture
diaphragm detector det cam camera mono dcm undulator gap focus binning flag status valid norm
dark flat gain offset vector overflow underflow channel trigger shutter attenuator filter
transmission absorption phase amplitude mask line order strahl winkel energie temperatur
"""
_OTHER_THINGS = frozenset(_OTHER_WORDS.split())
"""Words for quantities with a direction, a length or one number per frame that are no position."""

_TOKEN = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_JOINED_ROLE = re.compile(r"(.*[xyz])(set|sp|rbv|rb|enc|encoder|readback|setpoint|demand|target)")


def is_position_name(name: str) -> bool:
    """Whether a name may be that of a motor: without words for other quantities."""
    return not any(
        part in _OTHER_THINGS
        for word in words_of(name)
        for part in (word, *(rest.replace("*lying", "").strip("*") for _, rest in _letters(word)))
    )


def role_of(name: str) -> Role | None:
    """Role stated by a name, set point or read-back; None if it states none."""
    words = words_of(name)
    if "read" in words and "back" in words:
        return Role.READ_BACK
    if "set" in words and "data" in words:
        return None
    told = [_ROLES[word] for word in words if _ROLES.get(word, Role.UNSAID) is not Role.UNSAID]
    return told[-1] if told else None


def readings_of(name: str) -> list[Reading]:
    """All interpretations of a name as a direction, the likelier first; may be empty.

    Separate words (`sample_x`, `Zeile`) come before first or last letters (`samx`, `xpos`).
    """
    words = [word for word in words_of(name) if word not in _ROLES]
    whole, lettered = [], []
    for at, word in enumerate(words):
        if word in _WORDS:
            direction, family = _WORDS[word]
            whole.append(Reading(direction, " ".join([*words[:at], family, *words[at + 1 :]])))
            continue
        for direction, rest in _letters(word):
            lettered.append(Reading(direction, " ".join([*words[:at], rest, *words[at + 1 :]])))
    return whole + lettered


def names_only_a_role(name: str) -> bool:
    """Whether a name only states a role (`value`, `readback`, `data`), not the motor."""
    return all(word in _ROLES for word in words_of(name))


def _letters(word: str) -> list[tuple[Direction, str]]:
    """Directions from the last or first letter of a longer word, with the rest of the word."""
    if len(word) < 2 or not word.isascii() or word.isdigit():
        return []
    found = []
    if word[-1] in _LETTERS:
        found.append((_LETTERS[word[-1]], word[:-1] + "*"))
    if word[-1] in "hv":
        found.append((_X if word[-1] == "h" else _Y, word[:-1] + "*lying"))
    if word[0] in _LETTERS:
        found.append((_LETTERS[word[0]], "*" + word[1:]))
    return found


def words_of(name: str) -> list[str]:
    """Lower-case words of `SampleX_value_set`, `samx-rbv`, `Achse X`; accents are dropped."""
    plain = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    words: list[str] = []
    for token in _TOKEN.findall(plain):
        joined = _JOINED_ROLE.fullmatch(token.lower())
        words += joined.groups() if joined else [token.lower()]
    return words
