"""Gate: the embedded package on the embedded real scan, against the iterative reconstruction.

Runs from a clone alone. Over the whole scan, and over the report strip, whose frames no choice of
checkpoint or setting has looked at.
"""

from pathlib import Path

import pytest

from benchmarks.gates import hold
from wnet_edge.calibration.split import Region, split_by_region
from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.embedded import find_package
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.scan_file import open_scan
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import open_package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer
from wnet_edge.scan.scan import some_frames

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
REFERENCE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"


def agreement(part):
    """What `compare` says of the stitched image of the whole scan, or of a strip of it."""
    scan, package = open_scan(EXAMPLE), open_package(find_package("w3"))
    if part != "whole":
        positions = positions_px(scan.positions_m, scan.object_pixel_size_m)
        frames = split_by_region(positions, package.manifest.window_px).frames(part)
        scan = some_frames(scan, frames)
    inference = infer(
        scan, open_best_graph(package, RunnerOptions(Precision.FP32, Provider.CPU, threads=0))
    )
    stitched = inference.stitched
    image = ObjectImage("embedded scan", stitched.image, stitched.coverage, inference.pixel_size_m)
    found = compare(image, read_object_image(REFERENCE)).as_json()
    return {"frames": scan.frame_count, **found}


@pytest.mark.parametrize("part", ["whole", Region.REPORT], ids=str)
def test_stitched_phase_agrees_with_the_reference(benchmark, part):
    found = benchmark.pedantic(agreement, (part,), rounds=1)
    benchmark.extra_info |= found
    print(f"\n{part}: {found}")  # noqa: T201
    hold("stitched_phase_correlation", found["phase_correlation"])
