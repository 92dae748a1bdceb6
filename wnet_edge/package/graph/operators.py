"""Shape and cost rules of the ONNX operators that export writes.

Used by `wnet_edge.package.graph.check`. Any other operator, attribute or operand is refused.
Operands that determine a shape (bounds of a slice, scales of a resize) must be constants, so that
every shape is known before ONNX Runtime sees the graph, without running it.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from wnet_edge.package.graph.onnx_reader import ElementType
from wnet_edge.package.graph.operands import Call, Gives, Operator, Tensor

MAX_KERNEL_PX, MAX_STRIDE, MAX_ENLARGEMENT = 31, 8, 8

_MOVED, _FUNCTION, _GROUPED = 32, 256, 8
"""Approximate costs on one core, in multiply-adds of an ungrouped convolution: reading and writing
a value, a transcendental function of a value, and a multiply-add in a grouped convolution."""

_CASTS = (ElementType.FLOAT, ElementType.FLOAT16, ElementType.DOUBLE)


def _moved(kind: ElementType, shape: Sequence[int], each: int = 0) -> Gives:
    """Output tensor, at the cost of moving its values plus `each` multiply-adds per value."""
    tensor = Tensor(kind, tuple(shape))
    return Gives(tensor, tensor.size * (_MOVED + each))


def _same(call: Call, each: int = 0) -> Gives:
    given = call.operand(0)
    return _moved(given.kind, given.shape, each)


def _function(call: Call) -> Gives:
    return _same(call, _FUNCTION)


def _broadcast(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """Broadcast shape by ONNX's rule, which is NumPy's."""
    if first == second:
        return tuple(first)
    length = max(len(first), len(second))
    pairs = zip(
        (1,) * (length - len(first)) + tuple(first),
        (1,) * (length - len(second)) + tuple(second),
        strict=True,
    )
    shape = []
    for a, b in pairs:
        if a != b and 1 not in (a, b):
            raise ValueError(f"takes shapes that do not fit, {list(first)} and {list(second)}")
        shape.append(a if b == 1 else b)
    return tuple(shape)


def _pairwise(call: Call) -> Gives:
    first, second = call.operand(0), call.operand(1)
    return _moved(first.kind, _broadcast(first.shape, second.shape))


def _divided(call: Call) -> Gives:
    # An integer division by 0 would crash the process.
    if not (call.operand(0).kind.is_float and call.operand(1).kind.is_float):
        raise ValueError("divides integers")
    first, second = call.operand(0), call.operand(1)
    return _moved(first.kind, _broadcast(first.shape, second.shape), _FUNCTION)


def _remainder(call: Call) -> Gives:
    if not (call.constant(1) > 0).all() or call.operand(0).kind is not ElementType.INT64:
        raise ValueError("divides by what may be 0")
    return _pairwise(call)


def _compared(call: Call) -> Gives:
    return _moved(ElementType.BOOL, _broadcast(call.operand(0).shape, call.operand(1).shape))


def _clipped(call: Call) -> Gives:
    if any(call.constant(index).shape for index in range(1, len(call.operands))):
        raise ValueError("has limits that are not numbers")
    return _same(call)


def _cast(call: Call) -> Gives:
    target = call.number("to", 0)
    if target not in _CASTS:
        raise ValueError(f"turns numbers into element type {target}")
    return _moved(ElementType(target), call.operand(0).shape)


def _axis(call: Call, dimensions: int, otherwise: int = 0) -> int:
    axis = call.number("axis", otherwise)
    if not -dimensions <= axis < dimensions:
        raise ValueError(f"has an axis {axis} of {dimensions}")
    return axis % dimensions


def _concatenated(call: Call) -> Gives:
    first = call.operand(0)
    axis = _axis(call, len(first.shape))
    shape = list(first.shape)
    for index in range(1, len(call.operands)):
        other = list(call.operand(index).shape)
        if len(other) != len(shape) or any(
            a != b for at, (a, b) in enumerate(zip(other, shape, strict=True)) if at != axis
        ):
            raise ValueError("puts together what does not fit")
        shape[axis] += other[axis]
    return _moved(first.kind, shape)


def _windowed(length: int, kernel: int, stride: int, padding: int) -> int:
    return (length + padding - kernel) // stride + 1


def _convolved(call: Call) -> Gives:
    given, weights = call.operand(0), call.operand(1)
    if len(given.shape) != 4 or len(weights.shape) != 4:
        raise ValueError("takes something else than maps")
    batch, channels, height, width = given.shape
    made, taken, *kernel = weights.shape
    kernel = _kernel(call, kernel)
    strides = call.numbers("strides", (1, 1), 1, MAX_STRIDE)
    pads = call.numbers("pads", (0, 0, 0, 0), 0, max(kernel) - 1)
    group = call.number("group", 1)
    if group < 1 or taken * group != channels or made % group:
        raise ValueError("has channels that do not fit its weights")
    if len(call.operands) > 2 and call.operand(2).shape != (made,):
        raise ValueError("has a bias that does not fit its weights")
    rows = _windowed(height, kernel[0], strides[0], pads[0] + pads[2])
    columns = _windowed(width, kernel[1], strides[1], pads[1] + pads[3])
    each = taken * math.prod(kernel) * (_GROUPED if group > 1 else 1)
    return _moved(given.kind, (batch, made, rows, columns), each)


def _kernel(call: Call, otherwise: Sequence[int]) -> list[int]:
    kernel = call.numbers("kernel_shape", tuple(otherwise), 1, MAX_KERNEL_PX)
    if otherwise[0] and kernel != list(otherwise):
        raise ValueError("has another kernel_shape than its weights")
    return kernel


def _pooled(call: Call) -> Gives:
    given = call.operand(0)
    kernel = _kernel(call, (0, 0))
    strides = call.numbers("strides", (1, 1), 1, MAX_STRIDE)
    batch, channels, *edges = given.shape
    if len(edges) != 2:
        raise ValueError("takes something else than maps")
    edges = [_windowed(*each, 0) for each in zip(edges, kernel, strides, strict=True)]
    return _moved(given.kind, (batch, channels, *edges), _MOVED * math.prod(kernel))


def _check_steps(call: Call, shape: Sequence[int], integers: ElementType) -> None:
    """Check scale and zero point of a quantisation: one each, or one per entry along an axis."""
    step, zero = call.constant(1), call.constant(2)
    if step.dtype.kind != "f" or not (step > 0).all():
        raise ValueError("has a step that is not positive")
    if zero.dtype != integers.dtype or zero.size != step.size:
        raise ValueError("has a zero point of another type or number than its steps")
    if step.size > 1 and step.shape != (shape[_axis(call, len(shape), 1)],):
        raise ValueError("has steps that do not fit its axis")


def _quantised(call: Call) -> Gives:
    given, zero = call.operand(0), call.operand(2)
    if not zero.kind.is_8_bit:
        raise ValueError("rounds to something else than 8 bits")
    _check_steps(call, given.shape, zero.kind)
    return _moved(zero.kind, given.shape)


def _dequantised(call: Call) -> Gives:
    given, scale = call.operand(0), call.operand(1)
    if not (given.kind.is_8_bit or given.kind is ElementType.INT32):
        raise ValueError("takes something else than integers")
    _check_steps(call, given.shape, given.kind)
    return _moved(scale.kind, given.shape)


def _gathered(call: Call) -> Gives:
    given, index = call.operand(0), call.constant(1)
    axis = _axis(call, len(given.shape))
    length = given.shape[axis]
    if index.dtype.kind != "i" or not ((index >= -length) & (index < length)).all():
        raise ValueError("takes what is beyond its operand")
    shape = (*given.shape[:axis], *index.shape, *given.shape[axis + 1 :])
    return _moved(given.kind, shape)


def _normalised(call: Call) -> Gives:
    given = call.operand(0)
    if any(call.operand(index).shape != given.shape[-1:] for index in (1, 2)):
        raise ValueError("has gains that do not fit")
    return _function(call)


def _product(call: Call) -> Gives:
    first, second = call.operand(0), call.operand(1)
    if min(len(first.shape), len(second.shape)) < 2 or first.shape[-1] != second.shape[-2]:
        raise ValueError(f"multiplies {list(first.shape)} and {list(second.shape)}")
    stacked = _broadcast(first.shape[:-2], second.shape[:-2])
    return _moved(first.kind, (*stacked, first.shape[-2], second.shape[-1]), first.shape[-1])


def _counted(call: Call) -> Gives:
    limits = [call.constant(index) for index in range(3)]
    if any(limit.dtype != np.int64 or limit.shape for limit in limits):
        raise ValueError("counts with something else than integers")
    first, end, step = map(int, limits)
    if step < 1 or end <= first:
        raise ValueError("counts to nothing")
    return _moved(ElementType.INT64, [-(-(end - first) // step)])


def _reduced(call: Call) -> Gives:
    given, axes = call.operand(0), _axes(call.whole_numbers(1), len(call.operand(0).shape))
    kept = [1] if call.number("keepdims", 1) else []
    shape: list[int] = []
    for axis, length in enumerate(given.shape):
        shape += kept if axis in axes else [length]
    return Gives(Tensor(given.kind, tuple(shape)), given.size * _MOVED)


def _axes(axes: Sequence[int], dimensions: int) -> list[int]:
    found = [axis % dimensions for axis in axes if -dimensions <= axis < dimensions]
    if not found or len(set(found)) != len(axes):
        raise ValueError(f"has axes {list(axes)} of {dimensions}")
    return found


def _reshaped(call: Call) -> Gives:
    given, asked = call.operand(0), call.whole_numbers(1)
    if not call.number("allowzero", 0):
        if any(not length for length in asked[len(given.shape) :]):
            raise ValueError("keeps a dimension that is not there")
        asked = [length or given.shape[axis] for axis, length in enumerate(asked)]
    known = math.prod(length for length in asked if length != -1)
    if asked.count(-1) > 1 or known < 1 or given.size % known:
        raise ValueError(f"makes {asked} of {list(given.shape)}")
    shape = [given.size // known if length == -1 else length for length in asked]
    if math.prod(shape) != given.size:
        raise ValueError(f"makes {asked} of {list(given.shape)}")
    return _moved(given.kind, shape)


def _resized(call: Call) -> Gives:
    given, scales = call.operand(0), call.constant(2)
    if call.operands[1] is not None or call.attributes.get("mode") != "linear":
        raise ValueError("enlarges in another way than linearly")
    if scales.shape != (4,) or len(given.shape) != 4 or any(scales[:2] != 1):
        raise ValueError("enlarges something else than maps")
    if not ((scales >= 1) & (scales <= MAX_ENLARGEMENT)).all():
        raise ValueError(f"enlarges by less than 1 or more than {MAX_ENLARGEMENT}")
    edges = [
        int(length * float(by)) for length, by in zip(given.shape[2:], scales[2:], strict=True)
    ]
    return _moved(given.kind, (*given.shape[:2], *edges), 4 * _MOVED)


def _sliced(call: Call) -> Gives:
    given, shape = call.operand(0), list(call.operand(0).shape)
    starts, ends, axes, steps = (call.whole_numbers(index) for index in range(1, 5))
    axes = _axes(axes, len(shape))
    if not len(starts) == len(ends) == len(axes) == len(steps) or min(steps) < 1:
        raise ValueError("cuts out nothing that there is")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        first, last, _ = slice(start, end).indices(shape[axis])
        shape[axis] = -(-(last - first) // step)
    return _moved(given.kind, shape)


def _transposed(call: Call) -> Gives:
    given, order = call.operand(0), call.attributes.get("perm")
    if not isinstance(order, tuple) or sorted(order) != list(range(len(given.shape))):
        raise ValueError("has a perm that is not an order of its axes")
    return _moved(given.kind, [given.shape[int(axis)] for axis in order])


def _unsqueezed(call: Call) -> Gives:
    given, added = call.operand(0), call.whole_numbers(1)
    dimensions = len(given.shape) + len(added)
    left, axes = iter(given.shape), _axes(added, dimensions)
    shape = [1 if axis in axes else next(left) for axis in range(dimensions)]
    return _moved(given.kind, shape)


_CONVOLUTION = frozenset({"kernel_shape", "pads", "strides", "group"})

OPERATORS: Mapping[str, Operator] = {
    **dict.fromkeys(("Neg", "Relu"), Operator(_same)),
    **dict.fromkeys(("Erf", "Gelu", "Sigmoid", "Sin", "Sqrt", "Tanh"), Operator(_function)),
    **dict.fromkeys(("Add", "Mul", "Sub"), Operator(_pairwise, operands=(2, 2))),
    "Cast": Operator(_cast, frozenset({"to"})),
    "Clip": Operator(_clipped, operands=(2, 2)),
    "Concat": Operator(_concatenated, frozenset({"axis"}), (2, 2)),
    "Conv": Operator(_convolved, _CONVOLUTION, (2, 3)),
    "DequantizeLinear": Operator(_dequantised, frozenset({"axis"}), (3, 3)),
    "Div": Operator(_divided, operands=(2, 2)),
    "Gather": Operator(_gathered, frozenset({"axis"}), (2, 2)),
    "GreaterOrEqual": Operator(_compared, operands=(2, 2)),
    "LayerNormalization": Operator(_normalised, frozenset({"epsilon"}), (3, 3)),
    "MatMul": Operator(_product, operands=(2, 2)),
    "MaxPool": Operator(_pooled, frozenset({"kernel_shape", "strides"})),
    "Mod": Operator(_remainder, operands=(2, 2)),
    "Pow": Operator(_divided, operands=(2, 2)),
    "QuantizeLinear": Operator(_quantised, operands=(3, 3)),
    "Range": Operator(_counted, operands=(3, 3)),
    "ReduceMean": Operator(_reduced, operands=(2, 2)),
    "ReduceSum": Operator(_reduced, frozenset({"keepdims"}), (2, 2)),
    "Reshape": Operator(_reshaped, frozenset({"allowzero"}), (2, 2)),
    "Resize": Operator(_resized, frozenset({"mode"}), (3, 3)),
    "Slice": Operator(_sliced, operands=(5, 5)),
    "Transpose": Operator(_transposed, frozenset({"perm"})),
    "Unsqueeze": Operator(_unsqueezed, operands=(2, 2)),
}
"""Rules by operator name, all in ONNX's default domain."""
