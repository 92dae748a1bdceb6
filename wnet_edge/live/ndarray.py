"""Frames in EPICS NTNDArrays: areaDetector's structure, as p4p gives and takes it.

Reading works on any object with the fields of the structure; nothing here needs p4p.
"""

import math
import struct
import zlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ScanError

_UNION_FIELDS = {
    "int8": "byteValue",
    "int16": "shortValue",
    "int32": "intValue",
    "int64": "longValue",
    "uint8": "ubyteValue",
    "uint16": "ushortValue",
    "uint32": "uintValue",
    "uint64": "ulongValue",
    "float32": "floatValue",
    "float64": "doubleValue",
}
_PV_TYPES = dict(enumerate(_UNION_FIELDS, start=1))
"""pvData's ScalarType, which `codec.parameters` holds."""
_ND_TYPES = dict(
    enumerate(f"{kind}{bits}" for bits in (8, 16, 32, 64) for kind in ("int", "uint"))
) | {8: "float32", 9: "float64"}
"""NDDataType_t, which ADCore's first pvxs plugin wrote there instead (ADCore issue 562)."""

_LARGEST_RATIO = 1100
"""No codec but blosc compresses better (zlib: 1032); what claims to is damaged."""
_BITSHUFFLE_BLOCK_BYTES = 8192
_UNSET_S = 631152000
"""EPICS counts from 1990: a stamp of then was never set."""


def frame_number(value: Any) -> int:  # noqa: ANN401 - p4p has no types
    """The frame's `uniqueId`.

    Raises:
        ScanError: if the value is no NTNDArray.
    """
    if any(field not in value for field in ("value", "dimension", "uniqueId")):
        raise ScanError(f"the PV holds {value.getID() or 'a structure'}, not an NTNDArray")
    return int(value["uniqueId"])


def stamp_ns(value: Any) -> int | None:  # noqa: ANN401
    """`timeStamp`, else `dataTimeStamp`, nanoseconds since 1970; None where neither is set."""
    for field in ("timeStamp", "dataTimeStamp"):
        if field in value:
            seconds = int(value[f"{field}.secondsPastEpoch"])
            if seconds > _UNSET_S:
                return seconds * 1_000_000_000 + int(value[f"{field}.nanoseconds"])
    return None


def attributes(value: Any, names: Collection[str]) -> dict[str, Any]:  # noqa: ANN401
    """Values of those of the frame's attributes that bear one of `names`."""
    found: dict[str, Any] = {}
    if "attribute" not in value:
        return found
    for attribute in value["attribute"]:
        if attribute["name"] in names:
            found[attribute["name"]] = attribute["value"]
            if len(found) == len(names):
                break
    return found


def counts(value: Any) -> NDArray[Any]:  # noqa: ANN401
    """(H, W) of any integer or float type: the frame, decompressed where it is compressed.

    Raises:
        ScanError: if it is damaged, no frame of two dimensions, or of a codec that can't be read.
    """
    shape = _shape(value)
    stored = value["value"]
    if not isinstance(stored, np.ndarray):
        raise ScanError("the NTNDArray holds no data")
    codec = str(value["codec.name"]) if "codec" in value else ""
    if codec:
        stored = _decompressed(value, stored, codec, math.prod(shape))
    if stored.dtype.name not in _UNION_FIELDS:
        raise ScanError(f"pixels are of type {stored.dtype.name}; they must be integers or floats")
    if stored.size != math.prod(shape):
        raise ScanError(f"{stored.size} pixels don't fill {shape[0]} × {shape[1]}")
    image: NDArray[Any] = stored.reshape(shape)
    return image


def ndarray_fields(
    image: NDArray[Any],
    number: int,
    stamp_s: float,
    attributes: Mapping[str, float | int | str],
) -> dict[str, Any]:
    """Fields of an NTNDArray, for `p4p.Value`.

    Args:
        image: (H, W), any integer or float type.
        number: its `uniqueId`.
        stamp_s: seconds since 1970, both its time stamps.
        attributes: by name; `ColorMode`, which displays want, is added.
    """
    seconds = math.floor(stamp_s)
    stamp = {"secondsPastEpoch": seconds, "nanoseconds": int((stamp_s - seconds) * 1e9)}
    return {
        "value": (_UNION_FIELDS[image.dtype.name], np.ascontiguousarray(image).ravel()),
        "codec": {"name": ""},
        "compressedSize": image.nbytes,
        "uncompressedSize": image.nbytes,
        "uniqueId": number,
        "timeStamp": stamp,
        "dataTimeStamp": stamp,
        "dimension": [
            {"size": size, "fullSize": size, "binning": 1} for size in reversed(image.shape)
        ],
        "attribute": [
            {"name": name, "value": one} for name, one in {"ColorMode": 0, **attributes}.items()
        ],
    }


def _shape(value: Any) -> tuple[int, int]:  # noqa: ANN401
    sizes = [int(dimension["size"]) for dimension in value["dimension"]]
    while len(sizes) > 2 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 2 or min(sizes) < 1:
        described = " × ".join(map(str, sizes)) or "absent"
        raise ScanError(f"dimensions are {described}; a frame has two")
    return sizes[1], sizes[0]  # areaDetector's x comes first


def _decompressed(
    value: Any,  # noqa: ANN401
    stored: NDArray[Any],
    codec: str,
    pixels: int,
) -> NDArray[Any]:
    decompress = _CODECS.get(codec)
    if decompress is None:
        raise ScanError(f"codec {codec!r} is not one of {', '.join(_CODECS)}, or none")
    size = int(value["uncompressedSize"])
    compressed = stored.view(np.uint8)[: int(value["compressedSize"]) or None].tobytes()
    if size < 1 or (codec != "blosc" and size > _LARGEST_RATIO * len(compressed)):
        raise ScanError(f"{len(compressed)} bytes can't hold the {size} that they announce")
    if size % pixels:
        raise ScanError(f"{size} bytes uncompressed don't fill {pixels} pixels")
    dtype = _compressed_type(value["codec.parameters"], size // pixels)
    try:
        plain = decompress(compressed, size, size // pixels)
    except (RuntimeError, MemoryError, ValueError, zlib.error) as error:
        raise ScanError(f"damaged {codec} data: {error or type(error).__name__}") from error
    if len(plain) != size:
        raise ScanError(f"damaged {codec} data: {len(plain)} of {size} bytes")
    image = np.frombuffer(plain, dtype)
    if dtype.name == "int8" and image.min() < 0:
        raise ScanError(
            "codec.parameters is 1, int8 to some plug-ins and uint8 to ADCore's first pvxs "
            "plug-in, and the pixels are beyond 127; update ADCore or send without compression"
        )
    return image


def _compressed_type(parameters: Any, item_bytes: int) -> np.dtype[Any]:  # noqa: ANN401
    """The pixels' type, by the first reading of `parameters` that has their size.

    Both readings have the same size for 1 (int8, uint8) and 2 (int16) only.
    """
    for types in (_PV_TYPES, _ND_TYPES):
        try:
            dtype = np.dtype(types[int(parameters)])
        except (KeyError, TypeError, ValueError):
            continue
        if dtype.itemsize == item_bytes:
            return dtype
    raise ScanError(f"codec.parameters {parameters!r} is no type of {item_bytes} bytes a pixel")


def _lz4(compressed: bytes, size: int, _: int) -> bytes:
    if not _has_header(compressed, size):  # a bare block: areaDetector's own
        compressed = struct.pack(">QII", size, size, len(compressed)) + compressed
    return _dectris(compressed, "lz4", 1)


def _bitshuffle_lz4(compressed: bytes, size: int, item_bytes: int) -> bytes:
    if not _has_header(compressed, size):
        compressed = struct.pack(">QI", size, _BITSHUFFLE_BLOCK_BYTES) + compressed
    return _dectris(compressed, "bslz4", item_bytes)


def _has_header(compressed: bytes, size: int) -> bool:
    """Whether HDF5's 12 bytes come first; ADEiger sends them with some detectors."""
    return compressed[:8] == struct.pack(">Q", size)


def _dectris(compressed: bytes, name: str, item_bytes: int) -> bytes:
    try:
        from dectris.compression import decompress
    except ImportError:
        raise ScanError(_missing(name, "dectris-compression")) from None
    return bytes(decompress(compressed, name, elem_size=item_bytes))


def _blosc(compressed: bytes, size: int, _: int) -> bytes:
    try:
        import blosc
    except ImportError:
        raise ScanError(_missing("blosc", "blosc")) from None
    if len(compressed) < 16 or struct.unpack("<I", compressed[4:8])[0] != size:
        raise ValueError("its header announces another size")
    return bytes(blosc.decompress(compressed))


def _zlib(compressed: bytes, size: int, _: int) -> bytes:
    unpacking = zlib.decompressobj()
    plain = unpacking.decompress(compressed, size)
    more = unpacking.decompress(unpacking.unconsumed_tail, 1)  # the checksum at least
    if more or not unpacking.eof:
        raise ValueError("more bytes than announced" if more else "cut short")
    return plain


def _missing(codec: str, package: str) -> str:
    return f"codec {codec} needs the package {package}: pip install {package}"


_CODECS: dict[str, Callable[[bytes, int, int], bytes]] = {
    "lz4": _lz4,
    "lz4hdf5": _lz4,
    "bslz4": _bitshuffle_lz4,
    "blosc": _blosc,
    "zlib": _zlib,
}
"""From the compressed bytes, the size uncompressed and the bytes of a pixel to the plain bytes."""
