"""Check of the decompressed size of deflate and bzip2 streams, decompressing no more than allowed.

Used by the readers of HDF5 and TIFF, whose decoders decompress without a limit.
"""

import bz2
import zlib

_MUCH = 256 << 20
_MOST_OF_DEFLATE = 1032
_MOST_OF_BZIP2 = 20_000
"""Approximate largest compression ratios of deflate and bzip2 (zlib's technical notes; measured on
zeros)."""


def deflate_beyond(data: bytes | memoryview, held: int) -> bool:
    """Whether a zlib stream, if large enough to exceed `_MUCH`, gives more than `held` bytes."""
    if len(data) * _MOST_OF_DEFLATE <= _MUCH:
        return False
    try:
        return len(zlib.decompressobj().decompress(data, held + 1)) > held
    except zlib.error:
        return False  # damaged, which its decoder reports itself


def bzip2_beyond(data: bytes | memoryview, held: int) -> bool:
    """As `deflate_beyond`, for a bzip2 stream."""
    if len(data) * _MOST_OF_BZIP2 <= _MUCH:
        return False
    try:
        return len(bz2.BZ2Decompressor().decompress(data, held + 1)) > held
    except (OSError, EOFError):
        return False
