"""A scan's image with all that is known of it: made, drawn and written.

Between files and the flow: `wnet_edge.runner.image.job` reads and writes by it for the command
line, `wnet_edge.api` for programs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wnet_edge.errors import WNetEdgeError
from wnet_edge.framing.framing import FramedScan, Framing
from wnet_edge.framing.training_domain import (
    Observed,
    outside_training_domain,
    probe_overlap,
    upright_probe,
)
from wnet_edge.host.outputs import together
from wnet_edge.io.found import FoundScan
from wnet_edge.io.images.image_context import ImageContext
from wnet_edge.io.images.result_file import Result
from wnet_edge.io.images.result_format import ResultFormat
from wnet_edge.io.writers.result_formats import check_image, write_image
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.physics.probe import fitted_probe
from wnet_edge.pictures.object_picture import PictureOptions, draw_picture, write_picture
from wnet_edge.refining.options import PositionCorrection, RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.infer import Inference, check_scan, infer
from wnet_edge.runner.image.orientation_search import ChosenOrientation, choose_orientation
from wnet_edge.runner.image.provenance import as_utf8, process_record
from wnet_edge.runner.image.verdict import Verdict

if TYPE_CHECKING:
    from PIL import Image

    from wnet_edge.runner.image.position_refinement import CorrectedPositions
    from wnet_edge.runner.image.refinement import Refinement


_MOST_TRIED = 2000
"""Frames of a scan whose positions are tried to be corrected without being asked to."""


@dataclass(frozen=True)
class ReadyScan:
    """A scan as the package sees it, before its first frame is inferred.

    Attributes:
        opened: graph of the package.
        choice: the scan, and how its orientations were found.
        context: what files say beside its image.
        probe_similarity: of the scan's own probe to the package's; None without one.
    """

    opened: ChosenGraph
    choice: ChosenOrientation
    context: ImageContext
    probe_similarity: float | None

    @property
    def framed(self) -> FramedScan:
        """The scan."""
        return self.choice.framed

    def observed(self, median_counts: float) -> Observed:
        """How it was measured, its frames having these counts."""
        scan = self.framed.scan
        return Observed(
            median_counts,
            self.probe_similarity,
            overlap=probe_overlap(scan, self.opened.package),
            masked=float(scan.mask.mean()),
            hidden=self.framed.hidden,
            background=self.framed.background,
        )

    def at(self, positions_m: NDArray[np.float64]) -> "ReadyScan":
        """The same with other positions (N, 2) row, column."""
        scan = replace(self.framed.scan, positions_m=positions_m)
        choice = replace(self.choice, framed=replace(self.framed, scan=scan))
        return replace(self, choice=choice, context=replace(self.context, positions_m=positions_m))

    def refined(self, refinement: "Refinement") -> "ReadyScan":
        """The same with the positions and the probe that refinement has found."""
        ready = self if refinement.positions_m is None else self.at(refinement.positions_m)
        if refinement.probe is None:
            return ready
        probe = fitted_probe(refinement.probe, ready.context.full_window_px)
        return replace(ready, context=replace(ready.context, probe=probe))


@dataclass(frozen=True)
class ScanImage:
    """The image of a scan, and what it was made of.

    Attributes:
        ready: the scan and the package's graph.
        inference: the image.
        corrected: positions of its frames; None if they are as the scan has them.
    """

    ready: ReadyScan
    inference: Inference
    corrected: "CorrectedPositions | None" = None

    @property
    def package(self) -> Package:
        """That made it."""
        return self.ready.opened.package

    @property
    def scan(self) -> Path:
        """Its file."""
        return self.ready.framed.scan.path


def framed_by(
    found: FoundScan,
    package: Package,
    open_graph: Callable[[], ChosenGraph],
    orientation: Orientation | None,
    position_orientation: Orientation | None,
) -> ChosenOrientation:
    """The scan as the package would see it; orientations that are None are found by trial.

    Raises:
        ScanError: if the scan lacks a part or is not far-field.
        PackageError: if the package does not fit it.
        ProviderError: if an orientation is to be found and the network can't run.
    """
    framing = Framing(found, package)
    if orientation is None or position_orientation is None:
        choice = choose_orientation(framing, open_graph(), orientation, position_orientation)
    else:
        choice = ChosenOrientation(framing.framed(orientation, position_orientation))
    check_scan(choice.framed.scan, package)
    return choice


def made_ready(
    found: FoundScan,
    opened: ChosenGraph,
    orientation: Orientation | None,
    position_orientation: Orientation | None,
) -> ReadyScan:
    """As `framed_by`, with what its image will be written with.

    Raises:
        ScanError: as `framed_by`.
        PackageError: as `framed_by`.
        ProviderError: as `framed_by`.
    """
    package = opened.package
    choice = framed_by(found, package, lambda: opened, orientation, position_orientation)
    framed = choice.framed
    scan = framed.scan
    probe, similarity = package.probe, None
    if scan.probe is not None:
        probe, similarity = upright_probe(scan.probe, framed.window.orientation, package)
    context = ImageContext(
        probe=fitted_probe(probe, scan.full_window_px),
        positions_m=scan.positions_m,
        left_out=scan.left_out,
        frame_numbers=scan.frame_numbers,
        full_window_px=scan.full_window_px,
        energy_ev=framed.energy_ev,
        distance_m=framed.distance_m,
        title=as_utf8(f"{scan.path.name} through package {package.name}"),
    )
    return ReadyScan(opened, choice, context, similarity)


def image_of(
    ready: ReadyScan,
    progress: Callable[[int], None] | None = None,
    refining: RefineOptions | None = None,
    correction: PositionCorrection | None = None,
) -> ScanImage:
    """The image, refined if asked for, with warnings of framing, training domain and inference.

    Args:
        ready: the scan.
        progress: called with the number of frames after each batch and pass.
        refining: how far the image is refined; None: not at all.
        correction: what of the positions is corrected first; None: nothing.

    Raises:
        ScanError: if the scan's file fails on the way, too many frames are bad, or positions can't
            be corrected.
        ProviderError: if the graph's provider fails.
        ResultError: if no frame has anything to show.
        WNetEdgeError: if what refinement needs is not installed.
    """
    opened = ready.opened
    corrected = None
    if correction is not None:
        from wnet_edge.runner.image.position_refinement import corrected_positions

        corrected = corrected_positions(ready.framed.scan, opened, correction, progress)
        ready = ready.at(corrected.positions_m)
        refining = None if refining is None else replace(refining, positions=correction)
    inference = infer(ready.framed.scan, opened, progress, refining=refining)
    if inference.refinement is not None:
        ready = ready.refined(inference.refinement)
    strange = outside_training_domain(opened.package, ready.observed(inference.median_counts))
    hint = _position_hint(ready, inference) if correction is None else ()
    warnings = (*ready.choice.warnings, *strange, *inference.warnings, *hint)
    return ScanImage(ready, replace(inference, warnings=warnings), corrected)


def _position_hint(ready: ReadyScan, inference: Inference) -> tuple[str, ...]:
    """Says of an image that is not trusted if corrected positions mend it."""
    scan = ready.framed.scan
    if inference.self_check.trusted is not False or scan.frame_count > _MOST_TRIED:
        return ()
    from wnet_edge.runner.image.position_refinement import corrected_positions

    try:
        corrected = corrected_positions(scan, ready.opened)
        check = infer(replace(scan, positions_m=corrected.positions_m), ready.opened).self_check
    except WNetEdgeError:  # neighbours do not agree, or scipy is not installed
        return ()
    if not check.trusted:
        return ()
    return (
        f"positions are off by about {corrected.rms_px:.1f} px: with --refine-positions, "
        f"{check.text}",
    )


def result_of(image: ScanImage, command_line: str = "") -> Result:
    """What a result file holds of it; `command_line` is what made it."""
    inference, stitched = image.inference, image.inference.stitched
    positions = {} if image.corrected is None else {"position_correction": image.corrected.text}
    return Result.of_image(
        stitched.image,
        stitched.coverage,
        stitched.window_offset_px,
        stitched.origin_px,
        inference.pixel_size_m,
        process_record(
            image.scan,
            command_line,
            image.package,
            inference,
            {**image.ready.framed.choices, **positions},
        ),
    )


def picture_of(image: ScanImage) -> "Image.Image":
    """Phase and amplitude as an RGB picture with title and verdict."""
    result = result_of(image)
    size_m = result.pixel_size_m
    return draw_picture(
        result.phase, result.amplitude, result.coverage, size_m, _picture_options(image)
    )


def check_outputs(
    ready: ReadyScan, outputs: tuple[Path, ...], image_format: ResultFormat, *, force: bool
) -> None:
    """See that an image of this scan may be written in this format, before it is made.

    Raises:
        ResultError: if an output is there and `force` is not set, or the format lacks something.
    """
    size_m = ready.framed.scan.object_pixel_size_m
    check_image(image_format, outputs, size_m, ready.context, force=force)


def write_scan_image(
    image: ScanImage,
    outputs: tuple[Path, ...],
    picture: Path | None,
    image_format: ResultFormat,
    *,
    command_line: str = "",
    force: bool = False,
) -> None:
    """Write the image and, where one is named, its picture: each whole, new ones both or neither.

    Raises:
        ResultError: if an output can't be written.
    """
    result = result_of(image, command_line)
    with together():
        write_image(image_format, outputs, result, image.ready.context, force=force)
        if picture is None:
            return
        write_picture(
            picture,
            result.phase,
            result.amplitude,
            result.coverage,
            result.pixel_size_m,
            _picture_options(image),
            force=force,
        )


def _picture_options(image: ScanImage) -> PictureOptions:
    inference = image.inference
    caption = (
        f"{inference.self_check.text} · {inference.frames_processed} of "
        f"{inference.frames_received} frames, package {image.package.name}, "
        f"{inference.precision.value} on {inference.provider.value}"
    )
    if image.corrected is not None:
        caption += ", positions corrected"
    if inference.refinement is not None:
        caption += f", refined in {inference.refinement.passes} passes"
        if inference.refinement.probe is not None:
            caption += " with the probe"
    title = image.scan.name
    if inference.self_check.verdict is Verdict.NOT_TRUSTED:
        title = f"{title}: NOT TRUSTED"
    return PictureOptions(title=title, caption=caption)
