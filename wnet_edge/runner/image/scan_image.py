"""A scan's image with all that is known of it: made, drawn and written.

Between files and the flow: `wnet_edge.runner.image.job` reads and writes by it for the command
line, `wnet_edge.api` for programs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wnet_edge.framing.framing import FramedScan, Framing
from wnet_edge.framing.training_domain import outside_training_domain, upright_probe
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
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.infer import Inference, check_scan, infer
from wnet_edge.runner.image.orientation_search import ChosenOrientation, choose_orientation
from wnet_edge.runner.image.provenance import as_utf8, process_record
from wnet_edge.runner.image.verdict import Verdict

if TYPE_CHECKING:
    from PIL import Image


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


@dataclass(frozen=True)
class ScanImage:
    """The image of a scan, and what it was made of.

    Attributes:
        ready: the scan and the package's graph.
        inference: the image.
    """

    ready: ReadyScan
    inference: Inference

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


def image_of(ready: ReadyScan, progress: Callable[[int], None] | None = None) -> ScanImage:
    """The image, with warnings of framing, training domain and inference.

    Raises:
        ScanError: if the scan's file fails on the way, or too many frames are bad.
        ProviderError: if the graph's provider fails.
        ResultError: if no frame has anything to show.
    """
    opened = ready.opened
    inference = infer(ready.framed.scan, opened, progress)
    strange = outside_training_domain(
        opened.package, inference.median_counts, ready.probe_similarity
    )
    warnings = (*ready.choice.warnings, *strange, *inference.warnings)
    return ScanImage(ready, replace(inference, warnings=warnings))


def result_of(image: ScanImage, command_line: str = "") -> Result:
    """What a result file holds of it; `command_line` is what made it."""
    inference, stitched = image.inference, image.inference.stitched
    return Result.of_image(
        stitched.image,
        stitched.coverage,
        stitched.window_offset_px,
        stitched.origin_px,
        inference.pixel_size_m,
        process_record(image.scan, command_line, image.package, inference, image.ready.framed),
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
    title = image.scan.name
    if inference.self_check.verdict is Verdict.NOT_TRUSTED:
        title = f"{title}: NOT TRUSTED"
    return PictureOptions(title=title, caption=caption)
