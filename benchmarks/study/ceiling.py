"""How near iterative reconstructions come to each other: no network can be asked for more.

The same engine on the same frames, with one thing changed at a time; and each of them against the
published reference, which is also what the networks are held against.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.study.epie import Frames, reconstruct
from benchmarks.study.plan import Iterative, Study
from benchmarks.study.results import Ceiling, Pair, Reconstructed, Results
from benchmarks.study.scan247 import Scan247
from wnet_edge.comparing.comparison import ObjectImage, compare
from wnet_edge.errors import ResultError
from wnet_edge.host.outputs import replacing

PUBLISHED = "the published reference"
COMMAND = "python -m benchmarks.study ceiling"


def measure_ceiling(study: Study, scan: Scan247, cache: Path, results: Results) -> None:
    """Reconstruct what `cache` does not hold yet, and compare; nothing if that is done."""
    known = results.ceiling()
    if known is not None and {r.name for r in known.reconstructions} == set(study.reconstructions):
        return
    images: dict[str, ObjectImage] = {PUBLISHED: scan.reference}
    made: list[Reconstructed] = []
    for name in study.reconstructions:
        images[name], facts = reconstruction(name, study, scan, cache)
        made.append(facts)
    pairs = [
        Pair(one, other, compare(images[one], images[other]))
        for one, other in (*study.pairs, *((name, PUBLISHED) for name in study.reconstructions))
    ]
    results.write_ceiling(Ceiling(made, pairs), COMMAND)


def reconstruction(
    name: str, study: Study, scan: Scan247, cache: Path
) -> tuple[ObjectImage, Reconstructed]:
    """One of the study's reconstructions: from `cache`, or made and kept there."""
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{name.replace(' ', '-').replace(',', '')}.npz"
    if not path.exists():
        _reconstruct(name, study.reconstructions[name], scan, path)
    with np.load(path, allow_pickle=False) as kept:
        pixel_size_m = scan.instrument.object_pixel_size_m
        image = ObjectImage(name, kept["object"], kept["coverage"], pixel_size_m)
        facts = Reconstructed(
            name, int(kept["frames"]), float(kept["r_factor"]), float(kept["seconds"])
        )
    return image, facts


def _reconstruct(name: str, iterative: Iterative, scan: Scan247, path: Path) -> None:
    frames = Frames(scan.counts[:, 0], scan.positions_px, scan.instrument.probe).part(
        slice(iterative.first, None, iterative.step)
    )
    began = time.perf_counter()
    made = reconstruct(frames, iterative.options, _told(name))
    with replacing(path, ResultError, force=True) as temporary, temporary.open("wb") as file:
        np.savez_compressed(
            file,
            object=made.image,
            coverage=made.coverage,
            frames=len(frames.counts),
            r_factor=made.r_factor,
            seconds=round(time.perf_counter() - began, 1),
        )


def _told(name: str) -> Callable[[int, float], None]:
    def tell(iteration: int, r_factor: float) -> None:
        if iteration % 10 == 0:
            sys.stderr.write(f"{name}: iteration {iteration}, R-factor {r_factor:.4f}\n")

    return tell
