"""How far a scan may be from what a package was trained for, and what its R-factor then says.

    python benchmarks/measure_trust.py [SCAN.cxi] > trust.txt

Prints the tables of docs/trust.md: the R-factor of scan 247 as it is and with orientation, pixel
size and probe wrong, one at a time; the phase correlation as the flux falls; and, on simulated
scans, as the probe changes. Without a scan the embedded one is used, whose frames are binned.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.embedded import find_package
from wnet_edge.framing.framing import Framing
from wnet_edge.framing.training_domain import probe_similarity
from wnet_edge.io.found import Found, FoundScan, Positions
from wnet_edge.io.images.object_image_file import read_object_image
from wnet_edge.io.scan_file import find_scan
from wnet_edge.package.opening import Package, open_package
from wnet_edge.physics.detector import Detector
from wnet_edge.physics.geometry import Geometry
from wnet_edge.physics.objects import Family
from wnet_edge.physics.orientation import Orientation
from wnet_edge.physics.probe import ZonePlate, defocus, zone_plate_probe
from wnet_edge.physics.virtual_scan import ScanOptions, VirtualScan
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.providers import Provider
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.infer import Inference, infer

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_64px.cxi"
REFERENCE = ROOT / "wnet_edge" / "examples" / "cnm26id_scan247_reference.npz"
OPTIONS = RunnerOptions(provider=Provider.CPU)
UP = Orientation.IDENTITY


def image_of(
    found: FoundScan, package: Package, orientation=UP, position_orientation=UP
) -> Inference:
    """The scan through the package."""
    scan = Framing(found, package).framed(orientation, position_orientation).scan
    return infer(scan, open_best_graph(package, OPTIONS))


def correlation(inference: Inference, reference: ObjectImage) -> float:
    """Phase correlation with the reference."""
    stitched = inference.stitched
    image = ObjectImage("image", stitched.image, stitched.coverage, inference.pixel_size_m)
    return compare(image, reference).phase_correlation


def row(name: str, inference: Inference, *more: str) -> None:
    """One line of a table, its columns those of `header`."""
    check = inference.self_check
    cells = [name, *"–––––", "", *more]
    if check.fit is not None:
        fit = check.fit
        cells[1:6] = [
            f"{fit.r_factor:.3f}",
            f"{fit.r_floor:.3f}",
            f"{fit.r_blank:.3f}",
            f"{100 * fit.explained:.0f} %",
            f"{fit.contrast:.2f}",
        ]
    cells[6] = check.verdict.value
    print(f"| {' | '.join(cells)} |", flush=True)  # noqa: T201


def header(first: str, *more: str) -> None:
    """The head of a table."""
    names = (first, "R-factor", "noise alone", "blank", "explained", "contrast", "verdict", *more)
    print(f"\n| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)  # noqa: T201


def wrong_in_turn(found: FoundScan, package: Package) -> None:
    """Orientation, positions, pixel size and probe wrong."""
    header("scan 247")
    row("unchanged", image_of(found, package))
    for way in list(Orientation)[1:]:
        row(f"detector {way.value}", image_of(found, package, way))
    for way in list(Orientation)[1:]:
        row(f"positions {way.value}", image_of(found, package, UP, way))
    positions = found.positions
    assert positions is not None
    for factor in (0.8, 0.9, 0.95, 1.05, 1.1, 1.2, 1.5):
        scaled = Positions(positions.value.values * factor)
        stretched = replace(found, positions=Found(scaled, positions.where))
        row(f"object pixel / {factor:g}", image_of(stretched, package))
    for name, probe in other_probes(package).items():
        other = replace(package, probe=probe)
        similarity = probe_similarity(probe, package.probe)
        row(f"probe: {name}, {100 * similarity:.0f} % similar", image_of(found, other))


def other_probes(package: Package) -> dict[str, np.ndarray]:
    """Probes that are not the package's."""
    pixel_m = package.manifest.object_pixel_size_m
    wavelength_m = Geometry(10_000.0, 0.9, 55e-6).wavelength_m
    power = np.sqrt(np.sum(np.abs(package.probe) ** 2))

    def moved(distance_m):
        return defocus(
            package.probe, distance_m=distance_m, wavelength_m=wavelength_m, pixel_size_m=pixel_m
        )

    plate = zone_plate_probe(
        ZonePlate(30e-9, defocus_m=30e-6, source_size_m=15e-9, modes=3),
        wavelength_m=wavelength_m,
        window_px=package.probe.shape[-1],
        pixel_size_m=pixel_m,
    )
    ways = (0.5e-6, 1e-6, 2e-6, 4e-6, 8e-6, 16e-6)
    return {f"defocus {1e6 * d:g} µm": moved(d) for d in ways} | {
        "first mode only": package.probe[:1],
        "mirrored": package.probe[:, :, ::-1],
        "another zone plate": (plate * power).astype(np.complex64),
    }


def flux(found: FoundScan, package: Package, reference: ObjectImage) -> None:
    """Counts thinned as a shorter exposure would."""
    header("counts per frame", "correlation")
    frames = found.frames
    assert frames is not None
    counts = np.asarray(frames.value[:]).astype(np.int64)
    median = float(np.median(counts.sum(axis=(1, 2))))
    rng = np.random.default_rng(0)
    for target in (median, 1e6, 3e5, 1e5, 3e4, 1e4, 3e3, 1e3, 3e2):
        thinned = counts if target == median else rng.binomial(counts, target / median)
        scan = replace(found, frames=Found(thinned.astype(np.uint32), frames.where))
        inference = image_of(scan, package)
        row(f"{target:.3g}", inference, f"{correlation(inference, reference):.4f}")


def simulated(found: FoundScan, probe: np.ndarray, pixel_m: float, photons: float):
    """A scan of a labyrinth under a probe, and the truth."""
    options = ScanOptions(
        frames=400,
        step_px=12,
        family=Family.LABYRINTH,
        detector=Detector((photons, photons)),
        seed=3,
    )
    virtual = VirtualScan(probe, options)
    frames = np.concatenate([batch.frames for batch in virtual.batches(64)])
    scan = replace(
        found,
        frames=Found(frames.astype(np.float64), "simulated"),
        positions=Found(Positions(virtual.positions_px * pixel_m), "simulated"),
        pixel_size_m=None,
        binning=1,
        mask=None,
        probe=None,
    )
    return scan, ObjectImage("truth", virtual.object, None, pixel_m)


def probes(found: FoundScan, package: Package) -> None:
    """Simulated scans, illuminated by other probes than the package's."""
    header("illuminated by", "similarity", "correlation")
    pixel_m = package.manifest.object_pixel_size_m
    for name, probe in {"the package's probe": package.probe, **other_probes(package)}.items():
        scan, truth = simulated(found, probe, pixel_m, 2e7)
        inference = image_of(scan, package)
        similarity = f"{probe_similarity(probe, package.probe):.3f}"
        row(name, inference, similarity, f"{correlation(inference, truth):.4f}")


def bright(found: FoundScan, package: Package) -> None:
    """Simulated scans, brighter than any in training."""
    header("photons", "correlation")
    for photons in (1e7, 1e8, 1e9, 1e10, 1e11):
        scan, truth = simulated(found, package.probe, package.manifest.object_pixel_size_m, photons)
        inference = image_of(scan, package)
        row(f"{photons:.0e}", inference, f"{correlation(inference, truth):.4f}")


def main() -> None:
    """All tables."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLE
    found, package = find_scan(path), open_package(find_package("w3"))
    wrong_in_turn(found, package)
    flux(found, package, read_object_image(REFERENCE))
    bright(found, package)
    probes(found, package)


if __name__ == "__main__":
    main()
