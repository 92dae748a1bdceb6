"""Pages of a TIFF, from its chain of directories, before anything is decoded.

tifffile takes a broken chain for the end of the file, so that a truncated file would seem complete.
"""

import struct
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.numpy_file import readable

_BIG = 43
_KIND_TAGS = (256, 257, 258, 277, 339)
"""Width, length, bits per sample, samples per pixel, sample format (TIFF 6.0, section 8)."""
_LEAST_PAGE_BYTES = 18
_MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Pages:
    """Consecutive pages of equal size and type.

    Attributes:
        first: number of the first page.
        count: number of pages.
        others: text of the pages before or after them, such as "page 0", or empty.
    """

    first: int
    count: int
    others: str = ""


def pages_of(path: Path) -> Pages:
    """The pages of a file that are frames: all, or all except a preview at the start or end.

    Raises:
        ScanError: if pages differ, or the chain leaves the file or does not end.
    """
    with readable(path, "TIFF"):
        kinds = _kinds(path)
    runs = [(len(list(run)), kind) for kind, run in groupby(kinds)]
    counts = [count for count, _ in runs]
    if len(runs) == 1:
        return Pages(0, counts[0])
    if len(runs) == 2 and min(counts) == 1 < max(counts):
        preview = counts.index(1)
        return Pages(1 - preview, max(counts), f"page {0 if preview == 0 else counts[0]}")
    raise ScanError(
        f"{path}: page {counts[0]} is of another size or number type than the first; "
        "write pages of one kind"
    )


def _kinds(path: Path) -> list[tuple[bytes, ...]]:
    """Size and type of each page, from its directory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        order = {b"II": "<", b"MM": ">"}[file.read(2)]
        big = struct.unpack(order + "H", file.read(2)) == (_BIG,)
        pointer, count = (order + "Q", order + "Q") if big else (order + "I", order + "H")
        file.seek(8 if big else 4)
        kinds: list[tuple[bytes, ...]] = []
        while True:
            (directory,) = struct.unpack(pointer, file.read(struct.calcsize(pointer)))
            if not directory:
                return kinds
            if directory >= size or len(kinds) * _LEAST_PAGE_BYTES > size:
                raise ValueError(f"is cut short after page {len(kinds)}")
            file.seek(directory)
            (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
            kinds.append(
                _kind(file.read(min(entries, _MOST_ENTRIES) * (20 if big else 12)), order, big)
            )


def _kind(entries: bytes, order: str, big: bool) -> tuple[bytes, ...]:
    """Directory entries for the size and number type of a page."""
    layout = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
    kind = []
    for index in range(len(entries) // layout.size):
        entry = entries[index * layout.size : (index + 1) * layout.size]
        tag, _, count = layout.unpack(entry)
        if tag in _KIND_TAGS:  # longer values are stored elsewhere, at other offsets for each page
            kind.append(entry if count == 1 else entry[:4])
    return tuple(kind)
