"""The image of the scan that a package was made for, as it is and refined, judged by its frames."""

from dataclasses import dataclass

from wnet_edge.adapt.scan_part import nearest_to_middle
from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.errors import ResultError
from wnet_edge.package.manifest import FrameFit, Precision
from wnet_edge.package.opening import Package
from wnet_edge.physics.geometry import positions_px
from wnet_edge.refining.options import RefineOptions
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import BATCH_SIZE, RunnerOptions
from wnet_edge.runner.image.infer import Inference, infer
from wnet_edge.scan.scan import Scan, some_frames

_MOST_FRAMES = 2000
"""Of a long scan, those nearest to its middle: as much is enough to judge, and soon done."""

_DIGITS = 4


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Two images of one scan.

    Attributes:
        image: the network's.
        refined: after passes of refinement.
        phase_correlation: of the network's image with the reference; None without one.
        refined_phase_correlation: likewise, after refinement.
    """

    image: Inference
    refined: Inference
    phase_correlation: float | None
    refined_phase_correlation: float | None


def evaluate(
    package: Package, scan: Scan, reference: ObjectImage | None, passes: int
) -> Evaluation:
    """Image a scan with a package that was trained on none of its frames.

    Args:
        package: with an FP32 graph.
        scan: framed for the package.
        reference: reconstruction to compare with; None for none.
        passes: of refinement.

    Raises:
        ScanError: if the scan fails on the way.
        ResultError: if no frame has anything to show.
    """
    # All options given, so that no tuning record of this device has an influence.
    options = RunnerOptions(Precision.FP32, Provider.CPU, threads=0, batch_size=BATCH_SIZE)
    opened = open_best_graph(package, options)
    seen = _middle(scan)
    image = infer(seen, opened)
    refined = infer(seen, opened, refining=RefineOptions(passes))
    return Evaluation(
        image, refined, _correlation(image, reference), _correlation(refined, reference)
    )


def described(fit: FrameFit | None) -> str:
    """R-factors of an image in a line."""
    if fit is None:
        return "no frame could be compared"
    return (
        f"R-factor {fit.r_factor:.3f} on frames that training never saw (blank object "
        f"{fit.r_blank:.3f}, counting noise {fit.r_floor:.3f}), {100 * fit.explained:.0f} % "
        f"explained, contrast {fit.contrast:.2f}"
    )


def _middle(scan: Scan) -> Scan:
    """The scan, or the part of a long one that lies around its middle."""
    if scan.frame_count <= _MOST_FRAMES:
        return scan
    at_px = positions_px(scan.positions_m, scan.object_pixel_size_m)
    return some_frames(scan, nearest_to_middle(at_px, _MOST_FRAMES))


def _correlation(image: Inference, reference: ObjectImage | None) -> float | None:
    if reference is None:
        return None
    stitched = image.stitched
    found = ObjectImage("the image", stitched.image, stitched.coverage, image.pixel_size_m)
    try:
        return round(float(compare(found, reference).phase_correlation), _DIGITS)
    except ResultError:  # they have too little in common, which says enough
        return None
