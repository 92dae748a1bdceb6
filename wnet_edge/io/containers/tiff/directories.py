"""The pages of a TIFF, counted along its chain of directories, before anything is decoded.

tifffile takes a chain that breaks off for the end, so a file cut short would pass for whole.
"""

import struct
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from wnet_edge.errors import ScanError
from wnet_edge.io.containers.numpy_file import readable

_BIG = 43
_KIND_TAGS = (256, 257, 258, 277, 339)
"""Width, length, bits a sample, samples a pixel, sample format (TIFF 6.0, section 8)."""
_LEAST_PAGE_BYTES = 18
_MOST_ENTRIES = 4096


@dataclass(frozen=True)
class Pages:
    """Pages of one kind that follow each other.

    Attributes:
        first: number of the first.
        count: how many there are.
        others: what stands before or after them, "page 0" say, or nothing.
    """

    first: int
    count: int
    others: str = ""


def pages_of(path: Path) -> Pages:
    """The pages of a file that are frames: all, or all but a preview at the begin or the end.

    Raises:
        ScanError: if pages differ, the chain leads out of the file, or it does not end.
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
    """What each page holds, as far as its directory says."""
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
    """Those entries of a directory that say how large a page is, and of what numbers."""
    layout = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
    kind = []
    for index in range(len(entries) // layout.size):
        entry = entries[index * layout.size : (index + 1) * layout.size]
        tag, _, count = layout.unpack(entry)
        if tag in _KIND_TAGS:  # many values lie elsewhere, and elsewhere for each page
            kind.append(entry if count == 1 else entry[:4])
    return tuple(kind)
