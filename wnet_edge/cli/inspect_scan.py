"""What `wnet-edge inspect` says of a scan: its parts, where they were found, and if it will run."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from wnet_edge.cli.adapt_command import with_adapt_command
from wnet_edge.errors import ScanError, WNetEdgeError
from wnet_edge.framing.compatibility import check_far_field, nearest_neighbour_m
from wnet_edge.io.found import Found, FoundScan, Positions
from wnet_edge.io.parts.complete_scan import known_geometry
from wnet_edge.io.readers.cxi import read_labels
from wnet_edge.package.opening import Package
from wnet_edge.physics.orientation import Orientation
from wnet_edge.runner.choosing.choice import open_best_graph
from wnet_edge.runner.graph.run_settings import RunnerOptions
from wnet_edge.runner.image.scan_image import framed_by
from wnet_edge.scan.frame_source import FrameSource

T = TypeVar("T")


def scan_report(found: FoundScan) -> dict[str, object]:
    """Names to values, as text and as JSON."""
    return {
        "kind": "scan",
        "path": str(found.path),
        "format": found.format,
        "entry": found.entry,
        "frames": _described(found.frames, _frames),
        "positions": _described(found.positions, _positions),
        "energy_ev": _described(found.energy_ev, _number),
        "distance_m": _described(found.distance_m, _number),
        "pixel_size_m": _described(found.pixel_size_m, _number),
        "binning": found.binning,
        "beam_centre_px": _described(found.beam_centre_px, _number),
        "zero_frequency": _described(found.zero_frequency, lambda where: {"value": where.value}),
        "mask": _described(found.mask, lambda mask: {"masked_px": int(mask.sum())}),
        "probe": _described(
            found.probe, lambda probe: _probe(probe) | {"pixel_size_m": found.probe_pixel_size_m}
        ),
        **_derived(found),
        "labels_px": _labels_px(found),
    }


@dataclass(frozen=True)
class Readiness:
    """Whether `infer` will take a scan to an image.

    Attributes:
        package: name.
        missing: why it won't and what to give, as `infer` itself says it; None if it will.
        seen: what of the detector the package would look at, and what was found odd there.
        command: that will run.
    """

    package: str
    missing: str | None
    seen: dict[str, object]
    command: str

    def values(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "package": self.package,
            "seen_by_package": self.seen,
            "ready": self.missing is None,
            "missing": self.missing,
            "command": None if self.missing is not None else self.command,
        }

    def lines(self) -> dict[str, object]:
        """For people; the last is the answer."""
        last = (
            {"not ready": self.missing} if self.missing else {"ready": f"{self.command} will run"}
        )
        return {"package": self.package, "seen by package": self.seen, **last}


def readiness(
    found: FoundScan,
    package: Package,
    orientation: Orientation | None,
    position_orientation: Orientation | None,
) -> Readiness:
    """What `infer` would say of this scan before its first frame."""
    missing: str | None = None
    seen: dict[str, object] = {}
    try:
        choice = framed_by(
            found,
            package,
            partial(open_best_graph, package, RunnerOptions()),
            orientation,
            position_orientation,
        )
    except WNetEdgeError as error:
        missing = str(with_adapt_command(error))
    else:
        seen |= choice.framed.choices
        notes = [*choice.search_lines, *choice.warnings, *choice.framed.scan.notes]
        seen |= {f"note {number}": note for number, note in enumerate(notes, start=1)}
    return Readiness(package.name, missing, seen, _infer_command())


def _infer_command() -> str:
    """What was typed, with infer in place of inspect and without what infer does not take."""
    words, kept = iter(sys.argv[2:]), []
    for word in words:
        if word == "--image":
            next(words, None)
        elif word != "--json" and not word.startswith("--image="):
            kept.append(word)
    return shlex.join(["wnet-edge", "infer", *kept])


def _described(
    part: Found[T] | None, describe: Callable[[T], dict[str, object]]
) -> dict[str, object] | None:
    """What is to say of a part and where it was found, or why it can't be used."""
    if part is None:
        return None
    try:
        notes = {"notes": list(part.notes)} if part.notes else {}
        return describe(part.value) | {"where": part.where} | notes
    except ScanError as error:
        return {"unusable": str(error)}


def _number(value: float | tuple[float, float]) -> dict[str, object]:
    """JSON has no NaN: what is no number is shown as text."""
    if not np.isfinite(value).all():
        return {"value": str(value)}
    return {"value": list(value) if isinstance(value, tuple) else value}


def _frames(frames: FrameSource) -> dict[str, object]:
    count, height, width = frames.shape
    return {"count": count, "height_px": height, "width_px": width, "dtype": str(frames.dtype)}


def _positions(positions: Positions) -> dict[str, object]:
    finite = positions.values[np.isfinite(positions.values).all(axis=1)]
    height, width = np.ptp(finite, axis=0).tolist() if len(finite) else (0.0, 0.0)
    unit = positions.unit.value
    return {
        "count": len(positions.values),
        f"height_{unit}": height,
        f"width_{unit}": width,
        f"step_{unit}": nearest_neighbour_m(positions.values),
    }


def _probe(probe: NDArray[np.complex64]) -> dict[str, object]:
    return {"modes": len(probe), "size_px": probe.shape[-1]}


def _derived(found: FoundScan) -> dict[str, object]:
    """What follows from the parts, or why it does not."""
    values: dict[str, object] = {"wavelength_m": None, "object_pixel_size_m": None}
    unknown = values | {"far_field": None, "refusal": None}
    try:
        geometry = known_geometry(found)
        if geometry is None:
            return unknown if found.near_field is None else _refused(values, found.near_field)
        values["wavelength_m"] = geometry.wavelength_m
        if found.frames is not None:
            full_px = min(found.frames.value.shape[1:]) * found.binning
            values["object_pixel_size_m"] = geometry.object_pixel_size_m(full_px)
        check_far_field(found)
    except ScanError as error:
        return _refused(values, str(error))
    if found.near_field is not None:
        return _refused(values, found.near_field)
    return values | {"far_field": True, "refusal": None}


def _refused(values: dict[str, object], why: str) -> dict[str, object]:
    return values | {"far_field": False, "refusal": why}


def _labels_px(found: FoundScan) -> int | None:
    if not found.format.startswith("CXI"):
        return None
    try:
        labels = read_labels(found.path)
    except ScanError:  # of no use to any but train, which says why
        return None
    return None if labels is None else labels.window_px
