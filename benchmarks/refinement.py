"""What passes of refinement give and cost.

    python -m benchmarks.refinement [SCAN]

First `wnet-edge infer` of the scan (the embedded one by default), cold, with 0 to 20 passes:
seconds and R-factors. Then simulated scans of objects that no network was trained on, at several
numbers of photons: the error to the true object before and after passes, relative to its contrast,
after a common complex factor, where the image is well covered.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from numpy.typing import NDArray

from wnet_edge.embedded import EXAMPLE_SCAN

_PROGRAM = Path(sys.executable).with_name("wnet-edge")
_PASSES = ("0", "1", "3", "5", "10", "20", "auto")
_WELL_COVERED = 0.3
"""Of the largest coverage."""


def told(scan: Path, passes: str, output: Path) -> dict[str, object]:
    """What `infer --json` says of a scan with so many passes."""
    refine = [] if passes == "0" else ["--refine", passes]
    call = [_PROGRAM, "infer", scan, *refine, "-o", output, "--no-image", "--force", "--json"]
    done = subprocess.run(call, check=True, capture_output=True, text=True)
    values: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return values


def rows(scan: Path, folder: Path) -> Iterator[str]:
    """A line for each number of passes."""
    for passes in _PASSES:
        values = told(scan, passes, folder / "out.h5")
        refinement = values["refinement"]
        per_pass = all_frames = ""
        if isinstance(refinement, dict):
            per_pass = f"{refinement['seconds'] / max(refinement['passes'], 1):.2f} s a pass"
            all_frames = f"{refinement['r_factors'][-1]:.4f} over all frames"
        yield (
            f"{passes:>5} passes | {values['seconds']:.2f} s | R {values['r_factor']:.4f} | "
            f"{all_frames} | {per_pass}"
        )


def simulated(folder: Path, photons: float, family: str) -> Path:
    """A scan with labels, under the embedded scan's probe."""
    path = folder / f"{family}_{photons:.0e}.cxi"
    call = [_PROGRAM, "simulate", "-o", path, "--probe", EXAMPLE_SCAN, "--family", family]
    call += ["--frames", "400", "--step-px", "6", "--photons", str(photons), "--seed", "5"]
    subprocess.run(call, check=True, capture_output=True)
    return path


def error(result: Path, scan: Path) -> float:
    """Of a result's image to the object that the labels show."""
    with h5py.File(result) as file, h5py.File(scan) as truth:
        data = file["entry/reconstruction"]
        image, coverage = data["object"][()], data["coverage"][()]
        positions = file["entry/sample/positions"]
        windows_m = np.stack([positions["y"][()], positions["x"][()]], axis=1)
        labels = truth["entry_1/labels"]
        patches = labels["amplitude"][()] * np.exp(1j * labels["phase"][()].astype(np.float32))
        start_px = (file["entry/instrument/beam/illumination"].shape[-1] - patches.shape[-1]) // 2
        corners = windows_m / data.attrs["pixel_size_m"] + start_px - data.attrs["origin_px"]
    true, seen = laid(patches.astype(np.complex64), corners, image.shape)
    well = seen & (coverage > _WELL_COVERED * coverage.max())
    found, wanted = image[well], true[well]
    factor = np.vdot(found, wanted) / np.vdot(found, found)
    off = np.linalg.norm(factor * found - wanted)
    return float(off / np.linalg.norm(wanted - wanted.mean()))


def laid(
    patches: NDArray[np.complex64], corners_px: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.complex64], NDArray[np.bool_]]:
    """The object that patches (N, h, h) on whole pixels show, and where they do."""
    total, count = np.zeros(shape, np.complex64), np.zeros(shape, np.int64)
    size = patches.shape[-1]
    for patch, (row, column) in zip(patches, np.round(corners_px).astype(int), strict=True):
        place = slice(row, row + size), slice(column, column + size)
        total[place] += patch
        count[place] += 1
    return total / np.maximum(count, 1), count > 0


def main() -> None:
    """Print both tables."""
    scan = Path(sys.argv[1]) if sys.argv[1:] else EXAMPLE_SCAN
    with TemporaryDirectory() as name:
        folder = Path(name)
        for row in rows(scan, folder):
            print(row, flush=True)  # noqa: T201
        for family in ("lines", "dots"):
            for photons in (1e4, 1e5, 1e6, 1e8):
                path = simulated(folder, photons, family)
                errors = []
                for passes in _PASSES:
                    told(path, passes, folder / "out.h5")
                    errors.append(f"{error(folder / 'out.h5', path):.3f}")
                print(f"{family} {photons:.0e} | {' | '.join(errors)}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
