"""Decoder of protobuf messages of `onnx.proto`, without the protobuf or onnx libraries.

Used by `wnet_edge.package.graph.onnx_reader`. Any field that a `Kind` does not name is refused, so
that no part of a graph goes unchecked. Strict where parsers differ: a singular field that occurs
twice is refused, since some take the last and others merge both. The lengths of lists and names are
bounded, and with them the work that a file can cause.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MAX_LIST_LENGTH = 32
MAX_NAME_CHARACTERS = 200

NO_GRAPH = "is not an ONNX graph"

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types (protobuf.dev/programming-guides/encoding); the others are deprecated."""

_Place = tuple[int, int, int]
"""Wire type, start and end of the value; for a varint, the value itself in place of the start."""


@dataclass(frozen=True)
class Kind:
    """Schema of a message type of `onnx.proto`.

    Attributes:
        name: name of the message type.
        known: number to name of the fields that are read.
        repeated: names of the fields that may occur more than once.
        passed_by: numbers of fields that are skipped, such as documentation.
        refused: field number to the reason for refusing a graph with that field.
        at_most: largest number of fields in one message.
    """

    name: str
    known: Mapping[int, str]
    repeated: frozenset[str] = frozenset()
    passed_by: frozenset[int] = frozenset()
    refused: Mapping[int, str] = field(default_factory=dict)
    at_most: int = 4 * MAX_LIST_LENGTH


class Message:
    """The fields of one message by name; values are decoded when they are asked for.

    Every method raises ValueError for a field of another type or beyond a limit, with a message
    that continues the file's name.
    """

    def __init__(self, content: bytes, start: int, end: int, kind: Kind) -> None:
        self._content = content
        self._kind = kind
        found: dict[str, list[_Place]] = {}
        self._fields = found
        known, repeated = kind.known, kind.repeated
        for count, (number, place) in enumerate(_fields(content, start, end)):
            if count == kind.at_most:
                raise ValueError(f"has more than {kind.at_most} parts in a {kind.name}")
            name = known.get(number)
            if name is None:
                self._pass_by(number)
            elif name not in found:
                found[name] = [place]
            elif name in repeated:
                found[name].append(place)
            else:
                raise ValueError(f"states {name} of {kind.name} twice")

    def _pass_by(self, number: int) -> None:
        if number not in self._kind.passed_by:
            unknown = f"has a part (field {number} of {self._kind.name}) that no export here writes"
            raise ValueError(self._kind.refused.get(number, unknown))

    def has(self, name: str) -> bool:
        """Whether the field is present."""
        return name in self._fields

    def one(self, name: str, kind: Kind) -> "Message":
        """The message in a required field."""
        span = self.span(name)
        if span is None:
            raise ValueError(NO_GRAPH)
        return Message(self._content, *span, kind)

    def messages(
        self, name: str, kind: Kind, at_most: int = MAX_LIST_LENGTH
    ) -> Iterator["Message"]:
        """The messages in a repeated field."""
        for first, last in self._spans(name, at_most):
            yield Message(self._content, first, last, kind)

    def span(self, name: str) -> tuple[int, int] | None:
        """Start and end of a bytes field; None if absent."""
        found = self._spans(name, 1)
        return found[0] if found else None

    def text(self, name: str) -> str:
        """An ASCII string field; "" if absent."""
        span = self.span(name)
        return "" if span is None else self._text(*span)

    def texts(self, name: str) -> tuple[str, ...]:
        """The ASCII strings of a repeated field."""
        return tuple([self._text(first, last) for first, last in self._spans(name)])

    def integer(self, name: str) -> int:
        """A signed integer field; 0 if absent."""
        found = self.integers(name)
        return found[0] if found else 0

    def integers(self, name: str, at_most: int = MAX_LIST_LENGTH) -> tuple[int, ...]:
        """The signed integers of a repeated field, packed or not."""
        fields = self._fields.get(name)
        if fields is None:
            return ()
        found: list[int] = []
        for wire_type, first, last in fields:
            if wire_type == _VARINT:
                found.append(first)
            elif wire_type == _LENGTH and name in self._kind.repeated:
                at = first
                while at < last and len(found) <= at_most:
                    value, at = _varint(self._content, at, last)
                    found.append(value)
            else:
                raise ValueError(NO_GRAPH)
            self._check_length(name, len(found), at_most)
        return tuple([value - (1 << 64) if value >> 63 else value for value in found])

    def floats(self, name: str, at_most: int = MAX_LIST_LENGTH) -> tuple[float, ...]:
        """The FP32 numbers of a repeated field, packed or not."""
        found: list[float] = []
        for wire_type, first, last in self._fields.get(name, ()):
            packed = wire_type == _LENGTH and name in self._kind.repeated
            if not (packed or wire_type == _FOUR_BYTES) or (last - first) % 4:
                raise ValueError(NO_GRAPH)
            self._check_length(name, len(found) + (last - first) // 4, at_most)
            found += struct.unpack(f"<{(last - first) // 4}f", self._content[first:last])
        return tuple(found)

    def _spans(self, name: str, at_most: int = MAX_LIST_LENGTH) -> list[tuple[int, int]]:
        fields = self._fields.get(name)
        if fields is None:
            return []
        self._check_length(name, len(fields), at_most)
        found = [(first, last) for wire_type, first, last in fields if wire_type == _LENGTH]
        if len(found) < len(fields):
            raise ValueError(NO_GRAPH)
        return found

    def _check_length(self, name: str, length: int, at_most: int) -> None:
        if length > at_most:
            raise ValueError(f"has more than {at_most} of {name} in {self._kind.name}")

    def _text(self, first: int, last: int) -> str:
        if last - first <= MAX_NAME_CHARACTERS:
            text = self._content[first:last].decode("ascii", "replace")
            if text.isprintable() and text.isascii():
                return text
        raise ValueError(
            f"has a name that is over {MAX_NAME_CHARACTERS} characters or not plain ASCII"
        )


def _fields(content: bytes, at: int, end: int) -> Iterator[tuple[int, _Place]]:
    """Number and `_Place` of each field of a message."""
    while at < end:
        # Most tags and lengths are one byte; a function call for each would take half of the time.
        tag = content[at]
        tag, at = (tag, at + 1) if tag < 0x80 else _varint(content, at, end)
        wire_type = tag & 7
        if wire_type == _LENGTH:
            length = content[at] if at < end else 0x80
            length, first = (length, at + 1) if length < 0x80 else _varint(content, at, end)
            at = first + length
        elif wire_type == _VARINT:
            first, at = _varint(content, at, end)
        elif wire_type in (_EIGHT_BYTES, _FOUR_BYTES):
            first = at
            at += 8 if wire_type == _EIGHT_BYTES else 4
        else:
            raise ValueError(NO_GRAPH)
        if at > end:
            raise ValueError(NO_GRAPH)
        yield tag >> 3, (wire_type, first, at)


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """Decode a varint of at most 64 bits; returns the value and the position after it."""
    value = shift = 0
    for position in range(at, min(at + 10, end)):
        byte = content[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, position + 1
        shift += 7
    raise ValueError(NO_GRAPH)
