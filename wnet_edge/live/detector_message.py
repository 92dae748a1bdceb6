"""What one message of a detector's stream says, and the checks that its parts have to pass.

Sizes are checked before memory is taken. Values that were never set are 0.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from dectris.compression import decompress
from numpy.typing import NDArray

from wnet_edge.io.containers.stacks import MAX_FRAME_PX
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost
from wnet_edge.physics.geometry import same_pixel_size

_ELEMENT_BYTES = (1, 2, 4, 8)

_LZ4_RATIO = 256
"""LZ4 makes nothing smaller by more than this."""


@dataclass(frozen=True)
class Series:
    """One acquisition of a detector.

    Attributes:
        number: as the detector counts; begins anew when the detector does.
        unique_id: of all times; empty where the detector gives none.
    """

    number: int
    unique_id: str = ""

    @property
    def name(self) -> str:
        """For results and messages."""
        return f"series_{self.number}"


@dataclass(frozen=True, eq=False)
class Message:
    """What one message says.

    Attributes:
        event: a damaged message is a loss: of one frame, or of none if it was no image.
        series: which the message belongs to; None if it could not be read.
        number: of the image, from 0; None for other messages, or if it could not be read.
    """

    event: Begin | Frame | Lost | End
    series: Series | None = None
    number: int | None = None


class DamagedError(Exception):
    """What is wrong with a part of a message."""


def damaged(
    note: str, *, image: bool = True, series: Series | None = None, number: int | None = None
) -> Message:
    """A message that can't be read, with the reason for the user."""
    return Message(Lost(Loss.UNREADABLE, int(image), note), series, number)


def whole_number(value: object, name: str) -> int:
    """A number from 0 to 2⁶³ − 1.

    Raises:
        DamagedError: if it is none.
    """
    if type(value) is not int or not 0 <= value < 2**63:
        raise DamagedError(f"{name} is no whole number")
    return value


def finite_number(value: object, name: str) -> float | None:
    """A finite number; None where it is missing.

    Raises:
        DamagedError: if it is something else.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise DamagedError(f"{name} is no number")
    return float(value)


def positive(value: object, name: str) -> float | None:
    """A positive number; None where it is missing or was never set.

    Raises:
        DamagedError: if it is no number.
    """
    number = finite_number(value, name)
    return number if number and number > 0 else None


def square_pixel_m(x: object, y: object) -> float | None:
    """Edge of a pixel from its width and height; None where they were never set.

    Raises:
        DamagedError: if they differ.
    """
    width, height = positive(x, "the width of a pixel"), positive(y, "the height of a pixel")
    if width is None or height is None:
        return None
    if not same_pixel_size(width, height):
        raise DamagedError("its pixels are not square")
    return width


def centre_px(y: object, x: object) -> tuple[float, float] | None:
    """Beam centre (row, column); None where it is missing, or (0, 0): never set.

    Raises:
        DamagedError: if it is no pair of numbers.
    """
    row, column = finite_number(y, "beam_center_y"), finite_number(x, "beam_center_x")
    if row is None or column is None or not (row or column):
        return None
    return row, column


def array_size(shape: object, dtype: np.dtype[Any], what: str) -> int:
    """Bytes of an array (H, W).

    Raises:
        DamagedError: if `shape` is not two-dimensional, or larger than any detector.
    """
    if not isinstance(shape, list | tuple) or len(shape) != 2:
        raise DamagedError(f"{what} is not two-dimensional")
    if not all(type(edge) is int and 1 <= edge <= MAX_FRAME_PX for edge in shape):
        raise DamagedError(f"{what} has an edge that is not between 1 and {MAX_FRAME_PX} px")
    return int(shape[0] * shape[1] * dtype.itemsize)


def array_of(stored: object, shape: Any, dtype: np.dtype[Any], what: str) -> NDArray[Any]:  # noqa: ANN401 - checked by array_size
    """Array (H, W) of the bytes `stored`, in the byte order of this machine.

    Raises:
        DamagedError: if there are not as many bytes as that takes.
    """
    if not isinstance(stored, bytes) or len(stored) != array_size(shape, dtype, what):
        raise DamagedError(_other_size(what))
    array = np.frombuffer(stored, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def unpacked(packed: object, algorithm: str, element_bytes: object, size: int, what: str) -> bytes:
    """Decompress "bslz4" or "lz4" as HDF5's filters frame them to `size` bytes.

    Both begin with the size of the unpacked bytes, 8 bytes, the most significant one first.

    Raises:
        DamagedError: if that is another, or the bytes are damaged.
    """
    if algorithm == "bslz4" and element_bytes not in _ELEMENT_BYTES:
        raise DamagedError(f"{what} has an impossible element size")
    if not isinstance(packed, bytes) or int.from_bytes(packed[:8], "big") != size:
        raise DamagedError(_other_size(what))
    if len(packed) * _LZ4_RATIO < size:
        raise DamagedError(_other_size(what))
    try:
        return bytes(decompress(packed, algorithm, elem_size=element_bytes))
    except (RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise DamagedError(f"{what} can't be decompressed") from error


def _other_size(what: str) -> str:
    return f"{what} is not of the size that its shape and type need"


def user_data(data: object) -> Mapping[str, Any]:
    """What the user has added to a message, as a map or as text in JSON; empty if it is neither."""
    if isinstance(data, str | bytes):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):  # any text is allowed there
            return {}
    return data if isinstance(data, Mapping) else {}


def user_position_m(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """`position_m` of an image; None where it is no pair: a frame without a position."""
    try:
        row_m, column_m = (finite_number(value, "position_m") for value in data["position_m"])
    except (DamagedError, KeyError, ValueError, TypeError):
        return None
    return None if row_m is None or column_m is None else (row_m, column_m)


def user_positions_m(data: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """`positions_m` (N, 2) of all images, where the user has added them to the start.

    Raises:
        DamagedError: if they are something else.
    """
    if "positions_m" not in data:
        return None
    try:
        positions_m = np.asarray(data["positions_m"], np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise DamagedError("positions_m of user_data is not a list of pairs") from error
    if positions_m.ndim != 2 or positions_m.shape[1] != 2:
        raise DamagedError("positions_m of user_data is not a list of pairs")
    return positions_m
