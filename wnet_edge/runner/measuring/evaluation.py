"""A package judged on a user's own scan: the accuracy of every precision, and what it has kept.

Behind `wnet-edge evaluate`: frames → every graph → single-shot errors and stitched image, against a
reconstruction of the scan or, without one, against FP32; and which frames the image explains worst.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import PackageError
from wnet_edge.io.images.placed_image import PlacedImage
from wnet_edge.judging.yardstick import (
    Accuracy,
    Judge,
    Loss,
    against_fp32,
    against_reference,
    loss,
    phase_rms_rad,
    scan_part,
)
from wnet_edge.package.golden import PatchArrays
from wnet_edge.package.manifest import Precision
from wnet_edge.package.opening import Package
from wnet_edge.refining.options import RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph, open_best_graph
from wnet_edge.runner.graph.open_graph import check_held
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import Inference, infer
from wnet_edge.runner.image.refinement import Refinement
from wnet_edge.runner.measuring.frame_fits import FrameFits, frame_fits
from wnet_edge.scan.scan import Scan, some_frames

MOST_FRAMES = 2000
"""In memory at once; of a longer scan, those nearest its middle."""


@dataclass(frozen=True)
class Evaluated:
    """One precision on a scan.

    Attributes:
        image: of the frames.
        accuracy: against the judge.
        loss: of FP32's; None for FP32 itself, and in a package without it.
        phase_rms_rad: difference from FP32; None likewise.
    """

    image: Inference
    accuracy: Accuracy
    loss: Loss | None = None
    phase_rms_rad: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """A package on a scan.

    Attributes:
        judge: what patches were held against.
        frames: that were judged.
        precisions: by precision.
        frame_fits: R-factor of each frame in the image of the first of them.
        refinement: of that image, if asked for.
        refined_fits: R-factor of each frame in the refined image.
    """

    judge: Judge
    frames: int
    precisions: dict[Precision, Evaluated]
    frame_fits: FrameFits
    refinement: Refinement | None = None
    refined_fits: FrameFits | None = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings that hold for every precision, one line each."""
        first, *others = self.precisions.values()
        return tuple(
            line
            for line in first.image.warnings
            if all(line in other.image.warnings for other in others)
        )


def evaluate(
    package: Package,
    scan: Scan,
    reference: PlacedImage | None,
    options: RunnerOptions,
    refining: RefineOptions | None = None,
) -> Evaluation:
    """Judge every precision of a package, or the one that `options` name.

    Args:
        package: whose window the scan has.
        scan: framed for the package.
        reference: a reconstruction of the scan; None: FP32 is the judge.
        options: provider, threads, batch size.
        refining: how far the first precision's image is refined, to see what that leaves of the
            frames' R-factors; None: not at all.

    Raises:
        ScanError: if no frame can be judged.
        ResultError: if the reference does not explain the frames.
        PackageError: if neither a reference nor an FP32 graph is there to judge by, or the package
            lacks the precision asked for.
        ProviderError: as `choose`.
        WNetEdgeError: if what refinement needs is not installed.
    """
    if options.precision is not None:
        check_held(package, options.precision)
    scan = some_frames(scan, _middle(scan))
    part = whole = scan_part(scan, np.arange(scan.frame_count), package.instrument, "frames")

    def evaluated(ran: _Ran) -> Evaluated:
        return Evaluated(infer(scan, ran.opened), yardstick.accuracy(ran.patches))

    wanted = list(package.graphs) if options.precision is None else [options.precision]
    if reference is None and Precision.FP32 not in package.graphs:
        raise PackageError(
            f"{package.path}: holds no fp32 graph to judge the others by; give --reference"
        )
    if reference is None:
        fp32 = _ran(package, options, Precision.FP32, part.counts)
        yardstick = against_fp32(part, fp32.patches)
    else:
        yardstick = against_reference(part, scan, reference)
        part, fp32 = yardstick.part, None
        if Precision.FP32 in package.graphs:
            fp32 = _ran(package, options, Precision.FP32, part.counts)
    best = None if fp32 is None else evaluated(fp32)
    judged: dict[Precision, Evaluated] = {}
    for precision in wanted:
        if precision is Precision.FP32 and best is not None:
            judged[precision] = best
            continue
        ran = _ran(package, options, precision, part.counts)
        one = evaluated(ran)
        if fp32 is not None and best is not None:
            one = replace(
                one,
                loss=loss(best.accuracy, one.accuracy, yardstick.judge),
                phase_rms_rad=phase_rms_rad(part, ran.patches, fp32.patches),
            )
        judged[precision] = one
    fits = frame_fits(whole, scan, package, judged[wanted[0]].image.stitched)
    evaluation = Evaluation(yardstick.judge, len(part.numbers), judged, fits)
    if refining is None:
        return evaluation
    opened = open_best_graph(package, replace(options, precision=wanted[0]))
    refined = infer(scan, opened, refining=refining)
    return replace(
        evaluation,
        refinement=refined.refinement,
        refined_fits=frame_fits(whole, scan, package, refined.stitched),
    )


@dataclass(frozen=True)
class _Ran:
    """An opened graph, and its patches of the frames."""

    opened: ChosenGraph
    patches: PatchArrays


def _ran(
    package: Package, options: RunnerOptions, precision: Precision, counts: NDArray[np.float32]
) -> _Ran:
    opened = open_best_graph(package, replace(options, precision=precision))
    return _Ran(opened, opened.graph.run_all(counts))


def _middle(scan: Scan) -> NDArray[np.int64]:
    """Numbers of the frames nearest the middle of a scan, ascending; all of a short one."""
    if scan.frame_count <= MOST_FRAMES:
        return np.arange(scan.frame_count)
    known = np.flatnonzero(~scan.left_out)
    places = scan.positions_m[known]
    distance = np.sum((places - np.median(places, axis=0)) ** 2, axis=1)
    chosen: NDArray[np.int64] = np.sort(known[np.argsort(distance, kind="stable")[:MOST_FRAMES]])
    return chosen
