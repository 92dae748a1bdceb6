"""Parser of ONNX models without the onnx library: nodes, constants, inputs and outputs of a graph.

Runs between the check of a package's hashes and ONNX Runtime. Only the fields that export writes
are known; a model with any other field (external data, subgraphs, functions, sparse tensors,
sequences, strings) is refused. No known message nests in itself, so that the depth of recursion is
bounded.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from wnet_edge.package.graph.onnx_wire import NO_GRAPH, Kind, Message

MAX_GRAPH_BYTES = 256 << 20
MAX_NODES = 4096
MAX_CONSTANTS = 8192
"""Limit on the number of constants: several times that of the largest compiled INT8 network."""

_MAX_LISTED, _MAX_LISTED_IN_ALL = 1 << 13, 1 << 18
"""Limits on values stored as lists, as quantisation scales are: of one constant, and of all."""


class ElementType(int, Enum):
    """Element types of tensors that export writes, by their numbers in `onnx.proto`."""

    FLOAT = 1
    UINT8 = 2
    INT8 = 3
    INT32 = 6
    INT64 = 7
    BOOL = 9
    FLOAT16 = 10
    DOUBLE = 11

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The NumPy dtype, little-endian."""
        return _DTYPES[self]

    @property
    def is_float(self) -> bool:
        """Whether it is FP16, FP32 or FP64."""
        return self in (ElementType.FLOAT, ElementType.FLOAT16, ElementType.DOUBLE)

    @property
    def is_8_bit(self) -> bool:
        """Whether it is a signed or unsigned 8-bit integer."""
        return self in (ElementType.UINT8, ElementType.INT8)


_DTYPES: Mapping[ElementType, np.dtype[np.generic]] = {
    ElementType.FLOAT: np.dtype("<f4"),
    ElementType.UINT8: np.dtype("u1"),
    ElementType.INT8: np.dtype("i1"),
    ElementType.INT32: np.dtype("<i4"),
    ElementType.INT64: np.dtype("<i8"),
    ElementType.BOOL: np.dtype("?"),
    ElementType.FLOAT16: np.dtype("<f2"),
    ElementType.DOUBLE: np.dtype("<f8"),
}

Attribute = float | int | str | tuple[float, ...] | tuple[int, ...] | tuple[str, ...]


@dataclass(frozen=True)
class Node:
    """A node of a graph; an omitted optional input has the name ""."""

    domain: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Port:
    """A graph input, graph output, or inner tensor with a stated shape.

    A dynamic dimension is given by its name.
    """

    name: str
    kind: ElementType
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class OnnxGraph:
    """Contents of an ONNX model file.

    Attributes:
        opsets: domain to version.
        nodes: in the file's order.
        constants: name to values of the initializers, read-only.
        inputs: graph inputs.
        outputs: graph outputs.
        stated: inner tensors with a stated shape (value_info).
    """

    opsets: Mapping[str, int]
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[np.generic]]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    stated: tuple[Port, ...]


_OUTSIDE = "keeps weights in a file outside the package"

MODEL = Kind(
    "ModelProto",
    {1: "ir_version", 7: "graph", 8: "opset_import"},
    frozenset({"opset_import"}),
    frozenset({2, 3, 4, 5, 6, 14}),  # producer, its versions, domain, doc_string, metadata_props
    {20: "holds steps of a training", 25: "holds functions"},
)
OPSET = Kind("OperatorSetIdProto", {1: "domain", 2: "version"})
GRAPH = Kind(
    "GraphProto",
    {1: "node", 5: "initializer", 11: "input", 12: "output", 13: "value_info"},
    frozenset({"node", "initializer", "input", "output", "value_info"}),
    frozenset({2, 10}),  # name, doc_string
    {15: "holds sparse tensors"},
    at_most=2 * (MAX_NODES + MAX_CONSTANTS),
)
NODE = Kind(
    "NodeProto",
    {1: "input", 2: "output", 4: "op_type", 5: "attribute", 7: "domain"},
    frozenset({"input", "output", "attribute"}),
    frozenset({3, 6}),  # name, doc_string
)
ATTRIBUTE = Kind(
    "AttributeProto",
    {1: "name", 2: "f", 3: "i", 4: "s", 7: "floats", 8: "ints", 9: "strings", 20: "type"},
    frozenset({"floats", "ints", "strings"}),
    frozenset(),
    {
        5: "holds a tensor in an attribute",
        6: "holds a graph inside the graph",
        10: "holds tensors in an attribute",
        11: "holds graphs inside the graph",
        22: "holds sparse tensors",
        23: "holds sparse tensors",
    },
)
TENSOR = Kind(
    "TensorProto",
    {
        **{1: "dims", 2: "data_type", 4: "float_data", 5: "int32_data", 8: "name"},
        **{9: "raw_data", 14: "data_location"},
    },
    frozenset({"dims", "float_data", "int32_data"}),
    frozenset(),
    {6: "holds tensors of text", 13: _OUTSIDE},
)
PORT = Kind("ValueInfoProto", {1: "name", 2: "type"}, passed_by=frozenset({3}))  # doc_string
TYPE = Kind(
    "TypeProto",
    {1: "tensor_type"},
    refused={
        **{4: "holds sequences", 5: "holds maps", 8: "holds sparse tensors"},
        **{9: "holds optional tensors"},
    },
)
TENSOR_TYPE = Kind("Tensor", {1: "elem_type", 2: "shape"})
SHAPE = Kind("TensorShapeProto", {1: "dim"}, frozenset({"dim"}))
DIMENSION = Kind("Dimension", {1: "dim_value", 2: "dim_param"})

KINDS = (
    *(MODEL, OPSET, GRAPH, NODE, ATTRIBUTE, TENSOR),
    *(PORT, TYPE, TENSOR_TYPE, SHAPE, DIMENSION),
)
"""All message kinds, so that a test can compare their field numbers with `onnx.proto`."""


def read_graph(content: bytes) -> OnnxGraph:
    """Parse the graph of an ONNX model.

    Raises:
        ValueError: if it is no ONNX model, exceeds a limit, or has a field that export does not
            write; the message continues the file's name.
    """
    if len(content) > MAX_GRAPH_BYTES:
        raise ValueError(f"has more than {MAX_GRAPH_BYTES} bytes")
    model = Message(content, 0, len(content), MODEL)
    opsets = {
        one.text("domain"): one.integer("version") for one in model.messages("opset_import", OPSET)
    }
    graph = model.one("graph", GRAPH)
    constants: dict[str, NDArray[np.generic]] = {}
    listed = 0
    for tensor in graph.messages("initializer", TENSOR, MAX_CONSTANTS):
        name = tensor.text("name")
        if name in constants:
            raise ValueError(f"names two tensors {name!r}")
        constants[name] = _constant(content, tensor)
        listed += 0 if tensor.has("raw_data") else constants[name].size
        if listed > _MAX_LISTED_IN_ALL:
            raise ValueError(f"tells more than {_MAX_LISTED_IN_ALL} values one by one")
    return OnnxGraph(
        opsets=opsets,
        nodes=tuple(_node(one) for one in graph.messages("node", NODE, MAX_NODES)),
        constants=constants,
        inputs=_ports(graph, "input"),
        outputs=_ports(graph, "output"),
        stated=_ports(graph, "value_info"),
    )


def _node(message: Message) -> Node:
    attributes: dict[str, Attribute] = {}
    for one in message.messages("attribute", ATTRIBUTE):
        name = one.text("name")
        if name in attributes:
            raise ValueError(f"gives a node the attribute {name!r} twice")
        attributes[name] = _attribute(one)
    return Node(
        domain=message.text("domain"),
        operator=message.text("op_type"),
        inputs=message.texts("input"),
        outputs=message.texts("output"),
        attributes=attributes,
    )


_ATTRIBUTE_FIELDS = {1: "f", 2: "i", 3: "s", 6: "floats", 7: "ints", 8: "strings"}
"""Field that holds an attribute's value, by the number of the attribute's type."""


def _attribute(message: Message) -> Attribute:
    """Value of an attribute, which must be in the field of its type and in no other."""
    field = _ATTRIBUTE_FIELDS.get(message.integer("type"))
    stand = {name for name in _ATTRIBUTE_FIELDS.values() if message.has(name)}
    if field is None or not stand <= {field}:
        raise ValueError(
            f"holds an attribute {message.text('name')!r} of another type than its own"
        )
    if field == "f":
        [value] = message.floats("f") or (0.0,)
        return value
    if field == "i":
        return message.integer("i")
    if field == "s":
        return message.text("s")
    if field == "floats":
        return message.floats("floats")
    return message.integers("ints") if field == "ints" else message.texts("strings")


def _constant(content: bytes, tensor: Message) -> NDArray[np.generic]:
    """Values of a tensor, stored as raw bytes or as a list of numbers, in its shape."""
    if tensor.integer("data_location"):
        raise ValueError(_OUTSIDE)
    kind, shape = _element_type(tensor.integer("data_type")), tensor.integers("dims")
    values = _values(content, tensor, kind)
    if (shape and min(shape) < 1) or values.size != math.prod(shape):
        raise ValueError(f"holds a constant of other values than its shape {shape} asks for")
    if kind.is_float and not np.isfinite(values).all():
        raise ValueError(f"holds weights that are not finite numbers, in {tensor.text('name')!r}")
    return values.reshape(shape)


def _values(content: bytes, tensor: Message, kind: ElementType) -> NDArray[np.generic]:
    span, listed = tensor.span("raw_data"), tensor.has("float_data") or tensor.has("int32_data")
    if span is not None:
        first, last = span
        if listed:
            raise ValueError("gives a constant its values twice")
        if (last - first) % kind.dtype.itemsize:
            raise ValueError(NO_GRAPH)
        count = (last - first) // kind.dtype.itemsize
        return np.frombuffer(content, kind.dtype, count, first)
    field = "float_data" if kind is ElementType.FLOAT else "int32_data"
    if not tensor.has(field) or (tensor.has("float_data") and tensor.has("int32_data")):
        raise ValueError("holds a constant without values, or with those of another type")
    if kind is ElementType.FLOAT:
        return np.array(tensor.floats(field, _MAX_LISTED), kind.dtype)
    wide = np.array(tensor.integers(field, _MAX_LISTED), np.int64)
    if kind is ElementType.FLOAT16:
        return wide.astype(np.uint16).view(kind.dtype)
    narrow = wide.astype(kind.dtype)
    if kind in (ElementType.INT64, ElementType.DOUBLE) or (narrow != wide).any():
        raise ValueError("holds a constant of values beyond its type")
    return narrow


def _ports(graph: Message, name: str) -> tuple[Port, ...]:
    return tuple(_port(one) for one in graph.messages(name, PORT, MAX_NODES))


def _port(message: Message) -> Port:
    tensor = message.one("type", TYPE).one("tensor_type", TENSOR_TYPE)
    dimensions = tensor.one("shape", SHAPE).messages("dim", DIMENSION)
    return Port(
        name=message.text("name"),
        kind=_element_type(tensor.integer("elem_type")),
        shape=tuple(_length(one) for one in dimensions),
    )


def _length(message: Message) -> int | str:
    if message.has("dim_value") and message.has("dim_param"):
        raise ValueError("gives a dimension two lengths")
    return message.integer("dim_value") if message.has("dim_value") else message.text("dim_param")


def _element_type(number: int) -> ElementType:
    try:
        return ElementType(number)
    except ValueError as error:
        raise ValueError(f"holds tensors of element type {number}") from error
