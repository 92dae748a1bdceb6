"""A trained network on everything it is judged by, to one JSON file a network.

Frame by frame on every set, then the real scan stitched: as `infer` does it and as PtychoNN did it.
"""

import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.study.centre_stitch import stitch_centres
from benchmarks.study.plan import Study
from benchmarks.study.results import Outcome, Results, zoo_name
from benchmarks.study.scan247 import Scan247
from benchmarks.study.sets import REAL, EvaluationSet, illuminated, patches, set_facts
from wnet_edge.comparing.comparison import Comparison, ObjectImage, compare
from wnet_edge.comparing.patch_errors import patch_errors
from wnet_edge.errors import CheckpointError
from wnet_edge.models.registry import ModelName
from wnet_edge.physics.gauge import probe_intensity
from wnet_edge.stitching.stitcher import Stitcher
from wnet_edge.training.checkpoint import load_network, read_checkpoint

COMMAND = "python -m benchmarks.study evaluate"

PERFECT = "labels"
"""Name of what stitching gives of patches without error."""

Maps = NDArray[np.float32]


@dataclass(frozen=True)
class Yardsticks:
    """What networks are held against.

    Attributes:
        scan: the real one, with the published reference.
        converged: another reconstruction of it, for stitched images.
        sets: for single patches.
    """

    scan: Scan247
    converged: ObjectImage
    sets: list[EvaluationSet]


def evaluate_trained(
    study: Study, against: Yardsticks, checkpoints: Path, zoo: Path, results: Results
) -> bool:
    """Measure every network whose checkpoint is newer than its results; whether there was one.

    Of trainings that are not done, only how far they are is written down. The weights of the zoo
    have seen every family: they are measured on the real scan alone.
    """
    scan = against.scan
    weight, mask = scan.instrument.weight, illuminated(scan.instrument)
    results.write_sets({s.name: set_facts(s, weight, mask) for s in against.sets}, COMMAND)
    if results.outcome(PERFECT) is None:
        made = images(*scan.labels(np.arange(len(scan.counts))), scan, against.converged)
        results.write_outcome(PERFECT, Outcome(0, 0, "", [], {}, made), COMMAND)
    real = replace(against, sets=[s for s in against.sets if s.name == REAL])
    trained = [(run.name, run.checkpoint(checkpoints), run.epochs, against) for run in study.runs]
    shipped = [(zoo_name(m), zoo / f"{m.value}-cnm26id.safetensors", 0, real) for m in ModelName]
    new = False
    for name, path, epochs, judged in (*trained, *shipped):
        try:
            new |= path.exists() and _evaluate(name, path, epochs, judged, results)
        except CheckpointError as error:
            # Of another version, say; the others can be measured.
            sys.stderr.write(f"{error}\n")
    return new


def _evaluate(name: str, path: Path, epochs: int, against: Yardsticks, results: Results) -> bool:
    record = read_checkpoint(path).record
    known = results.outcome(name)
    if known is not None and known.created == record.created:
        return False
    sys.stderr.write(f"{name}: {record.epoch} epochs\n")
    outcome = Outcome(record.epoch, epochs, record.created, record.history, {}, {})
    if record.epoch >= epochs:
        network, scan = load_network(path)[0], against.scan
        weight, mask = scan.instrument.weight, illuminated(scan.instrument)
        errors = {
            truth.name: patch_errors(*patches(network, truth.counts), truth.labels, weight, mask)
            for truth in against.sets
        }
        made = images(*patches(network, scan.counts), scan, against.converged)
        outcome = replace(outcome, patches=errors, images=made)
    results.write_outcome(name, outcome, COMMAND)
    return True


def images(
    amplitude: Maps, phase_rad: Maps, scan: Scan247, converged: ObjectImage
) -> dict[str, Comparison]:
    """The real scan's patches (N, n, n) stitched in both ways, against the reference.

    Whole, and the report strip alone; our stitching of the whole also against `converged`.
    """
    compared = {}
    for part, frames in {"whole": np.arange(len(scan.counts)), "report": scan.report}.items():
        ours = stitched(amplitude, phase_rad, scan, frames)
        centres = stitch_centres(
            amplitude[frames],
            phase_rad[frames],
            scan.positions_px[frames],
            scan.instrument.object_pixel_size_m,
        )
        compared[f"ours/{part}"] = compare(ours, scan.reference)
        compared[f"centres/{part}"] = compare(centres, scan.reference)
        if part == "whole":
            compared["ours/converged"] = compare(ours, converged)
    return compared


def stitched(
    amplitude: Maps, phase_rad: Maps, scan: Scan247, frames: NDArray[np.int64]
) -> ObjectImage:
    """Some frames' patches as `infer` stitches them: phases recovered, scale from the counts."""
    place = scan.instrument
    totals = np.maximum(scan.counts[frames], 0).sum(axis=(1, 2, 3))
    scale = np.sqrt(totals / probe_intensity(place.probe).sum())
    positions_px = scan.positions_px[frames]
    with Stitcher(
        place.probe.shape[-1], place.window_px, place.weight, expected_px=positions_px
    ) as stitcher:
        stitcher.add(positions_px, amplitude[frames], phase_rad[frames], scale)
        made = stitcher.finish().stitched()
    return ObjectImage("stitched", made.image, made.coverage, place.object_pixel_size_m)
