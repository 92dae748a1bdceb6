"""How much a compressed piece of a file unfolds to: tried no further than it may go.

Under the readers of HDF5 and TIFF, whose decoders unfold whatever is there.
"""

import bz2
import zlib

_MUCH = 256 << 20
_MOST_OF_DEFLATE = 1032
_MOST_OF_BZIP2 = 20_000
"""Bytes that one may unfold to at most, nearly (zlib's technical notes; measured on zeros)."""


def deflate_beyond(data: bytes | memoryview, held: int) -> bool:
    """Whether a stream of zlib gives more than `held` bytes, and so many that it matters."""
    if len(data) * _MOST_OF_DEFLATE <= _MUCH:
        return False
    try:
        return len(zlib.decompressobj().decompress(data, held + 1)) > held
    except zlib.error:
        return False  # damaged, which its decoder says itself


def bzip2_beyond(data: bytes | memoryview, held: int) -> bool:
    """Likewise, of a stream of bzip2."""
    if len(data) * _MOST_OF_BZIP2 <= _MUCH:
        return False
    try:
        return len(bz2.BZ2Decompressor().decompress(data, held + 1)) > held
    except (OSError, EOFError):
        return False
