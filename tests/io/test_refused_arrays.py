"""NumPy files that are no scan, damaged or hostile: one line, and no memory taken."""

import struct
import zipfile

import numpy as np
import pytest
from array_scans import one_step_raster, peak_bytes, refused

from wnet_edge.errors import ScanError
from wnet_edge.io.read_options import ReadOptions
from wnet_edge.io.scan_file import find_scan


@pytest.fixture(scope="module")
def known():
    return one_step_raster()


def header_only(shape, descr="<u2"):
    text = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def zipped(path, method=zipfile.ZIP_DEFLATED, **members):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)


def bad_arrays(known):
    """What each bad array has to be refused with, alone and in an archive."""
    return {
        "objects": (np.array([{"a": 1}], dtype=object), "pickled, which is never loaded"),
        "complex": (known.frames.astype(np.complex64), "complex64, not counts"),
        "truth": (known.frames > 3, "bool, not counts"),
        "text": (np.array([["a"]]), "not counts"),
        "structured": (np.zeros((3, 4, 4), "u2,f4"), "not counts"),
        "2-D": (known.frames[0], "not (N, H, W)"),
        "5-D": (known.frames[None, None], "not (N, H, W)"),
        "none": (known.frames[:0], "0 frames"),
        "lines": (known.frames[:, :1], "1 × 32 px"),
        "2^60": (header_only((2**50, 32, 32)), f"{2**50} frames"),
        "huge": (header_only((9_000_000, 8000, 8000)), "bytes of numbers, not"),
        "negative": (header_only((-3, 32, 32)), "claims the shape"),
        "no dtype": (header_only((3, 32, 32), "xx"), "descr"),
        "long header": (header_only((3, 32, 32))[:10] + b"(" * 90, "can't be read as"),
        "version": (b"\x93NUMPY\x07\x00" + bytes(50), "version"),
        "cut short": (header_only((3, 32, 32)) + bytes(100), "100 bytes of numbers, not 6144"),
        "two in one": (header_only((3, 32, 32)) + bytes(9000), "9000 bytes of numbers, not"),
    }


@pytest.mark.parametrize("which", bad_arrays(one_step_raster()))
@pytest.mark.parametrize("archive", [False, True])
def test_bad_arrays(tmp_path, known, which, archive):
    content, words = bad_arrays(known)[which]
    bare = tmp_path / "bad.npy"
    if isinstance(content, bytes):
        bare.write_bytes(content)
    else:
        np.save(bare, content, allow_pickle=True)
    path = tmp_path / ("bad.npz" if archive else "bad.npy")
    if archive:
        zipped(path, arr_0=bare.read_bytes())
    peak = peak_bytes(lambda: refused(path))
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert words in message
    assert peak < 3_000_000


def npz_cut_short(path, known):
    np.savez(path, known.frames)
    path.write_bytes(path.read_bytes()[:-300])


def npz_with_a_damaged_stream(path, known):
    np.savez_compressed(path, known.frames)
    data = bytearray(path.read_bytes())
    data[3000:3100] = bytes(100)
    path.write_bytes(data)


def npz_with_a_changed_count(path, known):
    np.savez(path, known.frames)
    data = bytearray(path.read_bytes())
    data[-2000] ^= 1
    path.write_bytes(data)


def npz_of_other_names(path, known):
    np.savez(path, images=known.frames, motors=known.positions_m)


def npz_of_nothing(path, known):  # noqa: ARG001 - as the others
    zipfile.ZipFile(path, "w").close()


def npz_with_a_name_twice(path, known):
    np.savez(path, known.frames)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("arr_0.npy", header_only((3, 32, 32)))


def claim_size(path, size):
    """Let the central directory say that the one member unpacks to `size` bytes."""
    data = bytearray(path.read_bytes())
    place = data.rindex(b"PK\x01\x02") + 24
    data[place : place + 4] = struct.pack("<I", size)
    path.write_bytes(data)


def npz_bomb(path, known):  # noqa: ARG001
    zipped(path, arr_0=header_only((10_000, 256, 256)) + bytes(1000))
    claim_size(path, 10_000 * 256 * 256 * 2 + len(header_only((10_000, 256, 256))))


def npz_of_lzma(path, known):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("arr_0.npy", header_only(known.frames.shape, "<u4") + bytes(9))


def npz_encrypted(path, known):
    np.savez(path, known.frames)
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)


def npz_of_fortran_order_too_large(path, known):  # noqa: ARG001
    header = header_only((3000, 512, 512)).replace(b"False", b"True ")
    zipped(path, arr_0=header + np.random.default_rng(1).bytes(2_000_000))
    claim_size(path, len(header) + 3000 * 512 * 512 * 2)


def npz_of_unlike_coordinates(path, known):
    np.savez(path, diff3d=known.frames, xcoords=np.zeros(12), ycoords=np.zeros(11))


def npz_of_tike_scans(path, known):
    np.savez(path, data=known.frames.reshape(2, 6, 32, 32), scan=np.zeros((2, 6, 2)))


def text(path, known):  # noqa: ARG001
    path.write_text("frame,x,y\n0,1,2\n")


REFUSALS = {
    npz_cut_short: "can't be read as NPZ",
    npz_with_a_damaged_stream: "can't be read as NPZ",
    npz_with_a_changed_count: "Bad CRC-32",
    npz_of_other_names: "NPZ of images, motors without frames; name the dataset with --frames",
    npz_of_nothing: "NPZ of no arrays without frames",
    npz_with_a_name_twice: "holds arr_0 twice; save it with np.savez again",
    npz_bomb: "which can't be",
    npz_of_lzma: "compressed in a way that NumPy does not use",
    npz_encrypted: "encrypted",
    npz_of_fortran_order_too_large: "larger than 512 MB, and its frames do not lie one",
    npz_of_unlike_coordinates: "xcoords and ycoords are not both (N,)",
    npz_of_tike_scans: "several scans",
    text: "is not a scan file: neither HDF5, NumPy nor TIFF",
}


@pytest.mark.parametrize("spoil", REFUSALS)
def test_refusals(tmp_path, known, spoil):
    path = tmp_path / "scan.npz"
    spoil(path, known)
    message = refused(path)
    assert message.startswith(f"{path}: ")
    assert REFUSALS[spoil] in message


def test_flags_that_name_what_is_not_there(tmp_path, known):
    np.save(tmp_path / "f.npy", known.frames)
    np.savez(tmp_path / "a.npz", p=known.probe)
    flags = {
        "positions": {
            "none.csv": "no such file|has no|holds one array",
            f"{tmp_path}/a.npz:q": "has no array q; name one of what it holds: p",
            f"{tmp_path}/a.npz": "NPZ of p has no positions",
            f"{tmp_path}/f.npy:q": "holds one array without a name; leave out q",
            f"{tmp_path}/f.npy": r"not \(N, 2\) numbers",
        },
        "probe": {f"{tmp_path}/f.npy": r"not complex \(modes, n, n\)"},
        "mask": {
            f"{tmp_path}/f.npy": r"not numbers \(H, W\)",
            f"{tmp_path}/a.npz": "FILE:DATASET of HDF5 or NPZ",
        },
        "frames": {"counts": "holds one stack of frames; leave out --frames counts"},
    }
    for flag, cases in flags.items():
        for value, words in cases.items():
            with pytest.raises(ScanError, match=words):
                find_scan(tmp_path / "f.npy", ReadOptions(**{flag: value}))
