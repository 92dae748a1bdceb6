"""A scan of 100,000 frames through `wnet-edge infer`: peak memory, frames a second, time reading.

    python benchmarks/long_scan.py FOLDER [FRAMES] [--storage plain|gzip|bitshuffle] [-- OPTIONS]

OPTIONS are further ones of `infer`, such as --refine 2. Simulates the scan once (128 × 128, two
bytes a count, in PtyLab's layout, the embedded package's probe), writes it plain, with gzip and
with bitshuffle and LZ4, and runs the command on each in a process of its own. Needs about 10 GB in
FOLDER and the temporary folder together.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

from wnet_edge.embedded import find_package
from wnet_edge.package.opening import open_package
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan

GEOMETRY = Geometry(energy_ev=10_000.0, distance_m=0.9, detector_pixel_size_m=55e-6)
PHOTONS = 1e7
BATCH = 64
STORAGE = {
    "plain": {},
    "gzip": {"chunks": (1, 128, 128), "compression": "gzip", "shuffle": True},
    "bitshuffle": {"chunks": (1, 128, 128), **hdf5plugin.Bitshuffle(cname="lz4")},
}


def main() -> None:
    """Make the files that are not there yet; run each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("frames", type=int, nargs="?", default=100_000)
    parser.add_argument("--storage", choices=STORAGE)
    given = [*sys.argv[1:], "--"]
    options = given[given.index("--") + 1 : -1]
    asked = parser.parse_args(given[: given.index("--")])
    for name in STORAGE if asked.storage is None else ("plain", asked.storage):
        path = asked.folder / f"long_{asked.frames}_{name}.h5"
        if not path.exists():
            (simulate if name == "plain" else recompress)(path, name, asked.frames)
        if asked.storage in (None, name):
            report(path, name, options)


def simulate(path: Path, name: str, frames: int) -> None:
    """A mosaic of all families, raster step of 5 pixels."""
    probe = open_package(find_package("w3")).probe
    options = ScanOptions(frames=frames, step_px=5, detector=Detector((PHOTONS, PHOTONS)), seed=1)
    scan = VirtualScan(probe, options)
    with h5py.File(part(path), "w") as file:
        stack = file.create_dataset("ptychogram", (frames, 128, 128), np.uint16, **STORAGE[name])
        for start, batch in zip(range(0, frames, BATCH), scan.batches(BATCH), strict=True):
            stack[start : start + BATCH] = np.minimum(batch.frames, 65_000).astype(np.uint16)
        file["encoder"] = scan.positions_px * GEOMETRY.object_pixel_size_m(128)
        file["wavelength"] = GEOMETRY.wavelength_m
        file["zo"], file["dxd"] = GEOMETRY.distance_m, GEOMETRY.detector_pixel_size_m
        file["probe"] = (scan.probe * np.sqrt(PHOTONS)).astype(np.complex64)
    part(path).rename(path)


def recompress(path: Path, name: str, frames: int) -> None:
    """The plain scan, its frames stored otherwise."""
    plain = path.with_name(f"long_{frames}_plain.h5")
    with h5py.File(plain) as source, h5py.File(part(path), "w") as file:
        for key in source:
            if key != "ptychogram":
                source.copy(key, file)
        stored = source["ptychogram"]
        stack = file.create_dataset("ptychogram", stored.shape, stored.dtype, **STORAGE[name])
        for start in range(0, frames, 512):
            stack[start : start + 512] = stored[start : start + 512]
    part(path).rename(path)


def part(path: Path) -> Path:
    """What is not finished has another name."""
    return path.with_suffix(".part")


def report(path: Path, name: str, options: list[str]) -> None:
    """One line: frames a second, peak memory, share of time in which nothing but reading went."""
    began = time.perf_counter()
    program = Path(sys.executable).with_name("wnet-edge")
    outputs = ["-o", path.with_suffix(".wnet.h5"), "--image", path.with_suffix(".png")]
    done = subprocess.run(
        [program, "infer", path, *outputs, "--provider", "cpu", *options, "--force", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    wall_s = time.perf_counter() - began
    values = json.loads(done.stdout.splitlines()[-1])
    # Of the largest child so far, in KiB on Linux.
    peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    steps = {key[8:]: round(values[key], 1) for key in values if key.startswith("seconds_")}
    print(  # noqa: T201
        f"{name:11} {path.stat().st_size / 1e9:.2f} GB  {values['frames_processed']} frames  "
        f"{values['frames_per_second']:.0f} frames/s  {wall_s:.0f} s  peak {peak_mib:.0f} MiB  "
        f"waiting for frames {100 * values['seconds_wait_for_frames'] / values['seconds']:.1f} %  "
        f"R {values['r_factor']:.3f}  rounds {values['stitch_rounds']}  {steps}",
        flush=True,
    )


if __name__ == "__main__":
    main()
