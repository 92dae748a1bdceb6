"""One row: a scan through the package and, once more, refined, both against the true object."""

from dataclasses import dataclass

from benchmarks.markdown import head, show
from benchmarks.robustness.conditions import Conditions, Series
from benchmarks.robustness.measurement import FRAMES, measured
from wnet_edge.comparing.comparison import Comparison, ObjectImage, compare
from wnet_edge.errors import WNetEdgeError
from wnet_edge.framing.training_domain import Observed, outside_training_domain
from wnet_edge.physics.orientation import Orientation
from wnet_edge.refining.options import RefineOptions
from wnet_edge.runner.choosing.choice import ChosenGraph
from wnet_edge.runner.image.infer import Inference, infer
from wnet_edge.runner.image.scan_image import made_ready

PASSES = 5
_UP = Orientation.IDENTITY
_COLUMNS = ("correlation", "slope", "R", "explained", "verdict")


@dataclass(frozen=True)
class Judged:
    """An image, and how far it is from the truth."""

    inference: Inference
    error: Comparison

    @property
    def cells(self) -> tuple[str, ...]:
        """As in `_COLUMNS`."""
        check = self.inference.self_check
        error = (f"{self.error.phase_correlation:.3f}", f"{self.error.phase_slope:.2f}")
        if check.fit is None:
            return (*error, "–", "–", check.verdict.value)
        fit = check.fit
        explained = f"{100 * fit.explained:.0f} %"
        return (*error, f"{fit.r_factor:.3f}", explained, check.verdict.value)


@dataclass(frozen=True)
class Row:
    """What a package makes of a scan.

    Attributes:
        network: after the network alone.
        refined: after five passes.
        hidden: share of the counts that the mask hides.
        observed: what `infer` knows of the scan.
        warnings: what it says of that.
    """

    network: Judged
    refined: Judged
    hidden: float
    observed: Observed
    warnings: tuple[str, ...]


def row_of(opened: ChosenGraph, conditions: Conditions, frames: int = FRAMES) -> Row:
    """Simulate, infer, refine, compare.

    Raises:
        WNetEdgeError: if the package refuses the scan, or nothing of the image can be compared.
    """
    measurement = measured(opened.package, conditions, frames)
    ready = made_ready(measurement.scan.found, opened, _UP, _UP)
    judged = []
    for refining in (None, RefineOptions(PASSES)):
        made = infer(ready.framed.scan, opened, refining=refining)
        stitched = made.stitched
        image = ObjectImage("image", stitched.image, stitched.coverage, made.pixel_size_m)
        judged.append(Judged(made, compare(image, measurement.truth)))
    observed = ready.observed(judged[0].inference.median_counts)
    warnings = outside_training_domain(opened.package, observed)
    return Row(judged[0], judged[1], measurement.hidden, observed, warnings)


def print_table(opened: ChosenGraph, series: Series) -> None:
    """Every row of a series, as Markdown."""
    refined = [f"refined: {_COLUMNS[0]}", *_COLUMNS[1:]]
    head(series.quantity, *_COLUMNS, *refined, "warns")
    for name, conditions in series.rows:
        try:
            row = row_of(opened, conditions)
        except WNetEdgeError as error:
            show(name, f"refused: {error}", *[""] * (2 * len(_COLUMNS)))
            continue
        warns = "yes" if row.warnings else ""
        show(f"{name}{_told(conditions, row)}", *row.network.cells, *row.refined.cells, warns)


def _told(conditions: Conditions, row: Row) -> str:
    """What the name of a row leaves open."""
    if conditions.beamstop_px:
        masked, hidden = 100 * row.observed.masked, 100 * row.hidden
        return f", over {masked:.0f} % of the pixels, {hidden:.0f} % of the counts"
    if conditions.step != Conditions.step:
        return f", {100 * row.observed.overlap:.0f} % by the nearest neighbours"
    if conditions.defocus_um:
        return f", {100 * (row.observed.similarity or 0):.0f} % similar"
    return ""
