"""Static check of a graph's bytes: only operators that export writes, bounded memory and run time.

Runs between the check of a package's hashes and ONNX Runtime, which would run anything: an endless
loop, or a constant of a billion values that is computed while the graph is loaded. Here every
operator must be known, every shape is inferred, and memory and work per frame are bounded, before
ONNX Runtime sees a byte.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from wnet_edge.package.graph.onnx_reader import ElementType, Node, OnnxGraph, Port, read_graph
from wnet_edge.package.graph.operands import MAX_DIMENSIONS, Call, Gives, Tensor
from wnet_edge.package.graph.operators import OPERATORS

INPUT = "counts"
OUTPUTS = ("amplitude", "phase")

OPSETS = range(18, 26)
"""ONNX opset versions for which the rules of `wnet_edge.package.graph.operators` hold."""

MAX_CONSTANT_BYTES = 512 << 20
"""Limit for constants that a graph stores, or computes while it is loaded."""

MAX_VALUES_PER_FRAME, MAX_VALUES = 1 << 25, 1 << 30
"""Limits for the values in all live tensors between counts and patches: 128 MB of FP32 per frame,
five times that of W2 at 256 pixels; and 4 GB in all frames of a fixed batch."""

MAX_OPERATIONS_PER_FRAME, MAX_OPERATIONS = 1 << 37, 1 << 41
"""Limits in multiply-adds, to which all other work is converted: five to ten seconds per frame on
one core, five times that of W2 at 256 pixels; the same for computing all constants once; and a few
minutes for a fixed batch."""

MAX_GOLDEN_OPERATIONS = 1 << 39
"""Limit for all golden frames, which `verify` and the first run on a GPU compute."""

_ELEMENT_TYPES = {kind.dtype: kind for kind in ElementType}

_BATCH = (1 << 31) - 1
"""Stands for the batch size in every shape: a prime larger than any other length, so that a
tensor's size is a multiple of it exactly if it grows with the batch, and the quotient is its size
per frame."""


@dataclass(frozen=True)
class Cost:
    """Memory and work that a graph needs.

    Attributes:
        values_per_frame: largest number of values in live tensors at the same time.
        operations_per_frame: work, in multiply-adds.
        constant_bytes: size of the constants stored, or computed while the graph is loaded.
    """

    values_per_frame: int
    operations_per_frame: int
    constant_bytes: int


def check_graph(
    name: str, content: bytes, window_px: int, batch_size: int | None, *, compiled: bool = False
) -> Cost | None:
    """Check that `content` is a graph from counts to patches of known operators, within the limits.

    A graph that ONNX Runtime has compiled contains undocumented operators of one processor. Only
    its file structure and its inputs and outputs are checked: it runs only where it was compiled
    (`wnet_edge.runner.graph.compiled_here`).

    Args:
        name: member name, for messages.
        content: bytes of the ONNX model.
        window_px: edge of the input and the outputs.
        batch_size: fixed batch size; None for any.
        compiled: whether ONNX Runtime has compiled the graph for one device.

    Returns:
        Memory and work of the graph; None for a compiled one.

    Raises:
        ValueError: if it is no such graph, or exceeds a limit.
    """
    try:
        graph = read_graph(content)
        _check_ports(graph, window_px, batch_size)
        return None if compiled else cost_of(graph, batch_size)
    except ValueError as error:
        raise ValueError(f"{name} {error}") from error


def _check_ports(graph: OnnxGraph, window_px: int, batch_size: int | None) -> None:
    """Check the interface: float32 counts in, amplitude and phase out, (batch, 1, n, n) each."""
    if [port.name for port in graph.inputs] != [INPUT]:
        raise ValueError(f"has other inputs than {INPUT}")
    if sorted(port.name for port in graph.outputs) != sorted(OUTPUTS):
        raise ValueError(f"has other outputs than {' and '.join(OUTPUTS)}")
    for port in (*graph.inputs, *graph.outputs):
        batch, *rest = port.shape or ("",)
        # A dynamic dimension is given by name.
        found = batch if isinstance(batch, int) else None
        fits = found == batch_size and rest == [1, window_px, window_px]
        if port.kind is not ElementType.FLOAT or not fits:
            expected = f"({batch_size or 'batch'}, 1, {window_px}, {window_px})"
            shape = ", ".join(str(length) for length in port.shape)
            raise ValueError(f"has {port.name} of the shape ({shape}), not float32 {expected}")


def cost_of(graph: OnnxGraph, batch_size: int | None) -> Cost:
    """Memory and work of a graph, by shape inference from the input on.

    Raises:
        ValueError: if it has an unknown operator, or exceeds a limit.
    """
    if set(graph.opsets) != {""} or graph.opsets[""] not in OPSETS:
        raise ValueError("is not of ONNX's own operators, or of another version of them")
    known: dict[str, Tensor] = {
        name: Tensor(_ELEMENT_TYPES[values.dtype], values.shape, values)
        for name, values in graph.constants.items()
    }
    [port] = graph.inputs
    _define(known, port.name, Tensor(port.kind, (_BATCH, *map(int, port.shape[1:]))))
    tally = _Tally(graph, known, batch_size)
    for index, node in enumerate(graph.nodes):
        try:
            gives = _result(node, known)
            _check_size(gives.tensor)
        except ValueError as error:
            raise ValueError(f"holds {node.operator[:40]}, node {index}, which {error}") from error
        _define(known, node.outputs[0], gives.tensor)
        tally.add(index, node, gives)
    for stated in (*graph.stated, *graph.outputs):
        _check_stated(stated, known.get(stated.name), batch_size)
    return tally.cost()


def _define(known: dict[str, Tensor], name: str, tensor: Tensor) -> None:
    if not name or name in known:
        raise ValueError(f"names two tensors {name!r}" if name else "has a tensor without a name")
    known[name] = tensor


def _result(node: Node, known: Mapping[str, Tensor]) -> Gives:
    operator = OPERATORS.get(node.operator)
    if operator is None or node.domain:
        raise ValueError("no export here writes")
    unknown = sorted(set(node.attributes) - operator.attributes)
    if unknown:
        raise ValueError(f"has an attribute that no export here writes, {unknown[0][:40]!r}")
    fewest, most = operator.operands
    if not fewest <= len(node.inputs) <= most or len(node.outputs) != 1:
        raise ValueError("takes or gives another number of tensors than ours")
    missing = [name for name in node.inputs if name and name not in known]
    if missing:
        raise ValueError(f"takes {missing[0][:40]!r}, which nothing before it gives")
    return operator.rule(
        Call(node.attributes, [known[name] if name else None for name in node.inputs])
    )


def _check_size(tensor: Tensor) -> None:
    shape = tensor.shape
    if len(shape) > MAX_DIMENSIONS or min(shape, default=1) < 1:
        raise ValueError(f"gives a tensor of the shape {_told(shape)}")
    per_frame = _per_frame(tensor.size)
    if per_frame > MAX_VALUES_PER_FRAME or (not per_frame and tensor.bytes > MAX_CONSTANT_BYTES):
        raise ValueError(f"gives too large a tensor, {_told(shape)}")


def _per_frame(size: int) -> int:
    """Values per frame of a tensor of `size` values; 0 if it does not grow with the batch."""
    return 0 if size % _BATCH else size // _BATCH


def _told(shape: Iterable[int]) -> str:
    lengths = [str(n) if n % _BATCH or not n else f"{n // _BATCH} × batch" for n in shape]
    return f"({', '.join(lengths)})"


def _check_stated(port: Port, tensor: Tensor | None, batch_size: int | None) -> None:
    """Check that a shape stated in the file is the inferred one."""
    if tensor is None:
        raise ValueError(f"states the shape of {port.name!r}, which nothing gives")
    expected = [
        (batch_size if length == _BATCH else length) if batch_size or length != _BATCH else None
        for length in tensor.shape
    ]
    found = [length if isinstance(length, int) else None for length in port.shape]
    if found != expected or port.kind is not tensor.kind:
        raise ValueError(f"states another shape or type of {port.name!r} than it has")


class _Tally:
    """Sums up the memory and work of the nodes in order.

    A tensor is live from the node that outputs it to the last one that uses it.
    """

    def __init__(
        self, graph: OnnxGraph, known: Mapping[str, Tensor], batch_size: int | None
    ) -> None:
        self._known = known
        frames = batch_size or 1
        self._most_values = min(MAX_VALUES_PER_FRAME, MAX_VALUES // frames)
        self._most_operations = min(MAX_OPERATIONS_PER_FRAME, MAX_OPERATIONS // frames)
        self._last_use = {name: index for index, n in enumerate(graph.nodes) for name in n.inputs}
        self._last_use |= dict.fromkeys(OUTPUTS, len(graph.nodes))
        self._there = self._most = _per_frame(known[INPUT].size)
        self._operations = self._operations_once = 0
        self._constant_bytes = sum(values.nbytes for values in graph.constants.values())

    def add(self, index: int, node: Node, gives: Gives) -> None:
        """Add a node with its inferred output."""
        per_frame = _per_frame(gives.tensor.size)
        self._there += per_frame
        if per_frame:
            self._operations += gives.operations // _BATCH
        else:
            self._constant_bytes += gives.tensor.bytes
            self._operations_once += gives.operations
        self._most = max(self._most, self._there)
        _check_most(self._most, self._most_values, "values per frame at the same time")
        _check_most(self._constant_bytes, MAX_CONSTANT_BYTES, "bytes of constants")
        _check_most(self._operations, self._most_operations, "multiply-adds per frame")
        _check_most(self._operations_once, MAX_OPERATIONS_PER_FRAME, "multiply-adds of constants")
        for name in {*node.inputs, node.outputs[0]}:
            if name and self._last_use.get(name, index) == index:
                self._there -= _per_frame(self._known[name].size)

    def cost(self) -> Cost:
        """Memory and work of all nodes added."""
        return Cost(self._most, self._operations, self._constant_bytes)


def _check_most(found: int, most: int, what: str) -> None:
    if found > most:
        raise ValueError(f"takes {found} {what}, more than {most}")
