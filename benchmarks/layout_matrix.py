"""Scan 247 in every layout, every way up, zero frequency at corner and centre: one image.

    python benchmarks/layout_matrix.py SCAN.cxi [LAYOUT …] > matrix.txt

Writes the scan anew for each case, runs it with the orientation to be found, and prints the phase
correlation with the image of the plain scan, as in docs/formats.md.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import layouts_arrays  # noqa: E402 - the writers of the tests
import layouts_hdf5  # noqa: E402
from known_data import KnownScanData  # noqa: E402

from wnet_edge.comparing.comparison import ObjectImage, compare  # noqa: E402
from wnet_edge.embedded import find_package  # noqa: E402
from wnet_edge.framing.framing import Framing  # noqa: E402
from wnet_edge.io.read_options import ReadOptions  # noqa: E402
from wnet_edge.io.scan_file import find_scan, open_scan  # noqa: E402
from wnet_edge.package.opening import open_package  # noqa: E402
from wnet_edge.physics.orientation import Orientation, orient  # noqa: E402
from wnet_edge.runner.choosing.choice import open_best_graph  # noqa: E402
from wnet_edge.runner.graph.providers import Provider  # noqa: E402
from wnet_edge.runner.graph.run_settings import RunnerOptions  # noqa: E402
from wnet_edge.runner.image.infer import infer  # noqa: E402
from wnet_edge.runner.image.orientation_search import ChosenOrientation, choose_orientation  # noqa: E402

OPTIONS = RunnerOptions(provider=Provider.CPU, threads=1)
UP = Orientation.IDENTITY
# A raster of one step can't hold this scan.
LAYOUTS = {
    name: write
    for name, write in {**layouts_hdf5.LAYOUTS, **layouts_arrays.LAYOUTS}.items()
    if name != "npz_ptychonn_raster"
}


def turned(known: KnownScanData, orientation: Orientation, *, corner: bool) -> KnownScanData:
    """The scan as another detector would have stored it; positions and probe stay."""

    def stored(images):
        images = orient(images, orientation.inverse)
        return np.fft.ifftshift(images, axes=(-2, -1)) if corner else images

    return replace(
        known,
        frames=np.ascontiguousarray(stored(known.frames)),
        mask=np.ascontiguousarray(stored(known.mask)),
    )


def image_of(path: Path, options: ReadOptions) -> tuple[ObjectImage, ChosenOrientation]:
    """The image with the detector's orientation found by trial."""
    opened = open_best_graph(open_package(find_package("w3")), OPTIONS)
    framing = Framing(find_scan(path, options), opened.package)
    choice = choose_orientation(framing, opened, None, UP)
    inference = infer(choice.framed.scan, opened)
    stitched = inference.stitched
    image = ObjectImage(path.name, stitched.image, stitched.coverage, inference.pixel_size_m)
    return image, choice


def main() -> None:
    """One line a case, the lowest correlation last."""
    plain_path = Path(sys.argv[1])
    plain, _ = image_of(plain_path, ReadOptions())
    scan = open_scan(plain_path)
    known = KnownScanData(
        frames=np.asarray(scan.frames[:]).astype(np.uint32),
        positions_m=scan.positions_m,
        geometry=scan.known_geometry,
        mask=scan.mask,
        probe=scan.probe,
    )
    lowest = 1.0
    for name in sys.argv[2:] or LAYOUTS:
        write = LAYOUTS[name]
        for orientation in Orientation:
            for corner in (False, True):
                with tempfile.TemporaryDirectory() as folder:
                    path, options = write(Path(folder), turned(known, orientation, corner=corner))
                    image, choice = image_of(path, options)
                correlation = compare(image, plain).phase_correlation
                lowest = min(lowest, correlation)
                where = "corner" if corner else "centre"
                right = choice.orientation is orientation
                print(  # noqa: T201
                    f"{name:28} {orientation.value:24} {where:7} {correlation:.5f} "
                    f"{'found' if right else 'WRONG'}",
                    flush=True,
                )
    print(f"lowest: {lowest:.5f}")  # noqa: T201


if __name__ == "__main__":
    main()
