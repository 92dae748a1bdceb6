"""Static view of an operator's inputs, attributes and output, for shape inference.

Used by the rules of `wnet_edge.package.graph.operators`. Every method raises ValueError if its
check fails, with a message that continues the operator's name.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from wnet_edge.package.graph.onnx_reader import Attribute, ElementType

MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class Tensor:
    """Element type and shape of a tensor, and its values if it is a constant."""

    kind: ElementType
    shape: tuple[int, ...]
    values: NDArray[Any] | None = None

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return self.size * self.kind.dtype.itemsize


@dataclass(frozen=True)
class Call:
    """One node's attributes and operands; an omitted optional operand is None."""

    attributes: Mapping[str, Attribute]
    operands: Sequence[Tensor | None]

    def operand(self, index: int) -> Tensor:
        """A required operand."""
        found = self.operands[index] if index < len(self.operands) else None
        if found is None:
            raise ValueError("lacks an operand")
        return found

    def constant(self, index: int) -> NDArray[Any]:
        """Values of an operand that must be a constant."""
        values = self.operand(index).values
        if values is None:
            raise ValueError("computes what has to be a constant")
        return values

    def whole_numbers(self, index: int) -> list[int]:
        """Values of an operand that must be a constant list of integers."""
        values = self.constant(index)
        if values.dtype.kind != "i" or values.ndim != 1 or values.size > MAX_DIMENSIONS:
            raise ValueError("takes something else than a few integers")
        return [int(value) for value in values]

    def number(self, name: str, otherwise: int) -> int:
        """An integer attribute, `otherwise` if absent."""
        value = self.attributes.get(name, otherwise)
        if not isinstance(value, int):
            raise ValueError(f"has a wrong {name}")
        return value

    def numbers(self, name: str, otherwise: tuple[int, ...], low: int, high: int) -> list[int]:
        """A list attribute of as many integers as `otherwise`, each in [low, high]."""
        value = self.attributes.get(name, otherwise)
        if not isinstance(value, tuple) or len(value) != len(otherwise):
            raise ValueError(f"has a wrong {name}")
        found = [entry for entry in value if isinstance(entry, int) and low <= entry <= high]
        if len(found) != len(otherwise):
            raise ValueError(f"has {name} beyond {low} … {high}")
        return found


@dataclass(frozen=True)
class Gives:
    """An operator's output tensor, and its work in multiply-adds."""

    tensor: Tensor
    operations: int


@dataclass(frozen=True)
class Operator:
    """Rule for an operator that export writes.

    Attributes:
        rule: infers the output and the work; raises ValueError for unsupported operands.
        attributes: names of the permitted attributes.
        operands: smallest and largest number of operands.
    """

    rule: Callable[[Call], Gives]
    attributes: frozenset[str] = frozenset()
    operands: tuple[int, int] = (1, 1)
