"""A package judged on a user's own scan: the accuracy of every precision, and what it has kept.

Behind `wnet-edge evaluate`: frames → every graph → single-shot errors and stitched image, against a
reconstruction of the scan or, without one, against FP32.
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
from wnet_edge.runner.choosing.choice import ChosenGraph, open_best_graph
from wnet_edge.runner.graph.open_graph import check_held
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import infer
from wnet_edge.runner.image.self_check import SelfCheck
from wnet_edge.scan.scan import Scan, some_frames

MOST_FRAMES = 2000
"""In memory at once; of a longer scan, those nearest its middle."""


@dataclass(frozen=True)
class Evaluated:
    """One precision on a scan.

    Attributes:
        provider: that ran it.
        accuracy: against the judge.
        self_check: of the image of those frames, by the frames themselves.
        warnings: of that image, one line each.
        loss: of FP32's; None for FP32 itself, and in a package without it.
        phase_rms_rad: difference from FP32; None likewise.
    """

    provider: Provider
    accuracy: Accuracy
    self_check: SelfCheck
    warnings: tuple[str, ...]
    loss: Loss | None = None
    phase_rms_rad: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """A package on a scan.

    Attributes:
        judge: what patches were held against.
        frames: that were judged.
        precisions: by precision.
    """

    judge: Judge
    frames: int
    precisions: dict[Precision, Evaluated]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings that hold for every precision, one line each."""
        first, *others = self.precisions.values()
        return tuple(
            line for line in first.warnings if all(line in other.warnings for other in others)
        )


def evaluate(
    package: Package, scan: Scan, reference: PlacedImage | None, options: RunnerOptions
) -> Evaluation:
    """Judge every precision of a package, or the one that `options` name.

    Args:
        package: whose window the scan has.
        scan: framed for the package.
        reference: a reconstruction of the scan; None: FP32 is the judge.
        options: provider, threads, batch size.

    Raises:
        ScanError: if no frame can be judged.
        ResultError: if the reference does not explain the frames.
        PackageError: if neither a reference nor an FP32 graph is there to judge by, or the package
            lacks the precision asked for.
        ProviderError: as `choose`.
    """
    if options.precision is not None:
        check_held(package, options.precision)
    scan = some_frames(scan, _middle(scan))
    part = scan_part(scan, np.arange(scan.frame_count), package.instrument, "frames")

    def evaluated(ran: _Ran) -> Evaluated:
        image = infer(scan, ran.opened)
        accuracy = yardstick.accuracy(ran.patches)
        return Evaluated(ran.opened.provider, accuracy, image.self_check, image.warnings)

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
    return Evaluation(yardstick.judge, len(part.numbers), judged)


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
