"""Objects of kinds that no training has drawn, and scans of them under a known probe."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, rotate
from scipy.spatial import cKDTree

from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.probe_file import find_probe
from wnet_edge.io.writers.cxi_writer import CxiHeader, write_cxi
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

FRAMES, STEP_PX, SEED = 400, 8, 5
_BATCH = 64


def unseen_scan(
    folder: Path,
    kind: str,
    photons: float,
    probe_of: Path,
    probe: NDArray[np.complex64] | None = None,
) -> Path:
    """A scan (CXI) of an object, and beside it the object (.npz, for `wnet-edge compare`).

    Args:
        folder: for both.
        kind: one of `OBJECTS`.
        photons: counts per frame without the sample.
        probe_of: scan whose probe and geometry are taken.
        probe: that really lights the sample, (modes, n, n); None: that of `probe_of`.
    """
    found = find_probe(str(probe_of))
    lit = found.modes if probe is None else probe
    options = ScanOptions(FRAMES, STEP_PX, detector=Detector((photons, photons)), seed=SEED)
    scan = VirtualScan(lit, options)
    scan.object = OBJECTS[kind](len(scan.object), np.random.default_rng(SEED))
    full_px, pixel_m = lit.shape[-1], found.geometry.object_pixel_size_m(lit.shape[-1])
    header = CxiHeader(
        geometry=found.geometry,
        positions_m=scan.positions_px * pixel_m,
        frame_px=full_px,
        mask=scan.mask,
        probe=(scan.probe * np.sqrt(photons)).astype(np.complex64),
        label_px=options.window_px,
        label_binning=full_px // options.window_px,
        title=f"simulated scan of {kind}",
    )
    path = folder / f"{kind}_{photons:.0e}.cxi"
    write_cxi(path, header, scan.batches(_BATCH), force=True)
    np.savez(
        path.with_suffix(".npz"),
        object=scan.object,
        object_pixel_m=pixel_m,
        probe=scan.probe,
        window_top_left_px=scan.positions_px,
    )
    return path


def error(result: Path, scan: Path, windows_px: NDArray[np.float64]) -> float:
    """Of a result's image to the true object, relative to its contrast, where it is well covered.

    After a common complex factor.

    Args:
        result: written by `infer`.
        scan: whose object lies beside it.
        windows_px: (2,) row and column of the image's first pixel on the object.
    """
    stitched = read_object_image(result)
    if stitched.coverage is None:
        raise ValueError(f"{result} has no coverage")
    with np.load(scan.with_suffix(".npz")) as truth:
        row, column = np.round(windows_px).astype(int)
        height, width = stitched.image.shape
        true = truth["object"][row : row + height, column : column + width]
    well = stitched.coverage > 0.3 * stitched.coverage.max()
    found, wanted = stitched.image[well], true[well]
    factor = np.vdot(found, wanted) / np.vdot(found, found)
    off = np.linalg.norm(factor * found - wanted)
    return float(off / np.linalg.norm(wanted - wanted.mean()))


def _star(size: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Spokes and rings around the middle, as a resolution target's."""
    y, x = np.indices((size, size)) - size / 2 + rng.uniform(-3, 3)
    radius = np.hypot(y, x)
    spokes = (np.sin(18 * np.arctan2(y, x)) > 0) & (radius > 12)
    return _object(gaussian_filter(spokes + 0.5 * (np.sin(radius / 9) > 0.6), 0.8), 1.3, 0.12)


def _grains(size: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Grains of a metal: each of its own phase, dark between them."""
    seeds = rng.uniform(0, size, (350, 2))
    level = rng.uniform(0, 1, len(seeds))
    y, x = np.indices((size, size))
    far, nearest = cKDTree(seeds).query(np.stack([y.ravel(), x.ravel()], 1), k=2)
    border = (far[:, 1] - far[:, 0] < 1.5).reshape(size, size)
    return _object(
        gaussian_filter(level[nearest[:, 0]].reshape(size, size) + 0.4 * border, 0.7), 1.2, 0.1
    )


def _circuit(size: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Wires of a chip along two directions, in layers."""
    relief = np.zeros((size, size))
    for _ in range(90):
        row, column = rng.integers(0, size, 2)
        length, width = int(rng.integers(30, 150)), int(rng.integers(4, 14))
        sides = (width, length) if rng.random() < 0.5 else (length, width)
        relief[row : row + sides[0], column : column + sides[1]] += 0.5
    return _object(gaussian_filter(np.minimum(relief, 1.5), 0.7), 0.8, 0.15)


def _cells(size: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Soft, overlapping ellipses with darker rims, as unstained cells."""
    y, x = np.indices((size, size))
    relief = np.zeros((size, size))
    for _ in range(60):
        row, column, angle = *rng.uniform(0, size, 2), rng.uniform(0, np.pi)
        long_px, short_px = rng.uniform(14, 40), rng.uniform(8, 20)
        along = (y - row) * np.cos(angle) + (x - column) * np.sin(angle)
        across = (x - column) * np.cos(angle) - (y - row) * np.sin(angle)
        inside = 1 - np.hypot(along / long_px, across / short_px)
        relief += np.clip(6 * inside, 0, 1) * (0.4 + 0.4 * np.exp(-8 * np.abs(inside)))
    return _object(relief, 0.7, 0.03)


def _weave(size: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    """Threads over and under each other, turned."""
    large = 2 * size
    y, x = np.indices((large, large))
    over = np.sin(y / 7) * np.sin(x / 7) > 0
    threads = np.where(over, np.abs(np.sin(x / 7)), np.abs(np.sin(y / 7)))
    rough = gaussian_filter(rng.standard_normal((large, large)), 9)
    turned = rotate(threads + 0.3 * rough / rough.std(), 27, reshape=False, order=1)
    start = size // 2
    return _object(turned[start : start + size, start : start + size], 0.9, 0.08)


def _object(
    relief: NDArray[np.float64], phase_rad: float, absorption: float
) -> NDArray[np.complex64]:
    made: NDArray[np.complex64] = np.exp(-(absorption + 1j * phase_rad) * relief).astype(
        np.complex64
    )
    return made


OBJECTS: dict[str, Callable[[int, np.random.Generator], NDArray[np.complex64]]] = {
    "star": _star,
    "grains": _grains,
    "circuit": _circuit,
    "cells": _cells,
    "weave": _weave,
}
