"""Is a member an ONNX graph that holds all of its weights? Asked of its bytes, without ONNX.

Between a package's hashes and ONNX Runtime. A tensor of an ONNX graph may name a file to be read
from the disk, which no hash of the package covers. So the protocol buffer is walked, message by
message, only as far as to find every tensor; values and weights are skipped.
"""

from collections.abc import Iterator, Mapping
from enum import Enum


class Kind(Enum):
    """Messages of `onnx.proto` on the way to a tensor; the value is the message's name."""

    MODEL = "ModelProto"
    GRAPH = "GraphProto"
    NODE = "NodeProto"
    ATTRIBUTE = "AttributeProto"
    FUNCTION = "FunctionProto"
    TRAINING = "TrainingInfoProto"
    SPARSE = "SparseTensorProto"
    TENSOR = "TensorProto"


INNER: Mapping[Kind, Mapping[int, Kind]] = {
    Kind.MODEL: {7: Kind.GRAPH, 20: Kind.TRAINING, 25: Kind.FUNCTION},
    Kind.GRAPH: {1: Kind.NODE, 5: Kind.TENSOR, 15: Kind.SPARSE},
    Kind.NODE: {5: Kind.ATTRIBUTE},
    Kind.ATTRIBUTE: {
        5: Kind.TENSOR,
        6: Kind.GRAPH,
        10: Kind.TENSOR,
        11: Kind.GRAPH,
        22: Kind.SPARSE,
        23: Kind.SPARSE,
    },
    Kind.FUNCTION: {7: Kind.NODE, 11: Kind.ATTRIBUTE},
    Kind.TRAINING: {1: Kind.GRAPH, 2: Kind.GRAPH},
    Kind.SPARSE: {1: Kind.TENSOR, 2: Kind.TENSOR},
    Kind.TENSOR: {},
}
"""Field number to the message in it, for every field that may lead to a tensor."""

EXTERNAL_DATA, DATA_LOCATION = 13, 14
"""Fields of a tensor that name a file, and say that the weights are there."""

_VARINT, _EIGHT_BYTES, _LENGTH, _FOUR_BYTES = 0, 1, 2, 5
"""Wire types (protobuf.dev/programming-guides/encoding); the others are long out of use."""

_MAX_FIELDS = 1_000_000
"""A hundred times what the largest network here has; bounds the work that a file can ask for."""


def check_graph(name: str, content: bytes) -> None:
    """See that `content` is a protocol buffer with a graph, none of whose tensors names a file.

    Raises:
        ValueError: naming the member.
    """
    messages = [(Kind.MODEL, 0, len(content))]
    fields, has_graph = 0, False
    while messages:
        kind, start, end = messages.pop()
        for number, wire_type, first, last in _fields(name, content, start, end):
            fields += 1
            if fields > _MAX_FIELDS:
                raise ValueError(f"{name} has more than {_MAX_FIELDS} fields")
            if kind is Kind.TENSOR and number in (EXTERNAL_DATA, DATA_LOCATION):
                if wire_type == _LENGTH or content[first:last].strip(b"\x80\x00"):
                    raise ValueError(f"{name} keeps weights in a file outside the package")
            elif wire_type == _LENGTH and number in INNER[kind]:
                inner = INNER[kind][number]
                has_graph |= kind is Kind.MODEL and inner is Kind.GRAPH
                messages.append((inner, first, last))
    if not has_graph:
        raise ValueError(f"{name} is not an ONNX graph")


def _fields(name: str, content: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Field number, wire type, and where the value begins and ends, of each field of a message."""
    while at < end:
        tag, at = _varint(name, content, at, end)
        number, wire_type = tag >> 3, tag & 7
        first = at
        if wire_type == _VARINT:
            _, at = _varint(name, content, at, end)
        elif wire_type == _LENGTH:
            length, first = _varint(name, content, at, end)
            at = first + length
        elif wire_type in (_EIGHT_BYTES, _FOUR_BYTES):
            at += 8 if wire_type == _EIGHT_BYTES else 4
        else:
            raise ValueError(f"{name} is not an ONNX graph")
        if at > end:
            raise ValueError(f"{name} is not an ONNX graph")
        yield number, wire_type, first, at


def _varint(name: str, content: bytes, at: int, end: int) -> tuple[int, int]:
    """An integer in seven bits a byte, and where it ends."""
    value = 0
    for position in range(at, min(at + 10, end)):
        value |= (content[position] & 0x7F) << 7 * (position - at)
        if content[position] < 0x80:
            return value, position + 1
    raise ValueError(f"{name} is not an ONNX graph")
