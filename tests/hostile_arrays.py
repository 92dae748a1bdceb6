"""Hostile NumPy, NPZ and TIFF files: what they claim and unfold to."""

import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bad_case import WITH_PACKAGE
from hostile_case import Hostile, zeros_deflated

GB = 1 << 30
_PIECE = 16 << 20


def _npy_header(shape: str, descr: str = "'<u4'", padding: int = 0) -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(text) + padding) + text


def _npy(name: str, header: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(header + bytes(64)) and None


def _npz(name: str, *members: tuple[str, bytes, int]) -> Callable[[Path], None]:
    """Deflated members: what they begin with, and how many zeros follow."""

    def make(folder: Path) -> None:
        with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, begin, zeros in members:
                with archive.open(f"{member}.npy", "w", force_zip64=True) as file:
                    file.write(begin)
                    for start in range(0, zeros, _PIECE):
                        file.write(bytes(min(_PIECE, zeros - start)))

    return make


def _tiff(
    width: int, height: int, compression: int, data: bytes, count: int | None = None
) -> Callable[[Path], None]:
    """One page of 16 bits, one strip."""

    def make(folder: Path) -> None:
        entries = [
            (256, 4, width),
            (257, 4, height),
            (258, 3, 16),
            (259, 3, compression),
            (262, 3, 1),
            (273, 4, 8),
            (277, 3, 1),
            (278, 4, height),
            (279, 4, len(data) if count is None else count),
        ]
        directory = struct.pack("<H", len(entries))
        directory += b"".join(struct.pack("<HHII", t, k, 1, v) for t, k, v in entries)
        start = 8 + len(data)
        whole = b"II*\0" + struct.pack("<I", start) + data + directory + struct.pack("<I", 0)
        (folder / "scan.tif").write_bytes(whole)

    return make


def _circle(folder: Path) -> None:
    """Pages that follow each other round and round."""
    np.zeros(4, "u1").tofile(folder / "scan.tif")
    entry = struct.pack("<HHII", 256, 4, 1, 16)
    page = struct.pack("<H", 1) + entry + struct.pack("<I", 8)
    (folder / "scan.tif").write_bytes(b"II*\0" + struct.pack("<I", 8) + page)


def _called(scan: str, *flags: str) -> tuple[str, ...]:
    return ("infer", scan, *WITH_PACKAGE, *flags)


_FRAMES = _npy_header("(36, 32, 32)") + bytes(36 * 32 * 32 * 4)
_MANY = 13_000_000

CASES = [
    Hostile(
        "NPY of 2^60 frames", _npy("f.npy", _npy_header(f"({1 << 60}, 1, 1)")), _called("f.npy")
    ),
    Hostile(
        "NPY whose header claims 4 GB",
        _npy("f.npy", _npy_header("(1, 1, 1)", padding=4 * GB - 100)),
        _called("f.npy"),
    ),
    Hostile(
        "NPZ member whose header unfolds to 2 GB",
        _npz("f.npz", ("arr_0", _npy_header("(1, 1, 1)", padding=2 * GB - 100), 2 * GB)),
        _called("f.npz"),
    ),
    Hostile(
        "NPZ of 13 million positions",
        _npz(
            "f.npz",
            ("reciprocal", _FRAMES, 0),
            ("scan", _npy_header(f"({_MANY}, 2)", "'<f8'"), 16 * _MANY),
        ),
        _called("f.npz"),
    ),
    Hostile(
        "NPZ of a probe of 24 × 8192²",
        _npz("f.npz", ("probe", _npy_header("(24, 8192, 8192)", "'<c8'"), _PIECE)),
        ("infer", "scan.cxi", *WITH_PACKAGE, "--probe", "f.npz:probe"),
    ),
    Hostile(
        "NPZ of a mask of 2 GB",
        _npz("f.npz", ("mask", _npy_header("(46000, 46000)", "'|u1'"), 2 * GB)),
        ("infer", "scan.cxi", *WITH_PACKAGE, "--mask", "f.npz:mask"),
    ),
    Hostile("TIFF page of 60000²", _tiff(60_000, 60_000, 1, bytes(64)), _called("scan.tif")),
    Hostile(
        "TIFF page that unfolds to 8 GB",
        _tiff(4096, 4096, 8, zeros_deflated(8 * GB)),
        _called("scan.tif"),
    ),
    Hostile(
        "TIFF page of 32 kB that unfolds to 8 GB",
        _tiff(128, 128, 8, zeros_deflated(8 * GB)),
        _called("scan.tif"),
    ),
    Hostile("TIFF pages in a circle", _circle, _called("scan.tif")),
]
