"""NTNDArrays as pvaPy holds them: read as `wnet_edge.live.ndarray` reads p4p's, and filled."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import pvaccess as pva
from numpy.typing import NDArray

_SCALARS = {float: pva.PvDouble, int: pva.PvLong, str: pva.PvString}


class PvaccessValue:
    """An NTNDArray of pvaPy with the fields of p4p's.

    Args:
        array: `pvaccess.PvObject`.
    """

    def __init__(self, array: Any) -> None:  # noqa: ANN401 - pvaPy has no types
        self._array = array

    def __contains__(self, field: str) -> bool:
        return field in self._array

    def __getitem__(self, field: str) -> Any:  # noqa: ANN401
        if field == "attribute":
            return self._attributes
        value = self._array[field]
        return _of_union(value) if field in ("value", "codec.parameters") else value

    @cached_property
    def _attributes(self) -> list[dict[str, Any]]:
        """With their values; to ask for them takes pvaPy a while."""
        return [
            {"name": one["name"], "value": _of_union(one["value"])}
            for one in self._array["attribute"]
        ]

    def getID(self) -> str:  # noqa: N802 - p4p's name
        """Nothing: pvaPy does not tell."""
        return ""


class ArrayFiller:
    """Fills an NTNDArray again and again: to make one anew takes half a millisecond.

    Args:
        shape: (H, W) of its images, float32.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self._array = pva.NtNdArray()
        self._attributes: dict[str, Any] = {}
        self._array["dimension"] = [pva.PvDimension(n, 0, n, 1, False) for n in reversed(shape)]
        size = 4 * shape[0] * shape[1]
        self._array["compressedSize"] = self._array["uncompressedSize"] = size

    def filled(
        self,
        image: NDArray[np.float32],
        number: int,
        stamp: Mapping[str, int],
        attributes: Mapping[str, float | int | str],
    ) -> Any:  # noqa: ANN401
        """The array; the next call changes it.

        Args:
            image: (H, W).
            number: its `uniqueId`.
            stamp: both its time stamps.
            attributes: by name, the same ones each time.
        """
        for name, value in attributes.items():
            scalar = _SCALARS[type(value)](value)
            if name in self._attributes:
                self._attributes[name]["value"] = scalar
            else:
                self._attributes[name] = pva.NtAttribute(name, scalar)
        array = self._array
        array["value"] = {"floatValue": np.ascontiguousarray(image).ravel()}
        array["uniqueId"] = number
        array["timeStamp"] = array["dataTimeStamp"] = stamp
        array["attribute"] = list(self._attributes.values())
        return array


def _of_union(value: Any) -> Any:  # noqa: ANN401
    """What a union holds; pvaPy gives its field's name with it, and the types."""
    return next(iter(value[0].values()), None)
