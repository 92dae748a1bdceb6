"""The table that the limits of a verdict are calibrated on (docs/trust.md).

    python -m benchmarks.trust networks [FOLDER]    train and export what is missing (an hour)
    python -m benchmarks.trust table [FOLDER]       every network on every sample, as Markdown

Networks, packages and scans are kept in FOLDER, runs/trust where none is named.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.trust.networks import QUALITIES, Quality, make_networks, package_path, scan_path
from benchmarks.trust.probes import REFERENCE_247, SCAN_247, ProbeName, Sample, truth
from wnet_edge.comparing.comparison import Comparison, ObjectImage, compare
from wnet_edge.framing.framing import Framing
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import open_package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import Inference, infer
from wnet_edge.runner.image.verdict import Verdict

GOOD_CORRELATION, GOOD_SLOPE = 0.93, (0.75, 1.25)
"""Of a good image with the truth; the reference of scan 247 shares no more than 0.97 with any."""


@dataclass(frozen=True)
class Row:
    """One image, what is said of it, and how far it is from the truth."""

    name: str
    inference: Inference
    error: Comparison

    @property
    def good(self) -> bool:
        """Whether the image is near the truth."""
        low, high = GOOD_SLOPE
        return (
            self.error.phase_correlation >= GOOD_CORRELATION
            and low <= self.error.phase_slope <= high
        )

    @property
    def flat(self) -> bool:
        """Whether it has less than half of the true contrast."""
        return self.error.phase_slope < 0.5

    def __str__(self) -> str:
        check = self.inference.self_check
        fit = check.fit
        if fit is None:
            return f"| {self.name} | not compared |"
        return (
            f"| {self.name} | {fit.r_factor:.3f} | {fit.r_blank:.3f} | {100 * fit.explained:.0f} % "
            f"| {fit.contrast:.2f} | {check.verdict.value} | {self.error.phase_correlation:.3f} | "
            f"{self.error.phase_slope:.2f} |"
        )


def rows(folder: Path) -> Iterator[Row]:
    """Every network on every sample, the measured probe's on scan 247 too."""
    for name in ProbeName:
        for quality in QUALITIES:
            if not package_path(folder, name, quality).exists():
                continue
            if name is ProbeName.MEASURED:
                yield _row(folder, name, quality, SCAN_247, read_object_image(REFERENCE_247))
            for sample in list(Sample)[1:]:
                path = scan_path(folder, name, sample)
                yield _row(folder, name, quality, path, truth(name, sample))


def _row(
    folder: Path, name: ProbeName, quality: Quality, path: Path, reference: ObjectImage
) -> Row:
    package = open_package(package_path(folder, name, quality))
    scan = Framing(find_scan(path), package).framed(Orientation.IDENTITY, Orientation.IDENTITY).scan
    made = infer(scan, open_best_graph(package, RunnerOptions(provider=Provider.CPU)))
    image = ObjectImage(
        "image", made.stitched.image, made.stitched.coverage, scan.object_pixel_size_m
    )
    sample = "scan 247" if path == SCAN_247 else path.stem.removeprefix(f"{name.value}-")
    return Row(f"{name.value} | {quality.name} | {sample}", made, compare(image, reference))


def print_table(folder: Path) -> None:
    """All rows, then what the limits make of them."""
    head = (
        *("probe", "trained on", "sample", "R-factor", "blank", "explained", "contrast"),
        *("verdict", "correlation", "slope"),
    )
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")  # noqa: T201
    made = []
    for row in rows(folder):
        print(row, flush=True)  # noqa: T201
        made.append(row)
    trusted = [row for row in made if row.inference.self_check.verdict is Verdict.TRUSTED]
    refused = [row for row in made if row.inference.self_check.verdict is Verdict.NOT_TRUSTED]
    print(  # noqa: T201
        f"\n{len(made)} images, {len(trusted)} trusted; {sum(row.flat for row in trusted)} of the "
        f"trusted have less than half of the true contrast; {sum(row.good for row in refused)} of "
        f"{sum(row.good for row in made)} good ones are not trusted"
    )


def main() -> None:
    """As the command line says."""
    what, *rest = sys.argv[1:] or ["table"]
    folder = Path(rest[0]) if rest else Path("runs") / "trust"
    {"networks": make_networks, "table": print_table}[what](folder)


if __name__ == "__main__":
    main()
