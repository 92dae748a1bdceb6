"""DECTRIS Stream V2: each CBOR message of a detector to an event of a running scan.

Dectris, "Stream V2" and "CBOR Tag for DECTRIS Compressed Byte Strings" (github.com/dectris/
documentation); typed arrays: RFC 8746. Only what a scan needs is unpacked, and its size is checked
before memory is taken for it. Values that were never set are 0.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import cbor2
import numpy as np
from dectris.compression import decompress
from numpy.typing import NDArray

from wnet_edge.io.containers.stacks import MAX_FRAME_PX
from wnet_edge.live.source import Begin, End, Frame, Loss, Lost
from wnet_edge.physics.geometry import same_pixel_size

MULTI_DIMENSIONAL, COMPRESSED = 40, 56500
"""CBOR tags: an array's shape with its values in C order; a compressed byte string."""

TYPES = {
    tag: np.dtype(name)
    for tag, name in {
        **{64: "u1", 65: ">u2", 66: ">u4", 67: ">u8", 68: "u1", 69: "<u2", 70: "<u4", 71: "<u8"},
        **{72: "i1", 73: ">i2", 74: ">i4", 75: ">i8", 77: "<i2", 78: "<i4", 79: "<i8"},
        **{80: ">f2", 81: ">f4", 82: ">f8", 84: "<f2", 85: "<f4", 86: "<f8"},
    }.items()
}
"""Type of a typed array by its CBOR tag (RFC 8746, table 1, without 128-bit numbers)."""

_ALGORITHMS = ("bslz4", "lz4")
"""Both begin with the size of the unpacked bytes, 8 bytes, the most significant one first."""

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


class _DamagedError(Exception):
    """What is wrong with a part of a message."""


def decode(message: bytes, received_s: float, channel: str | None = None) -> Message | None:
    """Decode one message; None for one of another type than start, image and end.

    Args:
        message: of ZeroMQ, whole.
        received_s: when it was received, `time.perf_counter`.
        channel: name of the threshold to take, as the detector calls it; None: the first.
    """
    try:
        fields = cbor2.loads(message)
    except Exception:  # of many classes: the tags of CBOR make dates, fractions, patterns …
        return _unreadable(_not_cbor(message))
    if not isinstance(fields, Mapping) or not isinstance(fields.get("type"), str):
        return _unreadable("a message has no type, which every message of Stream V2 has")
    if fields["type"] not in ("start", "image", "end"):
        return None
    return _decode(fields, received_s, channel)


def _decode(fields: Mapping[str, Any], received_s: float, channel: str | None) -> Message:
    kind, series, number = fields["type"], None, None
    try:
        series = _series(fields)
        if kind == "start":
            return Message(_begin(fields, series, channel), series)
        if kind == "end":
            return Message(End("the detector has ended the series"), series)
        number = _whole(fields, "image_id")
        return Message(_frame(fields, number, received_s, channel), series, number)
    except _DamagedError as damage:
        note = f"{kind} message: {damage}"
        return Message(Lost(Loss.UNREADABLE, int(kind == "image"), note), series, number)


def _unreadable(note: str) -> Message:
    return Message(Lost(Loss.UNREADABLE, 1, note))


def _not_cbor(message: bytes) -> str:
    if message.startswith(b"{"):
        return (
            "the detector sends Stream V1 (JSON), not Stream V2 (CBOR); set "
            'stream/api/1.8.0/config/format to "cbor"'
        )
    return "a message is cut off, or no CBOR"


def _series(fields: Mapping[str, Any]) -> Series:
    unique_id = fields.get("series_unique_id")
    return Series(_whole(fields, "series_id"), unique_id if isinstance(unique_id, str) else "")


def _begin(fields: Mapping[str, Any], series: Series, channel: str | None) -> Begin:
    masks = fields.get("pixel_mask")
    bits = None if masks is None else _array(_of_channel(masks, channel, "pixel_mask"), "the mask")
    y, x = (_number(fields.get(name), name) for name in ("beam_center_y", "beam_center_x"))
    return Begin(
        name=series.name,
        energy_ev=_positive(fields.get("incident_energy"), "incident_energy"),
        distance_m=_distance_m(fields),
        pixel_size_m=_pixel_size_m(fields),
        mask=None if bits is None else bits != 0,
        beam_centre_px=None if y is None or x is None or not (y or x) else (y, x),
        positions_m=_positions_m(_user_data(fields)),
        frame_count=_whole(fields, "number_of_images") if "number_of_images" in fields else None,
    )


def _frame(fields: Mapping[str, Any], number: int, received_s: float, channel: str | None) -> Frame:
    counts = _array(_of_channel(fields.get("data"), channel, "data"), "the image")
    position_m = _position_m(_user_data(fields))
    return Frame(number, counts, received_s, position_m, _published_s(fields))


def _of_channel(channels: object, channel: str | None, what: str) -> object:
    """The entry of one channel; channels come in the order in which the start names them."""
    if not isinstance(channels, Mapping) or not channels:
        raise _DamagedError(f"{what} names no channel")
    if channel is None:
        return next(iter(channels.values()))
    if channel not in channels:
        names = ", ".join(map(str, channels))
        raise _DamagedError(f"{what} has no channel {channel!r}, only {names}")
    return channels[channel]


def _array(value: object, what: str) -> NDArray[Any]:
    """A typed array (H, W), in the byte order of this machine."""
    shape, typed = _parts(value, MULTI_DIMENSIONAL, 2, what)
    if not isinstance(shape, list | tuple) or len(shape) != 2:
        raise _DamagedError(f"{what} is not two-dimensional")
    if not all(type(edge) is int and 1 <= edge <= MAX_FRAME_PX for edge in shape):
        raise _DamagedError(f"{what} has an edge that is not between 1 and {MAX_FRAME_PX} px")
    dtype = TYPES.get(typed.tag) if isinstance(typed, cbor2.CBORTag) else None
    if dtype is None:
        raise _DamagedError(f"{what} is of an unknown type")
    stored = _unpacked(typed.value, shape[0] * shape[1] * dtype.itemsize, what)
    array = np.frombuffer(stored, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="), copy=False)


def _unpacked(value: object, size: int, what: str) -> bytes:
    """The bytes of a typed array, of which there must be `size`."""
    if isinstance(value, cbor2.CBORTag):
        algorithm, element_bytes, packed = _parts(value, COMPRESSED, 3, what)
        if algorithm not in _ALGORITHMS:
            cure = f"set the detector's compression to {' or '.join(_ALGORITHMS)}"
            raise _DamagedError(f"{what} is compressed by another algorithm; {cure}")
        if algorithm == "bslz4" and element_bytes not in _ELEMENT_BYTES:
            raise _DamagedError(f"{what} has an impossible element size")
        if (
            not isinstance(packed, bytes)
            or int.from_bytes(packed[:8], "big") != size
            or len(packed) * _LZ4_RATIO < size
        ):
            raise _DamagedError(f"{what} is not of the size that its shape and type need")
        try:
            value = decompress(packed, algorithm, elem_size=element_bytes)
        except (RuntimeError, ValueError, TypeError, MemoryError) as error:
            raise _DamagedError(f"{what} can't be decompressed") from error
    if not isinstance(value, bytes) or len(value) != size:
        raise _DamagedError(f"{what} is not of the size that its shape and type need")
    return value


def _parts(value: object, tag: int, count: int, what: str) -> tuple[Any, ...]:
    """The `count` parts of a tagged array."""
    if not isinstance(value, cbor2.CBORTag) or value.tag != tag:
        raise _DamagedError(f"{what} lacks CBOR's tag {tag}")
    if not isinstance(value.value, list | tuple) or len(value.value) != count:
        raise _DamagedError(f"{what} is not made of {count} parts, as CBOR's tag {tag} is")
    return tuple(value.value)


def _whole(fields: Mapping[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 2**63:
        raise _DamagedError(f"{name} is no whole number")
    return value


def _number(value: object, name: str) -> float | None:
    """A finite number; None where it is missing."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _DamagedError(f"{name} is no number")
    return float(value)


def _positive(given: object, name: str) -> float | None:
    """A positive number; None where it is missing or was never set."""
    value = _number(given, name)
    return value if value and value > 0 else None


def _distance_m(fields: Mapping[str, Any]) -> float | None:
    """The distance; detectors of today give it as the last of three components."""
    translation = fields.get("detector_translation")
    if "detector_distance" not in fields and isinstance(translation, list | tuple) and translation:
        return _positive(translation[-1], "detector_translation")
    return _positive(fields.get("detector_distance"), "detector_distance")


def _pixel_size_m(fields: Mapping[str, Any]) -> float | None:
    x, y = (_positive(fields.get(name), name) for name in ("pixel_size_x", "pixel_size_y"))
    if x is None or y is None:
        return None
    if not same_pixel_size(x, y):
        raise _DamagedError("its pixels are not square")
    return x


def _user_data(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the user has added to the message, as CBOR or as text in JSON."""
    data = fields.get("user_data")
    if isinstance(data, str):
        try:
            data = json.loads(data)
        except (ValueError, RecursionError):  # any text is allowed there
            return {}
    return data if isinstance(data, Mapping) else {}


def _positions_m(data: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """Positions (N, 2) of all images, where the user has added them to the start message."""
    if "positions_m" not in data:
        return None
    try:
        positions_m = np.asarray(data["positions_m"], np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise _DamagedError("positions_m of user_data is not a list of pairs") from error
    if positions_m.ndim != 2 or positions_m.shape[1] != 2:
        raise _DamagedError("positions_m of user_data is not a list of pairs")
    return positions_m


def _position_m(data: Mapping[str, Any]) -> tuple[float, float] | None:
    """The pair that the user has added; None where it is none: a frame without a position."""
    try:
        row_m, column_m = (_number(value, "position_m") for value in data.get("position_m", ()))
    except (_DamagedError, ValueError, TypeError):
        return None
    return None if row_m is None or column_m is None else (row_m, column_m)


def _published_s(fields: Mapping[str, Any]) -> float | None:
    """End of the exposure, or else its start, seconds since 1970 by the detector's clock."""
    date, since = fields.get("series_date"), fields.get("stop_time", fields.get("start_time"))
    if not isinstance(date, datetime) or not isinstance(since, list | tuple) or len(since) != 2:
        return None
    try:
        return date.timestamp() + float(since[0] / since[1])
    except (TypeError, ArithmeticError, ValueError):
        return None
