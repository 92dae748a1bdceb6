"""The settled reconstruction of scan 247, and images held against it and the published one.

    python -m benchmarks.yardstick make SCAN FOLDER
    python -m benchmarks.yardstick table SCAN [PACKAGE ...]

`make` reconstructs the scan by two engines of pty-chi, each from nothing and from W3's image, with
probe and positions refined (an hour; what lies in FOLDER already is not made again), prints how far
they agree, and writes FOLDER/settled.npz from the first. `table` takes the scan through packages
(w3 and ptychonn by default), with 0, 5 and 10 passes of refinement, and compares each image; and
images of the even and of the odd frames, which need no reference, by their Fourier ring
correlation (half a bit).
"""

import json
import subprocess
import sys
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import numpy as np

from benchmarks.markdown import head, show

_PROGRAM = Path(sys.executable).with_name("wnet-edge")
_REFINED = ("--refine-probe", "--refine-positions", "--batch-size", "37")
_RUNS = {
    "LSQML, from nothing": ("lsqml", "90", False),
    "LSQML, from W3": ("lsqml", "40", True),
    "mPIE, from nothing": ("mpie", "50", False),
    "mPIE, from W3": ("mpie", "40", True),
}
_YARDSTICKS = {"published": "scan247-reference", "settled": "scan247-settled"}


def call(*words: object) -> dict[str, Any]:
    """The last line of a command's `--json`."""
    done = subprocess.run(
        [_PROGRAM, *map(str, words), "--json"], check=True, capture_output=True, text=True
    )
    values: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return values


def make(scan: Path, folder: Path) -> None:
    """Reconstructions, how far they agree, and the first as an archive."""
    network = folder / "w3.h5"
    if not network.exists():
        call("infer", scan, "-o", network)
    head("reconstruction", "epochs", "seconds", "R over all frames")
    made = {}
    for name, (engine, epochs, started) in _RUNS.items():
        path = folder / f"{name.replace(', ', '_').replace(' ', '_')}.h5"
        told = path.with_suffix(".json")
        if not told.exists():
            start = ("--start", network) if started else ()
            options = (*_REFINED, "--engine", engine, "--epochs", epochs, *start, "-o", path)
            told.write_text(json.dumps(call("reference", scan, *options, "--force")))
        values = json.loads(told.read_text())
        show(name, epochs, f"{values['seconds']:.0f}", f"{values['r_factor']:.4f}")
        made[name] = path
    print()  # noqa: T201
    head("reconstruction", "and", "phase correlation", "slope")
    for one, other in combinations(made, 2):
        measured = call("compare", made[one], made[other])
        show(one, other, f"{measured['phase_correlation']:.4f}", f"{measured['phase_slope']:.3f}")
    write_archive(next(iter(made.values())), folder / "settled.npz")


def write_archive(result: Path, archive: Path) -> None:
    """Object, probe and windows of a result, as `wnet-edge compare` reads them."""
    with h5py.File(result) as file:
        data, positions = file["entry/reconstruction"], file["entry/sample/positions"]
        pixel_m = float(data.attrs["pixel_size_m"])
        windows_m = np.stack([positions["y"][()], positions["x"][()]], axis=1)
        np.savez_compressed(
            archive,
            object=data["object"][()],
            object_pixel_m=pixel_m,
            probe=file["entry/instrument/beam/illumination"][()],
            window_top_left_px=windows_m / pixel_m - data.attrs["origin_px"],
        )


def table(scan: Path, packages: list[str]) -> None:
    """Images of the scan against both reconstructions, and of its halves against each other."""
    against = [f"{name}: phase, slope" for name in _YARDSTICKS]
    head("package", "passes", "R", *against, "of halves: phase", "resolution, nm")
    with TemporaryDirectory() as name:
        folder = Path(name)
        whole, halves = folder / "whole.h5", (folder / "even.h5", folder / "odd.h5")
        parts = [write_half(scan, folder / f"half{first}.cxi", first) for first in (0, 1)]
        for package in packages:
            for passes in ("0", "5", "10"):
                refine = () if passes == "0" else ("--refine", passes)
                options = ("--package", package, *refine, "--no-image", "--force")
                values = call("infer", scan, *options, "-o", whole)
                row = []
                for example in _YARDSTICKS.values():
                    measured = call("compare", whole, f"example:{example}")
                    phase, slope = measured["phase_correlation"], measured["phase_slope"]
                    row.append(f"{phase:.3f}, {slope:.2f}")
                for part, half in zip(parts, halves, strict=True):
                    call("infer", part, *options, "-o", half)
                rings = call("compare", *halves)
                row.append(f"{rings['phase_correlation']:.3f}")
                row.append(f"{1e9 * rings['resolution_m']:.0f}")
                show(Path(package).stem, passes, f"{values['r_factor']:.4f}", *row)


def write_half(scan: Path, path: Path, first: int) -> Path:
    """A CXI scan's every second frame, from frame `first` on."""
    with h5py.File(scan) as source, h5py.File(path, "w") as file:
        count = len(source["entry_1/sample_1/geometry_1/translation"])

        def copy(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                by_frame = item.shape[:1] == (count,)
                file[name] = item[first::2] if by_frame else item[()]

        source.visititems(copy)
    return path


def main() -> None:
    """What is asked for."""
    what, scan, *others = sys.argv[1:]
    if what == "make":
        make(Path(scan), Path(others[0]))
    else:
        table(Path(scan), others or ["w3", "ptychonn"])


if __name__ == "__main__":
    main()
