"""Frozen dataclasses to and from canonical JSON: exactly one text for a given content.

Used for the package's manifest. Unknown keys, missing keys, wrong types and any other spelling of
the same content are refused, so that two different files never mean the same.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")


def canonical_json(value: object) -> bytes:
    """Canonical JSON of a dataclass: sorted keys, indent of two spaces, ASCII, final newline.

    Raises:
        ValueError: if a number is infinite or NaN, or a value cannot be represented in JSON.
    """
    plain = asdict(cast("Any", value))
    try:
        text = json.dumps(plain, sort_keys=True, indent=2, allow_nan=False)
    except TypeError as error:
        raise ValueError(str(error)) from error
    return f"{text}\n".encode("ascii")


def from_canonical_json(kind: type[T], data: bytes, name: str = "manifest") -> T:
    """Decode canonical JSON `data` to the dataclass `kind`; `name` is used in messages.

    Raises:
        ValueError: if a key is missing, unknown or of another type, or the JSON is damaged or not
            in canonical form.
    """
    try:
        plain = json.loads(data)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    value = _decode(kind, plain, name)
    if canonical_json(value) != data:
        raise ValueError(f"the JSON of {name} is not in canonical form")
    return cast("T", value)


def _decode(kind: Any, plain: object, where: str) -> object:  # noqa: ANN401 - a type expression
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _decode_union(arguments, plain, where)
    if origin is dict:
        key_kind, value_kind = arguments
        return {
            _decode(key_kind, key, where): _decode(value_kind, item, f"{where}.{key}")
            for key, item in _mapping(plain, where).items()
        }
    if origin is tuple:
        if not isinstance(plain, list):
            raise ValueError(f"{where} is not a list")
        return tuple(_decode(arguments[0], item, where) for item in plain)
    if is_dataclass(kind):
        return _decode_dataclass(cast("type[object]", kind), _mapping(plain, where), where)
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(plain)
        except ValueError as error:
            known = ", ".join(str(member.value) for member in kind)
            raise ValueError(f"{where} is not one of {known}") from error
    # bool is an int in Python, but true is not 1 in JSON.
    if type(plain) is not kind:
        raise ValueError(f"{where} is not of type {kind.__name__}")
    return plain


def _decode_union(arguments: tuple[Any, ...], plain: object, where: str) -> object:
    if plain is None and NoneType in arguments:
        return None
    others = [kind for kind in arguments if kind is not NoneType]
    if len(others) == 1:
        return _decode(others[0], plain, where)
    if type(plain) not in others:
        raise ValueError(f"{where} is of a type that has no place there")
    return plain


def _decode_dataclass(kind: type[object], plain: Mapping[str, object], where: str) -> object:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(cast("Any", kind))]
    if missing := sorted(set(names) - set(plain)):
        raise ValueError(f"{where} lacks {', '.join(missing)}")
    if unknown := sorted(set(plain) - set(names)):
        raise ValueError(f"{where} has an unknown key {unknown[0][:40]!r}")
    return kind(**{name: _decode(hints[name], plain[name], f"{where}.{name}") for name in names})


def _mapping(plain: object, where: str) -> Mapping[str, object]:
    if not isinstance(plain, dict):
        raise ValueError(f"{where} is not an object")
    return plain
