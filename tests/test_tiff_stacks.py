"""Frames in TIFF, written by several programs, whole or damaged."""

import struct
import sys

import numpy as np
import pytest
import tifffile
from array_scans import one_step_raster, refused
from PIL import Image

from wnet_edge.errors import ScanError
from wnet_edge.io.scan_file import find_scan


@pytest.fixture(scope="module")
def known():
    return one_step_raster()


def tiff_of_single_writes(path, frames):
    with tifffile.TiffWriter(path) as file:
        for frame in frames:
            file.write(frame, contiguous=False)


def tiff_of_pillow(path, frames):
    first, *others = [Image.fromarray(frame.astype(np.uint16)) for frame in frames]
    first.save(path, format="TIFF", save_all=True, append_images=others)


def tiff_of_one_directory(path, frames):
    """As ImageJ writes what is beyond 4 GB: one page, the other frames only in its description."""
    tifffile.imwrite(path, frames.astype(np.uint16), imagej=True)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        place = page.offset + 2 + 12 * len(page.tags)
    data = bytearray(path.read_bytes())
    data[place : place + 4] = bytes(4)
    path.write_bytes(data)


TIFFS = {
    "contiguous": tifffile.imwrite,
    "deflated, big": lambda path, frames: tifffile.imwrite(
        path, frames, bigtiff=True, compression="zlib", predictor=True
    ),
    "big endian": lambda path, frames: tifffile.imwrite(path, frames, byteorder=">"),
    "big, big endian": lambda path, frames: tifffile.imwrite(
        path, frames, byteorder=">", bigtiff=True
    ),
    "tiles": lambda path, frames: tifffile.imwrite(path, frames, tile=(16, 16)),
    "raster": lambda path, frames: tifffile.imwrite(
        path, frames.reshape(3, 4, 32, 32), photometric="minisblack"
    ),
    "OME": lambda path, frames: tifffile.imwrite(path, frames.astype(np.uint16), ome=True),
    "ImageJ": lambda path, frames: tifffile.imwrite(path, frames.astype(np.uint16), imagej=True),
    "ImageJ, one directory": tiff_of_one_directory,
    "single writes": tiff_of_single_writes,
    "Pillow": tiff_of_pillow,
}


@pytest.mark.parametrize("writer", TIFFS)
def test_tiffs_of_others(tmp_path, known, writer):
    path = tmp_path / "stack"
    TIFFS[writer](path, known.frames)
    frames = find_scan(path).frames.value
    assert frames.dtype.isnative
    np.testing.assert_array_equal(frames[:], known.frames)
    np.testing.assert_array_equal(frames[7:3:-2], known.frames[7:3:-2])


def test_tiff_without_tifffile(tmp_path, known, monkeypatch):
    tifffile.imwrite(tmp_path / "s.tif", known.frames)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(ScanError, match=r"pip install 'wnet-edge\[tiff\]'"):
        find_scan(tmp_path / "s.tif")


def tiff_of_unlike_pages(path, known):
    tiff_of_single_writes(path, [*known.frames[:-1], *[known.frames[0][:16]] * 2])


def tiff_of_colours(path, known):  # noqa: ARG001
    tifffile.imwrite(path, np.zeros((5, 32, 32, 3), np.uint8), photometric="rgb")


def tiff_of_one_page(path, known):
    tifffile.imwrite(path, known.frames[0][:1], metadata=None)


def tiff_of_a_codec_that_is_not_here(path, known):
    tifffile.imwrite(path, known.frames)
    with tifffile.TiffFile(path, mode="r+") as file:
        for page in file.pages:
            page.tags["Compression"].overwrite(34712)  # JPEG 2000


REFUSALS = {
    tiff_of_unlike_pages: "page 11 is of another size or number type than the first",
    tiff_of_colours: "are YXS, not grey images",
    tiff_of_one_page: "1 × 32 px",
    tiff_of_a_codec_that_is_not_here: "is compressed as JPEG2000, which needs the package",
}


@pytest.mark.parametrize("spoil", REFUSALS)
def test_refusals(tmp_path, known, spoil):
    path = tmp_path / "scan.npz"
    spoil(path, known)
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert REFUSALS[spoil] in message


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("writer", TIFFS)
def test_a_tiff_cut_short(tmp_path, known, writer, share):
    path = tmp_path / "stack"
    TIFFS[writer](path, known.frames)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    try:
        frames = find_scan(path).frames.value[:]
    except ScanError as error:
        assert str(error).startswith(f"{path}: ")  # noqa: PT017 - or else all is there
    else:
        np.testing.assert_array_equal(frames, known.frames)


def test_a_tiff_whose_directories_go_round(tmp_path, known):
    path = tmp_path / "stack"
    tiff_of_single_writes(path, known.frames)
    with tifffile.TiffFile(path) as file:
        last, first = file.pages[-1], file.pages.first
        place, target = last.offset + 2 + 12 * len(last.tags), first.offset
    data = bytearray(path.read_bytes())
    data[place : place + 4] = struct.pack("<I", target)
    path.write_bytes(data)
    assert "can't be read as TIFF" in refused(path)
