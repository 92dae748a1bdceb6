"""Frames in TIFF: one file of many pages, or one file per frame, by folder or pattern.

Pages are decoded by tifffile; those of compressions for which it needs imagecodecs (LZW) by Pillow
if possible. Both are imported inside the functions, so only when a TIFF is opened.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import ResultError, ScanError
from wnet_edge.io.containers.file_kind import FileKind, kind_of
from wnet_edge.io.containers.frame_by_frame import FrameByFrame
from wnet_edge.io.containers.image_files import image_files, numbers_in
from wnet_edge.io.containers.numpy_file import readable
from wnet_edge.io.containers.numpy_frames import NpyFrames
from wnet_edge.io.containers.reopened_file import KeptOpen
from wnet_edge.io.containers.stacks import check_frames, check_numbers
from wnet_edge.io.containers.tiff.directories import Pages, pages_of
from wnet_edge.io.containers.tiff.library import load_tifffile
from wnet_edge.io.containers.unfolding import deflate_beyond
from wnet_edge.io.found import Found, FoundScan, FrameNumbers
from wnet_edge.scan.frame_source import FrameSource

if TYPE_CHECKING:
    import tifffile

_CODECS = "imagecodecs"
_DEFLATE = (8, 32946)
_SLACK_BYTES = 4096


@dataclass(frozen=True)
class _File:
    """Frames in one file.

    Attributes:
        path: path of the file.
        pages: pages that are frames.
    """

    path: Path
    pages: Pages


class TiffFrames(FrameByFrame):
    """Pages of one or several TIFF files, decoded lazily."""

    def __init__(self, files: Sequence[_File], shape: tuple[int, ...], dtype: Any) -> None:  # noqa: ANN401
        super().__init__(shape, dtype)
        self._files = tuple(files)
        self._starts = np.cumsum([0, *(file.pages.count for file in files)])
        self._only = KeptOpen(partial(_Opened, files[0].path)) if len(files) == 1 else None

    def each(self, numbers: Sequence[int]) -> Iterator[NDArray[Any]]:
        """Frames (H, W) of ascending numbers."""
        owners = np.searchsorted(self._starts, numbers, side="right") - 1
        for owner in dict.fromkeys(owners.tolist()):
            file = self._files[owner]
            places = np.asarray(numbers)[owners == owner] - self._starts[owner] + file.pages.first
            kept = self._only or KeptOpen(partial(_Opened, file.path))
            with readable(file.path, "TIFF"), kept.use() as opened:
                for place in places.tolist():
                    yield opened.page(place, self._shape[1:], self._dtype)


def read_tiff(path: Path) -> FoundScan:
    """Read the frames of a TIFF, one per page.

    Raises:
        ScanError: if tifffile is not installed, pages differ, or the file is damaged.
    """
    pages = pages_of(path)
    notes = () if not pages.others else (f"{pages.others} is of another size or type: no frame",)
    with readable(path, "TIFF"), _closing(path) as opened:
        frames = _one_block(path, opened.file) if pages.count == 1 else None
    if frames is None:
        frames = _frames(path, [_File(path, pages)])
    return FoundScan(path, "TIFF", frames=Found(frames, "the pages"), notes=notes)


def read_images(path: Path) -> FoundScan:
    """Read frames from the TIFF files of a folder or pattern, in order of the numbers in names.

    Raises:
        ScanError: if there are none, or they are not of one scan.
    """
    images, notes = image_files(path)
    files = [_File(image, pages_of(image)) for image in images]
    frames = _frames(path, files)
    numbers = None
    if all(file.pages.count == 1 for file in files):
        numbers = numbers_in([image.name for image in images])
    named = None if numbers is None else Found(FrameNumbers(numbers, False), "file names")
    where = f"{images[0].name} … {images[-1].name}"
    return FoundScan(
        path, "TIFF files", frames=Found(frames, where), frame_numbers=named, notes=notes
    )


def check_several_scans(paths: Sequence[Path]) -> None:
    """Check that several paths given as scans are not the frames of one scan.

    Raises:
        ScanError: if the first of them have one frame each.
    """
    looked_at = [path for path in paths[:2] if path.is_file()]
    if len(looked_at) < 2 or any(kind_of(path) is not FileKind.TIFF for path in looked_at):
        return
    if all(pages_of(path).count == 1 and _holds_one(path) for path in looked_at):
        pattern = looked_at[0].parent / f"*{looked_at[0].suffix}"
        raise ScanError(
            f"{looked_at[0]}: holds one frame, as others of the {len(paths)} do, but each name is "
            f"a scan of its own; name their folder, or quote the pattern: '{pattern}'"
        )


class _Opened:
    """An open TIFF, with the decoders of its pages."""

    def __init__(self, path: Path) -> None:
        try:
            module = load_tifffile(path)
        except ResultError as error:
            raise ScanError(str(error)) from error
        self._path = path
        self._pillow: Any = None
        self.file: tifffile.TiffFile = module.TiffFile(path)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        if self._pillow is not None:
            self._pillow.close()

    def page(self, number: int, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:  # noqa: ANN401
        """One frame (H, W).

        Raises:
            ScanError: if it has another size or type, or a compression that can't be decoded here.
            ValueError: if it extends beyond the end of the file.
        """
        page: Any = self.file.pages[number]
        if page.shape != shape or page.dtype != dtype:
            raise ScanError(
                f"{self._path}: page {number} is {page.dtype} {page.shape}, the first one {dtype} "
                f"{shape}; write pages of one kind"
            )
        ends = [a + b for a, b in zip(page.dataoffsets, page.databytecounts, strict=True)]
        if not ends or max(ends) > self.file.filehandle.size:
            raise ValueError(f"page {number} ends beyond the file")
        _check_unfolded(self.file, page, number)
        try:
            frame: NDArray[Any] = page.asarray()
        except ValueError as error:
            if _CODECS not in str(error):
                raise
            return self._by_pillow(number, page)
        return frame

    def _by_pillow(self, number: int, page: Any) -> NDArray[Any]:  # noqa: ANN401
        from PIL import Image

        try:
            if self._pillow is None:
                self._pillow = Image.open(self._path)
            self._pillow.seek(number)
            frame = np.asarray(self._pillow)
        except (OSError, ValueError, EOFError, SyntaxError) as error:
            raise self._unknown(page) from error
        if frame.dtype.itemsize == page.dtype.itemsize and frame.dtype.kind in "ui":
            frame = frame.view(frame.dtype.str[0] + page.dtype.str[1:])  # Pillow has no uint32
        if frame.shape != page.shape or frame.dtype != page.dtype:
            raise self._unknown(page)
        return frame

    def _unknown(self, page: Any) -> ScanError:  # noqa: ANN401
        compression = getattr(page.compression, "name", page.compression)
        return ScanError(
            f"{self._path}: is compressed as {compression}, which needs the package {_CODECS}; "
            f"pip install {_CODECS}"
        )


def _check_unfolded(file: "tifffile.TiffFile", page: Any, number: int) -> None:  # noqa: ANN401
    """Check that no strip or tile of a page decompresses to more than the page.

    Raises:
        ValueError: if one does, or its compressed size is impossible.
    """
    for offset, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        if size > page.nbytes + page.nbytes // 2 + _SLACK_BYTES:  # LZW of noise: 12 bits per byte
            raise ValueError(f"a piece of page {number} takes {size} bytes of {page.nbytes}")
        if page.compression in _DEFLATE:
            file.filehandle.seek(offset)
            if deflate_beyond(file.filehandle.read(size), page.nbytes):
                raise ValueError(f"a piece of page {number} unfolds to more than the page")


@contextmanager
def _closing(path: Path) -> Iterator[_Opened]:
    opened = _Opened(path)
    try:
        yield opened
    finally:
        opened.close()


def _frames(path: Path, files: Sequence[_File]) -> TiffFrames:
    """Frames of files whose pages are like the first one, which is decoded as a test.

    Raises:
        ScanError: if it is not a single-channel image, or can't be decoded here.
    """
    first = files[0]
    with readable(first.path, "TIFF"), _closing(first.path) as opened:
        page: Any = opened.file.pages[first.pages.first]
        if page.axes != "YX" or page.dtype is None:
            raise ScanError(
                f"{path}: its pages are {page.axes}, not grey images; save counts alone"
            )
        check_numbers(path, "the pages", page.dtype)
        shape = (sum(file.pages.count for file in files), *page.shape)
        check_frames(path, "the pages", shape)
        opened.page(first.pages.first, page.shape, page.dtype)
        return TiffFrames(files, shape, page.dtype)


def _holds_one(path: Path) -> bool:
    with readable(path, "TIFF"), _closing(path) as opened:
        return _one_block(path, opened.file) is None


def _one_block(path: Path, file: "tifffile.TiffFile") -> FrameSource | None:
    """Frames of a single page's contiguous block, as in ImageJ stacks beyond 4 GB; else None."""
    page, size = file.pages.first, file.filehandle.size
    if page.compression != 1:  # compressed: no raw data
        return None
    announced = int((file.imagej_metadata or {}).get("images", 1))
    if page.dataoffsets and page.dataoffsets[0] + announced * page.nbytes > size:
        raise ValueError(f"ends before the last of {announced} frames")
    series = file.series[0]
    if series.dataoffset is None or len(series.shape) < 3 or not series.axes.endswith("YX"):
        return None
    dtype = series.dtype.newbyteorder(file.byteorder)
    shape = (series.size // (series.shape[-1] * series.shape[-2]), *series.shape[-2:])
    check_frames(path, "the page", (shape[0], shape[1], shape[2]))
    if series.dataoffset + series.nbytes > size:
        raise ValueError(f"ends before the last of {shape[0]} frames")
    return NpyFrames(path, series.dataoffset, shape, dtype)
