"""Files that hold a stack of frames and nothing else: an .npy, or a TIFF of many pages.

Everything but the frames comes by flag. tifffile is loaded inside the functions, so only when a
TIFF is opened.
"""

import struct
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.io.found import Found, FoundScan
from wnet_edge.io.frame_by_frame import FrameByFrame
from wnet_edge.io.kept_open import KeptOpen
from wnet_edge.io.numpy_file import readable
from wnet_edge.io.numpy_frames import NpyFrames, npy_stack
from wnet_edge.io.stacks import check_stack, raster_of
from wnet_edge.io.tiff_pair import load_tifffile
from wnet_edge.io.unfolding import deflate_beyond
from wnet_edge.scan import FrameSource

if TYPE_CHECKING:
    import tifffile

_BIG = 43
_KIND_TAGS = (256, 257, 258, 277, 339)
"""Width, length, bits a sample, samples a pixel, sample format (TIFF 6.0, section 8)."""
_LEAST_PAGE_BYTES = 18
_MOST_ENTRIES = 4096
_DEFLATE = (8, 32946)
_SLACK_BYTES = 4096


class TiffFrames(FrameByFrame):
    """Pages of a TIFF, which stays open; each is decoded when it is asked for."""

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        super().__init__(shape, dtype)
        self._path = path
        self._file = KeptOpen(partial(_open_tiff, path))

    def each(self, numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Frames (H, W) of ascending numbers."""
        with readable(self._path, "TIFF"), self._file.use() as file:
            for number in numbers:
                yield _page(self._path, file, number, self._shape[1:], self._dtype)


def read_npy(path: Path) -> FoundScan:
    """The frames in an .npy, (N, H, W) or a raster (rows, columns, H, W).

    Raises:
        ScanError: if it is no such stack, or damaged.
    """
    frames, shape = npy_stack(path)
    return FoundScan(path, "NPY", frames=Found(frames, "the array"), raster=raster_of(shape))


def read_tiff(path: Path) -> FoundScan:
    """The frames in a TIFF, a page each.

    Raises:
        ScanError: if tifffile is missing, pages differ, or the file is damaged.
    """
    with readable(path, "TIFF"):
        page_count = _page_count(path)
        with _open_tiff(path) as file:
            frames = _one_block(path, file) if page_count == 1 else None
            if frames is None:
                first = file.pages.first
                shape = (page_count, *first.shape)
                _check(path, first, shape)
                frames = TiffFrames(path, shape, first.dtype)
                _page(path, file, 0, first.shape, frames.dtype)  # shows a codec that is not here
    return FoundScan(path, "TIFF", frames=Found(frames, "the pages"))


def _open_tiff(path: Path) -> "tifffile.TiffFile":
    try:
        module = load_tifffile(path)
    except ResultError as error:
        raise ScanError(str(error)) from error
    file: tifffile.TiffFile = module.TiffFile(path)
    return file


def _check(path: Path, page: Any, shape: tuple[int, ...]) -> None:  # noqa: ANN401
    """See that a page is one plane of numbers."""
    if page.axes != "YX" or page.dtype is None:
        raise ScanError(f"{path}: its pages are {page.axes}, not grey images; save counts alone")
    check_stack(path, "the pages", shape, page.dtype)


def _page(
    path: Path,
    file: "tifffile.TiffFile",
    number: int,
    shape: tuple[int, ...],
    dtype: Any,  # noqa: ANN401
) -> NDArray[Any]:
    page: Any = file.pages[number]
    if page.shape != shape or page.dtype != dtype:
        raise ScanError(
            f"{path}: page {number} is {page.dtype} {page.shape}, the first one {dtype} {shape}; "
            "write pages of one kind"
        )
    ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)]
    if not ends or max(ends) > file.filehandle.size:
        raise ValueError(f"page {number} ends beyond the file")
    _check_unfolded(file, page, number)
    frame: NDArray[Any] = page.asarray()
    return frame


def _check_unfolded(file: "tifffile.TiffFile", page: Any, number: int) -> None:  # noqa: ANN401
    """See that no piece of a page unfolds to more than the page.

    Raises:
        ValueError: if one does, or takes more than it could.
    """
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if size > page.nbytes + page.nbytes // 50 + _SLACK_BYTES:
            raise ValueError(f"a piece of page {number} takes {size} bytes of {page.nbytes}")
        if page.compression in _DEFLATE:
            file.filehandle.seek(offset)
            if deflate_beyond(file.filehandle.read(size), page.nbytes):
                raise ValueError(f"a piece of page {number} unfolds to more than the page")


def _one_block(path: Path, file: "tifffile.TiffFile") -> FrameSource | None:
    """Frames that one page alone announces, as ImageJ writes stacks beyond 4 GB; else None."""
    page, size = file.pages.first, file.filehandle.size
    announced = int((file.imagej_metadata or {}).get("images", 1))
    if page.dataoffsets and page.dataoffsets[0] + announced * page.nbytes > size:
        raise ValueError(f"ends before the last of {announced} frames")
    series = file.series[0]
    if series.dataoffset is None or len(series.shape) < 3 or not series.axes.endswith("YX"):
        return None
    dtype = series.dtype.newbyteorder(file.byteorder)
    shape = (series.size // (series.shape[-1] * series.shape[-2]), *series.shape[-2:])
    check_stack(path, "the page", shape, dtype)
    if series.dataoffset + series.nbytes > size:
        raise ValueError(f"ends before the last of {shape[0]} frames")
    return NpyFrames(path, series.dataoffset, shape, dtype)


def _page_count(path: Path) -> int:
    """Pages in the file, all of one kind, counted along its chain of directories.

    tifffile takes a chain that breaks off for the end, so a file cut short would pass for whole.

    Raises:
        ScanError: if pages differ.
        ValueError: if the chain leads out of the file, or does not end.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        order = {b"II": "<", b"MM": ">"}[file.read(2)]
        big = struct.unpack(order + "H", file.read(2)) == (_BIG,)
        pointer, count = (order + "Q", order + "Q") if big else (order + "I", order + "H")
        file.seek(8 if big else 4)
        pages = 0
        first: list[bytes] = []
        while True:
            (directory,) = struct.unpack(pointer, file.read(struct.calcsize(pointer)))
            if not directory:
                return pages
            if directory >= size or pages * _LEAST_PAGE_BYTES > size:
                raise ValueError(f"is cut short after page {pages}")
            file.seek(directory)
            (entries,) = struct.unpack(count, file.read(struct.calcsize(count)))
            kind = _kind(file.read(min(entries, _MOST_ENTRIES) * (20 if big else 12)), order, big)
            first = first or kind
            if kind != first:
                raise ScanError(
                    f"{path}: page {pages} is of another size or number type than the first; "
                    "write pages of one kind"
                )
            pages += 1


def _kind(entries: bytes, order: str, big: bool) -> list[bytes]:
    """Those entries of a directory that say how large a page is, and of what numbers."""
    layout = struct.Struct(order + ("HHQ8x" if big else "HHI4x"))
    kind = []
    for index in range(len(entries) // layout.size):
        entry = entries[index * layout.size : (index + 1) * layout.size]
        tag, _, count = layout.unpack(entry)
        if tag in _KIND_TAGS:  # many values lie elsewhere, and elsewhere for each page
            kind.append(entry if count == 1 else entry[:4])
    return kind
