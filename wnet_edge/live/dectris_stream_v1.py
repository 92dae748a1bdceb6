"""DECTRIS Stream V1: the multipart messages (JSON and bytes) of older detectors and firmware.

Dectris, SIMPLON API reference, "Stream": `dheader-1.0`, `dimage-1.0`, `dseries_end-1.0`. Shapes are
(x, y) there; images have no channels, and times no date.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

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

_KINDS = {"dheader-1.0": "header", "dimage-1.0": "image", "dseries_end-1.0": "end"}

_TYPES = ("uint8", "uint16", "uint32", "float32")

_ENCODING = re.compile(r"(?:bs(8|16|32)-)?(lz4)?([<>])")
"""Bitshuffle with its element's bits, LZ4, byte order."""

_MASK_PART = 4
"""Of a header in all detail: flat field, mask and count-rate table follow the configuration."""


def decode_v1(parts: Sequence[bytes], received_s: float) -> Message | None:
    """Decode one message; None for one of another type than header, image and end.

    Args:
        parts: of the ZeroMQ message.
        received_s: when it was received, `time.perf_counter`.
    """
    kind, series, number = "first part", None, None
    try:
        first = _json(parts, 0)
        if str(first.get("htype")) not in _KINDS:
            return None
        kind = _KINDS[first["htype"]]
        series = Series(whole_number(first.get("series"), "series"))
        if kind == "header":
            return Message(_begin(first.get("header_detail"), parts, series), series)
        if kind == "end":
            return Message(End("the detector has ended the series"), series)
        number = whole_number(first.get("frame"), "frame")
        counts = _image(_json(parts, 1), _part(parts, 2))
        position_m = user_position_m(user_data(parts[4])) if len(parts) > 4 else None
        return Message(Frame(number, counts, received_s, position_m), series, number)
    except DamagedError as damage:
        image = kind not in ("header", "end")
        return damaged(f"{kind} of Stream V1: {damage}", image=image, series=series, number=number)


def _part(parts: Sequence[bytes], index: int) -> bytes:
    if index >= len(parts):
        raise DamagedError(f"its part {index + 1} is missing")
    return parts[index]


def _json(parts: Sequence[bytes], index: int) -> Mapping[str, Any]:
    try:
        fields = json.loads(_part(parts, index))
    except (ValueError, RecursionError) as error:
        raise DamagedError(f"its part {index + 1} is no JSON") from error
    if not isinstance(fields, dict):
        raise DamagedError(f"its part {index + 1} has no names")
    return fields


def _begin(detail: object, parts: Sequence[bytes], series: Series) -> Begin:
    config = _json(parts, 1) if detail in ("basic", "all") else {}
    own = {"none": 1, "basic": 2, "all": 8}.get(str(detail), len(parts))
    added = user_data(parts[own]) if len(parts) > own else {}
    counts = [config.get(name) for name in ("nimages", "ntrigger")]
    triggers = [whole_number(count, "nimages or ntrigger") for count in counts if count is not None]
    return Begin(
        name=series.name,
        energy_ev=positive(config.get("photon_energy"), "photon_energy"),
        distance_m=positive(config.get("detector_distance"), "detector_distance"),
        pixel_size_m=square_pixel_m(config.get("x_pixel_size"), config.get("y_pixel_size")),
        mask=_mask(parts) if detail == "all" else None,
        beam_centre_px=centre_px(config.get("beam_center_y"), config.get("beam_center_x")),
        positions_m=user_positions_m(added),
        frame_count=triggers[0] * triggers[1] if len(triggers) == 2 else None,
    )


def _mask(parts: Sequence[bytes]) -> NDArray[np.bool_]:
    header = _json(parts, _MASK_PART)
    if header.get("htype") != "dpixelmask-1.0":
        raise DamagedError(f"its part {_MASK_PART + 1} is not the mask")
    shape, dtype = _layout(header, "<", "the mask")
    mask: NDArray[np.bool_] = array_of(_part(parts, _MASK_PART + 1), shape, dtype, "the mask") != 0
    return mask


def _image(header: Mapping[str, Any], stored: bytes) -> NDArray[Any]:
    """Counts (H, W) of one image."""
    encoding = _ENCODING.fullmatch(str(header.get("encoding")))
    if encoding is None or (encoding[1] and not encoding[2]):
        raise DamagedError(
            "the image is compressed by an unknown algorithm; set it to bslz4 or lz4"
        )
    bits, lz4, byte_order = encoding.groups()
    shape, dtype = _layout(header, byte_order, "the image")
    size = array_size(shape, dtype, "the image")
    if bits:
        stored = unpacked(stored, "bslz4", int(bits) // 8, size, "the image")
    elif lz4:  # one bare block, which HDF5's filter would have framed
        frame = size.to_bytes(8, "big") + size.to_bytes(4, "big") + len(stored).to_bytes(4, "big")
        stored = unpacked(frame + stored, "lz4", 0, size, "the image")
    return array_of(stored, shape, dtype, "the image")


def _layout(
    header: Mapping[str, Any], byte_order: str, what: str
) -> tuple[list[Any], np.dtype[Any]]:
    """Shape (H, W) and type of an array."""
    shape, name = header.get("shape"), header.get("type")
    if name not in _TYPES or not isinstance(shape, list):
        raise DamagedError(f"{what} is of an unknown type")
    return shape[::-1], np.dtype(name).newbyteorder(byte_order)
