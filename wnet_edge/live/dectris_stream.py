"""DECTRIS Stream V2: each CBOR message of a detector to an event of a running scan.

Dectris, "Stream V2" and "CBOR Tag for DECTRIS Compressed Byte Strings" (github.com/dectris/
documentation); typed arrays: RFC 8746. Only what a scan needs is unpacked.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import cbor2
import numpy as np
from numpy.typing import NDArray

from wnet_edge.live.detector_message import (
    DamagedError,
    Message,
    Series,
    array_of,
    array_size,
    centre_px,
    damaged,
    positive,
    square_pixel_m,
    unpacked,
    user_data,
    user_position_m,
    user_positions_m,
    whole_number,
)
from wnet_edge.live.source import Begin, End, Frame

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
        return damaged("a message is cut off, or no CBOR")
    if not isinstance(fields, Mapping) or not isinstance(fields.get("type"), str):
        return damaged("a message has no type, which every message of Stream V2 has")
    if fields["type"] not in ("start", "image", "end"):
        return None
    return _decode(fields, received_s, channel)


def _decode(fields: Mapping[str, Any], received_s: float, channel: str | None) -> Message:
    kind, series, number = fields["type"], None, None
    try:
        unique_id = fields.get("series_unique_id")
        series_number = whole_number(fields.get("series_id"), "series_id")
        series = Series(series_number, unique_id if isinstance(unique_id, str) else "")
        if kind == "start":
            return Message(_begin(fields, series, channel), series)
        if kind == "end":
            return Message(End("the detector has ended the series"), series)
        number = whole_number(fields.get("image_id"), "image_id")
        return Message(_frame(fields, number, received_s, channel), series, number)
    except DamagedError as damage:
        note = f"{kind} message: {damage}"
        return damaged(note, image=kind == "image", series=series, number=number)


def _begin(fields: Mapping[str, Any], series: Series, channel: str | None) -> Begin:
    masks, count = fields.get("pixel_mask"), fields.get("number_of_images")
    bits = None if masks is None else _array(_of_channel(masks, channel, "pixel_mask"), "the mask")
    return Begin(
        name=series.name,
        energy_ev=positive(fields.get("incident_energy"), "incident_energy"),
        distance_m=_distance_m(fields),
        pixel_size_m=square_pixel_m(fields.get("pixel_size_x"), fields.get("pixel_size_y")),
        mask=None if bits is None else bits != 0,
        beam_centre_px=centre_px(fields.get("beam_center_y"), fields.get("beam_center_x")),
        positions_m=user_positions_m(user_data(fields.get("user_data"))),
        frame_count=None if count is None else whole_number(count, "number_of_images"),
    )


def _frame(fields: Mapping[str, Any], number: int, received_s: float, channel: str | None) -> Frame:
    counts = _array(_of_channel(fields.get("data"), channel, "data"), "the image")
    position_m = user_position_m(user_data(fields.get("user_data")))
    return Frame(number, counts, received_s, position_m, _published_s(fields))


def _of_channel(channels: object, channel: str | None, what: str) -> object:
    """The entry of one channel; channels come in the order in which the start names them."""
    if not isinstance(channels, Mapping) or not channels:
        raise DamagedError(f"{what} names no channel")
    if channel is None:
        return next(iter(channels.values()))
    if channel not in channels:
        names = ", ".join(map(str, channels))
        raise DamagedError(f"{what} has no channel {channel!r}, only {names}")
    return channels[channel]


def _array(value: object, what: str) -> NDArray[Any]:
    """A typed array (H, W), compressed or not."""
    shape, typed = _parts(value, MULTI_DIMENSIONAL, 2, what)
    dtype = TYPES.get(typed.tag) if isinstance(typed, cbor2.CBORTag) else None
    if dtype is None:
        raise DamagedError(f"{what} is of an unknown type")
    size, stored = array_size(shape, dtype, what), typed.value
    if isinstance(stored, cbor2.CBORTag):
        algorithm, element_bytes, packed = _parts(stored, COMPRESSED, 3, what)
        if algorithm not in _ALGORITHMS:
            cure = f"set the detector's compression to {' or '.join(_ALGORITHMS)}"
            raise DamagedError(f"{what} is compressed by another algorithm; {cure}")
        stored = unpacked(packed, algorithm, element_bytes, size, what)
    return array_of(stored, shape, dtype, what)


def _parts(value: object, tag: int, count: int, what: str) -> tuple[Any, ...]:
    """The `count` parts of a tagged array."""
    if not isinstance(value, cbor2.CBORTag) or value.tag != tag:
        raise DamagedError(f"{what} lacks CBOR's tag {tag}")
    if not isinstance(value.value, list | tuple) or len(value.value) != count:
        raise DamagedError(f"{what} is not made of {count} parts, as CBOR's tag {tag} is")
    return tuple(value.value)


def _distance_m(fields: Mapping[str, Any]) -> float | None:
    """The distance; detectors of today give it as the last of three components."""
    translation = fields.get("detector_translation")
    if "detector_distance" not in fields and isinstance(translation, list | tuple) and translation:
        return positive(translation[-1], "detector_translation")
    return positive(fields.get("detector_distance"), "detector_distance")


def _published_s(fields: Mapping[str, Any]) -> float | None:
    """End of the exposure, or else its start, seconds since 1970 by the detector's clock."""
    date, since = fields.get("series_date"), fields.get("stop_time", fields.get("start_time"))
    if not isinstance(date, datetime) or not isinstance(since, list | tuple) or len(since) != 2:
        return None
    try:
        return date.timestamp() + float(since[0] / since[1])
    except (TypeError, ArithmeticError, ValueError):
        return None
