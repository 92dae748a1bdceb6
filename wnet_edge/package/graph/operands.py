"""What an operator of a graph takes and gives, as far as it is known without running it.

Under the rules of `wnet_edge.package.graph.operators`: tensors with their shapes, attributes with
their ranges. Every method raises ValueError, with words that follow the operator's name.
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
    """What is known of a tensor: element type and shape, and the values of a constant."""

    kind: ElementType
    shape: tuple[int, ...]
    values: NDArray[Any] | None = None

    @property
    def size(self) -> int:
        """How many values."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """That they take."""
        return self.size * self.kind.dtype.itemsize


@dataclass(frozen=True)
class Call:
    """An operator as it stands in a graph; an operand that is left out is None."""

    attributes: Mapping[str, Attribute]
    operands: Sequence[Tensor | None]

    def operand(self, index: int) -> Tensor:
        """One that has to be there."""
        found = self.operands[index] if index < len(self.operands) else None
        if found is None:
            raise ValueError("lacks an operand")
        return found

    def constant(self, index: int) -> NDArray[Any]:
        """Values of an operand that has to be stored in the graph."""
        values = self.operand(index).values
        if values is None:
            raise ValueError("computes what has to be a constant")
        return values

    def whole_numbers(self, index: int) -> list[int]:
        """A constant list of integers."""
        values = self.constant(index)
        if values.dtype.kind != "i" or values.ndim != 1 or values.size > MAX_DIMENSIONS:
            raise ValueError("takes something else than a few integers")
        return [int(value) for value in values]

    def number(self, name: str, otherwise: int) -> int:
        """An attribute that is an integer."""
        value = self.attributes.get(name, otherwise)
        if not isinstance(value, int):
            raise ValueError(f"has a wrong {name}")
        return value

    def numbers(self, name: str, otherwise: tuple[int, ...], low: int, high: int) -> list[int]:
        """An attribute that is a list of integers, as many as `otherwise`, each within a range."""
        value = self.attributes.get(name, otherwise)
        if not isinstance(value, tuple) or len(value) != len(otherwise):
            raise ValueError(f"has a wrong {name}")
        found = [entry for entry in value if isinstance(entry, int) and low <= entry <= high]
        if len(found) != len(otherwise):
            raise ValueError(f"has {name} beyond {low} … {high}")
        return found


@dataclass(frozen=True)
class Gives:
    """What an operator gives: one tensor, and the time it takes, in multiply-adds."""

    tensor: Tensor
    operations: int


@dataclass(frozen=True)
class Operator:
    """One that export writes.

    Attributes:
        rule: what it gives; ValueError with words that follow its name for what it can't take.
        attributes: that it may have.
        operands: fewest and most.
    """

    rule: Callable[[Call], Gives]
    attributes: frozenset[str] = frozenset()
    operands: tuple[int, int] = (1, 1)
