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


def pillow(path, frames, **options):
    first, *others = [Image.fromarray(frame) for frame in frames]
    first.save(path, format="TIFF", save_all=True, append_images=others, **options)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("predictor", [1, 2])
def test_lzw_is_read_without_imagecodecs(tmp_path, known, monkeypatch, dtype, predictor):
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    frames = known.frames.astype(dtype)
    if np.dtype(dtype).kind == "f" and predictor != 1:
        pytest.skip("differences are of integers")
    pillow(tmp_path / "s.tif", frames, compression="tiff_lzw", tiffinfo={317: predictor})
    found = find_scan(tmp_path / "s.tif").frames.value
    assert found.dtype == dtype
    np.testing.assert_array_equal(found[:], frames)
    np.testing.assert_array_equal(found[7:3:-2], frames[7:3:-2])


def test_lzw_of_noise_is_larger_than_its_pages(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2**16, (5, 128, 128)).astype(np.uint16)
    pillow(tmp_path / "s.tif", noise, compression="tiff_lzw")
    assert (tmp_path / "s.tif").stat().st_size > 1.2 * noise.nbytes
    np.testing.assert_array_equal(find_scan(tmp_path / "s.tif").frames.value[:], noise)


def test_a_preview_page_is_left_out(tmp_path, known):
    tiff_of_single_writes(tmp_path / "s.tif", [known.frames[0][::4, ::4], *known.frames])
    found = find_scan(tmp_path / "s.tif")
    np.testing.assert_array_equal(found.frames.value[:], known.frames)
    assert found.notes == ("page 0 is of another size or type: no frame",)


def folder_of(folder, frames, name="frame_{}.tif", first=0):
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(frames, first):
        tifffile.imwrite(folder / name.format(number), frame, photometric="minisblack")
    return folder


def test_a_folder_is_read_in_natural_order(tmp_path, known):
    """frame_2 comes before frame_10, and other files are named."""
    folder = folder_of(tmp_path / "scan", known.frames)
    (folder / "log.txt").write_text("log")
    (folder / ".hidden").write_text("")
    found = find_scan(folder)
    np.testing.assert_array_equal(found.frames.value[:], known.frames)
    np.testing.assert_array_equal(found.frames.value[7:3:-2], known.frames[7:3:-2])
    assert found.notes == ("1 other files in scan are left alone (log.txt)",)
    assert found.frame_numbers.value.values.tolist() == list(range(12))


def test_a_pattern_is_one_scan(tmp_path, known):
    folder = folder_of(tmp_path / "scan", known.frames)
    folder_of(folder, known.frames[:2], "dark_{}.tif")
    found = find_scan(folder / "frame_*.tif")
    np.testing.assert_array_equal(found.frames.value[:], known.frames)
    with pytest.raises(ScanError, match=r"several kinds \(12 frame_#, 2 dark_#\); quote a pattern"):
        find_scan(folder)
    with pytest.raises(ScanError, match="no such file"):
        find_scan(folder / "image_*.tif")
    (folder / "frame_x.tif").write_text("text")
    with pytest.raises(ScanError, match=r"frame_x\.tif is not a TIFF"):
        find_scan(folder / "frame_*.tif")


def test_a_file_for_each_line_of_a_raster(tmp_path, known):
    folder = folder_of(tmp_path / "scan", known.frames.reshape(3, 4, 32, 32), "line{}.tif", 8)
    found = find_scan(folder)
    np.testing.assert_array_equal(found.frames.value[:], known.frames)
    assert found.frame_numbers is None


@pytest.mark.parametrize("which", ["damaged", "of another size", "empty"])
def test_one_bad_file_of_many_is_named(tmp_path, known, which):
    folder = folder_of(tmp_path / "scan", known.frames)
    bad = folder / "frame_7.tif"
    if which == "of another size":
        tifffile.imwrite(bad, known.frames[0][:16])
    else:
        bad.write_bytes(b"" if which == "empty" else bad.read_bytes()[:600])
    message = refused(folder)
    assert message.startswith(f"{bad}: ")


def test_a_folder_without_tiffs(tmp_path):
    with pytest.raises(ScanError, match="is a folder; name a scan file in it"):
        find_scan(tmp_path)
